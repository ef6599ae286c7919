"""Names: what users write becomes a codec that suits the signal, or one clear line."""

import pytest

from kdcache.codecs import codec_classes, codec_list, make_codec
from kdcache.errors import UsageError
from kdcache.signals.signal import Signal

LOGITS = Signal(name="logits", shape=(1000,))
FEATURES = Signal(name="features", shape=(16, 32), grid=(4, 4))
EMBEDDING = Signal(name="embedding", shape=(32,))
WORDS = Signal(name="words", shape=(32,), kind="codes", vocabulary=1000)


@pytest.mark.parametrize(
    ("text", "signal", "name", "row_bytes"),
    [
        ("topk:100", LOGITS, "topk:100", 406),
        ("topk:1", LOGITS, "topk:1", 10),
        ("topk:10", Signal(name="logits", shape=(70_000,)), "topk:10", 66),
        ("full", LOGITS, "full", 4_000),
        ("exact", LOGITS, "full", 4_000),
        ("float32", LOGITS, "full", 4_000),
        ("full:float16", LOGITS, "full:float16", 2_000),
        ("float16", LOGITS, "full:float16", 2_000),
        ("tinyvit:100", LOGITS, "tinyvit:100", 404),
        ("exact", FEATURES, "float32", 2_048),
        ("float16", FEATURES, "float16", 1_024),
        ("bfloat16", EMBEDDING, "bfloat16", 64),
        ("int8", FEATURES, "int8", 512),
    ],
)
def test_a_name_makes_its_codec_and_the_codecs_name_makes_it_again(text, signal, name, row_bytes):
    codec = make_codec(text, signal)
    assert codec.name == name
    assert codec.signal == signal
    assert codec.fields()[0].name == signal.name
    assert sum(f.row_bytes for f in codec.fields() if not f.per_part) == row_bytes
    assert make_codec(codec.name, signal).fields() == codec.fields()


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("topk:5", FEATURES),
        ("topk:5", EMBEDDING),
        ("full", EMBEDDING),
        ("full:float16", FEATURES),
        ("tinyvit:5", FEATURES),
        ("int8", LOGITS),
        ("bfloat16", LOGITS),
        ("topk:1001", LOGITS),
        ("tinyvit:5", Signal(name="logits", shape=(40_000,))),
    ],
)
def test_a_codec_that_does_not_suit_names_both_and_a_way_out(text, signal):
    with pytest.raises(UsageError) as caught:
        make_codec(text, signal)
    assert text in caught.value.message
    assert signal.name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["topk", "topk:", "topk:0", "topk:-3", "topk:ten", "topk:1.5", "topk:²", "tinyvit"])
def test_a_missing_or_odd_number_is_told(text):
    with pytest.raises(UsageError, match="needs a number") as caught:
        make_codec(text, LOGITS)
    assert ":100" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "near"), [("flaot16", "float16"), ("top:5", "topk"), ("int", "int8"), ("Full", "full")]
)
def test_an_unknown_name_gets_the_nearest(text, near):
    with pytest.raises(UsageError, match="unknown codec") as caught:
        make_codec(text, LOGITS)
    assert near in str(caught.value.hint)


def test_every_listed_name_works():
    for each in codec_classes():
        signal = next(signal for signal in (LOGITS, FEATURES, WORDS) if each.usable_for(signal) is None)
        made = make_codec(each.form.replace("K", "5"), signal)
        assert isinstance(made, each)
        assert codec_list()[each.form] == each.help
