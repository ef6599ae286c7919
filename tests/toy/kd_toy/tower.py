"""The teacher's network, and how it is opened."""

from torch import Tensor, nn

from kd_toy.words import VOCABULARY, read, weigh
from kdcache.signals.teacher import Preprocess, Weights
from kdcache.teachers.frozen import Candidate, Output, from_map
from kdcache.teachers.request import Request
from kdcache.views.recipe import Plain

# Mean 0 and deviation 1: the network sees pixels between 0 and 1.
PIXELS = Preprocess(size=(32, 32), geometry=Plain(fit="squash"), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Tower:
    """Modules, and where each signal is tapped. A real one has weights in `network`."""

    taps = {
        "words": "light of each quarter, in eighths",
        "shades": "mean colour of each of 4 x 4 tiles",
        "odds": "how near each quarter's light is to that of each word",
    }

    def __init__(self) -> None:
        self.network = nn.Identity()

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """Codes and distributions whose rows differ in length, and a map whose axes have names of their own."""
        words, lengths = read(self.network(pixels))
        shades = from_map(nn.functional.adaptive_avg_pool2d(pixels, 4))
        return {
            "words": Output(words, lengths=lengths, kind="codes", vocabulary=VOCABULARY),
            "shades": shades._replace(axes=("tile", "colour")),
            "odds": Output(weigh(pixels), lengths=lengths, kind="distribution"),
        }


def open_it(request: Request) -> Candidate:
    """The teacher. One with files loads them here, and names their sha256, by which a cache knows its teacher again."""
    weights = Weights(source="package:kd_toy", sha256="0" * 64)
    return Candidate(Tower(), "only", weights, request.prepared(lambda: PIXELS))
