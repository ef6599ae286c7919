"""Which objectives there are: one file each in this folder, and those that other packages bring."""

from typing import Annotated

from kdcache.base.plugins import Registry
from students.base.kinds import Kinds
from students.base.objective import Objective
from students.base.plugins import brought

OBJECTIVES: Registry[type[Objective]] = Registry(
    package="students.objectives",
    attribute="OBJECTIVE",
    what="objective",
    others=lambda: brought("objectives", "kind"),
    passed_over=frozenset({"registry"}),
)
AnyObjective = Annotated[Objective, Kinds(Objective, OBJECTIVES, usual="labels")]
"""Type of a field that holds one objective. Recipes older than kinds have no `kind`; theirs is `labels`."""
