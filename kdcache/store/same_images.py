"""Are these still the images that a plan or a run names? One answer for every command that looks at them again.

Input: what was recorded, and a source as it was scanned now. Output: nothing, or Drift where the recorded images have changed, or
Mismatch where the user named others.
"""

from kdcache.errors import Drift, Mismatch, Unavailable
from kdcache.images import open_source
from kdcache.images.source import Listing, Source
from kdcache.store.plan import Dataset


def expect_images(
    dataset: Dataset, source: Source, listing: Listing, *, owner: str, given: str | None, option: str, anew: str
) -> None:
    """`owner`: whose images they are; `given`: the place the user named with `option`; `anew`: the other way out."""
    if listing.fingerprint == dataset.fingerprint and len(listing) == dataset.rows:
        return
    facts = f"{len(listing):,} with fingerprint {listing.fingerprint}, {owner} has {dataset.rows:,} with {dataset.fingerprint}"
    if given is None or same_place(dataset, source):
        raise Drift(
            f"the images of {source.name} have changed: {facts}", hint=f"bring them back as they were, or {anew}"
        )
    raise Mismatch(
        f"{given} are other images: {facts}", hint=f"point {option} at the images as they were, or at a copy, or {anew}"
    )


def _with_value(option: str) -> str:
    return f"{option}DIR" if option.endswith("=") else f"{option} DIR"


def same_place(dataset: Dataset, source: Source) -> bool:
    """The images are looked for where they were: other ones there are changed ones."""
    return source.spec() == dataset.source


def images_again(
    dataset: Dataset, given: str | None, *, owner: str, option: str = "--data", anew: str = "start a new run"
) -> tuple[Source, Listing]:
    """Images that were used before, from where they lay or from where they lie now: the same ones, or a refusal.

    `owner`: whose they are; `option`: names their place, and may end with `=`; `anew`: the way out where they cannot be
    brought back.
    """
    try:
        source = open_source(given or dataset.source, like=dataset.source)
    except Unavailable as error:
        raise Unavailable(error.message, hint=f"pass the images' new location: {_with_value(option)}") from error
    listing = source.scan()
    expect_images(dataset, source, listing, owner=owner, given=given, option=option, anew=anew)
    return source, listing
