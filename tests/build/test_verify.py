"""Verification tells damage, drifted images and a changed teacher apart, and names part and rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kdcache.base.progress import Silent
from kdcache.build.run import build
from kdcache.check.repair import repair
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Mismatch
from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.build.conftest import Listener, prepared

pytestmark = pytest.mark.usefixtures("listener")
SAMPLES = VerifyOptions(replay=60, teacher=60)


@pytest.fixture(params=["hdf5", "zarr"])
def cache(images: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    codecs = {"features": "int8", "logits": "topk:5"}
    signals = ("logits", "embedding", "features")
    out = tmp_path / "c"
    ready = prepared(images, out, backend=request.param, recipe="augment", views=2, signals=signals, codecs=codecs)
    build(ready, progress=Silent())
    return out


def a_file_of(cache: Path, part: str) -> Path:
    if (cache / "views").is_dir():
        view, number = part.split("/")
        return cache / "views" / f"{view}.zarr" / "embedding" / f"c.{int(number)}.0"
    return cache / "parts" / f"{part}.h5"


def test_a_sound_cache_has_no_findings(cache: Path) -> None:
    report = verify(cache, SAMPLES, Silent())
    assert report.ok
    assert report.missing == 0
    assert report.replayed == 60
    assert report.rerun == 60
    assert set(report.distance) == {"logits", "embedding", "features"}


def test_a_flipped_byte_is_named_and_repair_and_build_mend_it(cache: Path, images: Path) -> None:
    before = {p: p.read_bytes() for p in cache.rglob("*") if p.suffix in (".h5", ".arrow") or p.name.startswith("c.")}
    path = a_file_of(cache, "v001/000003")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    report = verify(cache, VerifyOptions(), Silent())
    assert not report.ok
    assert {str(f.part) for f in report.findings} == {"v001/000003"}
    rows = report.findings[0].rows
    assert rows
    assert set(rows) <= set(Store.open(cache).plan.rows_of(PartId(1, 3)))
    assert not repair(cache, apply=False, progress=Silent()).applied
    assert not verify(cache, VerifyOptions(), Silent()).ok
    assert len(repair(cache, apply=True, progress=Silent()).parts) == 1
    assert verify(cache, VerifyOptions(), Silent()).missing == 1
    codecs = {"features": "int8", "logits": "topk:5"}
    signals = ("logits", "embedding", "features")
    backend = Store.open(cache).plan.layout.backend
    again = prepared(images, cache, backend=backend, recipe="augment", views=2, signals=signals, codecs=codecs)
    assert build(again, progress=Silent()).parts_built == 1
    assert before == {p: p.read_bytes() for p in before}


def test_a_missing_file_of_a_sealed_part_is_damage(cache: Path) -> None:
    a_file_of(cache, "v000/000001").unlink()
    report = verify(cache, VerifyOptions(), Silent())
    assert [str(f.part) for f in report.findings] == ["v000/000001"]


def test_a_changed_image_is_found_by_replay_and_not_blamed_on_the_teacher(cache: Path, images: Path) -> None:
    changed = images / "cats" / "042.png"
    shape = np.asarray(Image.open(changed)).shape
    Image.fromarray(np.zeros(shape, np.uint8)).save(changed)
    report = verify(cache, VerifyOptions(replay=1000), Silent())
    row = Store.open(cache).index.row_of("cats/042.png")
    assert {r for f in report.findings for r in f.rows or ()} == {row}
    assert {f.field for f in report.findings} == {"view_digest"}
    assert len(report.findings) == 2


def test_a_teacher_that_says_something_else_is_found(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual_emit = Listener.emit

    def louder(self: Listener, shown: Any) -> dict[str, Any]:
        return {name: values * 1.5 for name, values in usual_emit(self, shown).items()}

    monkeypatch.setattr(Listener, "emit", louder)
    report = verify(cache, VerifyOptions(teacher=40), Silent())
    assert {f.field for f in report.findings} == {"logits", "embedding", "features"}


def test_another_teacher_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kdcache.teachers import reopen

    other = Listener(("logits", "embedding", "features"))
    weights = other.spec.weights.model_copy(update={"sha256": "1" * 64})
    other.spec = other.spec.model_copy(update={"weights": weights})
    monkeypatch.setattr(reopen, "open_teacher", lambda *_, **__: other)
    with pytest.raises(Mismatch, match="sha256"):
        verify(cache, VerifyOptions(teacher=1), Silent())


@pytest.mark.parametrize("nothing", [float("nan"), float("inf"), -float("inf")])
def test_a_teacher_that_says_no_number_is_infinitely_far(
    cache: Path, monkeypatch: pytest.MonkeyPatch, nothing: float
) -> None:
    usual_emit = Listener.emit

    def broken(self: Listener, shown: Any) -> dict[str, Any]:
        return {name: values.fill_(nothing) for name, values in usual_emit(self, shown).items()}

    monkeypatch.setattr(Listener, "emit", broken)
    report = verify(cache, VerifyOptions(teacher=40), Silent())
    assert not report.ok
    assert len(report.findings) == 3 * 40
    assert set(report.distance.values()) == {float("inf")}


def test_a_tolerance_of_nothing_is_one(cache: Path) -> None:
    report = verify(cache, VerifyOptions(teacher=20, tolerance=0.0), Silent())
    assert set(report.tolerance.values()) == {0.0}
    assert {f.field for f in report.findings} >= {"logits", "embedding"}


def test_other_images_are_refused_before_they_are_measured(cache: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(other / "a.png")
    for ask in (VerifyOptions(teacher=5, data=str(other)), VerifyOptions(replay=5, data=str(other))):
        with pytest.raises(Mismatch, match="other images") as caught:
            verify(cache, ask, Silent())
        assert caught.value.exit_code == 6


def test_an_image_that_is_gone_is_no_distance(cache: Path, images: Path) -> None:
    (images / "cats" / "042.png").unlink()
    row = Store.open(cache).index.row_of("cats/042.png")
    report = verify(cache, VerifyOptions(teacher=1000), Silent())
    assert report.findings
    assert all(report.distance[name] <= report.tolerance[name] for name in report.distance)
    assert {(f.field, f.kind) for f in report.findings} == {("view_digest", "drift")}
    assert row in {r for f in report.findings for r in f.rows or ()}
