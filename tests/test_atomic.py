"""A file is old or new, never between; nothing is left behind."""

import errno
import os

import pytest

from kdcache.base.atomic import is_temporary, make_folder, staged, sweep, write_file
from kdcache.errors import StorageError, UsageError


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced_in_one_step(tmp_path):
    write_file(tmp_path / "a", [b"old"])
    file = write_file(tmp_path / "a", [b"ne", memoryview(b"w"), bytearray(b"!")])
    assert (tmp_path / "a").read_bytes() == b"new!"
    assert (file.nbytes, len(file.digest)) == (4, 32)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_whatever_interrupts_a_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    write_file(tmp_path / "a", [b"old"])

    def pieces():
        yield b"half of the ne"
        raise failure

    with pytest.raises(failure):
        write_file(tmp_path / "a", pieces())
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_staged_file_that_is_not_committed_was_never_there(tmp_path):
    with staged(tmp_path / "a") as file:
        file.write(b"x")
        assert all(is_temporary(p) for p in tmp_path.iterdir())
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO])
def test_what_the_disk_refuses_becomes_one_clear_error(tmp_path, monkeypatch, call, number):
    write_file(tmp_path / "a", [b"old"])

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(f"kdcache.base.atomic.os.{call}", refuse)
        with pytest.raises(StorageError) as caught:
            write_file(tmp_path / "a", [b"new"])
    assert str(tmp_path / "a") in str(caught.value)
    assert os.strerror(number) in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 8
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_short_write_goes_on(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr("kdcache.base.atomic.os.write", lambda fd, data: real(fd, data[:3]))
    write_file(tmp_path / "a", [b"0123456789"])
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_everything_is_on_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    for name in ("write", "fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            f"kdcache.base.atomic.os.{name}", lambda *a, _n=name, _r=real, **k: calls.append(_n) or _r(*a, **k)
        )
    write_file(tmp_path / "a", [b"x"])
    assert calls == ["write", "fsync", "replace", "fsync"]


def test_sweep_removes_only_what_writes_left(tmp_path):
    make_folder(tmp_path / "deep" / "er")
    (tmp_path / "deep" / "er" / ".000001.h5.tmp-99-abcd").write_bytes(b"half")
    (tmp_path / "deep" / "er" / "000001.h5").write_bytes(b"whole")
    (tmp_path / ".hidden").write_bytes(b"mine")
    assert [p.name for p in sweep(tmp_path)] == [".000001.h5.tmp-99-abcd"]
    assert names(tmp_path) == [".hidden", "deep"]
    assert names(tmp_path / "deep" / "er") == ["000001.h5"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot make"):
        make_folder(tmp_path / "file" / "below")
