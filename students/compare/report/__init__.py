"""The report of a comparison: `write_page(found, judged, out)` writes OUT/report.html, a self-contained file."""

from pathlib import Path

from kdcache.base.atomic import write_file
from students.compare.report.page import page
from students.compare.result.comparison import Comparison
from students.compare.result.verdict import Verdict

__all__ = ["page", "write_page"]


def write_page(found: Comparison, judged: Verdict, out: Path) -> Path:
    """Write the page; returns its path."""
    path = out / "report.html"
    write_file(path, [page(found, judged).encode("utf-8", "backslashreplace")])
    return path
