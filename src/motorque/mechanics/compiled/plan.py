"""What the compiled back end remembers of a skeleton: its structure, its parameters and its kernels."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

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
    """

    structure: Structure
    values: Values
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


_PLANS: weakref.WeakKeyDictionary[Skeleton, dict[tuple[tuple[str, ...], bool], Plan]] = weakref.WeakKeyDictionary()


def open_fields(skeleton: Skeleton) -> tuple[str, ...]:
    """The tensors of a skeleton that carry gradients and that mechanics rest on."""
    if not torch.is_grad_enabled():
        return ()
    return tuple(name for name in FIELDS if getattr(skeleton, name).requires_grad)


def can_be_compiled(skeleton: Skeleton) -> bool:
    """Whether the compiled back end knows all of a skeleton's joints: not those that slide as their ball turns."""
    return not any(joint.follows_own_angles for joint in skeleton.joints)


def plan_of(skeleton: Skeleton, opened: Sequence[str], *, as_simbody: bool) -> Plan:
    """The plan of a skeleton, remembered as long as the skeleton lives."""
    plans = _PLANS.setdefault(skeleton, {})
    key = (tuple(opened), as_simbody)
    if key not in plans:
        plans[key] = Plan(*structure_of(skeleton, open_fields=opened, as_simbody=as_simbody))
    return plans[key]
