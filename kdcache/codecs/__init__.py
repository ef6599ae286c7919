"""Codecs: how a signal becomes fixed-width rows of bytes, and comes back.

`make_codec` turns what users write (`topk:100`, `full`, `float16` …) into a codec for one signal. A codec is one file of this
folder, or a class of another package (`kd.codecs`); nothing else has a list of them.
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
