"""Settings of strangers: a preset, a value of --set or of the environment that is no setting is one more mistake, not a bug."""

import time

import pytest

from kdcache.config.plain_yaml import MOST_BYTES
from kdcache.config.presets import load_config
from kdcache.errors import UsageError
from kdcache.views.recipe import Augment

HOSTILE = {
    "deep in brackets": "[" * 1000 + "]" * 1000,
    "deep and unclosed": "{" * 100_000,
    "deep in lines": "- " * 1000 + "a",
    "an integer of 5,000 digits": "9" * 5000,
    "an integer beyond 64 bits": str(1 << 64),
    "an infinite number": "1e999",
    "half a character": r'"\ud800"',
    "no number, called one": "!!int x",
    "no number at all": "!!int ''",
    "no switch, called one": "!!bool perhaps",
    "no float, called one": "!!float .",
    "a program": "!!python/object/apply:os.system [true]",
    "a control character": "a\x07",
}


def refused(name, overrides=(), environ=None):
    started = time.monotonic()
    with pytest.raises(UsageError) as caught:
        load_config("views", str(name), Augment, overrides, environ or {})
    assert time.monotonic() - started < 5
    return caught.value


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_value_is_one_mistake_wherever_it_comes_from(text, tmp_path):
    for found in (
        refused("augment", [f"flip={text}"]),
        refused("augment", environ={"KD_VIEWS__FLIP": text}),
    ):
        (mistake,) = found.details["mistakes"]
        assert mistake.startswith("flip: ")
        assert len(mistake) < 300
    (tmp_path / "mine.yaml").write_text(f"flip: {text}\n" if not text.startswith("- ") else text)
    assert str(tmp_path / "mine.yaml") in refused(tmp_path / "mine.yaml").message


def test_a_key_of_a_thousand_groups_is_one_mistake():
    (mistake,) = refused("augment", [f"{'.'.join('a' * 1000)}=1"]).details["mistakes"]
    assert "groups inside one another" in mistake
    (mistake,) = refused("augment", environ={f"KD_VIEWS__{'__'.join('A' * 1000)}": "1"}).details["mistakes"]
    assert "groups inside one another" in mistake


def test_a_preset_that_is_too_long_is_refused_before_it_is_parsed(tmp_path):
    (tmp_path / "mine.yaml").write_text("a: 1\n" * MOST_BYTES)
    assert "at most" in refused(tmp_path / "mine.yaml").message


@pytest.mark.parametrize("text", ["a: [" + "1," * 120_000 + "1]", "a:\n" + "- \n" * 80_000, "a: {" + "b,\n" * 80_000])
def test_a_preset_of_many_values_is_refused_for_that_and_soon(text, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    message = refused(tmp_path / "mine.yaml").message
    assert "more than 10,000 values" in message
    assert "alias" not in message
    assert len(message) < 500
    (mistake,) = refused("augment", [f"flip=[{'1,' * 50_000}1]"]).details["mistakes"]
    assert "more than 10,000 values" in mistake
