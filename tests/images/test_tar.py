"""Tar shards are read by offset, never silently short, and every id names one image."""

import io
import json
import os
import pickle
import random
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcache.errors import BadImage, Damage, Unavailable, UsageError
from kdcache.images import load, open_source
from kdcache.images.tar import TarSource
from kdcache.testing.sources import SourceContract
from tests.images.samples import jpeg, pack, write


@pytest.fixture
def shards(tmp_path):
    """Two tars of three images with number labels."""
    for shard in range(2):
        rows = [(f"{shard}{n}", jpeg(3 * shard + n), shard + n) for n in range(3)]
        members = [m for key, raw, label in rows for m in ((f"{key}.cls", str(label).encode()), (f"{key}.jpg", raw))]
        pack(tmp_path / "shards" / f"{shard:03d}.tar", members)
    return tmp_path / "shards"


def ids(source) -> list[str]:
    return source.scan().ids.to_pylist()


def test_ids_are_tar_and_member_in_the_order_they_lie(shards):
    source = TarSource(str(shards))
    listing = source.scan()
    assert listing.ids.to_pylist() == [f"{s:03d}.tar/{s}{n}.jpg" for s in range(2) for n in range(3)]
    assert listing.labels.tolist() == [0, 1, 2, 1, 2, 3]
    assert listing.classes is None


def test_any_member_is_read_in_any_order(shards):
    source = open_source(f"tar:{shards}/*.tar")
    order = ids(source)
    random.Random(0).shuffle(order)
    for image_id in order:
        shard, number = int(image_id[:3]), int(image_id[-5])
        assert source.read(image_id) == jpeg(3 * shard + number)
    assert load(source, order[0]).shape == (32, 48, 3)


@pytest.mark.parametrize("pattern", ["{000..001}.tar", "*.tar", "00[01].tar", "00{0,1}.tar", ""])
def test_shards_are_named_by_glob_braces_or_folder(shards, pattern):
    assert len(TarSource(os.path.join(shards, pattern)).scan()) == 6


def test_tars_of_one_name_in_two_folders_keep_apart(shards, tmp_path):
    pack(tmp_path / "shards" / "more" / "000.tar", [("00.jpg", jpeg(9))])
    source = TarSource(f"{shards}/**/*.tar")
    assert [i for i in ids(source) if i.endswith("/00.jpg")] == ["000.tar/00.jpg", "more/000.tar/00.jpg"]
    assert source.read("more/000.tar/00.jpg") == jpeg(9)


def test_a_missing_shard_is_named(shards):
    with pytest.raises(Unavailable, match=r"no such tar: .*002\.tar"):
        TarSource(f"{shards}/{{000..002}}.tar")
    with pytest.raises(Unavailable, match="no tar matches"):
        TarSource(f"{shards}/x*.tar")


def test_labels_come_as_names_too_and_from_json(tmp_path):
    members = [("a/1.jpg", jpeg()), ("a/1.json", b'{"label": "rose"}'), ("a/2.JPEG", jpeg()), ("a/2.cls", b"aster\n")]
    members += [("a/3.left.png", jpeg()), ("a/3.json", b'{"cls": "rose", "x": 1}'), ("b/3.png", jpeg())]
    listing = TarSource(str(pack(tmp_path / "x.tar", members))).scan()
    assert listing.ids.to_pylist() == ["x.tar/a/1.jpg", "x.tar/a/2.JPEG", "x.tar/a/3.left.png", "x.tar/b/3.png"]
    assert listing.classes == ("aster", "rose")
    assert listing.labels.tolist() == [1, 0, 1, -1]


def test_a_set_without_labels_has_none(tmp_path):
    path = pack(tmp_path / "x.tar", [("1.jpg", jpeg()), ("1.json", b'{"caption": "a rose"}'), ("1.txt", b"a rose")])
    source = TarSource(str(path))
    listing = source.scan()
    assert (listing.labels, listing.classes) == (None, None)
    assert source.skipped == {".txt": 1}


