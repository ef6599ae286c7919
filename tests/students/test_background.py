"""A student is trained, judged, fine-tuned and used as a teacher on one background: the one its views had."""

import json
from pathlib import Path

import pytest

from kdcache.base.digest import json_digest
from kdcache.build.prepare import prepare
from kdcache.errors import UsageError
from kdcache.store import Store
from kdcache.views.recipe import on
from students.options import MachineOptions, TrainOptions
from students.plan.plan import plan_run
from students.runs.find_teacher import settings
from students.runs.run import Run
from tests.build.conftest import options
from tests.images.odd import odd_images
from tests.students.conftest import build_cache, learn, same
from tests.students.trained import make_run, small_spec

SHAPES = "shapes:count=64,size=32"


@pytest.fixture(scope="module")
def black_cache(tmp_path_factory):
    return build_cache(tmp_path_factory.mktemp("caches") / "black", views=2, background="black")


@pytest.fixture
def grey_run(tmp_path):
    spec = small_spec(classes=("a", "b"))
    return make_run(tmp_path / "grey", spec.model_copy(update={"geometry": on(spec.geometry, "9,9,9")}))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate("ab"):
        (folder / name).mkdir()
        for file, raw in odd_images(number).items():
            (folder / name / file).write_bytes(raw)
    return folder


def planned(data=None, **asked):
    return plan_run(
        TrainOptions(**{"size": 32, "batch": 8, "val": "none", **asked}),
        MachineOptions("cpu", data=data and str(data)),
        1,
    )


def backgrounds(found) -> set[str]:
    return {found.record.student.geometry.background, found.record.views.recipe.background}


# ---- from a cache


def test_the_cache_decides(black_cache):
    assert backgrounds(planned(cache=black_cache)) == {"black"}
    assert backgrounds(planned(cache=black_cache, background="0,0,0")) == {"black"}


def test_another_one_is_refused_with_a_way_out(black_cache):
    with pytest.raises(UsageError, match=r"--background white, but the teacher of the cache saw .* on black") as caught:
        planned(cache=black_cache, background="white")
    assert "kd cache build --background white" in str(caught.value.hint)


def test_a_run_it_begins_with_follows_and_that_is_noted(black_cache, tmp_path):
    first = make_run(tmp_path / "first", small_spec(classes=Store.open(black_cache).plan.teacher.classes))
    found = planned(cache=black_cache, start=str(first.path))
    assert backgrounds(found) == {"black"}
    assert any(
        "learnt with transparency on white; from now on it is transparency on black" in n.text for n in found.notes
    )


def test_a_connected_teacher_sees_what_the_cached_one_saw(black_cache, tmp_path, photos):
    cache = build_cache(
        tmp_path / "c", data=str(photos), teacher="run:" + str(_namer(tmp_path)), background="200,30,90"
    )
    off, _ = learn(tmp_path / "off", cache, steps=3)
    on_stream, _ = learn(tmp_path / "on", cache, steps=3, stream="on", where={"weights": str(tmp_path / "namer")})
    assert same(off, on_stream)


def _namer(folder):
    return make_run(folder / "namer", small_spec(classes=("a", "b"))).path


# ---- without one


def test_without_a_cache_it_is_an_option_or_the_recipes(photos, tmp_path):
    plain = {"stream": "none", "settings": ("views=augment",)}
    assert backgrounds(planned(photos, **plain)) == {"white"}
    assert backgrounds(planned(photos, background="drop", **plain)) == {"drop"}
    from kdcache.config.presets import config_path

    mine = tmp_path / "mine.yaml"
    mine.write_text(config_path("views", "augment").read_text().replace("background: white", "background: black"))
    assert backgrounds(planned(photos, stream="none", settings=(f"views={mine}",))) == {"black"}


def test_fine_tuning_keeps_that_of_the_run_unless_another_is_asked_for(photos, grey_run):
    plain = {"stream": "none", "settings": ("views=augment",), "start": str(grey_run.path)}
    kept = planned(photos, **plain)
    assert backgrounds(kept) == {"9,9,9"}
    assert any("no --background: transparency on 9,9,9" in note.text for note in kept.notes)
    changed = planned(photos, background="white", **plain)
    assert backgrounds(changed) == {"white"}
    assert any("from now on it is transparency on white" in note.text for note in changed.notes)


# ---- afterwards


class _SeenEnough(Exception):
    """Nothing beyond the geometry is of interest."""


def test_few_shot_episodes_are_seen_on_it_too(grey_run, photos, monkeypatch):
    from kdcache.config.presets import load_preset
    from kdcache.images import open_source
    from students.judging import examples
    from students.tasks.few_shot import Settings
    from tests.students.judging import judged_by

    seen = []

    def look(*_, geometry, **__):
        seen.append(geometry)
        raise _SeenEnough

    monkeypatch.setattr(examples, "Pictures", look)
    numbers = load_preset("tasks", "few-shot", Settings, ("way=2", "shots=[2]", "queries=2", "episodes=2"))
    with pytest.raises(_SeenEnough):
        judged_by("few-shot", None, grey_run.record.student, open_source(str(photos)), settings=numbers)
    assert (seen[0].background, seen[0].fit, seen[0].interpolation) == ("9,9,9", "squash", "bilinear")


def test_a_report_shows_images_on_it(photos):
    from kdcache.images import open_source
    from students.report.samples import whole_picture

    source = open_source(str(photos))
    black, other = (whole_picture(source, "a/rgba.png", background)[0, 0].tolist() for background in ("black", "9,9,9"))
    assert (black, other) == ([0, 0, 0], [9, 9, 9])


def test_as_a_teacher_it_sees_its_own_unless_another_is_asked_for(grey_run, photos, tmp_path):
    teacher = {"teacher": f"run:{grey_run.path}", "size": None, "signals": ("logits",)}
    plan = prepare(options(photos, **teacher), tmp_path / "c").plan
    assert plan.views.recipe.background == plan.teacher.preprocess.geometry.background == "9,9,9"
    plan = prepare(options(photos, background="white", **teacher), tmp_path / "c").plan
    assert (plan.views.recipe.background, plan.teacher.preprocess.geometry.background) == ("white", "9,9,9")


@pytest.mark.parametrize("name", ["whole", "dense"])
def test_caches_of_runs_from_before_there_was_a_choice_know_their_teacher_again(name):
    """The digest is that of the record as the first release wrote it."""
    run = Path(__file__).parents[1] / "golden" / "runs" / name
    plain = json.loads((run / "run.json").read_text("utf-8"))["student"]
    assert "background" not in plain["geometry"]
    assert settings(Run.open(run).record.student) == json_digest(plain)
