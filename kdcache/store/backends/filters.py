"""The number of a compression filter in an HDF5 file, written alike whether or not the filter is registered in this process.

HDF5 writes the name of a filter beside its number where it finds the filter: once something has imported `hdf5plugin`, or where
plug-ins are installed on the machine. The bytes of a part would then depend on that. So datasets are created with a number that
no filter has, and the real one takes its place in the finished file.
"""

import struct

from kdcache.store.backends.sparse import SparseFile

STAND_IN = 511
"""Last of the filter numbers that HDF5 keeps for tests: no filter is registered under it."""
_ONE_FILTER = struct.Struct("<BBHHH")
"""Begin of the header message: version, number of filters, number of the filter, bytes of its name, flags."""
_OPTIONAL = 1


def set_number(file: SparseFile, header: int, number: int) -> None:
    """Give a dataset its real filter. `header`: where its object header lies in a closed file of HDF5's format of 1.10."""
    from numcodecs.jenkins import jenkins_lookup3

    file.seek(header)
    signature, version, flags = struct.unpack("<4sBB", file.read(6))
    assert (signature, version, flags & ~0x07) == (b"OHDR", 2, 0), "no header without times and limits of attributes"
    width = 1 << (flags & 3)
    file.seek(header)
    raw = bytearray(file.read(6 + width))
    raw += file.read(int.from_bytes(raw[6:], "little"))
    place = raw.index(_ONE_FILTER.pack(2, 1, STAND_IN, 0, _OPTIONAL))
    raw[place : place + _ONE_FILTER.size] = _ONE_FILTER.pack(2, 1, number, 0, _OPTIONAL)
    file.seek(header)
    file.write(bytes(raw) + struct.pack("<I", jenkins_lookup3(bytes(raw))))
