"""Arrays with and without columns for the coordinates that couplers drive.

Functions of the dynamics take arrays with a column for every coordinate, or for the free ones only; the width of the
positions tells which.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import Skeleton


def is_reduced(skeleton: Skeleton, q: Tensor) -> bool:
    """Whether positions have no columns for the coordinates that couplers drive."""
    return bool(skeleton.couplers) and q.shape[-1] == skeleton.nq - len(_dependent(skeleton))


def fill_positions(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Positions [..., nq] that obey the couplers, from such with or without columns for coupled coordinates."""
    return skeleton.couple(widen_positions(skeleton, q)) if skeleton.couplers else q


def widen_positions(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Positions [..., nq]; zero for coupled coordinates where these have no columns."""
    if not is_reduced(skeleton, q):
        return q
    dropped = {skeleton.coordinate_columns[c] for c in _dependent(skeleton)}
    return _widen(q, [c for c in range(skeleton.nq) if c not in dropped], skeleton.nq)


def narrow_positions(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Positions without columns for coupled coordinates."""
    if is_reduced(skeleton, q) or not skeleton.couplers:
        return q
    dropped = {skeleton.coordinate_columns[c] for c in _dependent(skeleton)}
    return q.index_select(-1, constant([c for c in range(skeleton.nq) if c not in dropped], q.device))


def narrow(skeleton: Skeleton, x: Tensor) -> Tensor:
    """Speeds, accelerations or forces without columns for coupled coordinates."""
    if not skeleton.couplers or x.shape[-1] != skeleton.nv:
        return x
    return x.index_select(-1, constant(list(skeleton.free_coordinates), x.device))


def fill(skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Positions [..., nq], speeds and accelerations [..., nv] that obey the couplers.

    Args:
        skeleton: The skeleton.
        q: Positions, with or without columns for coupled coordinates.
        v: Speeds, alike.
        a: Accelerations, alike; None for those that speeds alone give.
    """
    a = torch.zeros_like(v) if a is None else a
    if not skeleton.couplers:
        return q, v, a
    return skeleton.couple_derivatives(fill_positions(skeleton, q), widen(skeleton, v), widen(skeleton, a))


def widen(skeleton: Skeleton, x: Tensor) -> Tensor:
    """Speeds, accelerations or forces [..., nv]; zero for coupled coordinates where these have no columns."""
    if x.shape[-1] == skeleton.nv:
        return x
    return _widen(x, list(skeleton.free_coordinates), skeleton.nv)


def fold(skeleton: Skeleton, q: Tensor, tau: Tensor) -> Tensor:
    """Generalized forces of the free coordinates, which bear those of the coupled ones; [..., number free].

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq].
        tau: Forces, shape [..., nv], or already those of the free coordinates.
    """
    if not skeleton.couplers or tau.shape[-1] != skeleton.nv:
        return tau
    return (skeleton.coupling_matrix(q).mT @ tau[..., None])[..., 0]


def _widen(x: Tensor, columns: list[int], width: int) -> Tensor:
    wide = torch.zeros(*x.shape[:-1], width, dtype=x.dtype, device=x.device)
    return wide.index_copy(-1, constant(columns, x.device), x)


def _dependent(skeleton: Skeleton) -> list[int]:
    return [c.dependent for c in skeleton.couplers]
