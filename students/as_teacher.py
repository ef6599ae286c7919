"""A student as a teacher: `--teacher run:RUN` lets a run speak like any other frozen network, with its best weights.

Input: what was asked of a teacher. Output: a candidate. kdcache, which knows nothing of students, finds it through the entry
point `kdcache.teachers`.
"""

from typing import Any

from torch import Tensor, nn

from kdcache.digest import file_sha256, json_digest
from kdcache.errors import UsageError
from kdcache.images.background import WHITE
from kdcache.spec import Preprocess, Weights
from kdcache.teachers.classifier import choose_classifier
from kdcache.teachers.frozen import Candidate, Said
from kdcache.teachers.request import Request
from students.models import embed
from students.models.spec import StudentSpec
from students.runs import Run


class RunTower:
    """A student and its taps."""

    def __init__(self, network: nn.Module, spec: StudentSpec) -> None:
        self.network = network
        self._embed = embed(spec, network)
        self._names = bool(spec.classes)
        self.taps = {"embedding": "what it makes of an image before it names it"}
        if self._names:
            self.taps["logits"] = "its classifier"
        else:
            self.taps["final"] = "tokens of the last block, class token first"

    def speak(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Said]:
        """Each wanted signal from a pass of its own: a student is small."""
        said = {"embedding": Said(self._embed(pixels))} if "embedding" in wanted else {}
        if "logits" in wanted and self._names:
            said["logits"] = Said(self.network(pixels))
        if "final" in wanted and not self._names:
            said["final"] = Said(self.network(pixels).final)
        return said


def open_run(request: Request) -> Candidate:
    """The best weights of a run, at the size it was trained for."""
    if request.weights is not None:
        raise UsageError("a run brings its own weights", hint="leave --weights out")
    assert request.model is not None
    run = Run.open(request.model)
    spec: Any = run.record.student
    preprocess = Preprocess(size=spec.input, geometry=spec.geometry, mean=spec.mean, std=spec.std)
    if request.prepared(lambda: preprocess) != preprocess:
        raise UsageError(
            f"{run.path} sees {spec.input[0]}x{spec.input[1]} as it was trained", hint="leave --input-size out"
        )
    weights = Weights(
        source=f"run:{run.path.resolve().name}", sha256=file_sha256(run.weights), settings=_settings(spec)
    )
    tower = RunTower(run.network(), spec)
    own = "logits" in tower.taps and request.head is None
    classifier = None if own else choose_classifier(request, weights=weights)
    return Candidate(tower, run.path.resolve().name, weights, preprocess, classifier, spec.classes or None)


def _settings(spec: StudentSpec) -> str:
    """Digest of what a student sees and says. The background counts where it is not white: caches that were made of runs
    before there was a choice keep their digest.
    """
    plain = spec.plain()
    if spec.geometry.background == WHITE:
        del plain["geometry"]["background"]
    return json_digest(plain)
