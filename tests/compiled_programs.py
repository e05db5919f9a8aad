"""Small programs through the emitter and LLVM, for tests of the compiled back end's parts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.mechanics.compiled import machine
from motorque.mechanics.compiled.emitter import Program, emit
from motorque.mechanics.compiled.kernel import REAL, Kernel, Signature
from motorque.mechanics.compiled.trace import evaluate

DTYPES = (torch.float32, torch.float64)


def signature_of(program: Program) -> Signature:
    """The sizes of a program's arrays."""
    outputs = tuple(len(array) for array in program.outputs)
    return Signature(tuple(program.inputs), outputs, len(program.totals), bool(program.watched))


def compiled(program: Program, dtype: torch.dtype, width: int | None = None) -> Kernel:
    """A kernel for a program, past the cache; as wide as the processor's vectors unless told otherwise."""
    width = width or machine.processor().lanes(REAL[dtype])
    code = machine.compile_assembly(emit(machine.KERNEL, program, REAL[dtype], width))
    return Kernel(machine.link(code), signature_of(program), dtype, width)


def by_numpy(program: Program, arrays: list[torch.Tensor], parameters: torch.Tensor) -> list[NDArray[np.float64]]:
    """The program's output arrays, operation by operation in numpy."""
    frames = len(arrays[0])
    with np.errstate(all="ignore"):
        symbols = [s for array in program.outputs for s in array]
        values = iter(evaluate(program.trace, symbols, [x.numpy() for x in arrays], parameters.numpy()))
    return [np.stack([np.broadcast_to(next(values), frames) for _ in array], -1) for array in program.outputs]
