"""Write a part: stage and flush its files, then name them, then its receipt. A kill leaves the old or the new part."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from pydantic import JsonValue

from kdcache.errors import Damage
from kdcache.store.backends.backend import FileImage
from kdcache.store.blocks import Cut
from kdcache.store.parts.receipt import MEND, FieldSeal, FileSeal, Receipt, opened
from kdcache.store.parts.there import receipt_name
from kdcache.store.places.place import Draft, Place
from kdcache.store.plan import FORMAT, PartId, Plan

PIECE = 4 << 20


def commit_part(cache: Place, images: Sequence[FileImage], receipt: Callable[[Sequence[Draft]], Receipt]) -> Receipt:
    """Put the files of a part and its receipt on disk.

    Everything is on disk under temporary names before the first name changes, so a full disk destroys nothing that was there.
    An older receipt is removed before its files are replaced, so a receipt always describes the files beside it.
    """
    with ExitStack() as stack:
        files = [_stage(stack, cache, image) for image in images]
        made = receipt(files)
        name = receipt_name(made.id)
        paper = stack.enter_context(cache.draft(name))
        paper.write(made.sealed())
        paper.flush()
        cache.remove(name)
        for file in files:
            file.commit()
        cache.settle(image.path for image in images)
        paper.commit()
        cache.settle([name])
    return made


def copy_files(source: Place, cache: Place, receipt: Receipt) -> Receipt:
    """Copy the files of a part into another cache; Damage, and no copy, if they do not match its receipt."""

    def checked(files: Sequence[Draft]) -> Receipt:
        for seal, file in zip(receipt.files, files, strict=True):
            if file.digest != seal.digest:
                path = source.at(seal.path)
                message = f"part {receipt.id}: {path} is damaged, its digest is {file.digest}"
                raise Damage(message, hint=MEND, part=str(receipt.id), path=path)
        return receipt

    images = [FileImage(seal.path, _pieces_of(source, receipt, seal), {}) for seal in receipt.files]
    return commit_part(cache, images, checked)


def _pieces_of(cache: Place, receipt: Receipt, seal: FileSeal) -> Iterator[bytes]:
    with opened(str(receipt.id), cache, seal.path, seal.nbytes) as file:
        for start in range(0, seal.nbytes, PIECE):
            yield file.read(start, min(PIECE, seal.nbytes - start))


def _stage(stack: ExitStack, cache: Place, image: FileImage) -> Draft:
    file = stack.enter_context(cache.draft(image.path))
    for piece in image.pieces:
        file.write(piece)
    file.flush()
    return file


def receipt_of(
    plan: Plan,
    part: PartId,
    cuts: Sequence[Cut],
    images: Sequence[FileImage],
    files: Sequence[Draft],
    bad: dict[int, str],
    facts: dict[str, JsonValue],
) -> Receipt:
    """The receipt of a part whose files are written."""
    rows = plan.rows_of(part)
    home = {name: image for image in images for name in image.extents}
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
    extent = image.extents[cut.field.name]
    return FieldSeal(
        file=image.path,
        dtype=cut.field.dtype,
        shape=cut.shape,
        per_part=cut.field.per_part,
        offset=extent.offset,
        nbytes=len(cut.raw),
        block_rows=cut.block_rows,
        blocks=cut.hashes,
        stored=extent.stored,
    )
