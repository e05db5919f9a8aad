"""Forward dynamics: the accelerations that generalized forces, gravity and loads cause.

A tree without couplers is solved by the articulated-body algorithm. With couplers the mass matrix of the free
coordinates is made and solved, with what the couplers' curvature adds (the accelerations of coupled coordinates at
constant free speeds) among the bias forces. Points held together are held by forces between them, found with the
condition that their accelerations are the same.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), chapters 7 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.articulated_body import ArticulatedTree
from motorque.mechanics.inverse_dynamics import tree_forces
from motorque.mechanics.loops import closing_rows, watch_rows
from motorque.mechanics.mass_matrix import full_mass_matrix, speed_momenta
from motorque.mechanics.reduced import fill, fold, is_reduced, widen
from motorque.mechanics.tree import TreePose, tree_pose
from motorque.mechanics.twists import coordinate_bodies
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import Skeleton

Solve = Callable[[Tensor], Tensor]
"""From forces of the free coordinates to their accelerations, both [..., number free]."""
SMALLEST_SHARE = 2.0
"""Rounding errors to which the inertia of a coordinate may shrink when all others are let go before it counts as none:
what is left of it then is made of rounding errors."""
_AT_ONCE = 4096
"""Frames whose mass matrices are looked at together: memory for them all may not be there."""


def forward_dynamics_torch(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    tau: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    as_simbody: bool = False,
    locked: Sequence[str] = (),
    watch: bool = True,
) -> Tensor:
    """Accelerations: `dynamics.forward_dynamics` without its checks, for all devices.

    Args:
        skeleton: The skeleton. Its constraints between points are taken to hold in ``q`` and ``v``.
        q: Positions [rad or m, or as ``skeleton.rotations`` says], shape [..., nq], or without coupled coordinates.
            Columns of coupled coordinates are computed anew, not read; so are those of speeds.
        v: Generalized speeds, shape [..., nv], alike; of a ball joint the angular velocity in its frame F.
        tau: Generalized forces [N·m or N], alike; those of coupled coordinates act through the couplers.
        loads: External force [N] and moment about the **ground origin** [N·m] on bodies, by name, in ground, each of
            shape [..., 3].
        as_simbody: Whether the axes of custom joints turn as in Simbody (see `simbody_rates`) instead of as they do.
        locked: Names of coordinates whose accelerations are zero, whatever force that takes.
        watch: Whether to look at the values for a singular mass matrix; else its frames get numbers that are none. On
            a GPU looking waits for the answer.

    Returns:
        Time derivatives of the speeds, shape [..., nv], or without coupled coordinates, if positions have none.

    Raises:
        ModelError: Something with no mass moves, or constraints say the same twice; a load acts on a body that is not
            there; a locked coordinate is not there or is driven by a coupler.
    """
    reduced = is_reduced(skeleton, q)
    fixed = locked_columns(skeleton, locked)
    q, v, a = fill(skeleton, q, v)
    tree = tree_pose(skeleton, q)
    bias, motion = tree_forces(skeleton, tree, q, v, a, loads=loads, as_simbody=as_simbody)
    forces = fold(skeleton, q, tau) - fold(skeleton, q, bias)
    solve = mass_solver(skeleton, tree, q, fixed, watch=watch)
    free = solve(forces)
    if skeleton.point_constraints:
        rows, missing = closing_rows(skeleton, tree, q, motion)
        if skeleton.couplers:
            rows = rows @ skeleton.coupling_matrix(q)
        rows = rows.index_fill(-1, constant(fixed, q.device), 0.0)
        if watch and _may_look():
            watch_rows(skeleton, rows)
        free = free + _held(rows, missing, free, solve)
    if not skeleton.couplers:
        return free
    return free if reduced else skeleton.couple_derivatives(q, v, widen(skeleton, free))[2]


def inverse_mass_matrix_torch(skeleton: Skeleton, q: Tensor, *, watch: bool = True) -> Tensor:
    """Inverse of the mass matrix, without looking at point constraints.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        watch: As for :func:`forward_dynamics_torch`.

    Returns:
        In the free coordinates, shape [..., number free, number free].

    Raises:
        ModelError: Something with no mass moves.
    """
    q, _, _ = fill(skeleton, q, torch.zeros(*q.shape[:-1], skeleton.nv, dtype=q.dtype, device=q.device))
    count = len(skeleton.free_coordinates)
    columns = torch.eye(count, dtype=q.dtype, device=q.device)
    columns = columns.reshape(count, *(1 for _ in q.shape[:-1]), count).expand(count, *q.shape[:-1], count)
    inverse = mass_solver(skeleton, tree_pose(skeleton, q), q, (), watch=watch)(columns).movedim(0, -1)
    return 0.5 * (inverse + inverse.mT)


def watch_mass_matrix(skeleton: Skeleton, q: Tensor, frames: Tensor) -> None:
    """Look at the mass matrices of some frames.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [all frames, nq], or without coupled coordinates.
        frames: Which frames, shape [F].

    Raises:
        ModelError: Something with no mass moves in one of them.
    """
    with torch.no_grad():
        for some in frames.split(_AT_ONCE):
            part, speeds = q[some], q.new_zeros(len(some), skeleton.nv)
            part, _, _ = fill(skeleton, part, speeds)
            mass_solver(skeleton, tree_pose(skeleton, part), part, frames=some)


def locked_columns(skeleton: Skeleton, locked: Sequence[str]) -> tuple[int, ...]:
    """Which of the free coordinates are locked, as columns of the free coordinates.

    Raises:
        ModelError: There is no such coordinate, or a coupler drives it.
    """
    if isinstance(locked, str):
        raise DataError(f"{skeleton.name}: locked must be a sequence of coordinate names, got {locked!r}")
    columns = []
    for name in locked:
        coordinate = skeleton.coordinate(name)
        if coordinate not in skeleton.free_coordinates:
            coupler = next(c for c in skeleton.couplers if c.dependent == coordinate)
            raise ModelError(
                f"{skeleton.name}: {name} can't be locked, since coupler {coupler.name!r} drives it; lock "
                f"{skeleton.coordinate_names[coupler.independent]} instead"
            )
        columns.append(skeleton.free_coordinates.index(coordinate))
    return tuple(sorted(set(columns)))


def mass_solver(
    skeleton: Skeleton,
    tree: TreePose,
    q: Tensor,
    locked: Sequence[int] = (),
    *,
    watch: bool = True,
    frames: Tensor | None = None,
) -> Solve:
    """What takes forces of the free coordinates to their accelerations; locked ones stay zero.

    Args:
        skeleton: The skeleton.
        tree: Its bodies at ``q``.
        q: Positions, shape [..., nq].
        locked: Columns of locked coordinates among the free ones.
        watch: As for :func:`forward_dynamics_torch`.
        frames: Numbers of the frames, for messages; those of their places where None.

    Raises:
        ModelError: Something with no mass moves.
    """
    if not skeleton.couplers:
        articulated = ArticulatedTree.of(skeleton, tree, q, locked)
        if watch and _may_look():
            with torch.no_grad():
                total = speed_momenta(skeleton, tree, q).inertia()
            _watch_pivots(skeleton, total, articulated.inertias(), range(skeleton.nv), frames)
        return articulated.solve
    coupling = skeleton.coupling_matrix(q)
    matrix = coupling.mT @ full_mass_matrix(skeleton, tree, q) @ coupling
    kept = constant([i for i in range(matrix.shape[-1]) if i not in locked], q.device)
    matrix = matrix.index_select(-1, kept).index_select(-2, kept)
    factor, info = torch.linalg.cholesky_ex(matrix)
    if watch and _may_look():
        # Where elimination broke off, its last number is what was left of the diagonal.
        left = factor.detach().diagonal(dim1=-2, dim2=-1).square()
        at = torch.arange(1, left.shape[-1] + 1, device=q.device)
        left = torch.where(
            at == info[..., None], 0.0, torch.where((at > info[..., None]) & (info > 0)[..., None], float("inf"), left)
        )
        free = [skeleton.free_coordinates[i] for i in range(coupling.shape[-1]) if i not in locked]
        _watch_pivots(skeleton, matrix.diagonal(dim1=-2, dim2=-1), left, free, frames)
    factor = torch.where((info > 0)[..., None, None], float("nan"), factor)

    def solve(forces: Tensor) -> Tensor:
        found = torch.cholesky_solve(forces.index_select(-1, kept)[..., None], factor)[..., 0]
        return torch.zeros_like(forces).index_copy(-1, kept, found)

    return solve


def _held(rows: Tensor, missing: Tensor, free: Tensor, solve: Solve) -> Tensor:
    """What the forces of constraints add to accelerations.

    Args:
        rows: How the constraints' accelerations follow those of the coordinates, shape [..., m, number free].
        missing: The constraints' accelerations that the coordinates' have to bring about [m/s²], shape [..., m].
        free: Accelerations without the constraints, shape [..., number free].
        solve: The mass matrix's solver.
    """
    response = solve(rows.movedim(-2, 0)).movedim(0, -1)
    matrix = rows @ response
    scale = matrix.diagonal(dim1=-2, dim2=-1).rsqrt()[..., None]
    factor, info = torch.linalg.cholesky_ex(scale * matrix * scale.mT)
    factor = torch.where((info > 0)[..., None, None], float("nan"), factor)
    wanted = missing[..., None] - rows @ free[..., None]
    return (response @ (scale * torch.cholesky_solve(scale * wanted, factor)))[..., 0]


def _may_look() -> bool:
    """Whether values can be looked at: within torch.func's transforms and torch.compile there are none yet."""
    return torch._C._functorch.maybe_current_level() is None and not torch.compiler.is_compiling()


