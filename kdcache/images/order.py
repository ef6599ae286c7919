"""The order in which a folder tree is listed, and whether other programs would number its images in the same way.

There are two orders. `names` is that of torchvision and similar tools: class folders by name; within a class its subfolders by
path, each with its own files by name. None is the order of caches of earlier versions: by the bytes of the whole path, so that
`apple pie/1.jpg` comes before `apple/1.jpg`, because a blank sorts before `/`. A plan keeps its order.
"""

from collections.abc import Iterable

from kdcache.errors import UsageError

NAMES = "names"
THEM = "torchvision's ImageFolder"
THEIR_ENDINGS = frozenset(("jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"))
"""Extensions of the files that torchvision's ImageFolder takes for images, in lower case."""
OWN_ORDER = "this source has its own order"
NO_CLASSES = f"{THEM} only numbers images that lie in one folder per class"
OLD_ORDER = "this cache lists them in the order of an earlier version of kd"


def check_order(order: str | None) -> str | None:
    """Return the order as a plan names it; UsageError if there is none of that name."""
    if order not in (None, NAMES):
        raise UsageError(f"no order of images is called {order!r}", hint=f"use {NAMES}, or leave it out")
    return order


def place_of(image_id: str) -> tuple[str, str, str]:
    """Sort key of an image in the order `names`: class folder, folder, file."""
    folder, _, name = image_id.rpartition("/")
    return folder.partition("/")[0], folder, name


def order_doubt(*, by_names: bool, disputed: str | None) -> str | None:
    """Why torchvision's ImageFolder may number these images (in class folders) differently; None if it does not.

    `disputed`: a message about files that only one of the two lists.
    """
    return disputed if by_names else OLD_ORDER


def is_by_names(image_ids: Iterable[str]) -> bool:
    """Whether images are in the order `names`."""
    before = ("", "", "")
    for image_id in image_ids:
        here = place_of(image_id)
        if here < before:
            return False
        before = here
    return True
