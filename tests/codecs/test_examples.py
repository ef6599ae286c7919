"""The worked examples in docstrings are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["kdcache.codecs.topk", "kdcache.codecs.distribution", "kdcache.signals.padded"])
def test_the_examples_of_a_module_are_true(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 1
    assert not found.failed
