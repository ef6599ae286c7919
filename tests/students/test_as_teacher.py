"""A trained student can be a teacher: what it says is cached, and checked again, like anybody's."""

import numpy as np
import pytest
import torch

from kdcache.errors import UsageError
from kdcache.signals.shown import Shown
from kdcache.teachers.registry import open_teacher
from tests.students.conftest import build_cache
from tests.students.trained import NAMES, make_run


def test_a_run_says_its_own_logits_and_embeddings(tmp_path):
    run = make_run(tmp_path / "first")
    teacher = open_teacher(f"run:{run.path}", signals=["logits", "embedding"])
    views = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    spec, network = run.record.student, run.network()
    mean, std = (torch.tensor(three).view(1, 3, 1, 1) for three in (spec.mean, spec.std))
    with torch.inference_mode():
        seen = (views.permute(0, 3, 1, 2).float() / 255 - mean) / std
        wanted = network(seen)
        features = network.forward_head(network.forward_features(seen), pre_logits=True)
    emitted = teacher.emit(Shown(views))
    torch.testing.assert_close(emitted["logits"], wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(emitted["embedding"], features, rtol=1e-4, atol=1e-4)
    assert teacher.spec.classes == NAMES
    assert (teacher.spec.family, teacher.spec.size, teacher.spec.weights.source) == ("run", "first", "run:first")


def test_its_cache_is_checked_with_the_run_and_with_no_other(tmp_path):
    from kdcache.cache import Cache
    from kdcache.errors import Mismatch
    from kdcache.teachers.reopen import reopen_teacher

    run = make_run(tmp_path / "first")
    path = build_cache(tmp_path / "c", teacher=f"run:{run.path}", data="shapes:count=4,size=32", batch=4)
    cache = Cache.open(path)
    again = reopen_teacher(cache.teacher, device="cpu", weights=str(run.path))
    assert again.spec == cache.teacher
    assert np.isfinite(cache[cache.ids[0]]["logits"]).all()
    assert reopen_teacher(cache.teacher, device="cpu").spec == cache.teacher, "it lies where it lay"
    other = make_run(tmp_path / "other", seed=1)
    with pytest.raises(Mismatch, match="weights sha256"):
        reopen_teacher(cache.teacher, device="cpu", weights=str(other.path))


def test_a_run_is_taken_as_it_is(tmp_path):
    from kdcache.teachers.registry import usual_signals

    run = make_run(tmp_path / "first")
    assert usual_signals(f"run:{run.path}") == ("logits",)
    with pytest.raises(UsageError, match="has its own weights"):
        open_teacher(f"run:{run.path}", weights="random")
    with pytest.raises(UsageError, match="was trained at 64x64 and takes no other size"):
        open_teacher(f"run:{run.path}", input_size=96)
    with pytest.raises(UsageError, match="no run in"):
        open_teacher(f"run:{tmp_path / 'nothing'}")


def test_the_settings_of_a_run_are_those_that_caches_of_older_runs_have_in_their_plans():
    """Digests of the first release: a field that came later counts only where it is not at its default."""
    from students.families.registry import student_spec
    from students.runs.find_teacher import settings

    now = student_spec("tinyvit-5m", classes=("circle", "square"), size=64)
    named = now.model_copy(update={"geometry": now.geometry.model_copy(update={"cut": "once"})})
    assert settings(now) != settings(named), "what is seen of an image counts"
    assert settings(named) == "d320c4e47f7efc69c17cad4be0a1df53"
    assert settings(student_spec("data2vec-nano", classes=())) == "3963ec1e58e6aede5e87e22f21ca40cb"
    assert settings(named.model_copy(update={"windows": (7, 7, 14, 7)})) != settings(named)


def test_a_run_is_opened_by_its_name_in_the_runs_folder_unless_a_path_is_there(tmp_path, monkeypatch):
    from students.runs.run import Run

    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "kd" / "runs" / "first")
    assert str(Run.open("first").path) == "kd/runs/first"
    (tmp_path / "first").mkdir()
    with pytest.raises(UsageError, match="no run in first"):
        Run.open("first")
