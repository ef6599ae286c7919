"""Teachers on embedded sets: which size is meant, and how large its pictures are painted.

Input: a teacher as a user names it, and images. Output: the images, and the size of the teacher.
"""

from collections.abc import Mapping
from typing import Any

from kdcache.images import open_source
from kdcache.images.registry import is_embedded
from kdcache.images.source import Source
from kdcache.teachers.registry import PLUGINS


def images_and_size(
    teacher: str, size: str | None, weights: str | None, data: str | None, like: Mapping[str, Any] | None = None
) -> tuple[Source, str | None]:
    """The images that a teacher is shown, and its size; None: its default.

    For an embedded set, the size is the first one in the package unless the user chose a size or weights, and its pictures are
    painted as large as that size sees them. `like`: as in `open_source`.
    """
    source = open_source(data or "shapes", like)
    family = PLUGINS.find(teacher)
    if family is None or not family.packaged or not is_embedded(source.spec()):
        return source, size
    if size is None and weights is None:
        size = family.packaged[0].size
    own = family.find_packaged(size)
    return source if own is None else open_source(data or "shapes", like, side=own.pixels().size[0]), size
