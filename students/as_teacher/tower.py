"""A student as a teacher: `--teacher run:RUN` uses the best weights of a run as a frozen teacher.

Input: a request. Output: a candidate. A run is identified by the sha256 of its weights; it may move (find_teacher.py).
"""

from typing import Any

from torch import Tensor, nn

from kdcache.base.digest import file_sha256
from kdcache.errors import UsageError
from kdcache.signals.teacher import Preprocess, Weights
from kdcache.teachers.frozen import Candidate, Output
from kdcache.teachers.heads.classifier import choose_classifier
from kdcache.teachers.request import Request
from students.families.registry import heads
from students.families.spec import StudentSpec
from students.runs.find_teacher import RUN, check_weights, find_teacher, run_name, settings


class RunTower:
    """A student as the tower of a teacher; its heads are the taps."""

    def __init__(self, network: nn.Module, spec: StudentSpec) -> None:
        self.network = network
        self._heads = {name: head for name, head in heads(spec, network).items() if head.signal}
        self.taps = {name: head.description for name, head in self._heads.items()}

    def emit(self, pixels: Tensor, wanted: frozenset[str]) -> dict[str, Output]:
        """The wanted signals, each from its own forward pass: a student is small enough for that."""
        return {name: Output(head(pixels)) for name, head in self._heads.items() if name in wanted}


def load_run(request: Request) -> Candidate:
    """Load a run's student with its best weights, at the input size it was trained for."""
    assert request.model is not None
    run = find_teacher(request.model, request.weights, request.planned_weights)
    # A teacher that is opened again for a plan keeps the name it has there.
    name = request.model if request.planned_weights is not None else run_name(request.model, request.weights, run)
    weights = Weights(
        source=f"{RUN}:{name}",
        sha256=file_sha256(run.weights),
        settings=settings(run.record.student),
        path=str(run.path.resolve()),
    )
    if request.planned_weights is not None:
        check_weights(run, weights.sha256, request.planned_weights)
    spec: Any = run.record.student
    preprocess = Preprocess(size=spec.input, geometry=spec.geometry, mean=spec.mean, std=spec.std)
    if request.prepared(lambda: preprocess) != preprocess:
        raise UsageError(
            f"{run.path} was trained at {spec.input[0]}x{spec.input[1]} and takes no other size",
            hint="leave --input-size out",
        )
    tower = RunTower(run.network(), spec)
    own = "logits" in tower.taps and request.head is None
    classifier = None if own else choose_classifier(request, weights=weights)
    return Candidate(tower, name, weights, preprocess, classifier, spec.classes or None)
