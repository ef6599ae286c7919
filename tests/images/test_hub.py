"""Hugging Face datasets on disk, with or without ids, and a clear word when the library or the Hub is missing."""

import builtins
import pickle
import sys

import pytest

from kdcache.errors import BadImage, Unavailable, UsageError
from kdcache.images import load, open_source
from kdcache.testing.sources import SourceContract
from tests.images.samples import jpeg, write

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def table(rows: int = 4, **columns):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["aster", "rose"])}
    values = {"image": [{"bytes": jpeg(n), "path": None} for n in range(rows)], "label": [n % 2 for n in range(rows)]}
    for name, (feature, column) in columns.items():
        features[name], values[name] = feature, column
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


@pytest.fixture
def saved(tmp_path):
    def save(data, name="flowers") -> str:
        data.save_to_disk(str(tmp_path / name))
        return str(tmp_path / name)

    return save


def text(*values):
    return datasets.Value("string"), list(values)


def test_a_saved_dataset_is_recognised_and_read(saved):
    source = open_source(saved(table()))
    listing = source.scan()
    assert source.spec()["kind"] == "hf"
    assert listing.ids.to_pylist() == [f"train/{n:08d}" for n in range(4)]
    assert listing.labels.tolist() == [0, 1, 0, 1]
    assert listing.classes == ("aster", "rose")
    assert source.read("train/00000002") == jpeg(2)
    assert load(source, "train/00000003").shape == (32, 48, 3)


def test_ids_come_from_a_column_of_ids(saved):
    source = open_source("hf:" + saved(table(image_id=text("d", "a", "c", "b"))))
    assert source.scan().ids.to_pylist() == ["d", "a", "c", "b"]
    assert [source.read(i) for i in "abcd"] == [jpeg(1), jpeg(3), jpeg(2), jpeg(0)]
    numbered = open_source(saved(table(id=(datasets.Value("int64"), [7, 5, 9, 11])), "numbered"))
    assert numbered.scan().ids.to_pylist() == ["7", "5", "9", "11"]


def test_a_duplicate_id_names_both_rows_and_the_way_out(saved):
    path = saved(table(image_id=text("a", "b", "c", "b")))
    with pytest.raises(UsageError, match="image id 'b' is there twice: row 1 and row 3") as caught:
        open_source(path).scan()
    assert "id=row" in str(caught.value.hint)
    assert open_source(f"hf:{path},id=row").scan().ids.to_pylist()[3] == "train/00000003"


def test_a_row_without_an_id_is_named(saved):
    with pytest.raises(UsageError, match="row 2 of flowers has no image_id"):
        open_source(saved(table(image_id=text("a", "b", None, "d")))).scan()


def test_splits_are_chosen_by_name(saved):
    path = saved(datasets.DatasetDict({"train": table(3), "test": table(2)}))
    assert len(open_source(path).scan()) == 3
    source = open_source(f"hf:{path}:test")
    assert source.scan().ids.to_pylist() == ["test/00000000", "test/00000001"]
    assert source.name == "flowers-test"
    with pytest.raises(UsageError, match="has no split dev") as caught:
        open_source(f"hf:{path}:dev").scan()
    assert "train, test" in str(caught.value.hint)


def test_a_selection_of_rows_keeps_its_order(saved):
    source = open_source(saved(table().select([3, 0])))
    listing = source.scan()
    assert listing.labels.tolist() == [1, 0]
    assert [source.read(i) for i in listing.ids.to_pylist()] == [jpeg(3), jpeg(0)]


def test_the_fingerprint_changes_with_ids_and_sizes(saved):
    paths = [saved(table(n), f"d{n}") for n in (3, 4)] + [saved(table(image_id=text(*"abcd")), "ids")]
    paths.append(saved(table().select([1, 0, 2, 3]), "swapped"))
    marks = [open_source(path).scan().fingerprint for path in paths]
    assert len(set(marks)) == 4
    assert marks[0] == open_source(paths[0]).scan().fingerprint


def test_images_beside_the_table_are_read_from_their_files(saved, tmp_path):
    files = [str(write(tmp_path / f"{n}.jpg", jpeg(n))) for n in range(2)]
    data = datasets.Dataset.from_dict(
        {"image": [*files, None]}, features=datasets.Features({"image": datasets.Image()})
    )
    path = saved(data)
    source = open_source(path)
    assert source.scan().labels is None
    assert source.read("train/00000001") == jpeg(1)
    with pytest.raises(BadImage, match="row has no image"):
        source.read("train/00000002")


def test_columns_are_named_when_they_cannot_be_guessed(saved):
    image = datasets.Image()
    rows = [{"bytes": jpeg(n), "path": None} for n in range(2)]
    data = datasets.Dataset.from_dict(
        {"left": rows, "right": rows[::-1], "kind": [5, 6]},
        features=datasets.Features({"left": image, "right": image, "kind": datasets.Value("int32")}),
    )
    path = saved(data)
    with pytest.raises(UsageError, match="several image columns: left, right"):
        open_source(path).scan()
    source = open_source(f"hf:{path},image=right,label=kind")
    assert source.scan().labels.tolist() == [5, 6]
    assert source.read("train/00000000") == jpeg(1)
    with pytest.raises(UsageError, match="no column 'rihgt'") as caught:
        open_source(f"hf:{path},image=rihgt").scan()
    assert caught.value.hint == "image=right"
    with pytest.raises(UsageError, match="'kind' holds no images"):
        open_source(f"hf:{path},image=kind").scan()


@pytest.mark.parametrize(
    "image_id", ["train/00000004", "train/4", "test/00000001", "train/-0000001", "", "../x", "train/００００００００"]
)
def test_an_id_that_is_not_there_is_refused(saved, image_id):
    with pytest.raises(BadImage, match="no row"):
        open_source(saved(table())).read(image_id)


def test_a_source_travels_to_a_worker(saved):
    source = open_source(saved(table(image_id=text(*"abcd"))))
    source.scan()
    frozen = pickle.dumps(source)
    assert len(frozen) < 1000
    assert pickle.loads(frozen).read("b") == jpeg(1)
    assert open_source(source.spec()).read("c") == jpeg(2)


def test_the_hub_out_of_reach_is_unavailable(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    source = open_source("hf:nobody/nothing:train")
    with pytest.raises(Unavailable, match=r"cannot open nobody/nothing \(split train\)"):
        source.scan()


def test_without_the_library_the_way_out_is_named(monkeypatch, saved):
    path = saved(table())
    real = builtins.__import__

    def without(name, *rest):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "datasets")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unavailable) as caught:
        open_source(path).scan()
    assert caught.value.hint == "pip install datasets"


class TestSaved(SourceContract):
    @pytest.fixture
    def source(self, saved):
        return open_source(saved(table()))
