"""CIFAR-10 and CIFAR-100 in the formats of their publisher.

Input: the folder `cifar-10-batches-py` (pickles) or `cifar-10-batches-bin` (binary), a folder that holds one, or the `.tar.gz` of
either; `cifar-100-python`, `cifar-100-binary` likewise. Output: a source with ids `train/00000` … `test/09999`, in the
publisher's order, with fine labels for CIFAR-100. The whole split is read when first needed and then kept: 150 MB a process
for `train`.
"""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from kdcache.errors import BadImage, Damage, Unavailable, UsageError
from kdcache.images.listing import Lister
from kdcache.images.paths import existing, short_name
from kdcache.images.source import Listing
from kdcache.images.unpickle import read_pickle

PIXELS = 3 * 32 * 32
_FETCH = "fetch it again from its publisher"


@dataclass(frozen=True)
class Edition:
    """The files of CIFAR-10 or CIFAR-100 in one of the published formats."""

    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    label: str = ""
    """Key of the labels in the pickle files."""
    name_key: str = ""
    label_bytes: int = 1
    """Number of bytes before the pixels of a binary record; the last of them is the label."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of all files."""
        return (*self.train, self.test, self.names)


_TEN = tuple(f"data_batch_{n}" for n in range(1, 6))
EDITIONS = {
    "cifar10": (
        Edition("cifar-10-batches-py", _TEN, "test_batch", "batches.meta", "labels", "label_names"),
        Edition("cifar-10-batches-bin", tuple(f"{n}.bin" for n in _TEN), "test_batch.bin", "batches.meta.txt"),
    ),
    "cifar100": (
        Edition("cifar-100-python", ("train",), "test", "meta", "fine_labels", "fine_label_names"),
        Edition("cifar-100-binary", ("train.bin",), "test.bin", "fine_label_names.txt", label_bytes=2),
    ),
}


def find_edition(kind: str, path: str) -> tuple[str, Edition] | None:
    """Find an edition in a folder, in its subfolder or in an archive; returns its location and the edition."""
    if os.path.isfile(path):
        inside = _archived(path)
        return next(((path, e) for e in EDITIONS[kind] if f"{e.folder}/{e.names}" in inside), None)
    for edition in EDITIONS[kind]:
        for place in (path, os.path.join(path, edition.folder)):
            if all(os.path.isfile(os.path.join(place, name)) for name in (edition.names, edition.test)):
                return place, edition
    return None


def recognised(kind: str, path: str) -> dict[str, Any] | None:
    """The options to read a folder or a published archive with; None if it is not of this kind."""
    if os.path.isfile(path) and not path.endswith((".tar.gz", ".tgz")):
        return None
    return {"path": path} if find_edition(kind, path) else None


def _archived(path: str) -> list[str]:
    """Names in an archive, without the leading `./` that some packers write."""
    try:
        with tarfile.open(path) as archive:
            return [name.removeprefix("./") for name in archive.getnames()]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Damage(f"{path} cannot be read: {error}", hint=_FETCH) from error


