"""The report of a comparison: `write_page(found, judged, out, papers=False)` writes OUT/report.html, a self-contained file."""

from pathlib import Path

from kdcache.base.atomic import write_file
from students.compare.report.page import page
from students.compare.result.comparison import Comparison
from students.compare.result.verdict import Verdict

__all__ = ["page", "write_page"]


def write_page(found: Comparison, judged: Verdict, out: Path, *, papers: bool = False) -> Path:
    """Write the page; returns its path. `papers`: with the figures of two papers beside ours."""
    path = out / "report.html"
    write_file(path, [page(found, judged, papers=papers).encode("utf-8", "backslashreplace")])
    return path
