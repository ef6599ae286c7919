"""Caches that cannot feed one training are refused before the first step, with their names and a way out."""

import json
import shutil
from pathlib import Path

import pytest

from kdcache.errors import Damage, Incomplete, KDError, Mismatch, UsageError
from kdcache.store import Store
from students.runs.run import Run
from tests.students.conftest import learn
from tests.students.test_several_caches import BOTH, keeping, several

ONE_VIEW = {"views": 1, "recipe": "augment"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    """A cache of logits and one of features, of the same view of 32 images."""
    folder = tmp_path_factory.mktemp("refused")
    return keeping(folder / "logits", "logits", **ONE_VIEW), keeping(folder / "features", "features", **ONE_VIEW)


def refused(out: Path, caches, error: type[KDError] = Mismatch, **asked) -> tuple[str, str]:
    """The message and the hint of a training that does not begin."""
    with pytest.raises(error) as refusal:
        learn(out, caches, **{**BOTH, **asked})
    assert not out.exists()
    return refusal.value.message, refusal.value.hint


def test_caches_of_other_images(pair, tmp_path):
    other = keeping(tmp_path / "other", "features", data="shapes:count=40,size=32", **ONE_VIEW)
    message, _ = refused(tmp_path / "run", several(pair[0], other))
    assert f"{other} has other images than {pair[0]}" in message
    assert "train/000032" in message


def test_caches_of_other_views_where_the_student_is_shown_them(pair, tmp_path):
    other = keeping(tmp_path / "other", "features", seed=1, **ONE_VIEW)
    message, hint = refused(tmp_path / "run", several(pair[0], other))
    assert message == f"{other} has other views than {pair[0]}: seed is 0 there, 1 here"
    assert "the same --recipe and --seed" in hint


def test_caches_of_more_and_fewer_views_until_it_is_said_which_to_use(pair, tmp_path):
    more = keeping(tmp_path / "more", "features")
    message, hint = refused(tmp_path / "run", several(pair[0], more))
    assert message == f"{more} has 2 views, {pair[0]} has 1"
    assert hint == "use those that both have: --views 0"
    run, _ = learn(tmp_path / "run", several(pair[0], more), views=(0,), **BOTH)
    assert run.record.pacing.views == (0,)


def test_a_cache_that_is_not_finished(pair, tmp_path):
    part = Path(shutil.copytree(pair[1], tmp_path / "part"))
    store = Store.open(part)
    with store.building():
        store.drop_part(store.plan.parts()[0])
    message, hint = refused(tmp_path / "run", several(pair[0], part), Incomplete)
    assert message.startswith(f"{part} is not finished")
    assert hint == f"kd cache build --out {part}"


def test_a_signal_that_two_caches_have_and_nobody_says_which(pair, tmp_path):
    message, hint = refused(tmp_path / "run", several(pair[0], pair[1], pair[1]))
    assert message == f"{pair[1]} and {pair[1]} both keep features: it is not clear which is meant"
    assert "--cache one=DIR --cache other=DIR" in hint
    assert hint.endswith("--set objectives.hint.signal=one.features")
    message, hint = refused(tmp_path / "run", several(pair[0], a=pair[1], b=pair[1]))
    assert message.startswith(f"a, {pair[1]}, and b, {pair[1]}, both keep features")
    assert hint == "say which: --set objectives.hint.signal=a.features"


def test_a_signal_that_no_cache_has(pair, tmp_path):
    settings = ("objectives.hint.signal=embedding",)
    message, hint = refused(tmp_path / "run", several(*pair), settings=settings)
    assert message == f"{pair[0]} keeps logits; {pair[1]} keeps features, but the recipe needs embedding"
    assert hint == "kd cache build --teacher florence --size nano --signal embedding, and give it with one more --cache"


def test_a_name_that_no_cache_has(pair, tmp_path):
    settings = ("objectives.hint.signal=a.features",)
    message, hint = refused(tmp_path / "run", several(*pair), settings=settings)
    assert message == f"{pair[0]} keeps logits; {pair[1]} keeps features, but the recipe needs a.features"
    assert hint == f"call the cache so: --cache a={pair[1]}"
    message, hint = refused(tmp_path / "run", several(a=pair[0]), settings=settings)
    assert message == f"{pair[0]} keeps logits, but the recipe needs a.features"
    assert hint == "kd cache build --teacher florence --size nano --signal logits,features"


def test_several_teachers_at_once(pair, tmp_path):
    message, hint = refused(tmp_path / "run", several(*pair), UsageError, stream="on")
    assert message == "--stream on runs the teacher of one cache, 2 are given"
    assert "leave out --stream on" in hint
    message, _ = refused(tmp_path / "run", several(a=pair[0]), UsageError, stream="on")
    assert "its signals need no name, such as a" in message


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "a"], "two caches are called a"),
        (["a b"], "a cache cannot be called 'a b'"),
        ([f"n{n}" for n in range(17)], "--cache is given 17 times"),
    ],
)
def test_names_that_are_none(pair, tmp_path, names, message):
    from students.options import NamedCache

    given = tuple(NamedCache(pair[0], name) for name in names)
    assert message in refused(tmp_path / "run", given, UsageError)[0]


def test_another_cache_in_the_place_of_one_when_a_run_goes_on(pair, tmp_path):
    features = Path(shutil.copytree(pair[1], tmp_path / "features"))
    learn(tmp_path / "run", several(pair[0], features), where={"stop_at": 2}, **BOTH)
    shutil.rmtree(features)
    with pytest.raises(UsageError, match=str(features)):
        learn(tmp_path / "run", resume=True)
    keeping(features, "features", seed=1, **ONE_VIEW)
    with pytest.raises(Mismatch, match=rf"{features} is another cache now"):
        learn(tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["caches"].pop(),
        lambda record: record.update(cache=record["caches"][0]),
        lambda record: record.update(stream="on"),
        lambda record: record.update(stream="on", cache={**record["caches"][0], "name": "a"}, caches=[]),
        lambda record: [cache.update(name="same") for cache in record["caches"]],
        lambda record: record["caches"][0].update(name="../../etc"),
        lambda record: record["caches"].extend(record["caches"] * 8),
        lambda record: record["caches"][0].pop("identity"),
        lambda record: record["caches"][0].update(path=5),
    ],
)
def test_a_record_that_no_training_wrote(pair, run_of_two, change):
    file = run_of_two / "run.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record))
    with pytest.raises(Damage, match=r"run\.json is not a run record") as refusal:
        Run.open(run_of_two)
    assert "\n" not in refusal.value.message


@pytest.fixture(scope="module")
def written(pair, tmp_path_factory) -> Path:
    return learn(tmp_path_factory.mktemp("written") / "run", several(*pair), **{**BOTH, "steps": 1})[0].path


@pytest.fixture
def run_of_two(written, tmp_path) -> Path:
    """A run of two caches that a test may change."""
    return Path(shutil.copytree(written, tmp_path / "run"))


def test_a_cache_that_nothing_is_read_from(pair, tmp_path):
    with pytest.raises(UsageError) as refusal:
        learn(tmp_path / "run", several(*pair))
    assert refusal.value.message == (
        f"nothing is read from --cache {pair[1]}: it keeps features, and the recipe reads logits"
    )
    assert refusal.value.hint == "leave it out, or choose a --recipe that reads features"
    assert not (tmp_path / "run").exists()
