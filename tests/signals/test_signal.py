"""Signals say what they are; those of older plans follow from name and shape, and are written as they always were."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kdcache.base.limits import AXES, VOCABULARY
from kdcache.signals.signal import KINDS, Signal
from tests.store.making import make_plan

NAMES = st.sampled_from(("logits", "embedding", "features", "answers"))
SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=AXES).map(tuple)


@pytest.mark.parametrize(
    ("old", "kind", "axes"),
    [
        ({"name": "logits", "shape": [40], "grid": None}, "distribution", ("class",)),
        ({"name": "embedding", "shape": [12], "grid": None}, "vector", ("channel",)),
        ({"name": "features", "shape": [6, 4], "grid": [2, 3]}, "map", ("token", "channel")),
        ({"name": "targets", "shape": [6, 4], "grid": None}, "map", ("token", "channel")),
        ({"name": "deep", "shape": [2, 6, 4], "grid": None}, "map", ("token1", "token2", "channel")),
    ],
)
def test_what_older_plans_say_of_a_signal_is_read_by_one_rule(
    old: dict[str, Any], kind: str, axes: tuple[str, ...]
) -> None:
    signal = Signal.from_plain(old)
    assert (signal.kind, signal.axes, signal.lengths, signal.vocabulary) == (kind, axes, False, None)
    assert signal.plain() == old, "nothing is written that follows from the rest"
    signal_read = Signal.from_plain({**old, "kind": kind, "axes": list(axes), "lengths": False, "vocabulary": None})
    assert signal_read == signal
    assert hash(signal_read) == hash(signal)
    assert signal_read.plain() == old


@given(NAMES, SHAPES, st.sampled_from(KINDS), st.booleans(), st.sampled_from((None, 300)), st.data())
def test_a_signal_that_there_can_be_is_written_and_read_back(
    name: str, shape: tuple[int, ...], kind: Any, lengths: bool, vocabulary: int | None, data: st.DataObject
) -> None:
    axes = data.draw(st.sampled_from((None, tuple(f"axis{n}" for n in range(len(shape))))))
    more = {"axes": axes} if axes else {}
    try:
        signal = Signal(name=name, shape=shape, kind=kind, lengths=lengths, vocabulary=vocabulary, **more)
    except ValidationError:
        return
    again = Signal.from_plain(signal.plain())
    assert again == signal
    assert again.plain() == signal.plain()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"kind": "vector", "shape": (2, 3)}, "a vector has one axis"),
        ({"kind": "map", "shape": (3,)}, "a map has two axes or more"),
        ({"kind": "codes", "shape": (3,)}, "`vocabulary` is required for codes"),
        ({"shape": (3,), "vocabulary": 5}, "`vocabulary` is required for codes"),
        ({"kind": "codes", "shape": (3,), "vocabulary": 0}, "greater than or equal to 1"),
        ({"kind": "codes", "shape": (3,), "vocabulary": VOCABULARY + 1}, "less than or equal to"),
        ({"shape": (3,), "axes": ("a", "b")}, "needs 1 different names"),
        ({"shape": (3, 3), "axes": ("a", "a")}, "needs 2 different names"),
        ({"shape": (3,), "axes": ("x" * 101,)}, "a signal cannot be called"),
        ({"shape": (3,), "axes": ("../../up",)}, "a signal cannot be called"),
        ({"shape": (3,), "kind": "picture"}, "Input should be"),
        ({"shape": (3,), "lengths": 1}, "valid boolean"),
        ({"kind": "distribution", "shape": (3,), "lengths": True}, "every row has all classes"),
        ({"shape": (6, 4), "grid": (2, 3), "lengths": True}, "its tokens lie on a grid"),
    ],
)
def test_a_signal_that_cannot_be_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Signal(**{"name": "answers", **wrong})


def test_the_name_of_a_signal_means_nothing_where_its_kind_is_said() -> None:
    named = Signal(name="logits", shape=(40,), kind="vector")
    assert named.kind == "vector"
    assert named.plain() == {"name": "logits", "shape": [40], "grid": None, "kind": "vector"}
    assert Signal(name="anything", shape=(40,), kind="distribution").names_classes
    assert not named.names_classes


def test_a_plan_is_the_same_cache_whether_kinds_are_said_or_not() -> None:
    plan = make_plan()
    explicit = tuple(
        stored.model_copy(
            update={
                "signal": Signal(
                    name=stored.signal.name,
                    shape=stored.signal.shape,
                    grid=stored.signal.grid,
                    kind=stored.signal.kind,
                    axes=stored.signal.axes,
                )
            }
        )
        for stored in plan.signals
    )
    assert plan.model_copy(update={"signals": explicit}).identity == plan.identity
    other = explicit[0].model_copy(update={"signal": Signal(name="logits", shape=(40,), axes=("answer",))})
    assert plan.model_copy(update={"signals": (other, *explicit[1:])}).identity != plan.identity


def test_codecs_are_made_once_for_a_plan_and_anew_for_another() -> None:
    plan = make_plan()
    assert plan.codecs()["logits"] is plan.codecs()["logits"] is plan.ways()["logits"][-1]
    fewer = plan.model_copy(update={"signals": plan.signals[1:]})
    assert list(fewer.codecs()) == ["embedding", "features"]
    kept = plan.codecs()
    kept.clear()
    assert list(plan.codecs()) == ["logits", "embedding", "features"]
