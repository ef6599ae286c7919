"""A head is fitted on the right images, measured on images it never saw, and refused where it cannot be."""

import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kdcache.base.progress import Silent
from kdcache.errors import UsageError
from kdcache.images import open_source
from kdcache.images.source import Listing
from kdcache.teachers.heads.heads import load_head
from kdcache.teachers.probe import embed, fit_head_file, labelled_sample


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Forty images of two colours that differ a little, one of them broken."""
    folder = tmp_path_factory.mktemp("colours")
    for number in range(40):
        name = ("red", "blue")[number % 2]
        pixels = np.full((40, 40, 3), 10 + number, np.uint8)
        pixels[..., 0 if name == "red" else 2] = 180 + number
        path = folder / name / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    (folder / "red" / "04.png").write_bytes(b"broken")
    return folder


def test_a_probe_on_colours_finds_them(colours, tmp_path):
    out = tmp_path / "head.safetensors"
    done = fit_head_file(
        "timm:test_vit", out, progress=Silent(), weights="random", data=str(colours), batch=8, workers=0
    )
    assert (done.images, done.rejected, done.classes) == (39, 1, 2)
    assert done.reason.startswith("red/04.png: ")
    assert done.accuracy == 1.0
    head, record = load_head(out)
    assert head.classes == ("blue", "red")
    assert float(head.facts["accuracy"]) == 1.0
    assert record.source == "file:head.safetensors"
    with pytest.raises(UsageError, match="is there already"):
        fit_head_file("timm:test_vit", out, progress=Silent(), weights="random", data=str(colours))


def test_a_head_works_in_a_build(colours, tmp_path):
    from cli.app import run

    head, out = tmp_path / "head.safetensors", tmp_path / "c"
    teacher = ["--teacher", "timm:test_vit", "--weights", "random", "--data", str(colours), "--batch", "8"]
    assert run(["teacher", "fit-head", *teacher, "-o", str(head), "--workers", "0", "-qq"]) == 3
    build = ["cache", "build", *teacher, "--head", str(head), "--workers", "0", "--out", str(out), "-qq"]
    assert run(build) == 3  # one image is broken
    plan = json.loads((out / "plan.json").read_text())
    assert plan["teacher"]["head"]["source"] == "file:head.safetensors"
    assert plan["teacher"]["classes"] == ["blue", "red"]


def test_each_embedding_belongs_to_its_label(colours):
    from kdcache.teachers.registry import open_teacher

    source = open_source(str(colours))
    teacher = open_teacher("timm:test_vit", weights="random", signals=("embedding",))
    sample = labelled_sample(source.scan(), None, 0)
    whole, good, reason = embed(teacher, source, sample, batch=16, workers=0, progress=Silent())
    broken = sample.ids.index("red/04.png")
    assert sorted({*range(40)} - set(good.tolist())) == [broken]
    assert reason.startswith("red/04.png: ")
    one = type(sample)([sample.ids[30]], sample.labels[30:31])
    alone, *_ = embed(teacher, source, one, batch=16, workers=0, progress=Silent())
    assert np.allclose(whole[good.tolist().index(30)], alone[0], atol=1e-5)


def test_a_sample_is_seeded_labelled_and_in_row_order():
    ids = pa.array([f"i{n}" for n in range(100)], pa.large_string())
    labels = np.where(np.arange(100) % 5 == 0, -1, np.arange(100) % 3).astype(np.int32)
    listing = Listing(ids, labels, ("a", "b", "c"), "f")
    sample = labelled_sample(listing, 30, seed=1)
    rows = [int(name[1:]) for name in sample.ids]
    assert rows == sorted(rows)
    assert len(rows) == 30
    assert not [row for row in rows if row % 5 == 0]
    assert sample.labels.tolist() == [row % 3 for row in rows]
    assert sample.ids == labelled_sample(listing, 30, seed=1).ids
    assert sample.ids != labelled_sample(listing, 30, seed=2).ids
    assert len(labelled_sample(listing, None, seed=1).ids) == 80


def test_images_without_labels_are_refused():
    listing = Listing(pa.array(["a"], pa.large_string()), None, None, "f")
    with pytest.raises(UsageError, match="no labels"):
        labelled_sample(listing, None, seed=0)
