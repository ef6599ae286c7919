"""Creating, resuming and opening: the same cache goes on, another one is refused by name."""

import json

import pytest
from pydantic import ValidationError

from kdcache.errors import Damage, Mismatch, UsageError
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store.plan import PartId, Plan
from kdcache.store.self_checked import seal, unseal
from tests.store.making import fill, make_cache, make_listing, make_plan


@pytest.fixture
def plan():
    return make_plan(backend="hdf5")


def replaced(plan, path: str, value):
    """The plan with one leaf changed."""
    plain = plan.plain()
    *way, last = path.split(".")
    here = plain
    for step in way:
        here = here[int(step)] if step.isdigit() else here[step]
    here[last] = value
    return type(plan).from_plain(plain)


CHANGES = {
    "teacher.weights.sha256": "f" * 64,
    "teacher.precision": "bfloat16",
    "teacher.preprocess.size": [16, 16],
    "teacher.taps.logits": "elsewhere",
    "dataset.fingerprint": "another",
    "dataset.index_digest": "0" * 32,
    "dataset.classes": ["one", "two"],
    "views.seed": 1,
    "views.recipe.fit": "squash",
    "signals.0.codec": "topk:6",
    "batch": 16,
    "layout.backend": "zarr",
    "layout.compression": "zstd:1",
    "layout.rows_per_part": 64,
    "layout.block_rows.logits": 8,
}


@pytest.mark.parametrize("field", CHANGES)
def test_another_plan_is_refused_and_the_difference_is_named(tmp_path, plan, field):
    Store.create(tmp_path / "c", plan, make_listing())
    with pytest.raises(Mismatch) as caught:
        Store.create(tmp_path / "c", replaced(plan, field, CHANGES[field]), make_listing())
    name = field.replace("signals.0.", "signals[0].")
    assert any(found.startswith(name) for found in caught.value.details["differences"])
    assert name in str(caught.value)
    assert str(tmp_path / "c") in str(caught.value)


def test_a_setting_that_is_added_later_makes_no_strangers(plan):
    """What equals its default is not part of the identity; what does not, is."""

    class Later(Plan):
        new_setting: str = "as it always was"

    assert Later.from_plain(plan.plain()).identity == plan.identity
    assert Later.from_plain(plan.plain() | {"new_setting": "other"}).identity != plan.identity
    assert replaced(plan, "signals.0.via", ["float32"]).identity != plan.identity
    assert plan.model_copy(update={"format": 2}).identity != plan.identity


def test_a_plan_that_is_read_differently_than_it_was_written_is_refused(tmp_path, plan):
    Store.create(tmp_path / "c", plan, make_listing())
    path = tmp_path / "c" / "plan.json"
    record = unseal(path.read_bytes(), path, hint="")
    path.write_bytes(seal(record | {"batch": 16}, indent=2))
    with pytest.raises(Mismatch, match=f"was written with identity {plan.identity}"):
        Store.open(tmp_path / "c")
    path.write_bytes(seal(record | {"unheard": "of"}, indent=2))
    with pytest.raises(Mismatch, match="not a plan this program knows"):
        Store.open(tmp_path / "c")


@pytest.mark.parametrize(
    ("field", "value"),
    [("versions", {"torch": "9"}), ("dataset.source", {"kind": "elsewhere"}), ("signals.0.error", {"worst": 0.5})],
)
def test_what_does_not_change_a_byte_does_not_matter(tmp_path, plan, field, value):
    Store.create(tmp_path / "c", plan, make_listing())
    assert Store.create(tmp_path / "c", replaced(plan, field, value), make_listing()).plan == plan


def test_a_cache_goes_on_where_it_stopped(tmp_path, plan):
    store = Store.create(tmp_path / "c", plan, make_listing())
    payloads = fill(store, {})
    store.drop_part(PartId(1, 1))
    again = Store.create(tmp_path / "c", plan, make_listing())
    assert again.missing() == [PartId(1, 1)]
    fill(again, {})
    assert again.missing() == []
    assert (again.map_part(PartId(1, 1))["logits"].whole() == payloads[PartId(1, 1)]["logits"]).all()


def test_views_are_added_and_nothing_else_changes(tmp_path, plan):
    made = make_cache(tmp_path / "c", plan)
    before = {p: p.read_bytes() for p in (tmp_path / "c" / "parts").rglob("*") if p.is_file()}
    grown = made.store.plan_views(3)
    assert grown.identity == plan.identity
    again = Store.open(tmp_path / "c")
    assert again.plan.views.count == 3
    assert again.missing() == [PartId(2, n) for n in range(3)]
    assert {p: p.read_bytes() for p in before} == before
    with pytest.raises(Mismatch, match=r"views.count is 3 there, 2 here"):
        Store.create(tmp_path / "c", plan, make_listing())


def test_a_folder_with_other_things_in_it_is_not_taken(tmp_path, plan):
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(UsageError, match="not empty and not a cache"):
        Store.create(tmp_path, plan, make_listing())
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.doc"]


def test_what_is_no_cache_is_said_to_be_none(tmp_path):
    with pytest.raises(UsageError, match="not a cache"):
        Store.open(tmp_path / "nothing")


