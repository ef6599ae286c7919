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
"""A field that holds one objective. Recipes from before there were kinds say none: theirs is `labels`."""
