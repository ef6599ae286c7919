"""HDF5 backend: one ordinary file per part, one dataset per field, readable with h5py or h5dump alone.

Uncompressed fields are contiguous and start on a page, so that they can be mapped. Metadata is in HDF5 1.10's latest format,
which is checksummed and can be opened by every later release. No times are stored, so equal payloads give equal bytes.

Texts have variable length, because h5py reads those as `str` but texts of fixed length as bytes. HDF5 stores them in a heap
without a checksum; the digest in the receipt covers it, like every byte of the file. Plans that are not self-describing
(earlier versions) keep fixed lengths.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcache.codecs.codec import Field
from kdcache.store.backends.attributes import describe
from kdcache.store.backends.backend import FieldExtent, FileImage
from kdcache.store.backends.filters import STAND_IN, set_number
from kdcache.store.backends.sparse import PAGE, SparseFile
from kdcache.store.blocks import Cut
from kdcache.store.plan import FORMAT, PartId, Plan

if TYPE_CHECKING:
    import h5py

TextWriter = Callable[[Any, str, str], None]
"""Function that adds an attribute: (file or dataset, name, text)."""


class Hdf5:
    """The HDF5 backend."""

    def path(self, part: PartId, field: Field) -> str:
        """The file of the part, which contains all its fields."""
        return f"parts/{part}.h5"

    def frame(self, plan: Plan, view: int) -> dict[str, bytes]:
        """No files: every part can be opened by itself."""
        return {}

    def images(self, plan: Plan, part: PartId, cuts: list[Cut]) -> list[FileImage]:
        """The one file of a part."""
        import h5py

        sparse = SparseFile()
        file = _create(sparse, PAGE if plan.layout.compression is None else np.dtype("<f8").itemsize)
        try:
            rows = plan.rows_of(part)
            _describe_part(file, plan, part, rows)
            texts, write_text = describe(plan), _text_writer(plan)
            extents = {cut.field.name: _add(h5py, file, cut, texts[cut.field.name], write_text) for cut in cuts}
            headers = {cut.field.name: h5py.h5o.get_info(file[cut.field.name].id).addr for cut in cuts}
        finally:
            file.close()
        for cut in cuts:
            if cut.compressor is not None:
                set_number(sparse, headers[cut.field.name], _filter(cut)[0])
        arrays = [(extents[cut.field.name].offset, cut.raw) for cut in cuts if cut.compressor is None]
        return [FileImage(self.path(part, cuts[0].field), sparse.pieces(arrays), extents)]


def _create(sparse: SparseFile, alignment: int) -> "h5py.File":
    """A new HDF5 file that is written to `sparse` in memory instead of to disk."""
    import h5py

    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_alignment(1, alignment)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, sparse)
    return h5py.File(h5py.h5f.create(b"part.h5", h5py.h5f.ACC_TRUNC, fcpl=creation, fapl=access))


def _describe_part(file: "h5py.File", plan: Plan, part: PartId, rows: range) -> None:
    numbers = {"kd_format": FORMAT, "view": part.view, "part": part.number, "first_row": rows.start, "rows": len(rows)}
    for name, value in numbers.items():
        file.attrs.create(name, np.int64(value))
    write_text = _text_writer(plan)
    write_text(file, "plan", plan.identity)
    write_text(file, "teacher", f"{plan.teacher.family} {plan.teacher.size}")
    if plan.layout.self_describing:
        write_text(file, "row", "row r of a dataset of `rows` rows is the image in row first_row + r of index.arrow")


def _text_writer(plan: Plan) -> TextWriter:
    """The function that writes texts: with variable length, or with fixed length for caches of earlier versions."""
    import h5py

    def variable(item: Any, name: str, value: str) -> None:
        item.attrs.create(name, value, dtype=h5py.string_dtype("utf-8"))

    def fixed(item: Any, name: str, value: str) -> None:
        raw = value.encode()
        item.attrs.create(name, np.array(raw, dtype=h5py.string_dtype("utf-8", max(1, len(raw)))))

    return variable if plan.layout.self_describing else fixed


def _add(h5py: Any, file: "h5py.File", cut: Cut, texts: dict[str, str], write_text: TextWriter) -> FieldExtent:
    """Add a dataset. Contiguous data only get space reserved here; compressed chunks are written as they are."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    if cut.compressor is None:
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    else:
        properties.set_chunk((cut.block_rows, *cut.shape[1:]))
        properties.set_filter(STAND_IN, h5py.h5z.FLAG_OPTIONAL, _filter(cut)[1])
    kind = h5py.h5t.py_create(np.dtype(cut.field.dtype))
    # A chunk may not be larger than the dataset's maximal size, and the last part may be shorter than a block.
    most = cut.shape if cut.compressor is None else (max(cut.shape[0], cut.block_rows), *cut.shape[1:])
    space = h5py.h5s.create_simple(cut.shape, most)
    handle = h5py.h5d.create(file.id, cut.field.name.encode(), kind, space, dcpl=properties)
    for name, value in texts.items():
        write_text(h5py.Dataset(handle), name, value)
    if cut.compressor is None:
        return FieldExtent(handle.get_offset(), None)
    for number, chunk in enumerate(cut.chunks):
        handle.write_direct_chunk((number * cut.block_rows, *(0 for _ in cut.shape[1:])), chunk)
    stored = tuple((info.byte_offset, info.size) for info in map(handle.get_chunk_info, range(len(cut.chunks))))
    return FieldExtent(stored[0][0], stored)


def _filter(cut: Cut) -> tuple[int, tuple[int, ...]]:
    """The HDF5 filter of a compressor: its number and values. It is marked optional, because only reading needs the plug-in."""
    assert cut.compressor is not None
    return cut.compressor.hdf5_filter(cut.block_bytes)
