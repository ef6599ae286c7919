"""Phrases that the reports of several tasks share."""

from kdcache.base.figures import plural


def interval(span: tuple[float, float]) -> str:
    """A 95 % interval of a fraction, as text."""
    return f"95 % interval {span[0]:.2%} to {span[1]:.2%}"


def left_out(unlabelled: int) -> tuple[str, ...]:
    """A warning about images without a class, if there are any."""
    return (f"{plural(unlabelled, 'image')} without a class left out",) if unlabelled else ()
