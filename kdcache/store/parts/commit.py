"""Sealing a part: its files staged and flushed, then named, then the receipt, so that a kill at any moment leaves old or new."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from pydantic import JsonValue

from kdcache.base import beneath
from kdcache.base.atomic import StagedFile, flush_folder, make_folder, staged, storage_errors
from kdcache.errors import Damage
from kdcache.store.backends.backend import FileImage
from kdcache.store.blocks import Cut
from kdcache.store.parts.receipt import MEND, FieldSeal, FileSeal, Receipt, opened
from kdcache.store.parts.there import receipt_name
from kdcache.store.plan import FORMAT, PartId, Plan

PIECE = 4 << 20


def commit_part(
    cache: Path, images: Sequence[FileImage], receipt: Callable[[Sequence[StagedFile]], Receipt]
) -> Receipt:
    """Put the files of a part and its receipt on disk.

    Everything is on disk under temporary names before the first name changes: a full disk costs nothing that was there. An
    older receipt goes before its files do, so no receipt ever stands beside files it does not describe.
    """
    with ExitStack() as stack:
        files = [_stage(stack, cache, image) for image in images]
        made = receipt(files)
        target = cache / receipt_name(made.id)
        make_folder(target.parent, cache)
        paper = stack.enter_context(staged(target, cache))
        paper.write(made.sealed())
        paper.flush()
        remove(cache, receipt_name(made.id))
        for file in files:
            file.commit()
        for folder in {file.path.parent for file in files}:
            flush_folder(folder, cache)
        paper.commit()
        flush_folder(target.parent, cache)
    return made


def copy_files(source: Path, cache: Path, receipt: Receipt) -> Receipt:
    """Copy the files of a part into another cache; Damage, and nothing is there, when they are not what its receipt says."""

    def checked(files: Sequence[StagedFile]) -> Receipt:
        for seal, file in zip(receipt.files, files, strict=True):
            if file.digest != seal.digest:
                message = f"part {receipt.id}: {source / seal.path} is damaged, its digest is {file.digest}"
                raise Damage(message, hint=MEND, part=str(receipt.id), path=str(source / seal.path))
        return receipt

    images = [FileImage(seal.path, _pieces_of(source, receipt, seal), {}) for seal in receipt.files]
    return commit_part(cache, images, checked)


def _pieces_of(cache: Path, receipt: Receipt, seal: FileSeal) -> Iterator[bytes]:
    path = cache / seal.path
    with opened(str(receipt.id), cache, seal.path, seal.nbytes) as descriptor:
        for start in range(0, seal.nbytes, PIECE):
            with storage_errors(path, "read"):
                piece = os.pread(descriptor, min(PIECE, seal.nbytes - start), start)
            yield piece


def remove(cache: Path, name: str) -> None:
    """Take a file of a part away, durably."""
    with storage_errors(cache / name, "remove"):
        beneath.remove(cache, name)


def _stage(stack: ExitStack, cache: Path, image: FileImage) -> StagedFile:
    path = cache / image.path
    make_folder(path.parent, cache)
    file = stack.enter_context(staged(path, cache))
    for piece in image.pieces:
        file.write(piece)
    file.flush()
    return file


def receipt_of(
    plan: Plan,
    part: PartId,
    cuts: Sequence[Cut],
    images: Sequence[FileImage],
    files: Sequence[StagedFile],
    bad: dict[int, str],
    facts: dict[str, JsonValue],
) -> Receipt:
    """The receipt of a part whose files are written."""
    rows = plan.rows_of(part)
    home = {name: image for image in images for name in image.places}
    return Receipt(
        format=FORMAT,
        plan=plan.identity,
        view=part.view,
        part=part.number,
        first_row=rows.start,
        rows=len(rows),
        bad=dict(sorted(bad.items())),
        compression=plan.layout.compression,
        fields={cut.field.name: _field(cut, home[cut.field.name]) for cut in cuts},
        files=tuple(
            FileSeal(path=i.path, nbytes=f.nbytes, digest=f.digest) for i, f in zip(images, files, strict=True)
        ),
        facts=facts,
    )


def _field(cut: Cut, image: FileImage) -> FieldSeal:
    place = image.places[cut.field.name]
    return FieldSeal(
        file=image.path,
        dtype=cut.field.dtype,
        shape=cut.shape,
        per_part=cut.field.per_part,
        offset=place.offset,
        nbytes=len(cut.raw),
        block_rows=cut.block_rows,
        blocks=cut.hashes,
        stored=place.stored,
    )
