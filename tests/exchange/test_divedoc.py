"""DIVE-Doc's file: read the way their dataset reads it."""

import json
import os

import h5py
import numpy as np
import pytest
import torch

from kdcache.base.progress import Silent
from kdcache.errors import Incomplete, StorageError, UsageError
from kdcache.exchange import divedoc, export_divedoc
from kdcache.signals.signal import Signal
from tests.exchange.making import build

FEATURES = Signal(name="features", shape=(12, 20), grid=(3, 4))


def their_features(file, table, split, image_id):
    """One image as their dataset gets it: the table names the row, the row's second member is the feature map."""
    with h5py.File(file, "r") as opened:
        return opened[split][json.loads(table.read_text())[image_id]][1]


def values(rows=70, seed=0):
    return torch.randn(1, rows, *FEATURES.shape, generator=torch.Generator().manual_seed(seed))


def bring_out(splits, file, **options):
    return export_divedoc(splits, file, progress=Silent(), **options)


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
@pytest.mark.parametrize("codec", ["float32", "float16", "int8"])
def test_their_reader_finds_every_image_of_every_split(tmp_path, codec, backend, monkeypatch):
    monkeypatch.setattr(divedoc, "WRITE_BYTES", 7 * 1000)
    train, validation = values(70), values(40, seed=1)
    splits = {
        "train": build(tmp_path / "t", FEATURES, codec, train, bad=(2, 33), backend=backend),
        "validation": build(tmp_path / "v", FEATURES, codec, validation, prefix="val", backend=backend),
    }
    file = tmp_path / "new" / "docvqa_paligemma_embeddings.h5"
    exported = bring_out(splits, file)
    assert exported.rows == {"train": 68, "validation": 40}
    assert exported.left_out == 2
    assert [table.name for table in exported.tables] == [
        "teacher_features_table_train.json",
        "teacher_features_table_validation.json",
    ]
    tolerance = {"float32": 0.0, "float16": 2e-3, "int8": 2e-2}[codec]
    for table, (split, store), true in zip(exported.tables, splits.items(), (train[0], validation[0]), strict=True):
        for row, image_id in enumerate(store.index.ids):
            if split == "train" and row in (2, 33):
                assert image_id not in json.loads(table.read_text())
                continue
            found = their_features(file, table, split, image_id)
            assert (found.dtype, found.shape) == (np.dtype("<f4"), FEATURES.shape)
            assert np.abs(found - true[row].numpy()).max() <= tolerance


def test_the_file_has_their_layout_and_their_table_can_be_rebuilt_from_it(tmp_path):
    store = build(tmp_path / "t", FEATURES, "float32", values())
    exported = bring_out({"train": store}, tmp_path / "a.h5")
    with h5py.File(exported.path) as opened:
        train = opened["train"]
        assert (train.shape, train.maxshape) == ((70,), (None,))
        assert train.dtype.names == ("image_name", "teacher_features_output")
        assert h5py.check_string_dtype(train.dtype["image_name"]).encoding == "utf-8"
        assert train.dtype["teacher_features_output"] == np.dtype(("<f4", (12, 20)))
        scanned = {line[0].decode("utf-8"): row for row, line in enumerate(train)}
    assert scanned == json.loads(exported.tables[0].read_text())
    with h5py.File(exported.path, "a") as opened:  # theirs appends by reopening
        opened["train"].resize(71, axis=0)


def test_nothing_reserved_is_left_in_the_file(tmp_path):
    store = build(tmp_path / "t", FEATURES, "float32", values(200))
    exported = bring_out({"train": store}, tmp_path / "a.h5")
    payload = 200 * 12 * 20 * 4
    assert exported.bytes == exported.path.stat().st_size
    assert payload < exported.bytes < payload + (2 << 20)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "t", "teacher_features_table_train.json"]


def test_an_id_that_hdf5_cannot_hold_is_named_before_anything_is_written(tmp_path):
    store = build(tmp_path / "t", FEATURES, "float32", values(), prefix="a\0b" + "c" * 1000)
    with pytest.raises(UsageError, match=r"t: the image id 'a\\x00bcc.*…' has a zero byte") as refused:
        bring_out({"train": store}, tmp_path / "new" / "a.h5")
    assert len(refused.value.message) < 300 + len(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    store = build(tmp_path / "t", FEATURES, "float32", values())
    monkeypatch.setattr(divedoc, "ROW_OVERHEAD", 1 << 50)
    with pytest.raises(StorageError, match="bytes free; the export needs"):
        bring_out({"train": store}, tmp_path / "a.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_reservation_the_disk_refuses_is_told_and_nothing_is_left(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(28, "No space left on device")

    store = build(tmp_path / "t", FEATURES, "float32", values())
    monkeypatch.setattr(os, "posix_fallocate", refused)
    with pytest.raises(StorageError, match="No space left"):
        bring_out({"train": store}, tmp_path / "a.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_failure_on_the_way_leaves_no_file(tmp_path, monkeypatch):
    store = build(tmp_path / "t", FEATURES, "float32", values())
    monkeypatch.setattr(type(store), "map_part", lambda *_: (_ for _ in ()).throw(UsageError("broken")))
    with pytest.raises(UsageError, match="broken"):
        bring_out({"train": store}, tmp_path / "a.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_what_does_not_fit_is_told(tmp_path):
    store = build(tmp_path / "t", FEATURES, "float32", values())
    other = build(tmp_path / "o", Signal(name="features", shape=(6, 20)), "float32", torch.randn(1, 9, 6, 20))
    flat = build(tmp_path / "e", Signal(name="embedding", shape=(4,)), "float32", torch.randn(1, 9, 4))
    with pytest.raises(UsageError, match="train 12 x 20, test 6 x 20"):
        bring_out({"train": store, "test": other}, tmp_path / "a.h5")
    with pytest.raises(UsageError, match="holds no features"):
        bring_out({"train": flat}, tmp_path / "a.h5")
    with pytest.raises(UsageError, match="must be tokens x dim"):
        bring_out({"train": flat}, tmp_path / "a.h5", signal="embedding")
    with pytest.raises(UsageError, match="no view 1"):
        bring_out({"train": store}, tmp_path / "a.h5", view=1)
    with pytest.raises(UsageError, match="name of a split"):
        bring_out({"../x": store}, tmp_path / "a.h5")
    bring_out({"train": store}, tmp_path / "a.h5")
    with pytest.raises(UsageError, match="there already"):
        bring_out({"train": store}, tmp_path / "a.h5")
    store.drop_part(store.plan.parts()[0])
    with pytest.raises(Incomplete, match="not built yet"):
        bring_out({"train": store}, tmp_path / "b.h5")
