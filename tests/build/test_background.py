"""A cache says what lay under transparent pixels when its teacher saw them; caches from before there was a choice say white."""

import json

import pytest

from kdcache.base.progress import Silent
from kdcache.build.resume import prepare_again
from kdcache.build.run import build
from kdcache.check.sampling import VerifyOptions, sample, views_that_drift
from kdcache.errors import Mismatch, UsageError
from kdcache.images import open_source
from kdcache.store import Store
from kdcache.store.self_checked import seal, unseal
from tests.build.conftest import options, prepared
from tests.images.odd import odd_images
from tests.images.test_background import TRANSPARENT

BACKGROUNDS = ("white", "black", "20,90,200", "drop")
pytestmark = pytest.mark.usefixtures("listener")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd") / "images"
    folder.mkdir()
    for name, raw in odd_images().items():
        (folder / name).write_bytes(raw)
    return folder


def built(odd, out, **asked):
    build(prepared(odd, out, **asked), progress=Silent())
    return Store.open(out)


def digests(store) -> dict[str, int]:
    """Of the view the teacher saw of each image."""
    ids = store.index.ids
    found = {}
    for part in store.built():
        values = store.map_part(part)["view_digest"].whole()
        found |= {ids[row]: int(value) for row, value in zip(store.plan.rows_of(part), values, strict=True)}
    return found


def test_the_plan_says_it_and_only_transparent_images_look_different(odd, tmp_path):
    seen = {}
    for background in BACKGROUNDS:
        store = built(odd, tmp_path / background.replace(",", "-"), background=background)
        assert json.loads((store.path / "plan.json").read_bytes())["views"]["recipe"]["background"] == background
        assert not list(
            views_that_drift(
                store, open_source(str(odd)), sample(store, store.built(), 24, 0), VerifyOptions(), Silent()
            )
        )
        seen[background] = digests(store)
    for other in BACKGROUNDS[1:]:
        assert {name for name, digest in seen["white"].items() if seen[other][name] != digest} == TRANSPARENT
    assert len({Store.open(tmp_path / b.replace(",", "-")).plan.identity for b in BACKGROUNDS}) == len(BACKGROUNDS)


def test_left_out_it_is_white_and_written_down(odd, tmp_path):
    plan = prepared(odd, tmp_path / "c").plan
    assert plan.plain()["views"]["recipe"]["background"] == "white"
    assert plan.identity == prepared(odd, tmp_path / "c", background="255,255,255").plan.identity
    assert prepared(odd, tmp_path / "c", views=2).plan.views.recipe.background == "white"


@pytest.mark.parametrize("views", [1, 2])
def test_a_cache_from_before_there_was_a_choice_is_the_same_cache(odd, tmp_path, views):
    store = built(odd, tmp_path / "c", views=views)
    identity, file = store.plan.identity, store.path / "plan.json"
    plain = unseal(file.read_bytes(), file, hint="")
    del plain["views"]["recipe"]["background"], plain["teacher"]["preprocess"]["geometry"]["background"]
    file.write_bytes(seal(plain))
    old = Store.open(store.path)
    assert old.plan.identity == identity
    old.drop_part(old.plan.parts()[0])
    result = build(prepare_again(store.path, options(odd)), progress=Silent())
    assert (result.parts_built, result.complete) == (1, True)
    assert not list(
        views_that_drift(old, open_source(str(odd)), sample(old, old.built(), 24, 0), VerifyOptions(), Silent())
    )


def test_a_build_goes_on_as_it_was_planned(odd, tmp_path):
    whole = built(odd, tmp_path / "whole", background="drop")
    store = built(odd, tmp_path / "c", background="drop")
    store.drop_part(store.plan.parts()[1])
    build(prepare_again(store.path, options(odd)), progress=Silent())
    assert digests(Store.open(store.path)) == digests(whole)


def test_another_background_is_another_cache(odd, tmp_path):
    built(odd, tmp_path / "c", background="black")
    with pytest.raises(Mismatch, match="--background: black there, white here"):
        prepared(odd, tmp_path / "c")


def test_random_views_have_it_too_and_the_option_wins_over_the_recipe(odd, tmp_path):
    asked = {"recipe": "augment", "views": 2}
    by_setting = prepared(odd, tmp_path / "a", overrides=("background=black",), **asked).plan
    assert by_setting.views.recipe.background == "black"
    by_option = prepared(odd, tmp_path / "a", overrides=("background=drop",), background="black", **asked).plan
    assert by_option.identity == by_setting.identity


def test_what_is_no_background_is_refused_before_anything_is_opened(tmp_path):
    for asked in ({"background": "purple"}, {"background": "purple", "recipe": "augment"}):
        with pytest.raises(UsageError, match="unknown background 'purple'"):
            prepared(tmp_path / "nowhere", tmp_path / "c", **asked)
    with pytest.raises(UsageError, match="background: 'purple' should be white, black, drop"):
        prepared(tmp_path / "nowhere", tmp_path / "c", recipe="augment", overrides=("background=purple",))
    with pytest.raises(UsageError, match="no settings") as caught:
        prepared(tmp_path / "nowhere", tmp_path / "c", overrides=("background=black",))
    assert "--background" in str(caught.value.hint)
