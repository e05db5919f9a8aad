"""What the functions of mechanics are given: checked once, brought to one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.skeleton.skeleton import GROUND, Skeleton

Wrench = tuple[Tensor, Tensor]
"""Force [N] and moment about the ground origin [N·m], in ground, each [..., 3]."""


@dataclass(frozen=True, eq=False)
class Arguments:
    """Tensors of one batch shape.

    Args:
        tensors: By name, each [*batch, columns]; broadcast, not copied.
        batch: The batch shape.
        reduced: Whether dependent coordinates have no columns.
    """

    tensors: Mapping[str, Tensor]
    batch: torch.Size
    reduced: bool


def check(
    skeleton: Skeleton, q: Tensor, rates: Mapping[str, Tensor], loads: Mapping[str, Wrench] | None = None
) -> Arguments:
    """Hold tensors to a skeleton and to each other.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without dependent coordinates.
        rates: Speeds, accelerations or forces by name, shape [..., nv], or without dependent coordinates.
        loads: Force and moment on bodies, by body name; named ``force on body`` and ``moment on body`` in the result.

    Raises:
        DataError: Something is no tensor, is of another device or precision, or its shape does not fit.
        ModelError: A load is on a body that is not there.
    """
    named = {"q": q, **rates}
    if loads is not None and not isinstance(loads, Mapping):
        raise DataError(
            f"{skeleton.name}: loads must be forces and moments by body name, {{'calcn_r': (force, moment)}}, got "
            f"{type(loads).__name__}"
        )
    for body, wrench in (loads or {}).items():
        skeleton.body(body)
        if not (isinstance(wrench, tuple) and len(wrench) == 2):
            raise DataError(f"{skeleton.name}: the load on {body} must be a force and a moment, two tensors")
        named[f"force on {body}"], named[f"moment on {body}"] = wrench
    like = skeleton.mass
    for name, x in named.items():
        if not isinstance(x, Tensor):
            raise DataError(f"{skeleton.name}: {name} must be a torch tensor, got {type(x).__name__}")
        if x.dtype != like.dtype:
            raise DataError(
                f"{skeleton.name}: {name} is {_short(x.dtype)} but the skeleton is {_short(like.dtype)}; bring one to "
                f"the other's precision (skeleton.to(dtype=...))"
            )
        if x.device != like.device:
            raise DataError(
                f"{skeleton.name}: {name} is on {x.device} but the skeleton on {like.device}; bring both to one device "
                "(skeleton.to(device=...))"
            )
    reduced = _is_reduced(skeleton, q, rates)
    dependent = skeleton.nv - len(skeleton.free_coordinates) if reduced else 0
    for name, x in named.items():
        wanted = skeleton.nq - dependent if name == "q" else skeleton.nv - dependent if name in rates else 3
        if x.ndim == 0 or x.shape[-1] != wanted:
            raise DataError(
                f"{skeleton.name}: {name} needs {wanted} columns{' without coupled coordinates' if reduced else ''}, "
                f"got shape {list(x.shape)}"
            )
    shapes = [x.shape[:-1] for x in named.values()]
    batch = shapes[0]
    if any(shape != batch for shape in shapes):
        try:
            # numpy's: torch.broadcast_shapes brings sympy in, which takes most of a second
            batch = torch.Size(np.broadcast_shapes(*shapes))
        except ValueError:
            listed = ", ".join(f"{name} {list(x.shape)}" for name, x in named.items())
            raise DataError(f"{skeleton.name}: the shapes do not fit each other: {listed}") from None
        named = {name: x.expand(*batch, x.shape[-1]) for name, x in named.items()}
    return Arguments(named, batch, reduced)


def _is_reduced(skeleton: Skeleton, q: Tensor, rates: Mapping[str, Tensor]) -> bool:
    if not skeleton.couplers:
        return False
    dependent = skeleton.nv - len(skeleton.free_coordinates)
    return q.ndim > 0 and q.shape[-1] == skeleton.nq - dependent


def loaded_bodies(skeleton: Skeleton, loads: Mapping[str, Wrench] | None) -> tuple[int, ...]:
    """Indices of the moving bodies that are loaded."""
    return tuple(i for name in loads or {} if (i := skeleton.body(name)) != GROUND)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
