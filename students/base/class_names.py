"""Comparison of two lists of class names."""


def first_difference(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The first pair of names that differ; None stands for a list that is too short."""
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return one, other
    count = min(len(ours), len(theirs))
    return (ours[count] if len(ours) > count else None), (theirs[count] if len(theirs) > count else None)
