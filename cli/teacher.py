"""`kd teacher`: which teachers there are, and how they get a head or nano weights."""

from cli.command import command, group
from cli.output import Ui
from cli.text import columns

LIST = """
kd teacher list
kd teacher list --json
"""

app = group("List teachers, fit a head, train the nano sizes.")


def teacher_list(ui: Ui) -> None:
    """List the teachers, their sizes (the default one first) and what they are."""
    from kdcache.teachers import FAMILIES, sizes_of, teacher_names

    names = dict(zip(FAMILIES, teacher_names(), strict=True))
    facts = [{"name": names[f], "sizes": sizes_of(f), "about": about} for f, about in FAMILIES.items()]
    rows = [[names[f], ", ".join(sizes_of(f)) or "-", about] for f, about in FAMILIES.items()]
    ui.answer(facts, columns([["teacher", "sizes", "what it is"], *rows]))


command(app, "list", examples=LIST)(teacher_list)
