"""Where a job lies between jobs that a cache makes longer and jobs from which it takes nearly all of the time.

Input: what training on an image costs with a connected teacher and from a cache, and what a stored view of it costs. Output: the
fraction of the time that a cache saves, and when it has paid for itself. The sums are those of result/sums.py; what is added here
is that two numbers decide all of it: what the teacher adds to a step, and how often every stored view is used.
"""

from typing import Annotated

from pydantic import Field

from kdcache.base.strict import Strict
from students.compare.result.sums import NOTHING, Spread, Workload, bill, break_even, saved

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Costs(Strict):
    """Seconds for one image."""

    connected: Seconds
    """Training on it once with the teacher connected."""
    cached: Seconds
    """Training on it once from a cache."""
    view: Seconds
    """Building one stored view of it."""

    @property
    def ratio(self) -> float:
        """What the teacher adds to a step, in steps from a cache: 1 means that a step takes twice as long."""
        return (self.connected - self.cached) / self.cached

    @property
    def even(self) -> float | None:
        """How often every stored view must be used until the cache has paid for itself; None: it never has."""
        one = Workload(images=1, epochs=1.0, views=1)
        found = break_even(one, Spread(mean=self.connected - self.cached, half=None), Spread(mean=self.view, half=None))
        return None if found is None else found.epochs


class Position(Strict):
    """Where a job lies."""

    ratio: float
    """What the teacher adds to a step, in steps from a cache."""
    uses: float
    """How often every stored view is used: epochs times students, divided by views."""
    saves: float
    """Fraction of the time with a connected teacher that a cache saves; negative: it costs that much more."""
    epochs: float | None
    """Epochs of one student after which the cache has paid for itself; None: it never has."""

    @property
    def pays(self) -> bool:
        """Whether the cache has paid for itself when the job is over."""
        return self.saves > 0


def uses(job: Workload) -> float:
    """How often every stored view is used in a job."""
    return job.epochs * job.students / job.views


def position(costs: Costs, job: Workload) -> Position:
    """Where a job with these costs lies."""
    connected, cached, view = (
        Spread(mean=seconds, half=None) for seconds in (costs.connected, costs.cached, costs.view)
    )
    hours = [bill(job, image, built).hours.mean for image, built in ((connected, NOTHING), (cached, view))]
    even = costs.even
    return Position(
        ratio=costs.ratio, uses=uses(job), saves=saved(*hours), epochs=None if even is None else even * job.views
    )


def share_saved(ratio: float, uses: float, even: float) -> float:
    """The same fraction from the two numbers that decide it; `even`: uses at which the cache has paid for itself."""
    return ratio * (1 - even / uses) / (1 + ratio)


def uses_that_save(share: float, ratio: float, even: float) -> float | None:
    """How often every stored view must be used to save this fraction of the time; None: no number of uses is enough."""
    most = ratio / (1 + ratio)
    return None if share >= most else even / (1 - share / most)


def costs_from_parts(teacher: float, student: float, render: float, *, shown: bool, on_cpu: bool) -> Costs:
    """Costs by what is known before anything is built: the seconds that teacher, student and rendering take for an image.

    A view for the student (`shown`: whether it is shown any) is taken to cost as much to render as one for the teacher, and a
    connected teacher as much as in the build. Reading a cache is taken to cost nothing. On a CPU rendering takes time from the
    networks; beside an accelerator it goes on at the same time, and the slower of the two decides.
    """

    def both(networks: float, views: int) -> float:
        return networks + views * render if on_cpu else max(networks, views * render)

    own = int(shown)
    return Costs(connected=both(teacher + student, own + 1), cached=both(student, own), view=both(teacher, 1))
