"""Presets and settings: strict, every mistake at once, and the place every value came from."""

import shutil

import pytest
import yaml

from kdcache.config.plain_yaml import parse_yaml
from kdcache.config.presets import (
    config_path,
    config_root,
    flatten,
    load_config,
    load_preset,
    preset_kinds,
    preset_names,
)
from kdcache.errors import UsageError
from kdcache.teachers.loading.sizes import FamilyFacts
from kdcache.views.recipe import Augment
from students.families.registry import preset_model
from students.recipe import Recipe
from students.tasks.few_shot.numbers import FewShot

MODELS = {"views": Augment, "teachers": FamilyFacts, "students": preset_model, "recipes": Recipe, "tasks": FewShot}
BAD = """
kind: augment
crp: {}
crop:
  scale: [0.1, x]
  interpolation: bicubik
  sacle: 1
flip: 1.5
"""


def refusal(name, overrides=(), environ=None):
    with pytest.raises(UsageError) as caught:
        load_config("views", str(name), Augment, overrides, environ or {})
    return str(caught.value)


@pytest.mark.parametrize("name", [f"{kind}/{name}" for kind in preset_kinds() for name in preset_names(kind)])
def test_every_preset_is_valid_and_says_where_its_numbers_are_from(name):
    kind, _, rest = name.partition("/")
    load_config(kind, rest, MODELS[kind], (), {})
    assert config_path(kind, rest).read_text("utf-8").startswith("# ")


def test_all_mistakes_are_told_at_once_each_with_its_place(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    mistakes = refusal(path, ["mix.swich=0.1"], {"KD_VIEWS__ERASE": "3"})
    lines = {line.split(":")[0].strip(): line for line in mistakes.splitlines()[1:]}
    assert lines["crp"] == f"  crp: unknown key; did you mean crop? (file {path})"
    assert "did you mean scale?" in lines["crop.sacle"]
    assert "'x' should be a valid number" in lines["crop.scale.1"]
    assert "'nearest', 'bilinear', 'bicubic' or 'lanczos'" in lines["crop.interpolation"]
    assert lines["crop.ratio"].endswith(f"missing (file {path})")
    assert "1.5 should be less than or equal to 1" in lines["flip"]
    assert lines["mix.swich"].endswith("did you mean switch? (--set mix.swich)")
    assert lines["erase"].endswith("(KD_VIEWS__ERASE)")
    assert mistakes.splitlines()[0] == f"{len(mistakes.splitlines()) - 1} mistakes in the view recipe {path}"


def test_a_group_that_contradicts_itself_is_told_in_a_sentence_with_what_was_set():
    with pytest.raises(UsageError) as refused:
        load_config("recipes", "own", Recipe, ["objective.soft=0"])
    assert "  objective: soft and hard are both 0: nothing would be learnt (--set objective.soft)" in str(refused.value)
    assert refused.value.hint == "kd config show recipes/own prints every key"


def test_a_missing_preset_suggests_the_nearest():
    assert refusal("augmnt") == "no view recipe is called augmnt; did you mean augment?"
    assert "no such configuration file: nowhere.yaml" in refusal("nowhere.yaml")


def test_a_preset_is_a_name_and_never_a_way_out_of_its_folder():
    assert "no such configuration file" in refusal("../teachers/florence")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("flip=0.25", "flip", 0.25),
        ("flip=1", "flip", 1.0),
        ("crop.scale=[0.5, 1.0]", "crop.scale", [0.5, 1.0]),
        ("crop.interpolation=nearest", "crop.interpolation", "nearest"),
        ("randaugment.increasing=false", "randaugment.increasing", False),
        ("erase=null", "erase", None),
        ("flip=1e-3", "flip", 0.001),
        ("jitter.hue=0.1", "jitter.hue", 0.1),
    ],
)
def test_settings_have_the_types_of_yaml(text, key, value):
    loaded = load_config("views", "augment", Augment, [text], {})
    assert flatten(loaded.value.plain())[key] == value
    assert loaded.origins[key] == f"--set {key}"


@pytest.mark.parametrize("text", ["flip", "=1", "crop..scale=1", ".flip=1", ""])
def test_a_malformed_setting_is_named(text):
    assert f"{text!r}: not of the form key=value" in refusal("augment", [text])


def test_a_setting_below_a_plain_value_is_refused():
    assert "flip.x: flip is 0.5, which has no keys in it; --set flip=… sets it" in refusal("augment", ["flip.x=1"])


@pytest.mark.parametrize("text", ["flip=yes", "flip='0.5'", "randaugment.layers=2.5", "randaugment.increasing=1"])
def test_no_value_is_converted_silently(text):
    assert f"(--set {text.partition('=')[0]})" in refusal("augment", [text])


def test_later_places_win_and_every_value_knows_its_own(tmp_path):
    path = tmp_path / "mine.yaml"
    shutil.copy(config_path("views", "augment"), path)
    environ = {"KD_VIEWS__FLIP": "0.1", "KD_VIEWS__CROP__RATIO": "[1.0, 1.0]", "KD_OTHER__FLIP": "0.9"}
    loaded = load_config("views", str(path), Augment, ["flip=0.2", "jitter={hue: 0.3}"], environ)
    assert loaded.value.flip == 0.2
    assert loaded.value.crop.ratio == (1.0, 1.0)
    origins = loaded.origins
    assert origins["flip"] == "--set flip"
    assert origins["crop.ratio"] == "KD_VIEWS__CROP__RATIO"
    assert origins["crop.scale"] == f"file {path}"
    assert origins["jitter.hue"] == "--set jitter"
    assert load_config("views", "augment", Augment, ["jitter.hue=0.3"], {}).origins["jitter.contrast"] == "default"
    assert load_config("views", "augment", Augment, (), {}).origins["flip"] == "preset views/augment"


def test_the_last_of_two_settings_wins():
    assert load_preset("views", "augment", Augment, ["flip=0.1", "flip=0.2"]).flip == 0.2


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("flip: 0.1\nflip: 0.2", "key 'flip' is there twice"),
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a: !!binary aGk=", "could not determine a constructor"),
        ("a: [1", "while parsing"),
        ("[1, 2]: 3", "a key must be plain text"),
        ("a: &a [*a]", "aliases"),
        ("- 1", "holds list"),
        ("", "holds NoneType"),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused(tmp_path, text, values):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    message = refusal(path)
    assert values in message
    assert str(path) in message


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00flip")
    assert f"cannot read {path}" in refusal(path)


def test_yaml_is_read_as_a_person_reads_it():
    plain = parse_yaml("a: no\nb: 010\nc: 1:30\nd: 1e-3\ne: 2020-01-01\nf: on\ng: true\nh: -7\ni: ~\nj: .5\nk: 0x1f")
    assert plain == {
        "a": "no", "b": "010", "c": "1:30", "d": 0.001, "e": "2020-01-01", "f": "on", "g": True, "h": -7, "i": None,
        "j": 0.5, "k": "0x1f",
    }  # fmt: skip


def test_aliases_work_until_they_multiply():
    assert parse_yaml("a: &x {n: 1}\nb: {<<: *x, m: 2}") == {"a": {"n": 1}, "b": {"n": 1, "m": 2}}
    bomb = "a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8))
    with pytest.raises(yaml.YAMLError, match=r"aliases .* more than 10,000 values"):
        parse_yaml(bomb)


def test_the_presets_of_a_checkout_are_the_ones_in_configs():
    assert config_root().name == "configs"
    assert {"views", "teachers"} <= set(preset_kinds())
