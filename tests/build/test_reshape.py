"""Caches change their form without asking the teacher, and never claim more than they hold."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

from kdcache.base.progress import Silent
from kdcache.build.resume import prepare_again
from kdcache.build.run import build
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Damage, Mismatch, UsageError
from kdcache.reshape.convert import convert
from kdcache.reshape.merge import merge
from kdcache.reshape.more_views import add_views
from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.build.conftest import options, prepared
from tests.store.making import ROWS, fill, make_listing, make_plan

pytestmark = pytest.mark.usefixtures("listener")
ASKED: dict[str, Any] = {"signals": ("logits", "features"), "codecs": {"logits": "topk:8", "features": "float32"}}


@pytest.fixture
def cache(images: Path, tmp_path: Path) -> Path:
    build(prepared(images, tmp_path / "c", recipe="augment", views=1, **ASKED), progress=Silent())
    return tmp_path / "c"


def decoded(cache: Path, signal: str, number: int = 1) -> Any:
    store = Store.open(cache)
    codec, mapped = store.plan.codecs()[signal], store.map_part(PartId(0, number))
    return codec.decode({f.name: mapped[f.name].whole() for f in codec.fields()})


def test_the_other_backend_and_back_gives_the_same_bytes(cache: Path, tmp_path: Path) -> None:
    convert(cache, tmp_path / "z", backend="zarr", progress=Silent())
    convert(tmp_path / "z", tmp_path / "h", backend="hdf5", progress=Silent())
    assert verify(tmp_path / "z", VerifyOptions(replay=20, teacher=20), Silent()).ok
    for path in cache.rglob("*.h5"):
        assert (tmp_path / "h" / path.relative_to(cache)).exists()
    np.testing.assert_array_equal(decoded(tmp_path / "h", "features"), decoded(cache, "features"))


def test_a_coarser_codec_stays_within_its_error_and_remembers_where_it_came_from(cache: Path, tmp_path: Path) -> None:
    convert(cache, tmp_path / "i", codecs={"features": "int8", "logits": "topk:3"}, progress=Silent())
    plan = Store.open(tmp_path / "i").plan
    assert [s.via for s in plan.signals] == [("topk:8",), ("float32",)]
    exact, coarse = np.asarray(decoded(cache, "features")), np.asarray(decoded(tmp_path / "i", "features"))
    assert 0 < np.abs(exact - coarse).max() <= np.abs(exact).max() / 127
    assert verify(tmp_path / "i", VerifyOptions(teacher=50), Silent()).ok


def test_fewer_classes_keep_their_probabilities_and_the_rest_becomes_tail(cache: Path, tmp_path: Path) -> None:
    convert(cache, tmp_path / "k", codecs={"logits": "topk:3"}, progress=Silent())
    wide, narrow = decoded(cache, "logits"), decoded(tmp_path / "k", "logits")
    np.testing.assert_array_equal(narrow.ids, wide.ids[:, :3])
    for temperature in (1.0, 2.0, 4.0):
        a = wide.probabilities(temperature, "bucket")[np.arange(len(wide.ids))[:, None], wide.ids[:, :3]]
        b = narrow.probabilities(temperature, "bucket")[np.arange(len(wide.ids))[:, None], wide.ids[:, :3]]
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-6)


def test_a_cache_without_some_of_its_signals_is_the_one_a_teacher_asked_for_less_would_have_made(
    cache: Path, images: Path, tmp_path: Path
) -> None:
    convert(cache, tmp_path / "f", signals=("features",), progress=Silent())
    less = {**ASKED, "signals": ("features",), "codecs": {"features": "float32"}}
    build(prepared(images, tmp_path / "b", recipe="augment", views=1, **less), progress=Silent())
    made, asked = Store.open(tmp_path / "f"), Store.open(tmp_path / "b")
    assert made.plan.identity == asked.plan.identity
    assert [made.receipt(part).fields for part in made.built()] == [
        asked.receipt(part).fields for part in asked.built()
    ]
    assert verify(tmp_path / "f", VerifyOptions(replay=20, teacher=20), Silent()).ok
    with pytest.raises(UsageError, match="no signal depth in this cache; it holds"):
        convert(cache, tmp_path / "d", signals=("depth",), progress=Silent())
    with pytest.raises(UsageError, match="a codec is given for logits, which would not be kept"):
        convert(cache, tmp_path / "d", signals=("features",), codecs={"logits": "topk:3"}, progress=Silent())
    with pytest.raises(UsageError, match="no signal would be left"):
        convert(cache, tmp_path / "d", signals=(), progress=Silent())


def test_classes_that_were_not_kept_do_not_come_back(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only 8 classes"):
        convert(cache, tmp_path / "k", codecs={"logits": "topk:12"}, progress=Silent())


def test_compression_loses_nothing(cache: Path, tmp_path: Path) -> None:
    for backend in ("hdf5", "zarr"):
        convert(cache, tmp_path / backend, backend=backend, compression="zstd:3", progress=Silent())
        np.testing.assert_array_equal(decoded(tmp_path / backend, "features"), decoded(cache, "features"))


def test_more_views_are_planned_and_then_built_from_the_plan_alone(cache: Path, images: Path, tmp_path: Path) -> None:
    first = {p: p.read_bytes() for p in cache.rglob("*.h5")}
    assert add_views(cache, 2).views.count == 3
    assert len(Store.open(cache).missing()) == 2 * len(first)
    assert build(prepare_again(cache, options(images)), progress=Silent()).complete
    assert all(p.read_bytes() == raw for p, raw in first.items())
    build(prepared(images, tmp_path / "whole", recipe="augment", views=3, **ASKED), progress=Silent())
    for path in (tmp_path / "whole").rglob("*.h5"):
        assert path.read_bytes() == (cache / path.relative_to(tmp_path / "whole")).read_bytes()


def test_plain_views_cannot_be_multiplied(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "p"), progress=Silent())
    with pytest.raises(UsageError, match="only one plain view"):
        add_views(tmp_path / "p", 1)


def test_parts_built_in_two_places_are_merged_byte_for_byte(images: Path, tmp_path: Path) -> None:
    whole = prepared(images, tmp_path / "whole")
    build(whole, progress=Silent())
    for number in (1, 2):
        build(prepared(images, tmp_path / f"s{number}"), only=(number, 2), progress=Silent())
    result = merge([tmp_path / "s1", tmp_path / "s2"], tmp_path / "m", progress=Silent())
    assert result.parts_missing == 0
    for path in (tmp_path / "whole").rglob("*.h5"):
        assert path.read_bytes() == (tmp_path / "m" / path.relative_to(tmp_path / "whole")).read_bytes()


def test_a_damaged_part_is_not_merged(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "s1"), progress=Silent())
    copytree(tmp_path / "s1", tmp_path / "s2")
    path = sorted((tmp_path / "s2").rglob("*.h5"))[2]
    raw = bytearray(path.read_bytes())
    raw[-9] ^= 4
    path.write_bytes(raw)
    with pytest.raises(Damage, match="v000/000002"):
        merge([tmp_path / "s2"], tmp_path / "m", progress=Silent())
    assert len(Store.open(tmp_path / "m").built()) == 2


def test_different_caches_are_not_merged(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "a"), progress=Silent())
    build(prepared(images, tmp_path / "b", signals=("embedding",)), progress=Silent())
    with pytest.raises(Mismatch, match="different caches"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "m", progress=Silent())


def test_a_converted_cache_is_built_to_the_same_bytes(cache: Path, images: Path, tmp_path: Path) -> None:
    """Every codec on the way is gone through again: a rebuilt part knows no more than its neighbours."""
    steps = (
        {"features": "float16", "logits": "topk:5"},
        {"features": "int8"},
        {"features": "bfloat16", "logits": "topk:3"},
    )
    last = cache
    for number, codecs in enumerate(steps):
        convert(last, tmp_path / str(number), codecs=codecs, progress=Silent())
        last = tmp_path / str(number)
        before = {p: p.read_bytes() for p in last.rglob("*.h5")}
        store = Store.open(last)
        for part in store.plan.parts():
            store.drop_part(part)
        build(prepare_again(last, options(images)), progress=Silent())
        assert {p: p.read_bytes() for p in last.rglob("*.h5")} == before
    assert Store.open(last).plan.signals[1].via == ("float32", "float16", "int8")
    assert Store.open(last).bad_rows() == Store.open(cache).bad_rows()


def test_a_refused_conversion_leaves_nothing_behind(cache: Path, tmp_path: Path) -> None:
    for asked in ({"codecs": {"logits": "full"}}, {"codecs": {"logits": "topk:12"}}, {"compression": "zstd:99"}):
        with pytest.raises(UsageError):
            convert(cache, tmp_path / "x", progress=Silent(), **asked)
        assert not (tmp_path / "x").exists()


def test_rejected_images_stay_listed(cache: Path, tmp_path: Path) -> None:
    listed = (cache / "rejected.jsonl").read_text()
    assert "dogs/031.png" in listed
    convert(cache, tmp_path / "z", backend="zarr", progress=Silent())
    merge([cache], tmp_path / "m", progress=Silent())
    for made in (tmp_path / "z", tmp_path / "m"):
        assert (made / "rejected.jsonl").read_text() == listed


def test_a_damaged_part_is_taken_from_the_next_cache_that_has_it(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "sound"), progress=Silent())
    copytree(tmp_path / "sound", tmp_path / "harmed")
    path = tmp_path / "harmed" / "parts" / "v000" / "000002.h5"
    raw = bytearray(path.read_bytes())
    raw[-9] ^= 4
    path.write_bytes(raw)
    for number, order in enumerate((("harmed", "sound"), ("sound", "harmed"))):
        out = tmp_path / f"m{number}"
        assert merge([tmp_path / name for name in order], out, progress=Silent()).parts_missing == 0
        assert verify(out, VerifyOptions(), Silent()).ok


def test_views_added_at_the_same_time_add_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    building = Store.building

    def after_another(store: Store, share: tuple[int, int] | None = None) -> object:
        monkeypatch.setattr(Store, "building", building)
        add_views(cache, 2)
        return building(store, share)

    monkeypatch.setattr(Store, "building", after_another)
    assert add_views(cache, 1).views.count == 4


@pytest.mark.parametrize("how", ["convert", "merge"])
def test_images_of_named_classes_whose_labels_are_all_unknown_stay_what_they_are(how: str, tmp_path: Path) -> None:
    """As a few of a set that is labelled in part."""
    listing = replace(make_listing(), labels=np.full(ROWS, -1, np.int32))
    plan = make_plan(listing=listing)
    fill(Store.create(tmp_path / "c", plan, listing), {})
    if how == "convert":
        convert(tmp_path / "c", tmp_path / "out", backend="zarr", progress=Silent())
    else:
        merge([tmp_path / "c", tmp_path / "c"], tmp_path / "out", progress=Silent())
    out = Store.open(tmp_path / "out")
    assert (out.plan.dataset, out.index.labels) == (plan.dataset, None)
    assert out.verify_frame() == []


def test_the_error_of_a_converted_copy_is_measured_against_what_was_stored(cache: Path, tmp_path: Path) -> None:
    convert(cache, tmp_path / "out", codecs={"logits": "topk:3", "features": "int8"}, progress=Silent())
    logits, features = Store.open(tmp_path / "out").plan.signals
    assert 0 < logits.error["head_mass"] <= 1
    assert logits.error["max_abs_probability"] < 1e-3
    before, after = decoded(cache, "features", 0), decoded(tmp_path / "out", "features", 0)
    share = np.linalg.norm(before - after) / np.linalg.norm(before)
    assert features.error["relative_rms"] == pytest.approx(share, rel=0.2)
    kept = Store.open(cache).plan.signals
    convert(cache, tmp_path / "same", backend="zarr", progress=Silent())
    assert Store.open(tmp_path / "same").plan.signals == kept, "the error of what was not coded again stays"
