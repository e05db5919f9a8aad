"""Full Jacobians of inverse dynamics, as filters, Newton steps and linear models need them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import roma
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.arguments import Wrench, check, loaded_bodies
from motorque.mechanics.backends import Backend, may_compile, use_compiled
from motorque.mechanics.compiled.backend import InverseDynamics
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.mechanics.loops import refuse_loops
from motorque.skeleton.skeleton import Skeleton
from motorque.spatial import matrix_to_rotation, rotation_to_matrix

_ROWS = 2048
"""Products that are computed at once: few enough to stay in the cache."""


@dataclass(frozen=True, eq=False)
class InverseDynamicsDerivatives:
    """How generalized forces change with the motion.

    Args:
        by_position: [N·m/rad …], shape [..., nv, nv]; for ball joints by a small rotation of the child in the joint's
            frame F (which turns R into exp(d) R), for all others by the coordinate.
        by_speed: Shape [..., nv, nv].
        by_acceleration: The mass matrix, shape [..., nv, nv].
    """

    by_position: Tensor
    by_speed: Tensor
    by_acceleration: Tensor


def inverse_dynamics_derivatives(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    a: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    backend: Backend = "auto",
    as_simbody: bool = False,
    ignore_constraints: bool = False,
) -> InverseDynamicsDerivatives:
    """Derivatives of `inverse_dynamics` by positions, speeds and accelerations, one reverse product per force.

    Args:
        skeleton: The skeleton; ball joints in any format but ``angles``.
        q: Positions, shape [..., nq].
        v: Speeds, shape [..., nv].
        a: Accelerations, shape [..., nv].
        loads: As for `inverse_dynamics`; they stay as they are while the body moves.
        backend: Which implementation answers.
        as_simbody: As for `inverse_dynamics`.
        ignore_constraints: As for `inverse_dynamics`.

    Raises:
        DataError: As `inverse_dynamics`; ball joints are given as angles; columns of coupled coordinates are missing.
        ModelError: A load acts on a body that is not there, or point constraints close loops.
    """
    if not ignore_constraints:
        refuse_loops(skeleton)
    if skeleton.balls and skeleton.rotations == "angles":
        raise DataError(
            f"{skeleton.name}: small rotations of ball joints are asked for, but they are given as angles; use "
            "skeleton.with_rotations('quaternion')"
        )
    given = check(skeleton, q, {"v": v, "a": a}, loads)
    if given.reduced:
        raise DataError(f"{skeleton.name}: derivatives need the columns of all coordinates, coupled ones included")
    loaded = loaded_bodies(skeleton, loads)
    arrays = [given.tensors[name].reshape(-1, given.tensors[name].shape[-1]) for name in ("q", "v", "a")]
    parts = [f"{part} on {skeleton.body_names[i]}" for i in loaded for part in ("force", "moment")]
    if parts:
        arrays.append(torch.cat([given.tensors[name].reshape(-1, 3) for name in parts], dim=-1))
    frames, count = arrays[0].shape[0], skeleton.nv
    dynamics = None
    if may_compile(skeleton, backend):
        dynamics = InverseDynamics.of(skeleton, reduced=False, loaded=loaded, as_simbody=as_simbody)
        dynamics = dataclasses.replace(
            dynamics, task=dataclasses.replace(dynamics.task, kind="inverse_dynamics_tangent")
        )
    plan, task = (dynamics.plan, dynamics.task) if dynamics else (None, None)
    compiled = use_compiled(backend, q, plan, task, frames * count)
    with torch.no_grad():
        results = [q.new_empty(frames, count, count) for _ in range(3)]
        step = max(1, _ROWS // count)
        for first in range(0, frames, step):
            part = [x[first : first + step].detach() for x in arrays]
            if compiled and dynamics is not None:
                found = _by_kernel(dynamics, part, count)
            else:
                found = _by_torch(skeleton, part, loaded, as_simbody)
            for result, piece in zip(results, found, strict=True):
                result[first : first + step] = piece
    return InverseDynamicsDerivatives(*(x.reshape(*given.batch, count, count) for x in results))


def _by_kernel(dynamics: InverseDynamics, arrays: list[Tensor], count: int) -> list[Tensor]:
    frames = arrays[0].shape[0]
    repeated = [x.repeat_interleave(count, dim=0) for x in arrays]
    weights = torch.eye(count, dtype=arrays[0].dtype).repeat(frames, 1)
    return [x.reshape(frames, count, count) for x in dynamics.tangent(repeated, weights)]


def _by_torch(skeleton: Skeleton, arrays: list[Tensor], loaded: tuple[int, ...], as_simbody: bool) -> list[Tensor]:
    q, v, a = arrays[:3]
    turn = torch.zeros_like(v, requires_grad=True)
    speeds, accelerations = v.requires_grad_(), a.requires_grad_()
    loads = {}
    if loaded:
        wrenches = arrays[3].unflatten(-1, (-1, 2, 3))
        loads = {skeleton.body_names[i]: (wrenches[:, n, 0], wrenches[:, n, 1]) for n, i in enumerate(loaded)}
    with torch.enable_grad():
        moved = _moved(skeleton, q, turn)
        tau = inverse_dynamics_torch(skeleton, moved, speeds, accelerations, loads=loads, as_simbody=as_simbody)
        rows = [
            torch.autograd.grad(tau[:, k].sum(), (turn, speeds, accelerations), retain_graph=True)
            for k in range(skeleton.nv)
        ]
    return [torch.stack(x, dim=1) for x in zip(*rows, strict=True)]


def _moved(skeleton: Skeleton, q: Tensor, turn: Tensor) -> Tensor:
    """Positions after small changes: plain coordinates are added to, ball joints turned in their frames F."""
    if not skeleton.balls:
        return q + turn
    plain, balls = skeleton.position_columns
    within = {c for body in skeleton.balls for c in skeleton.joints[body].ball or ()}
    kept = [c for c in range(skeleton.nv) if c not in within]
    columns: list[Tensor] = list(q.unbind(-1))
    for column, coordinate in zip(plain, kept, strict=True):
        columns[column] = columns[column] + turn[:, coordinate]
    for body, places in zip(skeleton.balls, balls, strict=True):
        small = roma.rotvec_to_rotmat(turn[:, list(skeleton.joints[body].ball or ())])
        turned = small @ rotation_to_matrix(q[:, list(places)], skeleton.rotations)
        for place, value in zip(places, matrix_to_rotation(turned, skeleton.rotations).unbind(-1), strict=True):
            columns[place] = value
    return torch.stack(columns, dim=-1)
