"""Their folders: read whole or refused with the name of the file that is wrong."""

import os

import numpy as np
import pyarrow as pa
import pytest

from kdcache.errors import Damage, UsageError
from kdcache.exchange import TinyViTFolder
from kdcache.exchange.tinyvit_folder import check_keys, find_folders, record_dtype, write_folder
from tests.exchange.making import parse_as_they_do, read_as_they_do, their_records, write_theirs

KEYS = [f"n0000{i % 3}_{i}" for i in range(24)]
RECORDS = their_records(KEYS, 5, 40)
NAME = "logits_top5_epoch7"


def share(rank, ranks):
    return {key: RECORDS[key] for key in KEYS[rank::ranks]}


def test_every_record_of_every_rank_is_read(tmp_path):
    folder = TinyViTFolder.open(write_theirs(tmp_path / NAME, share(0, 3), share(1, 3), share(2, 3)))
    assert (folder.k, folder.epoch, len(folder)) == (5, 7, 24)
    read = {record.key: record for record in folder}
    assert read.keys() == set(KEYS)
    for key, bytes_ in RECORDS.items():
        seed, ids, p = parse_as_they_do(bytes_, 5)
        assert (read[key].seed, read[key].ids.tolist(), read[key].p.tolist()) == (seed, ids.tolist(), p.tolist())
    places = np.array([23, 0, 9, 8, 7])
    assert [r.tobytes() for r in folder.take(places)] == [RECORDS[folder.keys[int(i)].as_py()] for i in places]


def test_an_image_that_pads_the_last_round_may_be_in_two_ranks(tmp_path):
    ranks = [share(rank, 5) for rank in range(5)]
    ranks[4][KEYS[0]] = b"\x01" * 24
    assert len(TinyViTFolder.open(write_theirs(tmp_path / NAME, *ranks))) == 25


def test_files_left_by_a_run_with_more_ranks_are_told(tmp_path):
    stale = [share(rank, 2) for rank in range(2)] + [share(rank, 4) for rank in range(2, 4)]
    path = write_theirs(tmp_path / NAME, *stale)
    with pytest.raises(Damage, match="12 images are in the files of more than one rank") as caught:
        TinyViTFolder.open(path)
    assert "fewer ranks" in str(caught.value.hint)


def test_a_key_twice_in_one_rank_is_told(tmp_path):
    path = write_theirs(tmp_path / NAME, share(0, 1))
    lines = (path / "rank0-keys.txt").read_text().splitlines()
    (path / "rank0-keys.txt").write_text("\n".join([*lines[:-1], lines[2], ""]))
    with pytest.raises(Damage, match=f"rank0-keys.txt names '{lines[2]}' more than once"):
        TinyViTFolder.open(path)


@pytest.mark.parametrize("lost", [1, 23, 24, 100])
def test_torn_records_are_told(tmp_path, lost):
    path = write_theirs(tmp_path / NAME, share(0, 2), share(1, 2))
    values = path / "rank1-values.bin"
    values.write_bytes(values.read_bytes()[:-lost])
    with pytest.raises(Damage, match=r"rank1-values.bin holds .* records of 24 bytes, its keys file names 12"):
        TinyViTFolder.open(path)


def test_a_torn_key_is_told(tmp_path):
    path = write_theirs(tmp_path / NAME, share(0, 1))
    keys = path / "rank0-keys.txt"
    keys.write_bytes(keys.read_bytes()[:-2])
    with pytest.raises(Damage, match="ends in the middle of a key"):
        TinyViTFolder.open(path)


@pytest.mark.parametrize("gone", ["rank1-keys.txt", "rank1-values.bin", "rank0-values.bin"])
def test_a_missing_file_is_named(tmp_path, gone):
    path = write_theirs(tmp_path / NAME, share(0, 2), share(1, 2))
    (path / gone).unlink()
    with pytest.raises(Damage, match=f"{gone} is missing"):
        TinyViTFolder.open(path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["rank0-keys.txt", "rank0-values.bin"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, name):
    folder = tmp_path / "logits_top5_epoch0"
    folder.mkdir()
    for each in ("rank0-keys.txt", "rank0-values.bin"):
        os.mkfifo(folder / each) if each == name else (folder / each).write_bytes(b"")
    with pytest.raises(Damage, match=f"{name} is not a file"):
        TinyViTFolder.open(folder)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("rank", [99_999_999_999, int("9" * 200)])
def test_a_rank_of_a_number_beyond_any_is_told_without_counting_up_to_it(tmp_path, rank):
    path = write_theirs(tmp_path / NAME, share(0, 1))
    for part in ("keys.txt", "values.bin"):
        (path / f"rank{rank}-{part}").touch()
    with pytest.raises(Damage, match=r": rank1-keys.txt, rank2-keys.txt, rank3-keys.txt and .* more are missing"):
        TinyViTFolder.open(path)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("logits_top99999999999999_epoch0", "99,999,999,999,999 classes a record, more than the limit of 32,768"),
        ("logits_top32769_epoch0", "32,769 classes a record"),
        (f"logits_top5_epoch{'9' * 30}", "as an epoch, more than the limit of 1,000,000,000"),
    ],
)
def test_a_folder_whose_name_has_a_number_beyond_any_is_told(tmp_path, name, what):
    write_theirs(tmp_path / name, share(0, 1))
    for read in (find_folders, TinyViTFolder.open):
        with pytest.raises(UsageError, match=f"is not a logits folder: its name gives .*{what}"):
            read(tmp_path / name)
    with pytest.raises(UsageError, match="is not a logits folder"):
        find_folders(tmp_path)


