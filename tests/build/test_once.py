"""A build reads the plan of the cache it goes on with once, however that cache was named, and makes each codec once."""

from pathlib import Path

import pytest

from kdcache.base.progress import Silent
from kdcache.build.begin import begin
from kdcache.build.options import BuildOptions
from kdcache.build.run import build
from kdcache.codecs import make_codec
from kdcache.store import Place, frame
from kdcache.store.plan import Plan, _make
from tests.build.conftest import options

pytestmark = pytest.mark.usefixtures("listener")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """The caches whose plan was read."""
    found: list[Place] = []
    read_plan = frame.read_plan

    def noted(cache: Place) -> Plan:
        found.append(cache)
        return read_plan(cache)

    monkeypatch.setattr(frame, "read_plan", noted)
    return found


def built(asked: BuildOptions, out: Path | None) -> Path:
    done = build(begin(asked, out, Silent()), progress=Silent())
    assert done.complete
    return done.path


@pytest.mark.parametrize("named", ["by its usual name", "with its folder", "with its folder alone"])
def test_a_build_that_goes_on_reads_the_plan_once(
    named: str, images: Path, tmp_path: Path, read: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = built(options(images), None)
    read.clear()
    again = options(images) if named != "with its folder alone" else BuildOptions("", devices=("cpu",), workers=0)
    assert built(again, None if named == "by its usual name" else out) == out
    assert len(read) == 1


def test_each_codec_is_made_once(images: Path, tmp_path: Path) -> None:
    make_codec.cache_clear()
    _make.cache_clear()
    built(options(images, signals=("logits", "features")), tmp_path / "c")
    assert make_codec.cache_info().misses == 2
