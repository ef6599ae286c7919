"""Where images come from: folder trees, tar shards, Hugging Face datasets, CIFAR, ImageNet and the generated set `shapes`.

`open_source("DIR")` gives a source; `source.scan()` lists it once; `load(source, image_id)` gives the pixels of one image.
"""

from kdcache.images.loading import load
from kdcache.images.opening import open_source
from kdcache.images.source import UNLABELLED, Listing, Source

__all__ = ["UNLABELLED", "Listing", "Source", "load", "open_source"]
