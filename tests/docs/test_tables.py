"""The tables of teachers and students in the README are those of the registries, row by row."""

import re

from tests.docs.blocks import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def rows_below(mark: str) -> list[list[str]]:
    """Cells of the rows of the table that follows a comment, without its head."""
    _, found, rest = README.partition(f"<!-- {mark}: kept right by a test -->\n\n")
    assert found, f"README.md has lost the comment of the {mark}"
    lines = rest.partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def code(names) -> str:
    return ", ".join(f"`{name}`" for name in names)


def teacher_row(family) -> list[str]:
    from kdcache.teachers.registry import sizes_of

    by_model = isinstance(family.usual_signals, str)
    signals = "depends on the run" if by_model else code(family.signals_kept(family.name, None))
    return [f"`{family.written}`", code(sizes_of(family.name)) or "–", signals, family.about]


def student_row(name: str) -> list[str]:
    from kdcache.images.kind import OWN
    from kdcache.images.registry import usual_recipe
    from students.families.cost import student_cost
    from students.families.registry import shown_student, student_preset

    spec = shown_student(name)
    recipe = student_preset(name).recipe
    recipes = f"`{recipe}`" if recipe else f"`{usual_recipe({'kind': 'shapes'})}` for `shapes`, else `{OWN}`"
    return [f"`{name}`", f"{spec.input[0]}", f"{student_cost(spec).parameters / 1e6:.1f} M", recipes]


def test_the_table_of_teachers_is_the_registry():
    from kdcache.teachers.registry import families

    assert rows_below("table of teachers") == [teacher_row(family) for family in families()]


def test_the_table_of_students_is_the_presets():
    from students.families.registry import student_names

    assert rows_below("table of students") == [student_row(name) for name in student_names()]
