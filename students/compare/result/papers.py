"""Figures of two papers, beside which `--papers` puts ours, and what the formulas of sums.py make of them."""

from students.compare.result.sums import saved

TINYVIT = {"on GPU-days": 330.9, "build GPU-days": 92.4, "train GPU-days": 140.0}
"""Cost of storing and training with stored logits, from arXiv 2207.10666, section D."""
DIVEDOC_ON = {"hours": 40.0, "MiB": 25_000.0, "GB": 20.0}
DIVEDOC_OFF = {"hours": 36.0, "MiB": 21_300.0, "GB": 200.0}
"""Time, device memory and disk with a connected and with a stored teacher, from DIVE-Doc, table 1."""


def tinyvit_saving() -> float:
    """The saving of 29.8 % that the paper states, from its own figures."""
    return saved(TINYVIT["on GPU-days"], TINYVIT["build GPU-days"] + TINYVIT["train GPU-days"])


def divedoc_differences() -> dict[str, float]:
    """The differences that the paper states (4 hours, 3,700 MiB and 180 GB), from its own figures."""
    return {
        "hours saved": DIVEDOC_ON["hours"] - DIVEDOC_OFF["hours"],
        "MiB saved": DIVEDOC_ON["MiB"] - DIVEDOC_OFF["MiB"],
        "GB more": DIVEDOC_OFF["GB"] - DIVEDOC_ON["GB"],
    }


def papers() -> list[str]:
    """Two sentences with the papers' own figures, computed by the same formulas."""
    more = divedoc_differences()
    return [
        f"for comparison, the TinyViT paper: 92.4 GPU-days to store and 140.0 to train, against 330.9 connected, save "
        f"{tinyvit_saving():.1%}",
        f"the DIVE-Doc paper: saves {more['hours saved']:g} hours and {more['MiB saved']:,.0f} MiB for {more['GB more']:g} GB "
        "more on disk",
    ]
