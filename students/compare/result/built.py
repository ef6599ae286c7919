"""A cache of a comparison, in numbers."""

from kdcache.base.strict import Strict
from students.compare.result.sums import Spread


class Built(Strict):
    """A cache."""

    signals: dict[str, str]
    """signal -> codec"""
    bytes: int
    """of this cache, with the headers of its parts, which are small"""
    row_bytes: float
    """of a view of an image"""
    image: Spread
    """seconds for one view of one image: the teacher's pass, without what is paid once a process, such as loading the teacher"""
    views: int
    rows: int

    @property
    def seconds(self) -> float:
        """Of the whole build."""
        return self.image.mean * self.rows * self.views