@pytest.mark.parametrize("label", [b"1.5", b'{"a": 1}', b"[1]", b"true", b"-7", b"99999999999"])
def test_a_label_that_is_none_is_named(tmp_path, label):
    path = pack(tmp_path / "x.tar", [("1.jpg", jpeg()), ("1.json", b'{"label": ' + label + b"}")])
    with pytest.raises(UsageError, match=r"label .* of x\.tar/1\.jpg is neither"):
        TarSource(str(path)).scan()


def test_numbers_and_names_do_not_mix(tmp_path):
    members = [("1.jpg", jpeg()), ("1.cls", b"3"), ("2.jpg", jpeg()), ("2.cls", b"rose")]
    with pytest.raises(UsageError, match=r"class numbers and class names: x\.tar/2\.jpg"):
        TarSource(str(pack(tmp_path / "x.tar", members))).scan()


def test_a_duplicate_names_both_places(tmp_path):
    path = pack(tmp_path / "x.tar", [("a.jpg", jpeg(0)), ("b.jpg", jpeg(1)), ("./a.jpg", jpeg(2))])
    with pytest.raises(UsageError) as caught:
        TarSource(str(path)).scan()
    with tarfile.open(path) as archive:
        first, _, second = (m.offset for m in archive)
    assert "image id 'x.tar/a.jpg' is there twice" in str(caught.value)
    assert f"byte {first} of {path}" in str(caught.value)
    assert f"byte {second} of {path}" in str(caught.value)


def test_a_truncated_tar_is_named_wherever_it_was_cut(tmp_path):
    path = pack(tmp_path / "x.tar", [(f"{n}.jpg", jpeg(n)) for n in range(4)])
    raw = path.read_bytes()
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    end = last.offset_data + -(-last.size // 512) * 512
    for cut in [0, 1, 511, 512, 513, last.offset, last.offset + 512, last.offset_data + 5, end - 1, end, end + 511]:
        path.write_bytes(raw[:cut])
        with pytest.raises(Damage, match=r"x\.tar is truncated"):
            TarSource(str(path)).scan()
    path.write_bytes(raw[: end + 512])
    assert len(TarSource(str(path)).scan()) == 4


def test_damage_after_listing_is_found_when_reading(shards):
    source = TarSource(str(shards))
    assert len(source.scan()) == 6
    path = shards / "001.tar"
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 3])
    with pytest.raises(Damage, match=r"001\.tar is truncated"):
        source.read("001.tar/12.jpg")
    assert source.read("000.tar/00.jpg") == jpeg(0)
    path.unlink()
    with pytest.raises(Unavailable, match=r"cannot open .*001\.tar"):
        source.read("001.tar/12.jpg")


def test_a_tar_that_was_packed_again_is_read_anew(shards):
    source = TarSource(str(shards))
    assert source.read("000.tar/01.jpg") == jpeg(1)
    pack(shards / "000.tar", [("new.jpg", jpeg(7)), ("01.jpg", jpeg(8))])
    assert source.read("000.tar/01.jpg") == jpeg(8)


def test_a_wrong_header_is_damage(tmp_path):
    path = pack(tmp_path / "x.tar", [("a.jpg", jpeg()), ("b.jpg", jpeg())])
    raw = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        raw[archive.getmembers()[1].offset] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Damage, match="wrong header checksum at byte"):
        TarSource(str(path)).scan()


@pytest.mark.parametrize(("mode", "word"), [("w:gz", "gzip"), ("w:bz2", "bzip2"), ("w:xz", "xz")])
def test_a_compressed_tar_is_refused_with_the_way_out(tmp_path, mode, word):
    path = pack(tmp_path / "x.tar", [("a.jpg", jpeg())], mode)
    with pytest.raises(UsageError, match=f"compressed with {word}") as caught:
        TarSource(str(path)).scan()
    assert caught.value.hint == "decompress it first"


