"""TinyViT's folders in and out: bit for bit, and never more claimed than is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kdcache.base.progress import Silent
from kdcache.codecs import make_codec
from kdcache.errors import Damage, Incomplete, Mismatch, UsageError
from kdcache.exchange import export_tinyvit, import_tinyvit
from kdcache.exchange.tinyvit_export import OTHER_NUMBERS, half
from kdcache.images import open_source
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.views.recipe import Foreign, Plain, drawable
from tests.exchange.making import (
    CLIP_LIKE,
    Pictures,
    build,
    parse_as_they_do,
    read_as_they_do,
    their_records,
    write_theirs,
)

CLASSES, K = 60, 6
IDS = tuple(f"n{i % 3:08d}/n{i % 3:08d}_{i}.JPEG" for i in range(700))
STEMS = [name.rsplit("/", 1)[1].removesuffix(".JPEG") for name in IDS]
LOGITS = Signal(name="logits", shape=(CLASSES,))


def bring_in(folder, out, ids=IDS, classes=CLASSES, **options):
    return import_tinyvit(
        folder, out, Pictures(ids), classes=classes, preprocess=CLIP_LIKE, progress=Silent(), **options
    )


def bring_out(store, out, **options):
    return export_tinyvit(store, out, progress=Silent(), **options)


@pytest.fixture
def two_epochs(tmp_path):
    """Epochs 3 and 5, three ranks, keys in the order of arrival, one image padded twice with another seed."""
    truth = {}
    for epoch in (3, 5):
        keys = np.random.default_rng(epoch).permutation(STEMS).tolist()
        records = their_records(keys, K, CLASSES, seed=epoch)
        ranks = [{key: records[key] for key in keys[rank::3]} for rank in range(3)]
        ranks[2][keys[0]] = b"\x00" * 4 + records[keys[0]][4:]
        write_theirs(tmp_path / "theirs" / f"logits_top{K}_epoch{epoch}", *ranks)
        truth[epoch] = records
    return tmp_path / "theirs", truth


@pytest.mark.parametrize("backend", ["hdf5", "zarr"])
def test_import_then_export_gives_the_same_records_bit_for_bit(tmp_path, two_epochs, backend):
    folder, truth = two_epochs
    imported = bring_in(folder, tmp_path / "cache", backend=backend)
    assert (imported.epochs, imported.rows, imported.without_record) == ((3, 5), 700, 0)
    exported = bring_out(Store.open(tmp_path / "cache"), tmp_path / "again")
    assert (exported.epochs, exported.records, exported.left_out) == ((3, 5), 1_400, 0)
    for epoch in (3, 5):
        theirs = tmp_path / "theirs" / f"logits_top{K}_epoch{epoch}"
        ours = tmp_path / "again" / f"logits_top{K}_epoch{epoch}"
        assert read_as_they_do(ours, K) == read_as_they_do(theirs, K) == truth[epoch]


def test_a_second_round_gives_the_same_files(tmp_path, two_epochs):
    bring_in(two_epochs[0], tmp_path / "cache")
    bring_out(Store.open(tmp_path / "cache"), tmp_path / "again")
    bring_in(tmp_path / "again", tmp_path / "cache2")
    bring_out(Store.open(tmp_path / "cache2"), tmp_path / "again2")
    files = sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("rank*"))
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "again2" / file).read_bytes()


def test_an_imported_cache_says_what_is_not_known(tmp_path, two_epochs):
    imported = bring_in(two_epochs[0], tmp_path / "cache")
    plan = Store.open(tmp_path / "cache").plan
    assert plan.teacher.family == "tinyvit-logits"
    assert (plan.teacher.weights.source, plan.teacher.weights.sha256) == ("imported:theirs", "unknown")
    assert plan.views.recipe == Foreign(project="tinyvit", keys="stem", epochs=(3, 5))
    with pytest.raises(UsageError, match="only tinyvit can render them again"):
        drawable(plan.views.recipe)
    assert any("does not train" in note for note in imported.notes)


def test_seeds_and_distributions_are_read_by_row(tmp_path, two_epochs):
    bring_in(two_epochs[0], tmp_path / "cache")
    store, truth = Store.open(tmp_path / "cache"), two_epochs[1]
    codec = store.plan.codecs()["logits"]
    for part in store.plan.parts():
        fields = {"logits": store.map_part(part)["logits"].whole()}
        top, seeds = codec.decode(fields), codec.seeds(fields)  # type: ignore[attr-defined]
        for place, row in enumerate(store.plan.rows_of(part)):
            seed, ids, p = parse_as_they_do(truth[(3, 5)[part.view]][STEMS[row]], K)
            assert seeds[place] == seed
            assert top.ids[place].tolist() == ids.tolist()
            assert np.allclose(top.logp[place], np.log(p.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_images_without_a_record_are_marked_and_not_exported(tmp_path):
    records = their_records(STEMS[5:], K, CLASSES)
    folder = write_theirs(tmp_path / f"logits_top{K}_epoch0", records)
    imported = bring_in(folder, tmp_path / "cache")
    store = Store.open(tmp_path / "cache")
    assert imported.without_record == 5
    assert list(store.bad_rows()) == [0, 1, 2, 3, 4]
    assert np.flatnonzero(~store.map_part(store.plan.parts()[0])["valid"].whole()).tolist() == [0, 1, 2, 3, 4]
    assert "no record in logits_top6_epoch0" in store.bad_rows()[0]
    assert [entry.row for entry in store.rejected()] == [0, 1, 2, 3, 4]
    assert bring_out(store, tmp_path / "again").left_out == 5
    assert read_as_they_do(tmp_path / "again" / f"logits_top{K}_epoch0", K) == records


def test_numbers_as_keys_are_only_believed_when_told(tmp_path):
    records = their_records([str(i) for i in range(len(IDS))], K, CLASSES)
    folder = write_theirs(tmp_path / f"logits_top{K}_epoch0", records)
    with pytest.raises(Mismatch, match="by number") as caught:
        bring_in(folder, tmp_path / "cache")
    assert "index" in str(caught.value.hint)
    bring_in(folder, tmp_path / "cache", keys="index")
    bring_out(Store.open(tmp_path / "cache"), tmp_path / "again")
    assert read_as_they_do(tmp_path / "again" / f"logits_top{K}_epoch0", K) == records


APPLES = ("apple/1.jpg", "apple/2.jpg", "apple pie/1.jpg", "apple pie/2.jpg", "apple-tart/1.jpg")


@pytest.fixture
def apples(tmp_path):
    """A folder of images, and the records TinyViT makes of it when torchvision's ImageFolder lists it: keys are row numbers."""
    from torchvision.datasets import ImageFolder

    root = tmp_path / "images"
    for image_id in APPLES:
        (root / image_id).parent.mkdir(parents=True, exist_ok=True)
        (root / image_id).write_bytes(b"x")
    ids = [str(Path(path).relative_to(root)) for path, _ in ImageFolder(str(root)).samples]
    records = their_records([str(row) for row in range(len(ids))], K, CLASSES)
    write_theirs(tmp_path / "theirs" / f"logits_top{K}_epoch0", records)
    return root, {image_id: records[str(row)] for row, image_id in enumerate(ids)}