class CifarSource:
    """One split of CIFAR-10 or CIFAR-100."""

    def __init__(self, kind: str, path: str, split: str = "train") -> None:
        if split not in ("train", "test"):
            raise UsageError(f"{kind} has no split {split!r}", hint="it has train and test")
        self._kind, self._path, self._split = kind, existing(path, "folder or archive"), split
        found = find_edition(kind, self._path)
        if found is None:
            wanted = " or ".join(edition.folder for edition in EDITIONS[kind])
            raise UsageError(
                f"no {kind} in {self._path}", hint=f"give the folder {wanted}, or the .tar.gz as published"
            )
        self._place, self._edition = found
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def name(self) -> str:
        """`cifar10-train` and so on."""
        return short_name(f"{self._kind}-{self._split}")

    def spec(self) -> dict[str, Any]:
        """The plain values from which `open_source` makes this source again."""
        return {"kind": self._kind, "path": self._path, "split": self._split}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pixels": None}

    def scan(self) -> Listing:
        """Read the whole split. It is small, so the fingerprint can cover the pixels themselves."""
        edition = self._edition
        files = self._files((*self._split_files(), edition.names))
        pixels, labels = self._parse(files)
        self._pixels = pixels
        classes = _names(files[edition.names], edition, self._place)
        lister = Lister()
        for row, label in enumerate(labels.tolist()):
            if not 0 <= label < len(classes):
                raise Damage(f"row {row} of {self._place} has class {label} of {len(classes)}", hint=_FETCH)
            lister.add(f"{self._split}/{row:05d}", PIXELS, label)
        listing = lister.finish(labelled=True, classes=classes)
        fingerprint = xxhash.xxh3_128_hexdigest(listing.fingerprint.encode() + pixels.tobytes())
        return replace(listing, fingerprint=fingerprint, order_doubt=None)

    def _split_files(self) -> tuple[str, ...]:
        return self._edition.train if self._split == "train" else (self._edition.test,)

    def read(self, image_id: str) -> bytes | NDArray[np.uint8]:
        """The pixels of one image."""
        if self._pixels is None:
            self._pixels, _ = self._parse(self._files(self._split_files()))
        split, _, digits = image_id.partition("/")
        row = int(digits) if len(digits) == 5 and digits.isascii() and digits.isdigit() else len(self._pixels)
        if split != self._split or row >= len(self._pixels):
            raise BadImage(f"no image {image_id!r} in {self.name}")
        return np.ascontiguousarray(self._pixels[row].reshape(3, 32, 32).transpose(1, 2, 0))

    def _files(self, names: tuple[str, ...]) -> dict[str, bytes]:
        try:
            if os.path.isdir(self._place):
                return {name: _bytes_of(os.path.join(self._place, name)) for name in names}
            return _unpacked(self._place, self._edition.folder, names)
        except (FileNotFoundError, KeyError) as error:
            raise Unavailable(f"{self._place} is not whole: {error}", hint=_FETCH) from error
        except (tarfile.TarError, EOFError, OSError) as error:
            raise Damage(f"{self._place} cannot be read: {error}", hint=_FETCH) from error

    def _parse(self, files: dict[str, bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        parsed = [_rows(files[name], self._edition, f"{self._place}/{name}") for name in self._split_files()]
        return np.concatenate([pixels for pixels, _ in parsed]), np.concatenate([labels for _, labels in parsed])


def _bytes_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _unpacked(path: str, folder: str, names: tuple[str, ...]) -> dict[str, bytes]:
    wanted = {f"{folder}/{name}": name for name in names}
    found: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = wanted.get(member.name.removeprefix("./"))
            stream = archive.extractfile(member) if name else None
            if name and stream:
                found[name] = stream.read()
    if missing := sorted(set(names) - set(found)):
        raise KeyError(f"no {', '.join(missing)} in it")
    return found


def _rows(raw: bytes, edition: Edition, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if edition.label:
        record = read_pickle(raw, where)
        pixels, labels = record.get("data"), record.get(edition.label)
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or not _numbers(labels):
            raise Damage(f"{where} is not a CIFAR file: no data or {edition.label} in it", hint=_FETCH)
        numbers = np.array(labels, np.int64)
    else:
        width = edition.label_bytes + PIXELS
        if not raw or len(raw) % width:
            raise Damage(f"{where} is truncated: {len(raw)} bytes are no multiple of {width}", hint=_FETCH)
        table = np.frombuffer(raw, np.uint8).reshape(-1, width)
        pixels, numbers = table[:, edition.label_bytes :], table[:, edition.label_bytes - 1].astype(np.int64)
    if pixels.shape != (len(numbers), PIXELS):
        raise Damage(f"{where} has {len(numbers)} labels for pixels of shape {pixels.shape}", hint=_FETCH)
    return pixels, numbers


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(n, int) and abs(n) < 1 << 31 for n in value)


def _names(raw: bytes, edition: Edition, where: str) -> tuple[str, ...]:
    if not edition.label:
        return tuple(line.strip() for line in raw.decode("utf-8", "replace").splitlines() if line.strip())
    names = read_pickle(raw, f"{where}/{edition.names}").get(edition.name_key)
    if not isinstance(names, list):
        raise Damage(f"{where}/{edition.names} has no {edition.name_key}", hint=_FETCH)
    return tuple(n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names)