def test_joined_tars_are_not_taken_for_the_first_of_them(tmp_path):
    one, two = pack(tmp_path / "1.tar", [("a.jpg", jpeg())]), pack(tmp_path / "2.tar", [("b.jpg", jpeg())])
    both = write(tmp_path / "both.tar", one.read_bytes() + two.read_bytes())
    with pytest.raises(UsageError, match="goes on after its end mark"):
        TarSource(str(both)).scan()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read_in_every_dialect(tmp_path, form):
    long = "d" * 90 + "/" + "n" * 60 + ".jpg"
    names = ["a.jpg", long, "b.jpg"] + (
        [] if form == tarfile.USTAR_FORMAT else ["é" * 120 + ".jpg", "x/" * 150 + "y.jpg"]
    )
    source = TarSource(str(pack(tmp_path / "x.tar", [(n, jpeg(i)) for i, n in enumerate(names)], form=form)))
    assert ids(source) == [f"x.tar/{n}" for n in names]
    for seed, name in enumerate(names):
        assert source.read(f"x.tar/{name}") == jpeg(seed)


def test_folders_links_and_hidden_members_are_left_out(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w:") as archive:
        for name, kind in (("d.jpg", tarfile.DIRTYPE), ("l.jpg", tarfile.SYMTYPE), ("h.jpg", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.jpg"
            archive.addfile(info)
        for name in ("a.jpg", "._a.jpg", ".cache/b.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    assert ids(TarSource(str(path))) == ["x.tar/a.jpg"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.text("ab/é.", min_size=1, max_size=140), st.binary(max_size=1500)), max_size=8), st.booleans()
)
def test_members_are_those_that_tarfile_finds(tmp_path_factory, members, gnu):
    path = tmp_path_factory.mktemp("tar") / "x.tar"
    unique = {name.strip("/") + f"{i}.jpg": raw for i, (name, raw) in enumerate(members)}
    plain = {n: r for n, r in unique.items() if not any(p.startswith(".") for p in n.split("/"))}
    pack(path, [*plain.items(), ("end.png", b"!")], form=tarfile.GNU_FORMAT if gnu else tarfile.PAX_FORMAT)
    source = TarSource(str(path))
    with tarfile.open(path) as archive:
        expected = {f"x.tar/{m.name}": archive.extractfile(m).read() for m in archive if m.name}
    assert ids(source) == list(expected)
    assert {i: source.read(i) for i in expected} == expected


def test_a_name_that_is_not_utf8_is_named(tmp_path):
    path = pack(tmp_path / "x.tar", [("caf?.jpg", jpeg())], form=tarfile.USTAR_FORMAT)
    raw = bytearray(path.read_bytes())
    raw[3] = 0xE9
    raw[148:156] = b"%06o\0 " % (sum(raw[:512]) - sum(raw[148:156]) + 8 * 32)
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"b'caf\\xe9.jpg' in .*x.tar is not UTF-8"):
        TarSource(str(path)).scan()


@pytest.mark.parametrize("image_id", ["x.tar/../a.jpg", "y.tar/a.jpg", "a.jpg", "", "x.tar/", "/etc/passwd", "x.tar"])
def test_an_id_that_is_not_there_is_refused(tmp_path, image_id):
    source = TarSource(str(pack(tmp_path / "x.tar", [("a.jpg", jpeg())])))
    with pytest.raises(BadImage, match=r"no member|names none"):
        source.read(image_id)


def test_the_fingerprint_changes_with_names_and_sizes(tmp_path):
    seen = set()
    for members in ([("a.jpg", b"1")], [("b.jpg", b"1")], [("a.jpg", b"12")], [("a.jpg", b"1"), ("b.jpg", b"1")]):
        seen.add(TarSource(str(pack(tmp_path / "x.tar", members))).scan().fingerprint)
    assert len(seen) == 4


def test_a_source_travels_to_a_worker(shards):
    source = TarSource(str(shards))
    listing = source.scan()
    source.read("000.tar/00.jpg")
    frozen = pickle.dumps(source)
    assert len(frozen) < 1000
    assert pickle.loads(frozen).read("001.tar/10.jpg") == jpeg(3)
    assert open_source(json.loads(json.dumps(source.spec()))).scan().fingerprint == listing.fingerprint
    assert source.name == "shards"


class TestTar(SourceContract):
    @pytest.fixture
    def source(self, shards):
        return open_source(str(shards))

    @pytest.fixture
    def broken(self, tmp_path):
        pack(tmp_path / "broken.tar", [("a.jpg", jpeg(1)), ("b.jpg", b"\xff\xd8\xff no more")])
        return open_source(str(tmp_path / "broken.tar")), "broken.tar/b.jpg"
