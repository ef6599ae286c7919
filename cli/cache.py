"""`kd cache`: make, read, check and change caches."""

from cli import cache_build, cache_check, cache_exchange, cache_list, cache_plan, cache_read, cache_reshape
from cli.command import group

app = group("Make, read, check and change caches.")
cache_build.register(app)
cache_plan.register(app)
cache_list.register(app)
cache_read.register(app)
cache_check.register(app)
cache_reshape.register(app)
cache_exchange.register(app)