def bring_in_apples(source, out, folder="theirs", keys="index"):
    return import_tinyvit(
        out.parent / folder, out, source, classes=CLASSES, preprocess=CLIP_LIKE, progress=Silent(), keys=keys
    )


def joined(cache):
    """The record of each image."""
    store = Store.open(cache)
    words = store.map_part(store.plan.parts()[0])["logits"].whole()
    return {image_id: words[row].tobytes() for row, image_id in enumerate(store.index.ids)}


def test_row_numbers_of_imagefolder_are_joined_with_the_images_they_are_of(tmp_path, apples):
    root, truth = apples
    bring_in_apples(open_source(str(root)), tmp_path / "cache")
    assert joined(tmp_path / "cache") == truth


@pytest.mark.parametrize("spoilt", ["hidden", "early"])
def test_row_numbers_are_refused_where_they_may_be_of_other_images_and_the_way_out_works(tmp_path, apples, spoilt):
    root, truth = apples
    source = open_source(str(root))
    if spoilt == "hidden":
        (root / "apple" / "._1.jpg").write_bytes(b"x")
    else:
        source = open_source({"kind": "folder", "path": str(root)})
    for keys in ("index", "auto"):
        with pytest.raises(Mismatch) as caught:
            bring_in_apples(source, tmp_path / "cache", keys=keys)
        assert "--keys id" in str(caught.value.hint)
    assert not (tmp_path / "cache").exists()
    file = tmp_path / "theirs" / f"logits_top{K}_epoch0" / "rank0-keys.txt"
    numbers, ids = file.read_text().split(), list(truth)
    file.write_text("".join(f"{ids[int(number)]}\n" for number in numbers))
    bring_in_apples(source, tmp_path / "cache", keys="id")
    assert joined(tmp_path / "cache") == truth


