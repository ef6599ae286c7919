"""Where a job lies: the closed formula of docs/when-it-pays.md against sums that are added up image by image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from students.compare.position import Costs, costs_from_parts, position, share_saved, uses, uses_that_save
from students.compare.result.sums import Workload

seconds = st.floats(1e-4, 1e3)
shares = st.floats(-2.0, 0.999)
jobs = st.builds(
    Workload,
    images=st.integers(1, 3),
    epochs=st.integers(1, 12).map(float),
    students=st.integers(1, 5),
    views=st.integers(1, 12),
)
costs_of = st.builds(Costs, connected=seconds, cached=seconds, view=seconds)


def added_up(costs, job):
    """Seconds with a connected teacher and from a cache, one image after the other."""
    connected = cached = 0.0
    for _ in range(job.images):
        for _ in range(job.views):
            cached += costs.view
        for _ in range(job.students):
            for _ in range(int(job.epochs)):
                connected += costs.connected
                cached += costs.cached
    return connected, cached


@given(costs_of, jobs)
def test_what_is_saved_is_what_the_sums_say(costs, job):
    connected, cached = added_up(costs, job)
    where = position(costs, job)
    assert where.saves == pytest.approx(1 - cached / connected, rel=1e-6, abs=1e-9)
    assert where.pays == (where.saves > 0)


@given(costs_of.filter(lambda costs: costs.ratio > 1e-6), jobs)
def test_two_numbers_decide_it(costs, job):
    """r / (1 + r) × (1 - E* / (E M)), and it is paid for after E* epochs of one student: no sooner and no later."""
    where = position(costs, job)
    assert where.saves == pytest.approx(share_saved(costs.ratio, uses(job), costs.even), rel=1e-6, abs=1e-6)
    assert where.epochs == pytest.approx(job.views * costs.view / (costs.connected - costs.cached), rel=1e-9)
    done = where.epochs
    assert done * costs.connected == pytest.approx(job.views * costs.view + done * costs.cached, rel=1e-6)


@given(costs_of, jobs)
def test_the_number_of_images_does_not_matter(costs, job):
    more = job.model_copy(update={"images": 1000 * job.images})
    assert position(costs, more).saves == pytest.approx(position(costs, job).saves, rel=1e-6, abs=1e-9)


@given(st.floats(0.01, 300.0), st.floats(0.1, 10.0), st.floats(0.0, 0.99))
def test_a_line_of_the_picture_is_where_so_much_is_saved(ratio, even, share):
    needed = uses_that_save(share, ratio, even)
    if needed is None:
        assert share_saved(ratio, 1e12, even) <= share + 1e-9, "even for ever it saves no more"
    else:
        assert share_saved(ratio, needed, even) == pytest.approx(share, abs=1e-6)


def test_a_teacher_that_adds_nothing_is_never_paid_for():
    costs = Costs(connected=1.0, cached=1.0, view=0.5)
    where = position(costs, Workload(images=10, epochs=90.0, views=1))
    assert (costs.even, where.epochs, where.pays) == (None, None, False)
    assert where.saves == pytest.approx(-0.5 / 90)


def test_on_a_cpu_rendering_takes_time_from_the_networks():
    """A teacher of 4 s, a student of 2 s, 1 s for a view: 8 s connected, 3 s cached, 5 s for a stored view."""
    costs = costs_from_parts(4.0, 2.0, 1.0, shown=True, on_cpu=True)
    assert (costs.connected, costs.cached, costs.view) == (8.0, 3.0, 5.0)
    assert costs.even == pytest.approx(1.0)


def test_beside_an_accelerator_the_slower_one_decides():
    quick = costs_from_parts(4.0, 2.0, 1.0, shown=True, on_cpu=False)
    slow = costs_from_parts(4.0, 2.0, 10.0, shown=True, on_cpu=False)
    assert (quick.connected, quick.cached, quick.view) == (6.0, 2.0, 4.0)
    assert (slow.connected, slow.cached, slow.view) == (20.0, 10.0, 10.0)


def test_a_student_that_is_shown_no_image_waits_for_none():
    costs = costs_from_parts(4.0, 2.0, 1.0, shown=False, on_cpu=True)
    assert (costs.connected, costs.cached, costs.view) == (7.0, 2.0, 5.0)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_impossible_costs_are_refused(wrong):
    with pytest.raises(ValidationError):
        Costs(connected=wrong, cached=1.0, view=1.0)
