"""Sources of images: folder trees, tar shards, Hugging Face datasets, CIFAR, ImageNet and the generated set `shapes`.

`open_source("DIR")` opens a source; `source.scan()` lists its images; `load(source, image_id)` returns the pixels of one image.
These names are imported when they are used, so that listing the kinds of sources needs neither numpy nor Arrow.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdcache.images.loading import load
    from kdcache.images.opening import open_source
    from kdcache.images.source import UNLABELLED, Listing, Source

__all__ = ["UNLABELLED", "Listing", "Source", "load", "open_source"]
_PLACES = {"load": "loading", "open_source": "opening", "UNLABELLED": "source", "Listing": "source", "Source": "source"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
