"""Memory at addresses that this process has chosen: files and copies put there, and advice about them to the kernel.

Input: addresses within a range that the caller has reserved (see store/reading/arena.py), in whole pages. Python's own `mmap`
cannot be told where to map.
"""

import ctypes
import mmap
import os

from kdcache.errors import StorageError

PAGE = mmap.PAGESIZE
_MAP_FIXED = 0x10

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def map_file(address: int, nbytes: int, descriptor: int, offset: int) -> None:
    """Map bytes of a file, read-only, without a copy. OSError where the kernel refuses, as beyond vm.max_map_count."""
    _map(address, nbytes, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, offset)


def map_copy(address: int, content: bytes) -> None:
    """A copy of some bytes, read-only: for what is no file that could be mapped."""
    _map(address, len(content), mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    ctypes.memmove(address, content, len(content))
    if _libc.mprotect(address, len(content), mmap.PROT_READ):
        raise _error()


def map_nothing(address: int, nbytes: int) -> None:
    """Give back what was mapped there; the addresses stay reserved, and read as zeros."""
    _map(address, nbytes, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


def advise(address: int, nbytes: int, advice: int) -> None:
    """madvise; the address is that of a page. StorageError where the kernel refuses."""
    if _libc.madvise(address, nbytes, advice):
        raise StorageError(f"madvise: {os.strerror(ctypes.get_errno())}")


def _map(address: int, nbytes: int, prot: int, flags: int, descriptor: int, offset: int) -> None:
    if _libc.mmap(address, nbytes, prot, flags | _MAP_FIXED, descriptor, offset) != address:
        raise _error()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