def test_row_numbers_of_a_source_that_anybody_may_number_are_refused(tmp_path, two_epochs):
    source = Pictures(IDS, order_doubt="this source has its own order")
    with pytest.raises(Mismatch, match="this source has its own order"):
        import_tinyvit(
            two_epochs[0],
            tmp_path / "c",
            source,
            classes=CLASSES,
            preprocess=CLIP_LIKE,
            progress=Silent(),
            keys="index",
        )


def test_an_export_by_row_number_says_where_imagefolder_numbers_otherwise(tmp_path):
    store = build(tmp_path / "cache", LOGITS, f"topk:{K}", logits())
    assert OTHER_NUMBERS in bring_out(store, tmp_path / "a", keys="index").notes
    assert OTHER_NUMBERS not in bring_out(store, tmp_path / "b", keys="id").notes


def test_records_of_another_dataset_are_refused(tmp_path):
    folder = write_theirs(tmp_path / f"logits_top{K}_epoch0", their_records(["stranger", *STEMS], K, CLASSES))
    with pytest.raises(Mismatch, match="stranger"):
        bring_in(folder, tmp_path / "cache")
    with pytest.raises(Mismatch, match="1 records are of images"):
        bring_in(folder, tmp_path / "cache", keys="stem")


def test_file_names_that_are_there_twice_cannot_be_keys(tmp_path):
    folder = write_theirs(tmp_path / f"logits_top{K}_epoch0", their_records(["x"], K, CLASSES))
    with pytest.raises(Mismatch, match="same file name"):
        bring_in(folder, tmp_path / "cache", ids=("a/x.jpg", "b/x.jpg"))


@pytest.mark.parametrize(
    ("ids", "p", "what"),
    [
        ([3, -25_536], [0.5, 0.4], "overflowed"),
        ([3, 60], [0.5, 0.4], "beyond the 60 classes"),
        ([3, 4], [0.5, np.nan], "outside of 0..1"),
        ([3, 4], [0.9, 0.8], "do not sum"),
        ([3, 4], [0.0, 0.0], "do not sum"),
    ],
)
def test_records_that_are_no_distribution_are_named(tmp_path, ids, p, what):
    record = np.int32(1).tobytes() + np.int16(ids).tobytes() + np.float16(p).tobytes()
    good = their_records(["a"], 2, CLASSES)
    folder = write_theirs(tmp_path / "logits_top2_epoch0", good | {"b": record})
    with pytest.raises(Damage, match=rf"record of 'b' has .*{what}"):
        bring_in(folder, tmp_path / "cache", ids=("x/a.jpg", "x/b.jpg"))