def _watch_pivots(
    skeleton: Skeleton, total: Tensor, left: Tensor, coordinates: Sequence[int], frames: Tensor | None
) -> None:
    """Hold what each coordinate has to move to be something, also when all others are let go.

    Args:
        skeleton: The skeleton.
        total: Diagonal of the mass matrix, shape [..., n].
        left: What elimination leaves of it; what is not finite says nothing.
        coordinates: The n coordinates.
        frames: As for :func:`mass_solver`.

    Raises:
        ModelError: It is nothing, or made of rounding errors.
    """
    if total.numel() == 0:
        return
    total, left = (x.detach().reshape(-1, x.shape[-1]) for x in torch.broadcast_tensors(total, left))
    least = SMALLEST_SHARE * torch.finfo(total.dtype).eps * total
    bad = (~(left > least) | (total <= 0)) & left.isfinite() & total.isfinite()
    if not bool(bad.any()):
        return
    frame, column = (int(i) for i in bad.nonzero()[0])
    index, number = coordinates[column], frame if frames is None else int(frames[frame])
    body = skeleton.body_names[int(coordinate_bodies(skeleton)[index])]
    name = skeleton.coordinate_names[index]
    if float(total[frame, column]) > 0:
        raise ModelError(
            f"{skeleton.name}: the mass matrix is singular in frame {number}: what {name} (body {body}) moves is moved "
            f"by other coordinates as well; lock {name}, or give mass to what is massless around it"
        )
    raise ModelError(
        f"{skeleton.name}: the mass matrix is singular in frame {number}: {name} moves nothing that has mass (body "
        f"{body} and what hangs on it); give it mass, or lock {name}"
    )
