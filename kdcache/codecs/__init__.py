"""Codecs encode a signal as fixed-width rows of bytes, and decode it again.

`make_codec` turns a codec's name as users write it (`topk:100`, `full`, `float16` …) into a codec for one signal. A codec is one
file in this folder, or a class of another package (entry point `kd.codecs`); there is no other list of codecs.
"""

from kdcache.codecs.registry import (
    UnknownCodec,
    check_codec_name,
    codec_choices,
    codec_classes,
    codec_list,
    codec_names,
    default_codec,
    make_codec,
)

__all__ = [
    "UnknownCodec",
    "check_codec_name",
    "codec_choices",
    "codec_classes",
    "codec_list",
    "codec_names",
    "default_codec",
    "make_codec",
]