def test_an_import_that_was_stopped_goes_on(tmp_path, two_epochs):
    bring_in(two_epochs[0], tmp_path / "cache")
    store = Store.open(tmp_path / "cache")
    last = store.plan.parts()[-1]
    store.drop_part(last)
    bring_in(two_epochs[0], tmp_path / "cache")
    assert Store.open(tmp_path / "cache").missing() == []


def test_an_import_goes_on_though_more_is_known_of_a_preprocessing_by_now(tmp_path, two_epochs):
    source = Pictures(IDS)
    for geometry in (Plain(fit="crop"), Plain(fit="crop", crop_pct=0.9)):
        preprocess = CLIP_LIKE.model_copy(update={"geometry": geometry})
        import_tinyvit(two_epochs[0], tmp_path / "c", source, classes=CLASSES, preprocess=preprocess, progress=Silent())
    assert Store.open(tmp_path / "c").plan.teacher.preprocess.geometry == Plain(fit="crop")
    other = CLIP_LIKE.model_copy(update={"size": (64, 64)})
    with pytest.raises(Mismatch):
        import_tinyvit(two_epochs[0], tmp_path / "c", source, classes=CLASSES, preprocess=other, progress=Silent())


def logits(rows=50, views=1, classes=CLASSES, spread=6.0):
    return torch.randn(views, rows, classes, generator=torch.Generator().manual_seed(0)) * spread


def test_a_cache_of_our_own_is_read_by_their_reader(tmp_path):
    z = logits(views=2)
    store = build(tmp_path / "cache", LOGITS, f"topk:{K}", z, bad=(7,), views=2)
    exported = bring_out(store, tmp_path / "out")
    assert (exported.k, exported.epochs, exported.records, exported.left_out) == (K, (0, 1), 98, 2)
    for view in range(2):
        found = read_as_they_do(tmp_path / "out" / f"logits_top{K}_epoch{view}", K)
        assert list(found) == [name for row, name in enumerate(store.index.ids) if row != 7]
        for row, key in enumerate(store.index.ids):
            if row == 7:
                continue
            seed, ids, p = parse_as_they_do(found[key], K)
            true, order = z[view, row].softmax(-1).topk(K)
            assert seed == view
            assert ids.tolist() == order.tolist()
            assert np.allclose(p, true, rtol=3e-3, atol=1e-7)


def test_the_export_says_what_its_seeds_are(tmp_path):
    store = build(tmp_path / "cache", LOGITS, f"topk:{K}", logits())
    exported = bring_out(store, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "kd-export.json").read_text())
    assert "number of a kd view" in about["seeds"]
    assert about["seeds"] in exported.notes
    assert about["views"]["recipe"]["kind"] == "plain"
    assert (about["k"], about["classes"]) == (K, CLASSES)


def test_fewer_classes_may_be_asked_for_and_whole_logits_exported(tmp_path):
    z = logits()
    top = build(tmp_path / "top", LOGITS, "topk:20", z)
    full = build(tmp_path / "full", LOGITS, "full", z)
    bring_out(top, tmp_path / "a", k=4)
    bring_out(full, tmp_path / "b", k=4)
    a, b = (read_as_they_do(tmp_path / name / "logits_top4_epoch0", 4) for name in "ab")
    assert a.keys() == b.keys()
    for key in a:
        (_, ids, p), (_, ids2, p2) = parse_as_they_do(a[key], 4), parse_as_they_do(b[key], 4)
        assert ids.tolist() == ids2.tolist()
        assert np.allclose(p, p2, rtol=3e-3, atol=1e-7)
    with pytest.raises(UsageError, match="only 20 classes"):
        bring_out(top, tmp_path / "c", k=21)


