"""Codecs of other packages: found by entry point, named in messages, needed to open what they stored."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdcache import Cache
from kdcache.codecs import codec_choices, codec_list, codec_names, default_codec, make_codec, registry
from kdcache.codecs.array_codec import ArrayCodec
from kdcache.codecs.codec import Field, Fields
from kdcache.errors import Mismatch, Unavailable, UsageError
from kdcache.signals.signal import Signal
from kdcache.store import Store
from kdcache.store import plan as plans
from kdcache.testing.codecs import CodecContract
from tests.packages import install
from tests.store.making import make_listing, make_plan

EMBEDDING = Signal(name="embedding", shape=(12,))


class Cut(ArrayCodec):
    """Numbers cut to steps of 1 / K: what another package might bring."""

    form = "cut:K"
    help = "every number in steps of 1 / K"
    kinds = ("map", "vector")

    def __init__(self, signal: Signal, steps: int) -> None:
        self.signal, self._steps = signal, steps
        self.rounding = 10 / steps  # of rows whose numbers are not all near zero

    @property
    def name(self) -> str:
        return f"cut:{self._steps}"

    @classmethod
    def choices_for(cls, signal: Signal) -> tuple[str, ...]:
        return ("cut:100",)

    def fields(self) -> tuple[Field, ...]:
        about = (("codec", self.name),)
        return (Field(self.signal.name, "<i2", self.signal.shape, attributes=about, by_position=True),)

    def encode(self, values: Any) -> Fields:
        from kdcache.codecs.measure import refuse_non_finite

        refuse_non_finite(values, self.signal)
        return {self.signal.name: (values * self._steps).round().to(torch.int16).cpu().numpy()}

    def decode(self, fields: Fields) -> Any:
        return fields[self.signal.name].astype(np.float32) / np.float32(self._steps)


class TestCut(CodecContract):
    codec = Cut
    number = 1000


class Careless(Cut):
    """The same, but it forgets the second half of every row."""

    def encode(self, values: Any) -> Fields:
        fields = super().encode(values)
        fields[self.signal.name][..., self.signal.shape[-1] // 2 :] = 0
        return fields


def test_the_contract_notices_a_codec_that_loses_more_than_it_says() -> None:
    suite = CodecContract()
    suite.codec, suite.number = Careless, 1000
    with pytest.raises(AssertionError, match="cut:1000 of"):
        suite.test_what_comes_back_is_within_the_declared_error()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes entry points of the group `kd.codecs` be those that are given."""

    def install(**points: str) -> None:
        found = [EntryPoint(name, value, registry.GROUP) for name, value in points.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: found if group == registry.GROUP else [])
        registry._loaded.cache_clear()
        make_codec.cache_clear()
        plans._make.cache_clear()

    return install


def test_an_installed_codec_is_used_and_listed_like_ours(installed: Callable[..., None]) -> None:
    with pytest.raises(UsageError, match="unknown codec 'cut:100'"):
        make_codec("cut:100", EMBEDDING)
    installed(cut=f"{__name__}:Cut")
    codec = make_codec("cut:100", EMBEDDING)
    assert (type(codec).__name__, codec.name, codec.row_bytes) == ("Cut", "cut:100", 24)
    assert codec_list()["cut:K"] == "every number in steps of 1 / K"
    assert "cut:K" in codec_names(EMBEDDING)
    assert "cut:100" in codec_choices(EMBEDDING)
    assert "cut:K" not in codec_names(Signal(name="logits", shape=(12,)))
    assert default_codec(EMBEDDING) == "float16", "ours stay the usual ones"
    with pytest.raises(UsageError) as caught:
        make_codec("cuut:100", EMBEDDING)
    assert "did you mean cut" in str(caught.value.hint)
    with pytest.raises(UsageError, match="needs a number"):
        make_codec("cut", EMBEDDING)


def test_our_words_stay_ours(installed: Callable[..., None]) -> None:
    installed(float16=f"{__name__}:Cut", topk=f"{__name__}:Cut")
    assert make_codec("float16", EMBEDDING).row_bytes == 24
    assert type(make_codec("topk:3", Signal(name="logits", shape=(12,)))).__name__ == "TopKCodec"


