"""Which of the two implementations of the mechanics answers: torch, or the compiled one."""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.compiled import machine
from motorque.mechanics.compiled.plan import Plan, can_be_compiled
from motorque.mechanics.compiled.programs import Task
from motorque.skeleton.skeleton import Skeleton

Backend = Literal["auto", "torch", "compiled"]
"""``torch``: any device, derivatives of any order. ``compiled``: SIMD code for the processor at hand. ``auto``: the
compiled one where it can be used and is ready, or where there is enough work for compiling to pay."""
COMPILE_AFTER = 50_000
"""Frames of one task after which ``auto`` compiles, which takes a second or two; torch does about these meanwhile."""
_WORK: dict[str, int] = {}
_TOLD: set[str] = set()


def use_compiled(backend: str, like: Tensor, plan: Plan | None, task: Task | None, frames: int) -> bool:
    """Decide for one call.

    Args:
        backend: What was asked for.
        like: One of the tensors of the call.
        plan: The skeleton's plan; None if kernels can't do what is asked for, and torch answers.
        task: The kernel that would run; None without a plan.
        frames: How many frames there are.

    Raises:
        DataError: There is no such back end, or the compiled one can't work on these tensors.
    """
    if backend not in get_args(Backend):
        raise DataError(f"there is no back end {backend!r}; there are {', '.join(get_args(Backend))}")
    if backend == "torch":
        return False
    if like.device.type != "cpu":
        if backend == "compiled":
            raise DataError(f"the compiled back end works on the CPU, not on {like.device}; use backend='torch' there")
        return False
    if like.dtype not in (torch.float32, torch.float64):
        if backend == "compiled":
            precision = str(like.dtype).removeprefix("torch.")
            raise DataError(
                f"the compiled back end computes in float32 and float64, not in {precision}; use backend='torch' or "
                "another precision"
            )
        return False
    if within_transform():
        if backend == "compiled":
            raise DataError("the compiled back end has no forward derivatives and no vmap; use backend='torch' there")
        return False
    reason = machine.why_not()
    if reason:
        if reason not in _TOLD:
            _TOLD.add(reason)
            warnings.warn(f"{reason}; mechanics run on torch, more slowly", stacklevel=4)
        return False
    if plan is None or task is None:
        return False
    if backend == "compiled":
        return True
    key = plan.key(task, like.dtype)
    if plan.is_ready(task, like.dtype):
        return True
    _WORK[key] = _WORK.get(key, 0) + frames
    return _WORK[key] >= COMPILE_AFTER


def may_compile(skeleton: Skeleton, backend: str) -> bool:
    """Whether kernels are worth a thought: only then may a skeleton's plan be made."""
    return (
        backend != "torch"
        and skeleton.mass.device.type == "cpu"
        and can_be_compiled(skeleton)
        and not within_transform()
    )


def within_transform() -> bool:
    """Whether a torch.func transform, forward differentiation or torch.compile is at work: kernels see no memory."""
    return (
        torch._C._functorch.maybe_current_level() is not None
        or torch.autograd.forward_ad._current_level >= 0
        or torch.compiler.is_compiling()
    )
