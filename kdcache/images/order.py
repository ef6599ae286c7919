"""In which order a tree of folders is listed, and whether somebody else would number its images alike.

Two orders. `names` is torchvision's, and that of the tools made after it: class folders by name; within a class the folders
below it by their path, each with its own files by name. None is the one that caches were planned in before: by the bytes of the
whole path, where `apple pie/1.jpg` comes before `apple/1.jpg`, as a blank comes before `/`. A plan keeps the order it has.
"""

from collections.abc import Iterable

from kdcache.errors import UsageError

NAMES = "names"
THEM = "torchvision's ImageFolder"
THEIR_ENDINGS = frozenset(("jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"))
"""File name endings that torchvision's ImageFolder takes for images, in lower case."""
OWN_ORDER = "its order is its own"
NO_CLASSES = f"{THEM} numbers images in one folder a class only"
OLD_ORDER = "this cache lists them in the order of an earlier version of kd"


def check_order(order: str | None) -> str | None:
    """An order as a plan names it, if there is one of that name."""
    if order not in (None, NAMES):
        raise UsageError(f"no order of images is called {order!r}", hint=f"it is {NAMES}, or left out")
    return order


def place_of(image_id: str) -> tuple[str, str, str]:
    """What images are sorted by in the order `names`: class folder, folder, file."""
    folder, _, name = image_id.rpartition("/")
    return folder.partition("/")[0], folder, name


def order_doubt(*, by_names: bool, disputed: str | None) -> str | None:
    """Why torchvision's ImageFolder may give these images, in folders of classes, other row numbers; None where it does not.

    `disputed`: what only one of the two lists.
    """
    return disputed if by_names else OLD_ORDER


def is_by_names(image_ids: Iterable[str]) -> bool:
    """Whether images come in the order `names`."""
    before = ("", "", "")
    for image_id in image_ids:
        here = place_of(image_id)
        if here < before:
            return False
        before = here
    return True
