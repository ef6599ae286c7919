"""A build reads the plan of the cache it continues when it is prepared and again under the lock, and makes each codec once."""

import shutil
from pathlib import Path

import pytest

from kdcache.base.progress import Silent
from kdcache.build.begin import begin
from kdcache.build.options import BuildOptions
from kdcache.build.run import build
from kdcache.codecs import make_codec
from kdcache.errors import Mismatch
from kdcache.reshape.more_views import add_views
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
def test_a_continued_build_reads_the_plan_when_prepared_and_again_under_the_lock(
    named: str, images: Path, tmp_path: Path, read: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = built(options(images), None)
    read.clear()
    again = options(images) if named != "with its folder alone" else BuildOptions("", devices=("cpu",), workers=0)
    assert built(again, None if named == "by its usual name" else out) == out
    assert len(read) == 2


def test_a_cache_that_is_replaced_while_a_build_is_prepared_is_refused(images: Path, tmp_path: Path) -> None:
    """Loading and measuring a teacher takes minutes, in which anything may happen to the folder."""
    ours, other = tmp_path / "ours", tmp_path / "other"
    build(begin(options(images), ours, Silent()), only=(1, 2), progress=Silent())
    build(begin(options(images, signals=("features",)), other, Silent()), only=(1, 2), progress=Silent())
    prepared = begin(options(images), ours, Silent())
    shutil.rmtree(ours)
    shutil.copytree(other, ours)
    shutil.rmtree(ours / "parts", ignore_errors=True)
    before = {path: path.read_bytes() for path in ours.rglob("*") if path.is_file() and path.suffix != ".lock"}
    with pytest.raises(Mismatch, match="changed or replaced"):
        build(prepared, progress=Silent())
    kept = {path: path.read_bytes() for path in ours.rglob("*") if path.is_file() and path in before}
    assert kept == before


def test_views_that_are_added_while_a_build_is_prepared_are_noticed(images: Path, tmp_path: Path) -> None:
    """Else the result would call a cache complete that has more views to build."""
    asked, out = options(images, recipe="augment"), tmp_path / "c"
    build(begin(asked, out, Silent()), only=(1, 2), progress=Silent())
    prepared = begin(asked, out, Silent())
    add_views(out, 1)
    with pytest.raises(Mismatch, match="changed or replaced") as error:
        build(prepared, progress=Silent())
    assert error.value.hint == "run the same command again"


def test_each_codec_is_made_once(images: Path, tmp_path: Path) -> None:
    make_codec.cache_clear()
    _make.cache_clear()
    built(options(images, signals=("logits", "features")), tmp_path / "c")
    assert make_codec.cache_info().misses == 2
