"""The package tests/toy under names drawn at random, installed as pip would: modules, and a dist-info with its entry points."""

import random
import re
import tomllib
from pathlib import Path

TOY = Path(__file__).parents[1] / "toy"
NAMES = ("kd_toy", "toy", "three-bytes", "words", "shades", "spelling", "bounded", "reading", "listing", "guesses", "tiles",
         "generate", "odds", "leaning", "greys", "asker", "answering", "quiz")  # fmt: skip
"""Package, family and teacher, codec, two signals, objective, constraint, task, export format, two outputs, head; another
signal and objective, kind of images; and of the student that learns from truths its family, objective and task."""


def drawn(seed: int | None = None) -> dict[str, str]:
    """Each name -> a word that nobody has."""
    dice = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = {name: "".join(dice.choices(letters, k=11)) for name in NAMES}
    assert len(set(words.values())) == len(NAMES)
    return words


def renamed(text: str, names: dict[str, str]) -> str:
    """The text with every name replaced where it stands as a word."""
    some = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<![A-Za-z0-9_])({some})(?![A-Za-z0-9_])", lambda found: names[found[1]], text)


def install(folder: Path, names: dict[str, str], package: Path = TOY) -> None:
    """Put a copy of a package, its files and its contents under other names, into a folder of the import path."""
    project = tomllib.loads(renamed((package / "pyproject.toml").read_text("utf-8"), names))["project"]
    for file in sorted(package.rglob("*")):
        if file.suffix in (".py", ".yaml"):
            place = folder / renamed(str(file.relative_to(package)), names)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(renamed(file.read_text("utf-8"), names), "utf-8")
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, "utf-8")
    groups = project["entry-points"].items()
    points = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in its.items()) for group, its in groups]
    (info / "entry_points.txt").write_text("\n".join(points), "utf-8")
