"""Two lists of class names, compared."""


def first_difference(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The first names at one place that differ; None where one side has no more."""
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return one, other
    count = min(len(ours), len(theirs))
    return (ours[count] if len(ours) > count else None), (theirs[count] if len(theirs) > count else None)
