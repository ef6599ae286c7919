"""The worked examples in docstrings are true."""

import doctest
import importlib

import pytest

MODULES = ["codecs.topk", "codecs.distribution", "signals.padded", "store.reading.arena", "stream.order"]


@pytest.mark.parametrize("module", [f"kdcache.{module}" for module in MODULES])
def test_the_examples_of_a_module_are_true(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 1
    assert not found.failed
