"""A teacher that is shown token ids beside pixels: they reach it, and the digest of a row covers them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdcache.base.digest import pixel_digest, shown_digest
from kdcache.base.progress import Silent
from kdcache.build.prepare import prepare
from kdcache.build.run import build
from kdcache.check.sampling import VerifyOptions
from kdcache.check.verify import verify
from kdcache.errors import Mismatch
from kdcache.images import open_source
from kdcache.images.source import Source
from kdcache.signals.shown import Shown, Tokens
from kdcache.signals.signal import Signal
from kdcache.signals.teacher import TeacherSpec
from kdcache.store import Store
from kdcache.store.plan import VIEW_DIGEST, PartId
from tests.build.conftest import Listener, options

LONGEST = 6


class Reader(Listener):
    """Emits the sum of the token ids of each row, and how many they are."""

    def __init__(self, signals: tuple[str, ...] = ("embedding",)) -> None:
        super().__init__(("embedding",))
        self.spec = self.spec.model_copy(
            update={"reads": LONGEST, "signals": (Signal(name="embedding", shape=(2,)),), "family": "listener"}
        )

    def emit(self, shown: Shown) -> dict[str, torch.Tensor]:
        assert shown.tokens is not None
        assert shown.lengths is not None
        assert shown.tokens.shape == (len(shown), LONGEST)
        return {"embedding": torch.stack([shown.tokens.sum(1), shown.lengths], 1).float()}


@dataclass(frozen=True)
class WithTokens:
    """A folder of images that brings token ids."""

    of: Source
    tokens: Tokens

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "of"), name)


def ids_of(image_id: str) -> tuple[int, ...]:
    number = int(image_id[-7:-4])
    return tuple(range(number, number + number % LONGEST))


@pytest.fixture
def source(images: Path, monkeypatch: pytest.MonkeyPatch) -> WithTokens:
    from kdcache.check import verify as verifying
    from kdcache.teachers import embedded, registry, reopen

    for place in (registry, reopen):
        monkeypatch.setattr(place, "open_teacher", lambda *_, signals=("embedding",), **__: Reader(signals))
    plain = open_source(str(images))
    tokens = Tokens({image_id: ids_of(image_id) for image_id in plain.scan().ids.to_pylist()}, LONGEST)
    found = WithTokens(plain, tokens)
    for module in (embedded, verifying):
        monkeypatch.setattr(module, "open_source", lambda *_, **__: found)
    return found


def built(images: Path, out: Path) -> Store:
    asked = options(images, signals=("embedding",), codecs={"embedding": "float32"})
    build(prepare(asked, out), progress=Silent())
    return Store.open(out)


def test_token_ids_reach_the_teacher_and_the_digest(source: WithTokens, images: Path, tmp_path: Path) -> None:
    from kdcache.images import load
    from kdcache.views import view_pixels

    store = built(images, tmp_path / "c")
    assert store.plan.teacher.reads == LONGEST
    recipe: Any = store.plan.views.recipe
    for row in (0, 37, 99):
        part = PartId(0, row // store.plan.layout.rows_per_part)
        place = np.array([row - store.plan.rows_of(part).start])
        mapped, ids = store.map_part(part), np.array(ids_of(store.index[row]), np.int64)
        assert mapped["embedding"].take(place)[0].tolist() == [ids.sum(), len(ids)]
        pixels = view_pixels(
            recipe, seed=0, view=0, row=row, size=(16, 16), ids=store.index.ids, load=lambda i: load(source.of, i)
        )
        assert mapped[VIEW_DIGEST.name].take(place)[0] == shown_digest(pixel_digest(pixels), ids)
    report = verify(tmp_path / "c", VerifyOptions(replay=200, teacher=200), Silent())
    assert report.ok
    assert report.replayed == 99


def test_another_text_beside_the_same_pixels_is_told(
    source: WithTokens, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdcache.check import verify as verifying

    store = built(images, tmp_path / "c")
    other = {**source.tokens.ids, store.index[3]: (1, 2)}
    changed = replace(source, tokens=Tokens(other, LONGEST))
    monkeypatch.setattr(verifying, "open_source", lambda *_, **__: changed)
    (found,) = verify(tmp_path / "c", VerifyOptions(replay=200), Silent()).findings
    assert found.rows == range(3, 4)


def test_images_without_token_ids_are_refused(source: WithTokens, images: Path, tmp_path: Path, monkeypatch) -> None:
    from kdcache.teachers import embedded

    monkeypatch.setattr(embedded, "open_source", lambda *_, **__: source.of)
    with pytest.raises(Mismatch, match="reads token ids, which the images of images do not have"):
        built(images, tmp_path / "c")


def test_ids_that_cannot_be_are_refused() -> None:
    tokens = Tokens({"a": (1,) * 7, "b": (-1,)}, LONGEST)
    for image_id in ("a", "b"):
        with pytest.raises(Mismatch, match="up to 6 from 0 are expected"):
            tokens.row(image_id)
    with pytest.raises(Mismatch, match="c has none"):
        tokens.row("c")


def test_a_plan_of_pixels_alone_says_nothing_of_tokens() -> None:
    spec = Listener(("embedding",)).spec
    assert "reads" not in spec.plain()
    assert TeacherSpec.from_plain(spec.plain()) == spec
    assert Reader().spec.plain()["reads"] == LONGEST