@pytest.mark.parametrize(("codec", "k"), [("full", 10), ("full", None), ("full:float16", 10)])
def test_from_whole_logits_a_record_is_the_one_their_writer_makes(tmp_path, codec, k):
    """Every bit of it: softmax in float32, the likeliest, rounded to the nearest float16."""
    z = logits(rows=40, spread=6.0)
    store = build(tmp_path / "cache", LOGITS, codec, z, bad=(7,))
    exported = bring_out(store, tmp_path / "out", k=k)
    found = read_as_they_do(tmp_path / "out" / f"logits_top{exported.k}_epoch0", exported.k)
    stored = z[0] if codec == "full" else z[0].half().float()
    p, _ = stored.softmax(-1).topk(exported.k, largest=True, sorted=True)
    assert len(found) == 39
    for row, key in enumerate(store.index.ids):
        if row != 7:
            _, ids, ours = parse_as_they_do(found[key], exported.k)
            assert ours.tobytes() == p[row].half().numpy().tobytes()
            assert torch.equal(stored[row].softmax(-1)[ids.tolist()], p[row])  # of equal ones any may be first


def test_rounded_probabilities_never_sum_above_one():
    p = np.sort(np.random.default_rng(0).dirichlet(np.full(6, 0.3), 5_000).astype(np.float32))[:, ::-1]
    plain = p.astype(np.float16)
    ours = half(p)
    assert (plain.sum(-1, dtype=np.float64) > 1).any()
    assert (ours.sum(-1, dtype=np.float64) <= 1 + 1e-7).all()
    assert np.abs(ours.astype(np.float64) - p).max() <= 2.0**-11
    untouched = plain.sum(-1, dtype=np.float64) <= 1
    assert np.array_equal(ours[untouched], plain[untouched])


def test_more_classes_than_their_numbers_hold_are_refused(tmp_path):
    many = Signal(name="logits", shape=(40_000,))
    store = build(tmp_path / "cache", many, "topk:2", torch.randn(1, 4, 40_000))
    with pytest.raises(UsageError, match="40,000 classes; TinyViT's class numbers end at 32,767"):
        bring_out(store, tmp_path / "out")


def test_what_cannot_be_exported_is_told(tmp_path):
    embedding = build(tmp_path / "e", Signal(name="embedding", shape=(4,)), "float32", torch.randn(1, 9, 4))
    with pytest.raises(UsageError, match="holds no logits"):
        bring_out(embedding, tmp_path / "out")
    store = build(tmp_path / "cache", LOGITS, f"topk:{K}", logits())
    with pytest.raises(UsageError, match="no view 1"):
        bring_out(store, tmp_path / "out", views=[1])
    store.drop_part(store.plan.parts()[0])
    with pytest.raises(Incomplete, match=r"1 parts .* not built yet, such as v000/000000"):
        bring_out(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_never_overwrites(tmp_path):
    store = build(tmp_path / "cache", LOGITS, f"topk:{K}", logits(views=2), views=2)
    bring_out(store, tmp_path / "out", views=[1])
    with pytest.raises(UsageError, match="logits_top6_epoch1 is there already"):
        bring_out(store, tmp_path / "out")
    assert not (tmp_path / "out" / f"logits_top{K}_epoch0").exists()
    assert bring_out(store, tmp_path / "out", views=[0]).epochs == (0,)


def test_their_student_target_made_from_our_export_is_a_distribution(tmp_path):
    store = build(tmp_path / "cache", LOGITS, f"topk:{K}", logits(spread=20.0))
    bring_out(store, tmp_path / "out")
    for record in read_as_they_do(tmp_path / "out" / f"logits_top{K}_epoch0", K).values():
        _, ids, p = parse_as_they_do(record, K)
        target = np.full(CLASSES, (1.0 - p.sum(dtype=np.float64)) / (CLASSES - K))
        target[ids] = p
        assert target.min() >= -1e-9
    codec = make_codec(f"tinyvit:{K}", LOGITS)
    assert codec.decode({"logits": np.frombuffer(record, "<u2")[None]}).probabilities().min() >= 0
