"""Size and build time of one cache of a comparison."""

from kdcache.base.strict import Strict
from students.compare.result.sums import Spread


class Built(Strict):
    """Disk space and build time of one cache."""

    signals: dict[str, str]
    """Signal -> codec."""
    bytes: int
    """Size of this cache in bytes. It has few rows per part, so the headers of the parts are a large share of it."""
    row_bytes: float
    """Bytes that one view of one image takes."""
    image: Spread
    """Seconds for one view of one image: the teacher's forward pass, without what is done once per process, such as
    loading the teacher."""
    views: int
    rows: int

    @property
    def seconds(self) -> float:
        """Seconds that the teacher took for the whole build."""
        return self.image.mean * self.rows * self.views
