"""The result of `kd bench read` as tables for people."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from kdcache.bench.readers import MEMMAP


def render(result: dict[str, Any]) -> RenderableType:
    """A table for each workload, and one for the goals."""
    machine = result["machine"]
    about = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}; medians of {result['repeats']}"
    parts: list[RenderableType] = [about]
    for workload in result["workloads"]:
        parts += ["", _warm(workload)]
        if "cold" in workload:
            parts.append(_cold(workload["cold"]))
        growth = workload["memory_growth"]
        parts.append(f"memory over an epoch: {_mb(growth['own'])} of its own, {_mb(growth['files'])} of mapped files")
    return Group(*parts, "", _goals(result["goals"]))


def _warm(workload: dict[str, Any]) -> Table:
    title = f"{workload['name']}: {workload['rows']:,} x {workload['about']}, {workload['row_bytes']:,} B a row, warm"
    table = Table(title=title, title_justify="left")
    table.add_column("reader")
    table.add_column("shuffle")
    for heading in ("rows/s", "GB/s", "of np.memmap", "lowest - highest"):
        table.add_column(heading, justify="right")
    base = next(rate["rows_per_second"] for rate in workload["warm"] if rate["reader"] == MEMMAP)
    for rate in workload["warm"]:
        style = "bold" if rate["kind"] == "ours" else None
        table.add_row(rate["reader"], rate["shuffle"], *_figures(rate, base), style=style)
    return table


def _figures(rate: dict[str, Any], base: float) -> tuple[str, ...]:
    rows = rate["rows_per_second"]
    if rows is None:
        return ("not installed", "", "", "")
    spread = f"{rate['lowest']:,.0f} - {rate['highest']:,.0f}"
    return (f"{rows:,.0f}", f"{rate['gb_per_second']:.2f}", f"{rows / base:.2f}", spread)


def _cold(cold: dict[str, Any]) -> str:
    disk = cold["disk_gb_per_second"]
    rates = [(rate["reader"], rate["gb_per_second"]) for rate in cold["readers"]]
    lines = [
        f"cold, shuffled by blocks, {cold['rows']:,} rows; out of memory by {cold['dropped_by']}:",
        f"  disk in sequence {disk:.2f} GB/s",
        *(f"  {name} {rate:.2f} GB/s, {rate / disk:.2f} of it" for name, rate in rates),
    ]
    return "\n".join(lines)


def _goals(goals: list[dict[str, Any]]) -> Table:
    table = Table(title="goals", title_justify="left")
    for heading in ("workload", "what"):
        table.add_column(heading)
    for heading in ("limit", "measured", ""):
        table.add_column(heading, justify="right")
    for goal in goals:
        mark = {True: "met", False: "missed", None: "not judged: scale below 1"}[goal["met"]]
        limit = f"{'<=' if goal['at_most'] else '>='} {goal['limit']:.2f}"
        table.add_row(goal["workload"], goal["what"], limit, f"{goal['measured']:.2f}", mark)
    return table


def _mb(count: int) -> str:
    return f"{count / (1 << 20):+.1f} MB"
