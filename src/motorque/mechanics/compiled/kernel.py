"""Kernels in use: found in the cache or compiled, and run over frames on several threads."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.mechanics.compiled import machine
from motorque.mechanics.compiled.emitter import emit
from motorque.mechanics.compiled.memory import aligned, fresh
from motorque.mechanics.compiled.programs import PROGRAMS, Task
from motorque.mechanics.compiled.structure import Structure

REAL = {torch.float32: "float", torch.float64: "double"}
_NUMBER = {torch.float32: np.float32, torch.float64: np.float64}
FRAMES_PER_THREAD = 2048
"""Fewer than this, and waking a thread costs more than it does."""
_CHUNK = 4096
"""Frames in one call: sums over frames are kept in the kernel's precision for no longer than this."""


@dataclass(frozen=True)
class Signature:
    """The sizes of a kernel's arrays.

    Args:
        inputs: Columns of each input array.
        outputs: Columns of each output array.
        totals: Numbers that are summed over frames.
        watched: Whether a largest value is watched.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    totals: int = 0
    watched: bool = False


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled program.

    Args:
        entry: The function.
        signature: The sizes of its arrays.
        dtype: Its precision.
        lanes: Frames that it works on at once.
    """

    entry: machine.Entry
    signature: Signature
    dtype: torch.dtype
    lanes: int

    def run(self, inputs: Sequence[Tensor], parameters: Tensor) -> tuple[list[Tensor], NDArray[np.float64], float]:
        """Carry the program out.

        Args:
            inputs: Contiguous tensors of shape [frames, columns]. If sums are taken over frames the last array must be
                one in which they are linear (it is filled up with rows of zeros).
            parameters: Shape [number of parameters], contiguous.

        Returns:
            Output tensors, shape [frames, columns]; the sums, float64; the largest watched value (-inf if none).
        """
        frames, lanes = inputs[0].shape[0], self.lanes
        outputs = [fresh(frames, columns, self.dtype) for columns in self.signature.outputs]
        totals = np.zeros(self.signature.totals)
        largest = -np.inf
        if frames == 0:
            return outputs, totals, largest
        whole = frames - frames % lanes
        pointers = [t.data_ptr() for t in inputs], parameters.data_ptr(), [t.data_ptr() for t in outputs]
        overlap = whole < frames and whole > 0 and not self.signature.totals
        parts = self._in_parts(pointers, whole)
        if overlap:
            # The last frames are worked on together with some before them, which then get the same results again.
            parts.append(self._part(pointers, frames - lanes, frames))
        elif whole < frames:
            parts.append(self._filled_up(inputs, parameters, outputs, whole))
        for sums, watched in parts:
            totals += sums
            largest = max(largest, watched)
        return outputs, totals, largest

    def _in_parts(
        self, pointers: tuple[list[int], int, list[int]], whole: int
    ) -> list[tuple[NDArray[np.float64], float]]:
        threads = min(torch.get_num_threads(), whole // FRAMES_PER_THREAD)
        if threads <= 1:
            if not self.signature.totals:
                return [self._part(pointers, 0, whole)] if whole else []
            return [self._part(pointers, a, min(a + _CHUNK, whole)) for a in range(0, whole, _CHUNK)]
        # Several parts for each thread, so that none waits long for another.
        size = min(_CHUNK, -(-whole // (4 * threads)))
        size += -size % self.lanes
        ranges = [(a, min(a + size, whole)) for a in range(0, whole, size)]
        return list(_threads(threads).map(lambda ends: self._part(pointers, *ends), ranges))

    def _part(
        self, pointers: tuple[list[int], int, list[int]], first: int, last: int
    ) -> tuple[NDArray[np.float64], float]:
        inputs, parameters, outputs = pointers
        signature, number = self.signature, _NUMBER[self.dtype]
        count = signature.totals + signature.watched
        columns = sum(signature.inputs) + sum(signature.outputs)
        memory = aligned((columns + count) * self.lanes, number)
        totals = memory[: count * self.lanes].reshape(count, self.lanes)
        totals[: signature.totals] = 0.0
        totals[signature.totals :] = -np.inf
        start = memory.ctypes.data
        given, taken = (ctypes.c_void_p * len(inputs))(*inputs), (ctypes.c_void_p * len(outputs))(*outputs)
        self.entry(
            ctypes.addressof(given),
            parameters,
            ctypes.addressof(taken),
            start,
            start + totals.nbytes,
            first,
            last,
        )
        sums = totals[: signature.totals].sum(axis=1, dtype=np.float64)
        return sums, float(totals[-1].max()) if signature.watched else -np.inf

    def _filled_up(
        self, inputs: Sequence[Tensor], parameters: Tensor, outputs: Sequence[Tensor], whole: int
    ) -> tuple[NDArray[np.float64], float]:
        """The last frames, fewer than a vector holds: the last one is repeated, but weighs nothing in sums."""
        rest = inputs[0].shape[0] - whole
        filled = [torch.cat([t[whole:], t[-1:].expand(self.lanes - rest, -1)]) for t in inputs]
        if self.signature.totals:
            filled[-1][rest:] = 0.0
        results = [torch.empty(self.lanes, columns, dtype=self.dtype) for columns in self.signature.outputs]
        found = self._part(
            ([t.data_ptr() for t in filled], parameters.data_ptr(), [t.data_ptr() for t in results]), 0, self.lanes
        )
        for output, result in zip(outputs, results, strict=True):
            output[whole:] = result[:rest]
        return found


_POOLS: dict[tuple[int, int], ThreadPoolExecutor] = {}
_POOLS_LOCK = threading.RLock()


def _threads(count: int) -> ThreadPoolExecutor:
    """A pool of threads; its own for each process, since threads do not survive a fork."""
    key = os.getpid(), count
    with _POOLS_LOCK:
        if key not in _POOLS:
            _POOLS[key] = ThreadPoolExecutor(count, thread_name_prefix="motorque")
        return _POOLS[key]


_KERNELS: dict[str, Kernel] = {}
_KERNELS_LOCK = threading.RLock()
_LOCKS = (_KERNELS_LOCK, machine.LOCK, _POOLS_LOCK)
"""In the order in which they are taken."""


def _before_fork() -> None:
    """Wait until no other thread compiles: in the child its locks, and LLVM's own, would stay held for ever."""
    for lock in _LOCKS:
        lock.acquire()


def _after_fork() -> None:
    for lock in reversed(_LOCKS):
        lock.release()


def _in_child() -> None:
    _POOLS.clear()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def kernel_key(structure: Structure, task: Task, dtype: torch.dtype) -> str:
    """Name of a kernel in the cache."""
    return machine.cache_key(_plain(structure), _plain(task), REAL[dtype])


def _plain(value: object) -> object:
    """What `dataclasses.astuple` gives, without copying: a person's scaled skeletons ask for it again and again."""
    kind = type(value)
    if kind is float or kind is int or kind is str or value is None:
        return value
    if kind is tuple or kind is list:
        return kind([_plain(item) for item in value])  # type: ignore[attr-defined]
    if kind is dict:
        return {_plain(key): _plain(item) for key, item in value.items()}  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(value):
        return tuple([_plain(getattr(value, field.name)) for field in dataclasses.fields(value)])
    return value


def is_ready(key: str) -> bool:
    """Whether a kernel need not be compiled any more."""
    return key in _KERNELS or machine.is_cached(key)


def kernel(key: str, structure: Structure, task: Task, dtype: torch.dtype, signature: Signature) -> Kernel:
    """The kernel for a task: the one in use, one from the cache, or a new one."""
    found = _KERNELS.get(key)
    if found is not None:
        return found
    with _KERNELS_LOCK:
        if key not in _KERNELS:
            real, lanes = REAL[dtype], machine.processor().lanes(REAL[dtype])
            code = machine.load(key)
            if code is None:
                program = PROGRAMS[task.kind](structure, task)
                code = machine.compile_assembly(emit(machine.KERNEL, program, real, lanes))
                machine.keep(key, code)
            _KERNELS[key] = Kernel(machine.link(code), signature, dtype, lanes)
        return _KERNELS[key]
