"""What `kd config show` prints is a file that means the same, with the comments of the one it was made from."""

import pytest

from kdcache.config.presets import config_origin, config_path, load_config, preset_kinds, preset_names
from kdcache.config.text import yaml_text
from tests.test_config import MODELS

ODD = """
batch: 8
epochs: 2
drop_path: {"true": 0.1, "7": 0.2, "a b": 0.3}
optimiser: {rate: 0.1, decay: 0}
"""
PRESETS = [f"{kind}/{name}" for kind in preset_kinds() for name in preset_names(kind)]


def shown(kind, name, overrides=()):
    loaded = load_config(kind, name, MODELS[kind], overrides, {})
    text = config_path(kind, name).read_text("utf-8")
    return loaded, yaml_text(loaded.value.plain(), loaded.origins, text, config_origin(kind, name))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_comes_back_as_it_was_with_its_comments(preset, tmp_path):
    kind, _, name = preset.partition("/")
    loaded, text = shown(kind, name)
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    assert load_config(kind, str(mine), MODELS[kind], (), {}).value == loaded.value
    original = config_path(kind, name).read_text("utf-8").splitlines()
    comments = [line.partition("# ")[2].strip() for line in original if "# " in line]
    assert [comment for comment in comments if comment not in text] == []


def test_what_was_changed_says_so_and_loads_changed(tmp_path):
    loaded, text = shown("views", "augment", ["crop.scale=[0.3,1.0]", "erase=null"])
    assert "  scale: [0.3, 1.0]                  # --set crop.scale" in text.splitlines()
    assert "RandomErasing" not in text, "a comment goes with what it is about"
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    assert load_config("views", str(mine), MODELS["views"], (), {}).value == loaded.value


def test_a_file_that_was_printed_is_printed_again_with_its_comments(tmp_path):
    _, text = shown("recipes", "own")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    _, again = shown("recipes", str(mine))
    assert "# For images of your own; some thousands to some hundred thousand of them" in again
    assert "smoothing: 0.0       # default" in again


def test_keys_that_yaml_would_read_otherwise_are_quoted(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(ODD)
    loaded, text = shown("recipes", str(path))
    assert loaded.value.drop_path == {"true": 0.1, "7": 0.2, "a b": 0.3}
    path.write_text(text)
    assert load_config("recipes", str(path), MODELS["recipes"], (), {}).value == loaded.value
