"""The package tests/toy under names drawn at random, built and installed by pip."""

import random
import re
import subprocess
import sys
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


def install(site: Path, names: dict[str, str]) -> Path:
    """Have pip install a copy of the toy, its files and their contents under other names; the folder of the copy."""
    source = site.with_name(f"{site.name}-source")
    for file in sorted(TOY.rglob("*")):
        if file.suffix in (".py", ".yaml", ".toml"):
            place = source / renamed(str(file.relative_to(TOY)), names)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(renamed(file.read_text("utf-8"), names), "utf-8")
    pip_install(source, site)
    return source


def pip_install(source: Path, site: Path) -> None:
    """Have pip build a package from its folder, with nothing from outside, and install it into a folder of the import path."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", *options, "--target", str(site), str(source)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
