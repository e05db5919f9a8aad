"""Memory for kernels: aligned scratch, and large results whose pages cost little to touch first."""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ALIGNMENT = 64
"""Bytes; a whole vector, and a line of the cache."""
_LARGE = 4 << 20
"""Bytes from which huge pages are worth asking for; two of the usual 2 MiB ones lie whole in it."""


def aligned(count: int, number: type) -> NDArray[Any]:
    """Uninitialized numbers that start at a multiple of `ALIGNMENT`; shape [count]."""
    size = np.dtype(number).itemsize
    memory: NDArray[Any] = np.empty(count + ALIGNMENT // size, dtype=number)
    skip = -memory.ctypes.data % ALIGNMENT // size
    return memory[skip : skip + count]


def fresh(frames: int, columns: int, dtype: torch.dtype) -> Tensor:
    """An uninitialized result, shape [frames, columns].

    Where memory is new, the system hands it out page by page as it is written. For 100,000 frames of a gradient that
    took longer than computing it (37 ms against 7 ms for 100 MB), so huge pages are asked for where there are any.
    """
    tensor = torch.empty(frames, columns, dtype=dtype)
    size = tensor.nbytes
    advise = _advise()
    if advise is not None and size >= _LARGE:
        start = tensor.data_ptr()
        first = start + -start % mmap.PAGESIZE
        # A hint: whether it is followed does not matter for the result.
        advise(first, (start + size - first) // mmap.PAGESIZE * mmap.PAGESIZE, mmap.MADV_HUGEPAGE)
    return tensor


@cache
def _advise() -> Any:
    """The C library's ``madvise``, or None where there is none or it knows no huge pages."""
    if not sys.platform.startswith("linux") or not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    try:
        function = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], ctypes.c_int
    return function
