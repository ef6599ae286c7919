"""Records that contain their own digest: plan.json and the receipts.

The first key of such a file is `digest`: the xxh3-128 of the whole file in which these 32 hex digits are replaced by zeros. It
covers every byte, needs no canonical form of JSON, and any language can check it with one replacement and one hash.
"""

import json
from typing import Any

import xxhash

from kdcache.base.plain_json import NotPlain, parse_json
from kdcache.errors import Damage

_ZEROS = "0" * 32


def seal(record: dict[str, Any], *, indent: int | None = None) -> bytes:
    """The bytes of a record's file, digest first. Without `indent`, there is one line per top-level key."""
    whole = {"digest": _ZEROS} | record
    if indent is None:
        lines = (f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in whole.items())
        text = "{\n" + ",\n".join(lines) + "\n}\n"
    else:
        text = json.dumps(whole, indent=indent) + "\n"
    return text.replace(_ZEROS, xxhash.xxh3_128_hexdigest(text.encode()), 1).encode()


def unseal(raw: bytes, path: object, *, hint: str) -> dict[str, Any]:
    """Read the record of a sealed file; Damage, naming the file (`path`), if a single byte has changed."""
    try:
        record = parse_json(raw)
        digest = record.pop("digest")
        expected = xxhash.xxh3_128_hexdigest(raw.replace(digest.encode(), _ZEROS.encode(), 1))
    except NotPlain as reason:
        raise Damage(f"{path} is damaged: {reason}", hint=hint, path=str(path)) from reason
    except (KeyError, AttributeError, TypeError) as error:
        raise Damage(f"{path} is damaged: it is not a sealed JSON record", hint=hint, path=str(path)) from error
    if digest != expected:
        message = f"{path} is damaged: its digest is {digest}, but its content has {expected}"
        raise Damage(message, hint=hint, path=str(path))
    assert isinstance(record, dict)
    return record
