"""A build writes every row of every part once, whatever happens on the way."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kdcache.base.progress import Silent
from kdcache.build.resume import prepare_again
from kdcache.build.run import build, share_of
from kdcache.errors import Damage, Drift, Mismatch, UsageError
from kdcache.signals.shown import Shown
from kdcache.store import Store
from kdcache.store.plan import PartId
from tests.build.conftest import Listener, options, prepared

if TYPE_CHECKING:
    import torch

pytestmark = pytest.mark.usefixtures("listener")


class Sometimes(Listener):
    """A teacher that overflows now and then."""

    def __init__(self) -> None:
        super().__init__(("embedding",))

    def emit(self, shown: Shown) -> "dict[str, torch.Tensor]":
        emitted = super().emit(shown)
        if len(self.batches) == 5:
            emitted["embedding"][5:7] = float("nan")
        return emitted


AUGMENT = {"recipe": "augment", "views": 3}


def content(cache: Path) -> dict[str, bytes]:
    """Every file of a cache but receipts, which tell seconds, and locks."""
    skip = ("locks", "parts/v")
    files = {str(p.relative_to(cache)): p.read_bytes() for p in sorted(cache.rglob("*")) if p.is_file()}
    return {
        n: b for n, b in files.items() if not n.startswith("locks") and not (n.startswith(skip) and n.endswith(".json"))
    }


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_every_row_is_what_the_teacher_says_about_it(images: Path, tmp_path: Path, backend: str) -> None:
    import torch

    from kdcache.images import load
    from kdcache.views import view_pixels

    asked = {"signals": ("logits", "embedding", "features"), "codecs": {"logits": "full", "embedding": "float32"}}
    ready = prepared(images, tmp_path / "c", backend=backend, **asked, **AUGMENT)
    result = build(ready, progress=Silent())
    assert result.complete
    assert result.images == 300
    assert result.rejected == 1
    store = Store.open(tmp_path / "c")
    codecs = store.plan.codecs()
    for row in (0, 37, 99):
        for view in range(3):
            pixels = view_pixels(
                store.plan.views.recipe,
                seed=0,
                view=view,
                row=row,
                size=(16, 16),
                ids=store.index.ids,
                load=lambda i: load(ready.source, i),
            )
            emitted = ready.teacher.emit(Shown(torch.from_numpy(pixels[None]).expand(8, -1, -1, -1)))
            part = PartId(view, row // store.plan.layout.rows_per_part)
            mapped = store.map_part(part)
            place = np.array([row - store.plan.rows_of(part).start])
            for name in ("logits", "embedding"):
                kept = codecs[name].decode({name: mapped[name].take(place)})
                np.testing.assert_array_equal(kept[0], emitted[name][0].numpy())
            half = codecs["features"].decode({"features": mapped["features"].take(place)})
            np.testing.assert_allclose(half[0], emitted["features"][0].numpy(), atol=1e-3)


def test_a_broken_image_is_listed_and_its_row_is_zeros(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "c"), progress=Silent())
    store = Store.open(tmp_path / "c")
    (entry,) = Store.open(tmp_path / "c").rejected()
    assert entry.image_id == "dogs/031.png"
    assert store.index.row_of("dogs/031.png") == entry.row
    part = PartId(0, entry.row // store.plan.layout.rows_per_part)
    place = entry.row - store.plan.rows_of(part).start
    assert not store.map_part(part)["logits"].whole()[place].any()
    assert set(store.bad_rows()) == {entry.row}


def test_the_teacher_always_sees_whole_batches(images: Path, tmp_path: Path) -> None:
    ready = prepared(images, tmp_path / "c", batch=7)
    build(ready, progress=Silent())
    assert isinstance(ready.teacher, Listener)
    assert set(ready.teacher.batches) == {7}


def test_two_builds_and_a_resumed_one_have_the_same_bytes(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "a", **AUGMENT), progress=Silent())
    build(prepared(images, tmp_path / "b", workers=2, **AUGMENT), progress=Silent())
    store = Store.open(tmp_path / "b")
    for part in (PartId(0, 3), PartId(2, 0)):
        store.drop_part(part)
    again = build(prepared(images, tmp_path / "b", **AUGMENT), progress=Silent())
    assert again.parts_built == 2
    assert again.complete
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_shares_of_the_parts_add_up_to_a_build(images: Path, tmp_path: Path) -> None:
    for number in (2, 1, 3):
        last = build(prepared(images, tmp_path / "c", **AUGMENT), only=(number, 3), progress=Silent())
    assert last.complete
    assert last.parts_built < len(Store.open(tmp_path / "c").plan.parts())
    parts = Store.open(tmp_path / "c").plan.parts()
    assert sorted(p for n in (1, 2, 3) for p in share_of(parts, (n, 3))) == list(parts)


def test_running_out_of_memory_halves_what_the_teacher_sees(images: Path, tmp_path: Path) -> None:
    ready = prepared(images, tmp_path / "c")
    assert isinstance(ready.teacher, Listener)
    ready.teacher.memory = 3
    assert build(ready, progress=Silent()).complete
    assert set(ready.teacher.batches[2:]) == {2}
    receipt = Store.open(tmp_path / "c").receipt(PartId(0, 0))
    assert receipt is not None
    assert receipt.facts["pieces"] == 4


def test_a_batch_that_never_fits_is_planned_smaller(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "memory", 3, raising=False)
    init = Listener.__init__
    monkeypatch.setattr(
        Listener, "__init__", lambda self, signals: (init(self, signals), setattr(self, "memory", 3))[0]
    )
    ready = prepared(images, tmp_path / "c")
    assert ready.plan.batch == 2
    assert any("does not fit" in note.text for note in ready.notes)


def test_the_same_folder_is_not_used_for_another_cache(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "c"), progress=Silent())
    with pytest.raises(Mismatch, match="--recipe: plain there, augment here"):
        build(prepared(images, tmp_path / "c", **AUGMENT | {"views": 1}), progress=Silent())


def test_more_than_one_plain_view_is_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one view only"):
        prepared(images, tmp_path / "c", views=3, recipe="plain")


def test_class_counts_choose_the_codec(images: Path, tmp_path: Path) -> None:
    plan = prepared(images, tmp_path / "c").plan
    assert plan.signals[0].codec == "topk:10"
    assert options(images).render_workers == 0


def test_a_partner_that_is_away_for_a_moment_makes_a_bad_row_and_no_other_pixels(images: Path, tmp_path: Path) -> None:
    from kdcache.check.sampling import VerifyOptions
    from kdcache.check.verify import verify
    from kdcache.views import mix_of
    from kdcache.views.recipe import drawable

    ready = prepared(images, tmp_path / "c", recipe="tinyvit-1k")
    ids, recipe = ready.listing.ids.to_pylist(), drawable(ready.plan.views.recipe)

    def partner(row: int) -> int | None:
        mixed = mix_of(recipe, seed=0, image_id=ids[row], view=0, row=row, rows=len(ids))
        return mixed[0] if mixed else None

    broken = ids.index("dogs/031.png")
    # The partner is away while the part of `row` is built, and back when its own part is.
    row = next(r for r in range(8) if (other := partner(r)) is not None and other >= 8 and partner(other) != broken)
    away = images / ids[partner(row)]
    away.rename(tmp_path / "away")
    build(ready, only=(1, 13), progress=Silent())
    (tmp_path / "away").rename(away)
    build(ready, progress=Silent())
    bad = Store.open(tmp_path / "c").bad_rows()
    assert ids[partner(row)] in bad[row]
    assert "partner" in bad[row]
    whose = {row} | {r for r in range(100) if r == broken or partner(r) == broken}
    assert set(bad) == whose
    assert {e.row for e in Store.open(tmp_path / "c").rejected()} == whose
    assert verify(tmp_path / "c", VerifyOptions(replay=1000), Silent()).ok


def test_a_teacher_that_says_no_number_is_told_with_image_and_part(images: Path, tmp_path: Path) -> None:
    for codec in ("float32", "int8"):
        ready = prepared(images, tmp_path / codec, signals=("embedding",), codecs={"embedding": codec})
        ready = replace(ready, teacher=Sometimes())
        with pytest.raises(Damage, match=r"embedding of 'cats/074\.png' and 1 more, part v000/000004, row 37"):
            build(ready, progress=Silent())


def test_an_empty_file_is_no_part(images: Path, tmp_path: Path) -> None:
    build(prepared(images, tmp_path / "c"), progress=Silent())
    victim = tmp_path / "c" / "parts" / "v000" / "000001.h5"
    whole = victim.read_bytes()
    for left in (b"", whole[:-1]):
        victim.write_bytes(left)
        assert build(prepared(images, tmp_path / "c"), progress=Silent()).parts_built == 1
        assert victim.read_bytes() == whole


@pytest.mark.parametrize("change", ["added", "changed", "removed"])
def test_a_resume_over_changed_images_is_refused(images: Path, tmp_path: Path, change: str) -> None:
    build(prepared(images, tmp_path / "c"), only=(1, 3), progress=Silent())
    victim = images / "cats" / "042.png"
    if change == "removed":
        victim.unlink()
    elif change == "changed":
        victim.write_bytes(victim.read_bytes() + b"\0")
    else:
        (images / "cats" / "200.png").write_bytes(victim.read_bytes())
    with pytest.raises(Drift, match="have changed") as caught:
        prepare_again(tmp_path / "c", options(images))
    assert caught.value.exit_code == 9


def test_a_mistyped_compression_leaves_nothing_behind(images: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="zstd:99"):
        build(prepared(images, tmp_path / "c", compression="zstd:99"), progress=Silent())
    assert not (tmp_path / "c").exists()