@pytest.mark.parametrize("value", ["no.such.module:Cut", f"{__name__}:NoSuch", f"{__name__}:EMBEDDING", "math:sqrt"])
def test_a_codec_that_cannot_be_loaded_is_named(installed: Callable[..., None], value: str) -> None:
    installed(cut=value)
    with pytest.raises(Unavailable, match="the codec cut") as caught:
        make_codec("cut:100", EMBEDDING)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise ValueError('no licence')", "cannot be loaded: ValueError: no licence"),
        ("raise SystemExit(3)", "cannot be loaded: SystemExit: 3"),
        ("class Kind: form = 'evil'", "is not a class derived from"),
        (
            "from kdcache.codecs.array_codec import ArrayCodec\n"
            "class Kind(ArrayCodec):\n    form = 'evil'\n    name = fields = encode = decode = None",
            "with `form`, `help` and `kinds`",
        ),
        ("raise BaseException('odd')", "cannot be loaded: BaseException: odd"),
    ],
)
def test_a_broken_codec_breaks_nothing_but_itself(monkeypatch, tmp_path: Path, text: str, why: str) -> None:
    point = {"kd.codecs": "evil = evil_codec:Kind"}
    monkeypatch.delitem(sys.modules, "evil_codec", raising=False)
    install(monkeypatch, tmp_path, "evil-package", modules={"evil_codec": text}, points=point)
    assert default_codec(EMBEDDING) == "float16"
    assert "evil_codec" not in sys.modules, "nobody has named or listed it"
    assert "float16" in codec_names(EMBEDDING)
    assert "float16" in codec_list()
    assert codec_choices(EMBEDDING)
    with pytest.raises(Unavailable, match=f"the codec evil of the package evil-package.*{why}"):
        make_codec("evil", EMBEDDING)
    with pytest.raises(UsageError, match="unknown codec 'evill'"):
        make_codec("evill", EMBEDDING)


def test_a_build_estimates_beside_a_broken_codec(monkeypatch, tmp_path: Path, capsys) -> None:
    from cli.app import run

    point = {"kd.codecs": "evil2 = evil2_codec:Kind"}
    install(monkeypatch, tmp_path / "site", "evil-two", modules={"evil2_codec": "raise SystemExit(3)"}, points=point)
    asked = ["--teacher", "florence", "--size", "nano", "--data", "shapes:count=4,size=32"]
    assert run(["cache", "plan", *asked]) == 0
    assert run(["cache", "plan", *asked, "--codec", "evil2"]) == 5
    assert "evil-two" in capsys.readouterr().err


def test_two_packages_with_one_codec_name_are_one_clear_error(monkeypatch, tmp_path: Path) -> None:
    for name in ("first", "second"):
        point = {"kd.codecs": f"twin = {__name__}:Cut"}
        install(monkeypatch, tmp_path / name, f"{name}-package", modules={}, points=point)
    with pytest.raises(Mismatch, match=r"-package and \w+-package both bring the codec 'twin'"):
        make_codec("twin:3", EMBEDDING)
    assert "float16" in codec_names(EMBEDDING)


def test_a_cache_made_with_it_is_opened_where_it_is_installed(tmp_path: Path, installed: Callable[..., None]) -> None:
    installed(cut=f"{__name__}:Cut")
    plan = make_plan(signals=((EMBEDDING, "cut:100"),), rows=8, views=1)
    store = Store.create(tmp_path / "c", plan, make_listing(8))
    values = torch.linspace(-1, 1, 96).reshape(8, 12)
    payload = store.plan.codecs()["embedding"].encode(values) | {"view_digest": np.zeros(8, "<u4")}
    store.write_part(store.plan.parts()[0], payload, {})
    (batch,) = Cache.open(tmp_path / "c").stream(8, shuffle=False)
    assert np.allclose(batch.decode()["embedding"], values, atol=0.006)
    installed()
    with pytest.raises(
        Unavailable, match="embedding is stored in the codec 'cut:100', which is not installed"
    ) as caught:
        Cache.open(tmp_path / "c")
    assert "install the package that brings 'cut:100'" in str(caught.value.hint)
