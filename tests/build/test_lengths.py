"""A teacher whose rows differ in length, the whole way: plan, build, verify, convert, stream, one image, estimate."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdcache.base.progress import Silent
from kdcache.build.estimate import estimate
from kdcache.build.run import build
from kdcache.cache import Cache
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.codecs.distribution import Logits, TopK
from kdcache.errors import Damage, UsageError
from kdcache.reshape.convert import convert
from kdcache.signals.padded import Padded
from kdcache.signals.shown import Shown
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import Preprocess, TeacherSpec, Weights
from kdcache.store import Store
from kdcache.views.recipe import Plain
from tests.build.conftest import options, prepared
from tests.store.making import without_fsync as without_fsync

POSITIONS, CLASSES, VOCABULARY = 6, 300, 1000
ANSWERS = Signal(name="answers", shape=(POSITIONS, CLASSES), kind="distribution", lengths=True)
WORDS = Signal(name="words", shape=(POSITIONS,), kind="codes", vocabulary=VOCABULARY, lengths=True)
PATCHES = Signal(name="patches", shape=(POSITIONS, 8), lengths=True)
SIGNALS = {signal.name: signal for signal in (ANSWERS, WORDS, PATCHES)}
CODECS = {"answers": "topk:20", "patches": "int8"}


class Reader:
    """A teacher without a network that reads 0 to 6 words in a picture, and leaves NaN where it has read nothing."""

    def __init__(self, signals: tuple[str, ...]) -> None:
        draw = torch.Generator().manual_seed(0)
        self._answers = torch.randn(48, POSITIONS * CLASSES, generator=draw)
        self._patches = torch.randn(48, POSITIONS * 8, generator=draw)
        self.spec = TeacherSpec(
            family="reader",
            size="nano",
            weights=Weights(source="package:reader", sha256="0" * 64),
            preprocess=Preprocess(
                size=(16, 16), geometry=Plain(fit="squash"), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
            ),
            signals=tuple(SIGNALS[name] for name in signals),
            taps=dict.fromkeys(signals, "a projection"),
        )
        self.memory: int | None = None

    def emit(self, shown: Shown) -> dict[str, Padded]:
        pixels = shown.pixels
        if self.memory is not None and len(pixels) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        cells = pixels.float().unfold(1, 4, 4).unfold(2, 4, 4).mean((-1, -2)) / 127.5 - 1
        flat = cells.reshape(len(pixels), 48)
        lengths = pixels[:, 0, 0, 0].int() % (POSITIONS + 1)
        answers = (flat @ self._answers).view(-1, POSITIONS, CLASSES)
        words = answers.argmax(-1) * 3
        absent = torch.arange(POSITIONS) >= lengths[:, None]
        answers[absent], words[absent] = float("nan"), -1
        emitted = {"answers": answers, "words": words, "patches": (flat @ self._patches).view(-1, POSITIONS, 8)}
        return {signal.name: Padded(emitted[signal.name], lengths) for signal in self.spec.signals}


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> type[Reader]:
    """`open_teacher` gives a Reader, whatever is asked for."""
    from kdcache.teachers import registry, reopen

    def open_reader(name: str, *, signals: tuple[str, ...], **_: object) -> Reader:
        return Reader(signals)

    monkeypatch.setattr(registry, "open_teacher", open_reader)
    monkeypatch.setattr(reopen, "open_teacher", open_reader)
    return Reader


@pytest.fixture(params=["hdf5", "zarr"])
def cache(images: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    out = tmp_path / "c"
    ready = prepared(images, out, signals=tuple(SIGNALS), codecs=CODECS, backend=request.param)
    build(ready, progress=Silent())
    return out


def emitted(cache: Cache, images: Path, rows: np.ndarray) -> dict[str, Padded]:
    """What the teacher emits about some rows, without a cache."""
    views = []
    for row in rows.tolist():
        with Image.open(images / cache.ids[row]) as picture:
            views.append(np.array(picture.convert("RGB").resize((16, 16), Image.Resampling.BICUBIC)))
    return Reader(tuple(SIGNALS)).emit(Shown(torch.from_numpy(np.stack(views))))


def test_a_stream_gives_back_what_the_teacher_emitted_and_how_much_of_it(cache: Path, images: Path) -> None:
    opened = Cache.open(cache)
    seen = 0
    for batch in opened.stream(16, seed=3):
        values, true = batch.decode(), emitted(opened, images, batch.rows)
        for name, wanted in true.items():
            mask = wanted.mask().numpy()
            assert np.array_equal(values[name].lengths, wanted.lengths.numpy())
            assert np.array_equal(values[name].mask(), mask)
        mask = true["words"].mask().numpy()
        answers = values["answers"].values
        assert isinstance(answers, TopK)
        p = true["answers"].values.double().softmax(-1).numpy()
        listed = answers.sparse(tail="none")
        assert np.allclose(listed.p[mask], np.take_along_axis(p, listed.ids, -1)[mask], atol=1e-3)
        assert not answers.probabilities(2.0)[~mask].any()
        assert np.array_equal(values["words"].values[mask], true["words"].values.numpy()[mask])
        assert values["words"].values.dtype == np.int64
        assert np.allclose(values["patches"].values[mask], true["patches"].values.numpy()[mask], atol=0.1)
        assert not values["patches"].values[~mask].any()
        seen += mask.sum()
    assert seen > 99


def test_one_image_is_one_row_of_it(cache: Path) -> None:
    opened = Cache.open(cache)
    for batch in opened.stream(32, shuffle=False):
        together = batch.decode()
        for place, image_id in enumerate(batch.ids[:5]):
            alone = opened[image_id]
            for name, values in together.items():
                assert isinstance(alone[name], Padded)
                assert alone[name].lengths.tolist() == values.lengths[place : place + 1].tolist()
            assert np.array_equal(alone["words"].values[0], together["words"].values[place])
            assert np.array_equal(alone["answers"].values.logp[0], together["answers"].values.logp[place])


def test_it_verifies_and_a_teacher_that_reads_more_or_else_is_noticed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = verify(cache, VerifyOptions(replay=40, teacher=99), Silent())
    assert report.ok, report.findings[:3]
    assert (report.rerun, set(report.distance)) == (99, set(SIGNALS))
    assert report.distance["words"] == 0.0

    plain = Reader.emit
    longer = np.random.default_rng(0)

    def other(self: Reader, shown: Shown) -> dict[str, Padded]:
        signals = plain(self, shown)
        signals["words"].values[:, 0] = torch.from_numpy(longer.integers(0, VOCABULARY, len(shown)))
        signals["patches"] = Padded(signals["patches"].values, (signals["patches"].lengths + 1) % (POSITIONS + 1))
        return signals

    monkeypatch.setattr(Reader, "emit", other)
    report = verify(cache, VerifyOptions(teacher=99), Silent())
    assert report.teacher_drifted
    assert not report.damaged
    assert report.distance["patches"] == np.inf
    assert {found.field for found in report.findings} == {"words", "patches"}


def test_it_is_converted_to_another_format_and_other_codecs(cache: Path, tmp_path: Path) -> None:
    backend = "zarr" if Store.open(cache).plan.layout.backend == "hdf5" else "hdf5"
    convert(
        cache,
        tmp_path / "d",
        backend=backend,
        codecs={"answers": "topk:5", "patches": "float16"},
        compression="zstd:3",
        progress=Silent(),
    )
    before, after = Cache.open(cache), Cache.open(tmp_path / "d")
    assert [s.codec for s in after.plan.signals] == ["topk:5", "codes", "float16"]
    assert [s.via for s in after.plan.signals] == [("topk:20",), (), ("int8",)]
    assert after.plan.signals[0].error["head_mass"] < 1
    for one, other in zip(before.stream(20, seed=1), after.stream(20, seed=1), strict=True):
        mine, theirs = one.decode(), other.decode()
        mask = mine["words"].mask()
        assert all(np.array_equal(mine[name].lengths, theirs[name].lengths) for name in SIGNALS)
        assert np.array_equal(mine["answers"].values.ids[..., :5][mask], theirs["answers"].values.ids[mask])
        assert np.array_equal(mine["words"].values, theirs["words"].values)
        assert np.allclose(mine["patches"].values, theirs["patches"].values, rtol=1e-3)
    report = verify(tmp_path / "d", VerifyOptions(teacher=99, untrusted=True), Silent())
    assert report.ok, report.findings[:3]


def test_signals_without_classes_of_the_view_lose_the_names_of_classes(cache: Path, tmp_path: Path) -> None:
    convert(cache, tmp_path / "d", signals=["words"], progress=Silent())
    kept = Cache.open(tmp_path / "d")
    assert [signal.name for signal in kept.teacher.signals] == ["words"]
    assert kept.teacher.classes is None


def test_full_logits_equal_those_of_the_teacher(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "f", signals=("answers",), codecs={"answers": "full"}), progress=Silent())
    opened = Cache.open(tmp_path / "f")
    batch = next(iter(opened.stream(99, shuffle=False)))
    decoded, true = batch.decode()["answers"], emitted(opened, images, batch.rows)["answers"]
    assert isinstance(decoded.values, Logits)
    assert np.array_equal(decoded.values.values[decoded.mask()], true.values[true.mask()].numpy())


def test_a_batch_that_does_not_fit_is_emitted_in_pieces(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepared(images, tmp_path / "a", signals=tuple(SIGNALS), codecs=CODECS)
    pieces = prepared(images, tmp_path / "b", signals=tuple(SIGNALS), codecs=CODECS)
    pieces.teacher.memory = 3  # type: ignore[attr-defined]
    build(whole, progress=Silent())
    build(pieces, progress=Silent())
    one, other = (next(iter(Cache.open(tmp_path / name).stream(99, shuffle=False))).decode() for name in "ab")
    assert all(np.array_equal(one[name].lengths, other[name].lengths) for name in SIGNALS)
    assert np.array_equal(one["words"].values, other["words"].values)
    assert np.allclose(one["patches"].values, other["patches"].values, atol=0.05)  # bits depend on the size of a batch


def test_an_estimate_compares_the_codecs_that_suit(images: Path) -> None:
    bill = estimate(options(images, signals=tuple(SIGNALS)))
    compared = {name: {cost.codec for cost in bill.costs if cost.signal == name} for name in SIGNALS}
    assert compared == {
        "answers": {"topk:1", "topk:10", "topk:100", "full", "full:float16"},
        "words": {"codes"},
        "patches": {"float32", "float16", "bfloat16", "int8"},
    }
    chosen = {cost.signal: (cost.codec, cost.bytes_per_row) for cost in bill.costs if cost.chosen}
    assert chosen == {
        "answers": ("topk:10", POSITIONS * 46 + 4),
        "words": ("codes", POSITIONS * 2 + 4),
        "patches": ("float16", POSITIONS * 16 + 4),
    }


def test_a_codec_that_does_not_suit_is_refused_before_anything_is_written(images: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="topk:5 is for signals of kind distribution, and words is of kind codes"
    ) as no:
        prepared(images, tmp_path / "c", signals=("words",), codecs={"words": "topk:5"})
    assert no.value.hint == "choose one of these for words: codes"
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": torch.full((8,), POSITIONS + 1)}, "a length of 7, but a row has 0 to 6 positions"),
        ({"values": torch.full((8, POSITIONS), VOCABULARY)}, "such as 1,000, but its codes are 0 to 999"),
    ],
)
def test_what_a_signal_cannot_have_names_the_image(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, torch.Tensor], message: str
) -> None:
    ready = prepared(images, tmp_path / "c", signals=("words",))
    whole = Padded(torch.zeros((8, POSITIONS), dtype=torch.long), torch.full((8,), 2))
    monkeypatch.setattr(Reader, "emit", lambda self, pixels: {"words": dataclasses.replace(whole, **change)})
    with pytest.raises(Damage, match=f"{message}.*words of '.*png' and 7 more, part v000/000000, row 0"):
        build(ready, progress=Silent())
