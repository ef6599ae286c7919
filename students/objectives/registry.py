"""Registry of objectives: one file each in this folder, and those of other packages."""

from typing import Annotated

from kdcache.base.plugins import Registry
from students.base.kinds import Kinds
from students.base.objective import Objective
from students.base.plugins import Brought

OBJECTIVES: Registry[type[Objective]] = Registry(
    package="students.objectives",
    attribute="OBJECTIVE",
    what="objective",
    others=Brought("objectives"),
    passed_over=frozenset({"registry"}),
)
AnyObjective = Annotated[Objective, Kinds(Objective, OBJECTIVES, usual="labels")]
"""Type of a field that holds one objective. An objective without `kind`, as in recipes of the first release, is `labels`."""
