"""Check that images are still those of a plan or a run, for all commands that read the images again.

Input: the recorded dataset, and a source that was scanned now. Output: nothing; or Drift if the recorded images have changed, or
Mismatch if the user named other images.
"""

from kdcache.errors import Drift, Mismatch, Unavailable
from kdcache.images import open_source
from kdcache.images.source import Listing, Source
from kdcache.store.plan import Dataset


def expect_images(
    dataset: Dataset, source: Source, listing: Listing, *, owner: str, given: str | None, option: str, anew: str
) -> None:
    """`owner`: name of the cache or run; `given`: what the user passed with `option`; `anew`: another way out, for the hint."""
    if listing.fingerprint == dataset.fingerprint and len(listing) == dataset.rows:
        return
    facts = f"{len(listing):,} with fingerprint {listing.fingerprint}, {owner} has {dataset.rows:,} with {dataset.fingerprint}"
    if given is None or same_place(dataset, source):
        raise Drift(f"the images of {source.name} have changed: {facts}", hint=f"restore them as they were, or {anew}")
    raise Mismatch(
        f"{given} are other images: {facts}", hint=f"set {option} to the original images or a copy of them, or {anew}"
    )


def _with_value(option: str) -> str:
    return f"{option}DIR" if option.endswith("=") else f"{option} DIR"


def same_place(dataset: Dataset, source: Source) -> bool:
    """Whether a source is the recorded location: if so, different images there are changed images."""
    return source.spec() == dataset.source


def images_again(
    dataset: Dataset, given: str | None, *, owner: str, option: str = "--data", anew: str = "start a new run"
) -> tuple[Source, Listing]:
    """Open images that were used before, at the recorded or at the given location; an error if they are not the same.

    `owner`: name of the cache or run; `option`: the option that gives their new place, which may end with `=`; `anew`: the way
    out, for the hint, if they cannot be restored.
    """
    try:
        source = open_source(given or dataset.source, like=dataset.source)
    except Unavailable as error:
        raise Unavailable(error.message, hint=f"pass the images' new location: {_with_value(option)}") from error
    listing = source.scan()
    expect_images(dataset, source, listing, owner=owner, given=given, option=option, anew=anew)
    return source, listing
