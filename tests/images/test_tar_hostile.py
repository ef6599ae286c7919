"""Tars of strangers: numbers, labels and patterns beyond anything real end in one line, at once."""

import io
import tarfile
import time

import pytest

from kdcache.errors import Damage, KDError, UsageError
from kdcache.images import open_source
from kdcache.images.tarscan import BLOCK
from tests.test_plain_json import HOSTILE


def packed(path, files, pax=None):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, raw in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            member.pax_headers = pax or {}
            tar.addfile(member, io.BytesIO(raw))
    return path


def scan(path):
    started = time.monotonic()
    try:
        return open_source(str(path)).scan()
    finally:
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("size", ["9" * 5000, "9" * 20, "-1", "x", ""])
def test_a_size_in_a_pax_header_that_is_none_is_damage(size, tmp_path):
    with pytest.raises(Damage, match=r"a\.tar is damaged|truncated"):
        scan(packed(tmp_path / "a.tar", {"a.jpg": b"x"}, {"size": size, "comment": "x"}))


@pytest.mark.parametrize("size", [b"-0000001000\0", b"+0000001000\0", b"0_000001000\0", b"00000001009\0"])
def test_a_size_in_a_header_that_is_none_is_damage_and_no_circle(size, tmp_path):
    """A negative size led back to the members before, for ever."""
    raw = bytearray(packed(tmp_path / "a.tar", {"a.jpg": b"x" * BLOCK, "b.jpg": b"y" * BLOCK}).read_bytes())
    header = raw[2 * BLOCK : 3 * BLOCK]
    header[124:136] = size.ljust(12, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    raw[2 * BLOCK : 3 * BLOCK] = header
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(Damage, match="a member has no size"):
        scan(tmp_path / "a.tar")


@pytest.mark.parametrize(
    "record", [b"0 a=b\n", b"4 a=b\n", b"-6 a=b\n", b"\xb2 a=b\n", "\u0666 a=b\n".encode(), b" a=b\n", b"99 a=b\n"]
)
def test_a_record_of_a_pax_header_with_a_wrong_length_is_damage_and_no_circle(record, tmp_path):
    """A length of 0 led back to the record itself, for ever."""
    for content in (record, b"8 c=abc\n" + record):
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            member = tarfile.TarInfo("pax")
            member.type, member.size = tarfile.XHDTYPE, len(content)
            tar.addfile(member, io.BytesIO(content))
            tar.addfile(tarfile.TarInfo("a.jpg"))
        with pytest.raises(Damage, match="a pax header cannot be read"):
            scan(tmp_path / "a.tar")


TEXTS = {name: raw for name, raw in HOSTILE.items() if 0 < len(raw) < 1_000_001}


@pytest.mark.parametrize("raw", TEXTS.values(), ids=TEXTS)
def test_a_label_in_json_beyond_the_bounds_is_told_with_its_member(raw, tmp_path):
    with pytest.raises(UsageError, match=r"a\.tar: a\.json cannot be used: "):
        scan(packed(tmp_path / "a.tar", {"a.jpg": b"x", "a.json": raw}))


@pytest.mark.parametrize(
    "pattern", ["x/{0..99999999999}.tar", "x/{000..999}/{000..999}/{000..999}.tar", f"x/{{0..{'9' * 5000}}}.tar"]
)
def test_a_pattern_of_more_tars_than_there_can_be_is_refused_at_once(pattern, tmp_path):
    started = time.monotonic()
    with pytest.raises(KDError):
        open_source({"kind": "tar", "pattern": str(tmp_path / pattern)})
    assert time.monotonic() - started < 5
