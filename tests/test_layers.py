"""The flow goes one way, and reading never touches a teacher: the contracts of pyproject.toml hold."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_imports_go_one_way():
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout
    assert "0 broken" in ran.stdout


@pytest.mark.slow
def test_every_test_file_is_collected():
    """pytest passes over folders called `build` or `dist` unless it is told not to."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    collected = {line.rpartition(":")[0] for line in ran.stdout.splitlines() if ".py: " in line}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    # tests/toy is a project of its own, whose tests tests/toy_trip runs where it is installed.
    assert {file for file in files if not file.startswith("tests/toy/")} == collected
