"""What the compiled back end remembers of a skeleton: its structure, its parameters and its kernels."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from ctypes import string_at
from dataclasses import dataclass, field
from operator import attrgetter

import torch
from torch import Tensor

from motorque.mechanics.compiled.kernel import Kernel, Signature, is_ready, kernel, kernel_key
from motorque.mechanics.compiled.programs import Task
from motorque.mechanics.compiled.structure import FIELDS, Structure, Values, structure_of
from motorque.skeleton.skeleton import Skeleton


@dataclass(eq=False)
class Plan:
    """A skeleton, split into code and numbers.

    Args:
        structure: What becomes code.
        values: Where its parameters come from.
        parameters: The parameters, shape [P + F].
    """

    structure: Structure
    values: Values
    parameters: Tensor
    _keys: dict[tuple[Task, torch.dtype], str] = field(default_factory=dict, repr=False)

    def key(self, task: Task, dtype: torch.dtype) -> str:
        """Name of a kernel in the cache."""
        if (task, dtype) not in self._keys:
            self._keys[task, dtype] = kernel_key(self.structure, task, dtype)
        return self._keys[task, dtype]

    def is_ready(self, task: Task, dtype: torch.dtype) -> bool:
        """Whether a kernel need not be compiled any more."""
        return is_ready(self.key(task, dtype))

    def kernel(self, task: Task, dtype: torch.dtype, signature: Signature) -> Kernel:
        """A kernel, compiled if need be."""
        return kernel(self.key(task, dtype), self.structure, task, dtype, signature)


@dataclass(frozen=True, eq=False)
class _Remembered:
    """A plan, and the numbers of the skeleton as they were when it was made: one string for each of `FIELDS`."""

    plan: Plan
    content: tuple[bytes, ...]


_PLANS: weakref.WeakKeyDictionary[Skeleton, dict[tuple[tuple[str, ...], bool], _Remembered]] = (
    weakref.WeakKeyDictionary()
)
_COMPILABLE: weakref.WeakKeyDictionary[Skeleton, bool] = weakref.WeakKeyDictionary()
_fields = attrgetter(*FIELDS)


def open_fields(skeleton: Skeleton) -> tuple[str, ...]:
    """The tensors of a skeleton that carry gradients and that mechanics rest on."""
    if not torch.is_grad_enabled():
        return ()
    return tuple(name for name in FIELDS if getattr(skeleton, name).requires_grad)


def can_be_compiled(skeleton: Skeleton) -> bool:
    """Whether the compiled back end knows all of a skeleton's joints: not those that slide as their ball turns."""
    known = _COMPILABLE.get(skeleton)
    if known is None:
        known = _COMPILABLE[skeleton] = not any(joint.follows_own_angles for joint in skeleton.joints)
    return known


def plan_of(skeleton: Skeleton, opened: Sequence[str], *, as_simbody: bool) -> Plan:
    """The plan of a skeleton, remembered as long as the skeleton lives and its numbers stay what they are.

    Tensors may be changed in place, and a number that was zero when the plan was made is part of the code. Numbers are
    therefore looked at, not torch's versions of tensors: these are not counted in inference mode and miss changes
    through ``.data`` or numpy, and reading a few kilobytes takes no longer than asking for eleven versions.
    """
    plans, key = _PLANS.setdefault(skeleton, {}), (tuple(opened), as_simbody)
    content = tuple(map(_bytes, _fields(skeleton)))
    known = plans.get(key)
    if known is None or known.content != content:
        known = plans[key] = _Remembered(_plan(skeleton, key, content, known), content)
    return known.plan


def _bytes(x: Tensor) -> bytes:
    """The numbers of a tensor on the CPU as they stand in memory."""
    if not x.is_contiguous():
        x = x.contiguous()
    return string_at(x.data_ptr(), x.nbytes)


def _plan(
    skeleton: Skeleton, key: tuple[tuple[str, ...], bool], content: tuple[bytes, ...], before: _Remembered | None
) -> Plan:
    """A new plan, with as much of an older one as still holds."""
    opened, as_simbody = key
    old = None if before is None else before.plan
    if before is not None and all(
        name in opened or one == two for name, one, two in zip(FIELDS, content, before.content, strict=True)
    ):
        structure, values = (
            before.plan.structure,
            before.plan.values,
        )  # open tensors are parameters in all their entries
    else:
        structure, values = structure_of(skeleton, open_fields=opened, as_simbody=as_simbody)
    same = old is not None and old.structure == structure
    return Plan(structure, values, values.pack(skeleton), old._keys if old is not None and same else {})