def test_the_listing_must_be_the_one_the_plan_was_made_for(tmp_path, plan):
    with pytest.raises(Mismatch, match="index digest"):
        Store.create(tmp_path / "c", plan, make_listing(prefix="other"))
    assert list((tmp_path / "c").iterdir()) == []


def test_a_lost_or_damaged_index_is_written_again_from_the_dataset(tmp_path, plan):
    store = Store.create(tmp_path / "c", plan, make_listing())
    sound = (tmp_path / "c" / "index.arrow").read_bytes()
    for harm in (sound[:-5], sound[:99] + b"x" + sound[100:], None):
        if harm is None:
            (tmp_path / "c" / "index.arrow").unlink()
        else:
            (tmp_path / "c" / "index.arrow").write_bytes(harm)
        with pytest.raises(Damage, match=r"index\.arrow"):
            _ = Store.open(tmp_path / "c").index
        assert "index.arrow" in Store.open(tmp_path / "c").verify_frame()[0].what
        store = Store.create(tmp_path / "c", plan, make_listing())
        assert (tmp_path / "c" / "index.arrow").read_bytes() == sound
    assert store.index.ids.batch.column(0).equals(make_listing().ids)
    assert store.index.labels.tolist() == make_listing().labels.tolist()


def test_a_newer_format_is_refused_with_both_numbers(tmp_path, plan):
    Store.create(tmp_path / "c", plan, make_listing())
    path = tmp_path / "c" / "plan.json"
    record = unseal(path.read_bytes(), path, hint="") | {"format": 2, "something": "new"}
    path.write_bytes(seal(record, indent=2))
    with pytest.raises(Mismatch, match=r"format 2, this program reads format 1"):
        Store.open(tmp_path / "c")


def test_a_flipped_bit_of_a_plan_or_receipt_is_seen(tmp_path, plan):
    store = Store.create(tmp_path / "c", make_plan(rows=8, views=1, backend="hdf5"), make_listing(8))
    fill(store, {2: "broken"})
    for name in ("plan.json", "parts/v000/000000.json"):
        path = tmp_path / "c" / name
        sound = path.read_bytes()
        for place in [*range(60), *range(60, len(sound), 7), len(sound) - 1]:
            path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << place % 8]) + sound[place + 1 :])
            with pytest.raises(Damage, match=path.name):
                _ = Store.open(tmp_path / "c").receipt(PartId(0, 0))
        path.write_bytes(sound)
    assert Store.open(tmp_path / "c").receipt(PartId(0, 0)).bad == {2: "broken"}


def test_a_sealed_record_is_plain_json(tmp_path):
    raw = seal({"b": [1, 2.5], "a": {"ü": None}})
    assert json.loads(raw)["a"] == {"ü": None}
    assert unseal(raw, tmp_path, hint="") == {"b": [1, 2.5], "a": {"ü": None}}
    for broken in (b"", b"[]", b"{}", b'{"digest": 5}', raw[:-3], b"\xff" + raw, b"null", b'"text"'):
        with pytest.raises(Damage):
            unseal(broken, tmp_path, hint="")


def test_a_receipt_of_another_cache_is_refused(tmp_path, plan):
    one = make_cache(tmp_path / "one", plan).store
    two = make_cache(tmp_path / "two", make_plan(backend="hdf5", seed=9)).store
    part = PartId(0, 1)
    for name in ("000001.json", "000001.h5"):
        target = one.path / "parts" / "v000" / name
        target.write_bytes((two.path / "parts" / "v000" / name).read_bytes())
    with pytest.raises(Mismatch, match="another cache"):
        Store.open(one.path).map_part(part)
    [finding] = Store.open(one.path).verify_part(part)
    assert finding.part == part
    with pytest.raises(Mismatch, match=r"views.seed is 9 there, 0 here"):
        one.copy_part(part, two)


def test_the_frame_of_a_zarr_store_is_checked_and_mended(tmp_path):
    store = make_cache(tmp_path / "c", make_plan(backend="zarr")).store
    path = tmp_path / "c" / "views" / "v001.zarr" / "logits" / "zarr.json"
    sound = path.read_bytes()
    for harm in (sound.replace(b"90", b"91"), None):
        path.unlink() if harm is None else path.write_bytes(harm)
        [finding] = store.verify_frame()
        assert "views/v001.zarr/logits/zarr.json" in finding.what
        store.restore_frame()
        assert path.read_bytes() == sound
        assert store.verify_frame() == []


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "a b", "", "a" * 101, "ü", "a\n"])
def test_no_signal_has_a_name_that_would_leave_its_folder(name):
    with pytest.raises(ValidationError, match="cannot be called"):
        Signal(name=name, shape=(2,))


def test_a_folder_that_cannot_be_written_is_named(tmp_path, plan):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file") as caught:
        Store.create(tmp_path / "file" / "c", plan, make_listing())
    assert caught.value.hint == "choose another place"


def test_building_alone_sweeps_what_was_interrupted(tmp_path, plan):
    store = Store.create(tmp_path / "c", plan, make_listing())
    left = tmp_path / "c" / ".plan.json.tmp-1-aa"
    left.write_bytes(b"half")
    with store.building((1, 2)):
        assert left.exists()
    with store.building():
        assert not left.exists()
    assert store.verify_frame() == []
