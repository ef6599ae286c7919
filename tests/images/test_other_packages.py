"""Image sources of other packages, and what each kind declares."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.images import open_source
from kdcache.images.registry import KINDS, is_embedded, ways_to_write
from kdcache.images.splits import held_out, training_split
from kdcache.teachers.nano import IMAGENET_PIXELS
from tests.packages import install

LARGE = IMAGENET_PIXELS.model_copy(update={"size": (224, 224)})

DOTS = """
from kdcache.images.kind import SourceKind

KIND = SourceKind(
    name="{name}", about="white dots", written="{name}", source="{name}_source:Dots", options={{"count": int, "split": str}},
    embedded=True, other_split="test", recognise=lambda path: {{"count": 3}} if path.endswith(".{name}") else None,
)
"""
SOURCE = """
import numpy as np
import pyarrow as pa
from kdcache.images.source import Listing


class Dots:
    name = "dots"

    def __init__(self, count=4, split="train"):
        self.count, self.split = count, split

    def spec(self):
        return {{"kind": "{name}", "count": self.count, "split": self.split}}

    def scan(self):
        return Listing(pa.array([str(n) for n in range(self.count)], pa.large_string()), None, None, f"dots {{self.count}}")

    def read(self, image_id):
        return np.full((8, 8, 3), int(image_id), np.uint8)
"""


@pytest.fixture
def dots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    name = f"dots{abs(hash(request.node.name)) % 10**6}"
    modules = {name: DOTS.format(name=name), f"{name}_source": SOURCE.format(name=name)}
    install(
        monkeypatch, tmp_path / "site", "dots-package", modules=modules, points={"kd.images": f"{name} = {name}:KIND"}
    )
    return name


def test_a_source_of_another_package_is_opened_by_its_name(dots: str) -> None:
    source = open_source(f"{dots}:count=2")
    assert source.scan().ids.to_pylist() == ["0", "1"]
    assert np.array_equal(open_source(source.spec()).read("1"), np.full((8, 8, 3), 1, np.uint8))
    assert dots in ways_to_write()
    with pytest.raises(UsageError, match="has no option 'size'"):
        open_source(f"{dots}:size=2")
    with pytest.raises(UsageError, match="unknown image source") as caught:
        open_source(f"{dots[:-1]}:count=2")
    assert dots in str(caught.value.hint)


def test_its_files_are_recognised_and_its_splits_known(dots: str, tmp_path: Path) -> None:
    (tmp_path / f"a.{dots}").write_text("")
    assert open_source(str(tmp_path / f"a.{dots}")).spec()["count"] == 3
    assert held_out({"kind": dots, "count": 3, "split": "train"}) == {"kind": dots, "split": "test"}
    assert training_split({"kind": dots, "split": "test"}) == {"kind": dots, "split": "train"}


def test_an_embedded_set_is_shown_to_a_size_in_the_package(dots: str, tmp_path: Path) -> None:
    from kdcache.teachers.embedded import images_and_size

    (tmp_path / "folder").mkdir()
    for data in (None, "shapes:count=4", f"{dots}:count=4", f"few:2:{dots}"):
        assert images_and_size("florence", None, None, data)[1] == "nano"
        assert images_and_size("clip", None, None, data)[1] == "nano"
        assert images_and_size("donut", None, None, data)[1] is None, "donut has no size in the package"
        assert images_and_size("florence", None, "weights.safetensors", data)[1] is None
    assert images_and_size("florence", None, None, str(tmp_path / "folder"))[1] is None
    assert is_embedded({"kind": "few", "of": {"kind": dots}})
    assert not is_embedded({"kind": "made up"})


def test_its_pictures_are_painted_as_large_as_the_teacher_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from kdcache.teachers import embedded
    from kdcache.teachers.families.florence import FAMILY, NANO_SIZE

    large = replace(NANO_SIZE, size="large", preprocess="tests.images.test_other_packages:LARGE")
    families = SimpleNamespace(find=lambda name: replace(FAMILY, packaged=(NANO_SIZE, large)))
    monkeypatch.setattr("kdcache.teachers.embedded.PLUGINS", families)

    def side(size: str, data: str, like: dict[str, Any] | None = None) -> int:
        spec = embedded.images_and_size("florence", size, None, data, like)[0].spec()
        return int((spec["of"] if spec["kind"] == "few" else spec)["size"])

    assert side("large", "shapes") == side("large", "few:2:shapes:count=9") == 224
    assert side("nano", "shapes") == side("base", "shapes") == 64
    assert side("large", "shapes:size=100") == 100, "as the user says"
    known = {"kind": "shapes", "split": "train", "size": 96, "count": 9, "seed": 0}
    assert side("large", "shapes:split=val", known) == 96, "as the images they belong to"
    assert open_source("shapes:split=val", like={"kind": "few", "of": known}).spec()["size"] == 96
    assert open_source(known | {"size": 64}, like=known).spec()["size"] == 64, "plain values are complete"


def test_a_package_that_cannot_be_imported_harms_no_other_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    points = {"kd.images": "lost = lost_source:KIND"}
    install(
        monkeypatch, tmp_path / "site", "lost-package", modules={"lost_source": "import nowhere_at_all"}, points=points
    )
    assert open_source("shapes:count=2").scan().ids.to_pylist() == ["train/000000", "train/000001"]
    assert open_source(str(tmp_path)).spec()["kind"] == "folder"
    with pytest.raises(Unavailable, match="lost-package"):
        open_source("lost:x")


def test_two_packages_with_one_name_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = DOTS.format(name="shapes")
    points = {"kd.images": "shapes = rival_shapes:KIND"}
    install(monkeypatch, tmp_path / "site", "rival-images", modules={"rival_shapes": text}, points=points)
    with pytest.raises(Mismatch, match="both bring the image source 'shapes'"):
        open_source("shapes")


@pytest.mark.parametrize("name", KINDS.names())
def test_a_kind_declares_options_that_it_has(name: str) -> None:
    kind = KINDS.get(name)
    assert kind.about
    assert kind.written.partition(":")[0] == name
    assert set(kind.needed) <= set(kind.options)
    assert not kind.subject or kind.subject in kind.options
    assert kind.takes_split <= ("split" in kind.options)
