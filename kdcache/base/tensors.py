"""Read and write weight files, and load tensors into a network with none missing and none left over.

Only safetensors and `torch.load(weights_only=True)`: nothing here can run code from a file.
"""

import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcache.base.atomic import write_file
from kdcache.base.foreign import opened
from kdcache.base.plain_json import MOST_BYTES, NotPlain, parse_json
from kdcache.errors import Damage, KDError, Mismatch, UsageError

FETCH = "fetch the file again"
METADATA = "__metadata__"
_FLOAT_NAMES = ("F16", "BF16", "F32", "F64")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LFS_POINTER = b"version https://git-lfs"
SHOWN_NAMES = 6
# Buffers that a network computes from its shape, or never reads in eval mode; only some library versions save them.
DERIVED = ("position_ids", "relative_position_index", "attn_mask", "num_batches_tracked")


def read_tensors(path: Path) -> dict[str, Any]:
    """Everything in a weight file, in host memory. Torch files may contain nested plain values as well."""
    with opened(path, hint=FETCH, error=UsageError) as file:
        start = file.read(64)
    if start.startswith(LFS_POINTER):
        raise UsageError(f"{path} is a git-lfs pointer, not the weights", hint="run: git lfs pull")
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return _read_torch(path)
    if start[8:9] == b"{":
        return read_safetensors(path)[0]
    raise UsageError(f"{path} is not a weight file", hint="weights are safetensors or torch files")


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file."""
    header = read_header(path)
    stored_texts = header.get(METADATA, {})
    if not isinstance(stored_texts, dict) or not all(isinstance(value, str) for value in stored_texts.values()):
        raise Damage(f"{path} is damaged: its metadata is not a mapping of names to texts", hint=FETCH, path=str(path))
    return stored_texts


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file, an entry a tensor; only its JSON syntax is checked here."""
    with opened(path, hint=FETCH) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_BYTES:
            raise Damage(f"{path} is damaged: a header of {length:,} bytes", hint=FETCH, path=str(path))
        raw = file.read(length)
    try:
        header = parse_json(raw)
    except NotPlain as reason:
        raise Damage(f"{path} is damaged: in its header, {reason}", hint=FETCH, path=str(path)) from reason
    if not isinstance(header, dict):
        raise Damage(f"{path} is damaged: its header names no tensors", hint=FETCH, path=str(path))
    return header


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensors and the metadata of a safetensors file. Tensors are memory-mapped: one that is not used is not read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    metadata = read_metadata(path)
    try:
        return dict(load_file(path)), metadata
    except (
        SafetensorError,
        TypeError,
        ValueError,
        RuntimeError,
        AttributeError,
    ) as error:  # torch raises the last ones for impossible shapes
        raise Damage(f"{path} is damaged: {_line(error)}", hint=FETCH, path=str(path)) from error


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """A safetensors file that appears whole or not at all."""
    from safetensors.torch import save

    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_file(path, [save(plain, metadata)])


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        if zipfile.is_zipfile(path):
            _refuse_programs(path)
        with torch.serialization.safe_globals(_numbers()):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked_for = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it contains a {asked_for[1]}" if asked_for else str(error).split("\n", 1)[0]
        raise UsageError(f"{path} holds more than weights: {reason}", hint="convert it to safetensors") from error
    except KDError:
        raise
    except Exception as error:  # a damaged or crafted pickle can make its reader raise anything
        raise Damage(f"{path} is damaged: {_line(error)}", hint=FETCH) from error
    if not isinstance(loaded, Mapping):
        raise UsageError(f"{path} holds a {type(loaded).__name__}, not tensors by name")
    if any(_is_hollow(value) for value in _tensors_in(loaded)):
        raise Damage(f"{path} is damaged: a tensor has more numbers than the file holds for it", hint=FETCH)
    return dict(loaded)


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _tensors_in(loaded: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested plain values; a container that occurs several times is visited once."""
    waiting, seen = [loaded], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, Mapping) else value


def _is_hollow(value: torch.Tensor) -> bool:
    """Whether a tensor is larger than its storage (stride 0): a copy could turn a few bytes into terabytes."""
    strided = value.layout == torch.strided and not value.is_meta
    return strided and value.numel() * value.element_size() > value.untyped_storage().nbytes()


def _numbers() -> list[Any]:
    """The only globals allowed when unpickling: those that rebuild numpy numbers, which trainers leave in checkpoints."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("?", "i4", "i8", "f4", "f8")]
    return [np.dtype, *kinds, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _refuse_programs(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any("/code/" in entry.filename for entry in entries):
        hint = "save its state_dict() as safetensors"
        raise UsageError(f"{path} is a TorchScript program, not weights", hint=hint)
    inflated, nbytes = sum(entry.file_size for entry in entries), path.stat().st_size
    if inflated > nbytes:  # torch does not compress, so this is not a file of torch
        raise Damage(f"{path} is damaged: {nbytes:,} bytes that would become {inflated:,}", hint=FETCH)


def load_exact(network: nn.Module, tensors: Mapping[str, Any], *, source: str, what: str, hint: str) -> None:
    """Copy tensors into a network; names and shapes must match exactly, except for derived buffers. Mismatch if not."""
    have = network.state_dict()
    strange = sorted(name for name, value in tensors.items() if not _is_dense(value))
    if strange:
        raise Mismatch(f"{source} holds something else than dense tensors: {shortened(strange)}", hint=hint)
    tensors = {name: value for name, value in tensors.items() if name in have or not name.endswith(DERIVED)}
    missing = sorted(name for name in have.keys() - tensors.keys() if not name.endswith(DERIVED))
    unexpected = sorted(tensors.keys() - have.keys())
    shapes = [
        f"{name} {tuple(tensors[name].shape)} for {tuple(have[name].shape)}"
        for name in sorted(have.keys() & tensors.keys())
        if tensors[name].shape != have[name].shape
    ]
    types = [
        f"{name} {_type(tensors[name])} for {_type(have[name])}"
        for name in sorted(have.keys() & tensors.keys())
        if not name.endswith(DERIVED) and not _converts(tensors[name], have[name])
    ]
    parts = {"missing": missing, "unexpected": unexpected, "of another shape": shapes, "of another type": types}
    wrong = [f"{len(names)} {kind} ({shortened(names)})" for kind, names in parts.items() if names]
    if wrong:
        raise Mismatch(f"the tensors of {source} do not fit {what}: {'; '.join(wrong)}", hint=hint, **parts)
    network.load_state_dict(tensors, strict=False)
    refuse_broken(network, source=source)


def refuse_broken(network: nn.Module, *, source: str) -> None:
    """Raise Damage when weights contain NaN or infinity, because every signal would contain them too."""
    kept = {name: value for name, value in network.state_dict().items() if not name.endswith(DERIVED)}
    if broken := [name for name, value in kept.items() if not _is_finite(value)]:
        what = f"{source} has weights that are NaN or infinite: {shortened(broken)}"
        raise Damage(what, hint="use weights saved before they diverged, or fetch the file again")


def refuse_types(path: Path) -> None:
    """Mismatch when a weight file holds anything but floats (of any width), because some loaders convert silently."""
    if path.suffix != ".safetensors":
        refuse_integers(
            {n: value for n, value in read_tensors(path).items() if isinstance(value, torch.Tensor)}, str(path)
        )
        return
    header = {name: entry for name, entry in read_header(path).items() if name != METADATA and isinstance(entry, dict)}
    _refuse_strange({name: str(entry.get("dtype")) for name, entry in header.items()}, _FLOAT_NAMES, str(path))


def refuse_integers(tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Like `refuse_types`, for tensors that are loaded already."""
    names = {name: _type(value) for name, value in tensors.items()}
    _refuse_strange(names, tuple(str(kind).removeprefix("torch.") for kind in FLOATS), source)


def _refuse_strange(types: Mapping[str, str], known: tuple[str, ...], source: str) -> None:
    strange = [f"{n} ({kind})" for n, kind in types.items() if kind not in known and not n.endswith(DERIVED)]
    if strange:
        hint = "use the weights as they were trained: quantised weights are another network"
        raise Mismatch(f"{source} has weights that are not floating-point numbers: {shortened(strange)}", hint=hint)


def _type(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _converts(value: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether a type may be converted: floats of any width into each other, integers and booleans into each other."""
    if wanted.is_floating_point():
        return value.dtype in FLOATS
    return not value.is_floating_point() and not value.is_complex()


def _is_finite(value: torch.Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def _is_dense(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta


def shortened(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
