"""Registry of constraints: one file each in this folder, and those of other packages."""

from typing import Annotated

from kdcache.base.plugins import Registry
from students.base.kinds import Kinds
from students.base.objective import Constraint
from students.base.plugins import Brought

CONSTRAINTS: Registry[type[Constraint]] = Registry(
    package="students.constraints",
    attribute="CONSTRAINT",
    what="constraint",
    others=Brought("constraints"),
    passed_over=frozenset({"registry"}),
)
AnyConstraint = Annotated[Constraint, Kinds(Constraint, CONSTRAINTS)]
"""Type of a field that holds one constraint."""
