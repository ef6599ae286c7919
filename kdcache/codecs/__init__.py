"""Codecs: how a signal becomes fixed-width rows of bytes, and comes back.

`make_codec` turns what users write (`topk:100`, `full`, `float16` …) into a codec for one signal.
"""

from collections.abc import Callable
from difflib import get_close_matches

from kdcache.base.figures import whole
from kdcache.codecs.codec import Codec
from kdcache.codecs.dense import Dense
from kdcache.codecs.full import Full
from kdcache.codecs.int8 import Int8
from kdcache.codecs.tinyvit import TinyVitCodec
from kdcache.codecs.topk import TopKCodec
from kdcache.errors import UsageError
from kdcache.signals.signal import Signal

__all__ = ["CODECS", "codec_names", "make_codec"]

CODECS = {
    "topk:K": "logits: the K likeliest classes, 16-bit log-probabilities and tails; 4 K + 6 bytes a row",
    "full": "logits: all of them as float32",
    "full:float16": "logits: all of them as float16",
    "float32": "every number at full width, also called exact",
    "float16": "every number at half width, ends at 65504",
    "bfloat16": "every number at half width, full range, 3 digits",
    "int8": "a byte a number, one scale a channel and part",
    "tinyvit:K": "logits: records of an imported TinyViT folder, as they are",
}
LOGITS = "logits"
LOGITS_ONLY: dict[str, Callable[[Signal, int], Codec]] = {"topk": TopKCodec, "tinyvit": TinyVitCodec}
WIDTHS = {"full": "float32", "full:float16": "float16", "exact": "float32", "float32": "float32", "float16": "float16"}
LOGITS_HINT = "choose topk:K, full or full:float16 for logits"


def make_codec(text: str, signal: Signal) -> Codec:
    """The codec a user names, for one signal."""
    kind, _, argument = text.partition(":")
    if kind in LOGITS_ONLY:
        return LOGITS_ONLY[kind](_logits(text, signal), _count(text, argument))
    if text in WIDTHS and (signal.name == LOGITS or kind == "full"):
        return Full(_logits(text, signal), WIDTHS[text])
    if text in ("bfloat16", "int8"):
        if signal.name == LOGITS:
            raise UsageError(f"{text} does not suit {signal.name}: too coarse for a softmax", hint=LOGITS_HINT)
        return Int8(signal) if text == "int8" else Dense(signal, text)
    if text in WIDTHS:
        return Dense(signal, WIDTHS[text])
    names = [*CODECS, "exact", "topk", "tinyvit"]
    near = get_close_matches(text, names, n=2) or get_close_matches(kind, names, n=2) or list(CODECS)
    raise UsageError(f"unknown codec {text!r} for {signal.name}", hint=f"did you mean {' or '.join(near)}?")


def codec_names(signal: Signal) -> tuple[str, ...]:
    """The names of the codecs that a build may use for a signal."""
    if signal.name == LOGITS:
        return ("topk:K", "full", "full:float16")
    return ("float32", "float16", "bfloat16", "int8")


def _logits(text: str, signal: Signal) -> Signal:
    if signal.name != LOGITS or len(signal.shape) != 1:
        raise UsageError(
            f"codec {text} is for logits, not for {signal.name}",
            hint=f"choose float16, bfloat16, int8 or float32 for {signal.name}",
        )
    return signal


def _count(text: str, argument: str) -> int:
    count = whole(argument)
    if not count:
        raise UsageError(f"codec {text!r} needs a number of classes", hint=f"for example {text.partition(':')[0]}:100")
    return count
