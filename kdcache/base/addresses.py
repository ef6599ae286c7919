"""Map files and bytes into memory at addresses that the caller chooses, and advise the kernel about them.

Input: page-aligned addresses within a range that the caller has reserved (see store/reading/arena.py). This goes through
ctypes because Python's own `mmap` cannot map at a chosen address.
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
    """Map bytes of a file, read-only, without a copy. OSError when the kernel refuses, for example above vm.max_map_count."""
    _map(address, nbytes, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, offset)


def map_copy(address: int, content: bytes) -> None:
    """Put a read-only copy of some bytes there, for content that is not in a file that could be mapped."""
    _map(address, len(content), mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    ctypes.memmove(address, content, len(content))
    if _libc.mprotect(address, len(content), mmap.PROT_READ):
        raise _error()


def map_nothing(address: int, nbytes: int) -> None:
    """Unmap what was mapped there; the addresses stay reserved and read as zeros."""
    _map(address, nbytes, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


def advise(address: int, nbytes: int, advice: int) -> None:
    """Call madvise on a page-aligned range. StorageError when the kernel refuses."""
    if _libc.madvise(address, nbytes, advice):
        raise StorageError(f"madvise: {os.strerror(ctypes.get_errno())}")


def _map(address: int, nbytes: int, prot: int, flags: int, descriptor: int, offset: int) -> None:
    if _libc.mmap(address, nbytes, prot, flags | _MAP_FIXED, descriptor, offset) != address:
        raise _error()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
