"""A spec is a word, a path or plain values, and a wrong one is told from a missing one."""

import subprocess
import sys

import pytest

from kdcache.errors import KDError, Unavailable, UsageError
from kdcache.images import open_source
from kdcache.images.registry import KINDS
from tests.images.samples import jpeg, pack, write


def test_shapes_takes_options_and_is_recorded_whole():
    source = open_source("shapes:split=val,size=32,count=5")
    assert source.spec() == {"kind": "shapes", "split": "val", "size": 32, "count": 5, "seed": 0}
    assert open_source(source.spec()).scan().fingerprint == source.scan().fingerprint
    assert open_source("shapes").spec()["split"] == "train"


def test_a_bare_path_is_told_by_what_lies_there(classes, tmp_path):
    shard = pack(tmp_path / "shards" / "0.tar", [("a.jpg", jpeg())])
    assert open_source(str(classes)).spec() == {"kind": "folder", "path": str(classes), "order": "names"}
    assert open_source(str(shard)).spec() == {"kind": "tar", "pattern": str(shard)}
    assert open_source(str(shard.parent)).spec()["kind"] == "tar"
    assert open_source(f"{shard.parent}/*.tar").spec()["kind"] == "tar"
    write(shard.parent / "a.jpg", jpeg())
    assert open_source(str(shard.parent)).spec()["kind"] == "folder"


def test_a_relative_path_is_kept_absolute(classes, monkeypatch):
    monkeypatch.chdir(classes.parent)
    for spec in ("flowers", "./flowers", "folder:flowers"):
        assert open_source(spec).spec()["path"] == str(classes)


def test_a_path_may_hold_colons_and_commas(tmp_path):
    write(tmp_path / "a:b,c=d" / "x.jpg", jpeg())
    assert open_source(f"folder:{tmp_path}/a:b,c=d").scan().ids.to_pylist() == ["x.jpg"]
    assert open_source(f"{tmp_path}/a:b,c=d").scan().ids.to_pylist() == ["x.jpg"]


WRONG = [
    ("fodler:/tmp", UsageError, "unknown image source 'fodler'", "did you mean folder?"),
    ("shaeps", UsageError, "unknown image source 'shaeps'", "did you mean shapes?"),
    ("", UsageError, "no image source is given", "name a path, or leave it out for shapes"),
    ("shapes:sze=3", UsageError, "shapes has no option 'sze'", "did you mean size or seed?"),
    ("shapes:size=big", UsageError, "size of shapes is 'big'", "it takes a whole number"),
    ("shapes:val", UsageError, "'val' in shapes is not an option", "write shapes:KEY=VALUE,KEY=VALUE"),
    ("tar:", UsageError, "tar needs a pattern", "tar:PATTERN"),
    ("hf:a/b,confg=x", UsageError, "hf has no option 'confg'", "did you mean config?"),
    (
        {"kind": "folder", "path": "/tmp", "order": "size"},
        UsageError,
        "no order of images is called 'size'",
        "use names, or leave it out",
    ),
    ({"kind": "folder"}, UsageError, "folder needs a path", "folder:PATH"),
    (
        {"kind": [None]},
        UsageError,
        "unknown image source '[None]'",
        "sources are a path or " + ", ".join(KINDS.names()),
    ),
    ({"kind": "few", "of": {"kind": "shapes"}}, UsageError, "few needs a count", "add count=VALUE"),
    ({"kind": "folder", "path": 3}, UsageError, "path of folder is 3", "it takes a word"),
    ({"kind": "shapes", "size": True}, UsageError, "size of shapes is True", "it takes a whole number"),
    ("/no/such/dir", Unavailable, "no such file or folder: /no/such/dir", "check the path"),
    ("folder:/no/such", Unavailable, "no such folder: /no/such", "check the path, and that the disk is mounted"),
    (
        "cifar10:/no/such",
        Unavailable,
        "no such folder or archive: /no/such",
        "check the path, and that the disk is mounted",
    ),
    ("imagenet:/no/such:val", Unavailable, "no such folder: /no/such", "check the path, and that the disk is mounted"),
]


@pytest.mark.parametrize(("spec", "kind", "message", "hint"), WRONG)
def test_a_wrong_spec_says_what_is_wrong_and_the_way_out(spec, kind, message, hint):
    with pytest.raises(KDError) as caught:
        open_source(spec)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert caught.value.hint == hint


def test_a_file_that_is_no_source_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is not a source of images"):
        open_source(str(write(tmp_path / "a.zip", b"PK")))
    with pytest.raises(UsageError, match="is not a folder"):
        open_source(f"folder:{tmp_path / 'a.zip'}")


@pytest.mark.parametrize("name", ["flowers", "My Flowers (2)", "train", "..weird..", "花"])
def test_names_can_name_a_folder(tmp_path, name):
    write(tmp_path / "set" / name / "a.jpg", jpeg())
    short = open_source(str(tmp_path / "set" / name)).name
    assert short
    assert all(c.isascii() and (c.isalnum() or c in "._-") for c in short)
    assert name != "train" or short == "set-train"


def test_opening_and_scanning_load_neither_torch_nor_pillow(classes):
    code = (
        f"import sys; from kdcache.images import open_source; open_source({str(classes)!r}).scan(); "
        "assert not {'torch', 'PIL', 'datasets', 'pyarrow.parquet'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