def test_keys_larger_than_any_are_not_read(tmp_path):
    path = write_theirs(tmp_path / NAME, share(0, 1))
    os.truncate(path / "rank0-keys.txt", 60 << 30)
    with pytest.raises(Damage, match=r"rank0-keys.txt has 64,424,509,440 bytes, at most 1,073,741,824 are read"):
        TinyViTFolder.open(path)


def test_a_missing_rank_is_named(tmp_path):
    path = write_theirs(tmp_path / NAME, share(0, 3), share(1, 3), share(2, 3))
    for part in ("keys.txt", "values.bin"):
        (path / f"rank1-{part}").unlink()
    with pytest.raises(Damage, match=r"rank1-keys.txt is missing"):
        TinyViTFolder.open(path)


def test_records_of_another_k_do_not_pass_for_these(tmp_path):
    path = write_theirs(tmp_path / "logits_top6_epoch0", share(0, 1))
    with pytest.raises(Damage, match=r"holds 20.5714 records of 28 bytes"):
        TinyViTFolder.open(path)


def test_keys_that_are_no_text_are_told(tmp_path):
    path = write_theirs(tmp_path / NAME, share(0, 1))
    keys = path / "rank0-keys.txt"
    keys.write_bytes(b"\xff" + keys.read_bytes()[1:])
    with pytest.raises(Damage, match="not UTF-8"):
        TinyViTFolder.open(path)


def test_an_empty_folder_and_a_folder_of_another_name_are_told(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(Damage, match="no rank files"):
        TinyViTFolder.open(tmp_path / NAME)
    with pytest.raises(UsageError, match="not a logits folder"):
        TinyViTFolder.open(tmp_path)


def test_epochs_are_found_in_order_and_never_mixed(tmp_path):
    for epoch in (10, 2, 0):
        write_theirs(tmp_path / f"logits_top5_epoch{epoch}", share(0, 1))
    assert [TinyViTFolder.number(path) for path in find_folders(tmp_path)] == [0, 2, 10]
    assert find_folders(tmp_path / "logits_top5_epoch2") == [tmp_path / "logits_top5_epoch2"]
    write_theirs(tmp_path / "logits_top9_epoch1", {})
    with pytest.raises(UsageError, match="mixes logits_top5 and logits_top9"):
        find_folders(tmp_path)
    with pytest.raises(UsageError, match=r"no logits_top"):
        find_folders(tmp_path / "logits_top5_epoch0" / "deeper")


def test_what_is_written_is_what_their_reader_finds(tmp_path):
    records = np.frombuffer(b"".join(RECORDS.values()), record_dtype(5))
    batches = [
        (pa.array(KEYS[:10], pa.large_string()), records[:10]),
        (pa.array(KEYS[10:], pa.large_string()), records[10:]),
    ]
    assert write_folder(tmp_path, 5, 7, batches) == 24
    for rank in range(4):
        assert read_as_they_do(tmp_path / NAME, 5, rank) == RECORDS
    assert [p.name for p in tmp_path.iterdir()] == [NAME]
    with pytest.raises(UsageError, match="there already"):
        write_folder(tmp_path, 5, 7, batches)


def test_a_failure_on_the_way_leaves_nothing(tmp_path):
    def broken():
        yield pa.array(KEYS[:1], pa.large_string()), np.zeros(1, record_dtype(5))
        raise Damage("the cache is damaged")

    with pytest.raises(Damage):
        write_folder(tmp_path, 5, 7, broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["two\nlines", "a\rb", " led", "trailing\t", "", "\u00a0x", "x\x1c"])
def test_a_key_their_reader_would_change_is_refused(key):
    with pytest.raises(UsageError, match="cannot be a line"):
        check_keys(pa.array(["fine", key], pa.large_string()))


def test_two_images_of_one_key_are_refused():
    with pytest.raises(UsageError, match="two images would have the key 'a'"):
        check_keys(pa.array(["a", "b", "a"], pa.large_string()))
