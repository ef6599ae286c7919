"""Load one image of a source as pixels.

Input: a source, an image id, and the background of transparent pixels. Output: uint8 RGB (height, width, 3), contiguous; the
caller may write to it.
"""

import numpy as np
from numpy.typing import NDArray

from kdcache.images.background import WHITE
from kdcache.images.decode import decode
from kdcache.images.source import Source


def load(source: Source, image_id: str, *, background: str = WHITE) -> NDArray[np.uint8]:
    """Read and decode one image. Raises BadImage(reason) when it cannot be used."""
    record = source.read(image_id)
    return record if isinstance(record, np.ndarray) else decode(record, background=background)
