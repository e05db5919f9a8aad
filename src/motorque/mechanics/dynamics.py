"""Inverse dynamics, mass matrix, bias forces and forward dynamics: checked input, and the back end that fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from motorque.mechanics.arguments import Arguments, Wrench, check, loaded_bodies
from motorque.mechanics.backends import Backend, may_compile, use_compiled
from motorque.mechanics.compiled.accelerations import ForwardDynamics
from motorque.mechanics.compiled.backend import InverseDynamics, run
from motorque.mechanics.compiled.plan import open_fields, plan_of
from motorque.mechanics.compiled.programs import Task
from motorque.mechanics.forward_dynamics import forward_dynamics_torch, inverse_mass_matrix_torch
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.mechanics.loops import refuse_loops
from motorque.mechanics.mass_matrix import gravity_forces_torch, mass_matrix_torch
from motorque.mechanics.reduced import narrow, narrow_positions, widen_positions
from motorque.skeleton.rotations import check_rotations
from motorque.skeleton.skeleton import Skeleton
from motorque.spatial import CHECKED_ROTATIONS


def inverse_dynamics(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    a: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    backend: Backend = "auto",
    as_simbody: bool = False,
    ignore_constraints: bool = False,
) -> Tensor:
    """Generalized forces that produce a motion under gravity and external loads.

    Differentiable in positions, speeds, accelerations, loads and the skeleton's tensors.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m, or as ``skeleton.rotations`` says], shape [..., nq]. With columns for all coordinates,
            coupled ones are taken as they are and get forces of their own, as in OpenSim; without columns for coupled
            ones they follow, and the forces are those of the free coordinates.
        v: Generalized speeds [rad/s or m/s], shape [..., nv]; of a ball joint the angular velocity in its frame F.
        a: Their time derivatives, shape [..., nv].
        loads: External force [N] and moment about the **ground origin** [N·m] on bodies by name, in ground, each of
            shape [..., 3].
        backend: Which implementation answers; they agree to rounding.
        as_simbody: Whether the axes of custom joints turn as in Simbody, for an answer that equals OpenSim's, instead
            of as they do (see `simbody_rates`).
        ignore_constraints: Whether to answer for a skeleton whose points are held together as if they were not. What
            the joints of a closed loop provide can't be told from its motion: part of it may come from the constraint.

    Returns:
        Generalized forces [N·m or N], shape [..., nv], or without coupled coordinates.

    Raises:
        DataError: Shapes do not fit the skeleton, devices or precisions differ, or a rotation is none.
        ModelError: A load acts on a body that is not there, or point constraints close loops.

    Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 5.3.
    """
    if not ignore_constraints:
        refuse_loops(skeleton)
    given = check(skeleton, q, {"v": v, "a": a}, loads)
    loaded = loaded_bodies(skeleton, loads)
    if may_compile(skeleton, backend):
        compiled = InverseDynamics.of(skeleton, reduced=given.reduced, loaded=loaded, as_simbody=as_simbody)
        if use_compiled(backend, q, compiled.plan, compiled.task, given.batch.numel()):
            rows = _load_rows(skeleton, given, loaded)
            tau = compiled(_rows(given, "q"), _rows(given, "v"), _rows(given, "a"), rows)
            return tau.reshape(*given.batch, tau.shape[-1])
    else:
        use_compiled(backend, q, None, None, 0)
    tensors = _looked_at(skeleton, given)
    return inverse_dynamics_torch(
        skeleton, tensors["q"], tensors["v"], tensors["a"], loads=_wrenches(given, loads), as_simbody=as_simbody
    )


def mass_matrix(skeleton: Skeleton, q: Tensor, *, backend: Backend = "auto") -> Tensor:
    """The mass matrix, in the free coordinates: ``kinetic energy = v' M v / 2``.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates; columns of coupled ones are computed anew.
        backend: Which implementation answers; where gradients are asked for, torch.

    Returns:
        [kg·m², kg·m or kg], symmetric, shape [..., number of free coordinates, the same].

    Raises:
        DataError: Shapes do not fit the skeleton, devices or precisions differ, or a rotation is none.

    Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 6.2.
    """
    given = check(skeleton, q, {})
    if may_compile(skeleton, backend) and not _wants_gradient(skeleton, q):
        plan, task = plan_of(skeleton, (), as_simbody=False), Task("mass_matrix", given.reduced)
        if use_compiled(backend, q, plan, task, given.batch.numel()):
            count = len(skeleton.free_coordinates)
            found = run(skeleton, plan, task, [_rows(given, "q")], [count * count])[0]
            return found.reshape(*given.batch, count, count)
    else:
        use_compiled(backend, q, None, None, 0)
    return mass_matrix_torch(skeleton, _looked_at(skeleton, given)["q"])


def inverse_mass_matrix(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Inverse of :func:`mass_matrix`: how the free coordinates accelerate per unit of force on each; point constraints
    are not looked at.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates; columns of coupled ones are computed anew.

    Returns:
        Symmetric, shape [..., number of free coordinates, the same].

    Raises:
        DataError: As for :func:`mass_matrix`.
        ModelError: Something without mass would accelerate.
    """
    return inverse_mass_matrix_torch(skeleton, _looked_at(skeleton, check(skeleton, q, {}))["q"])


def bias_forces(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    backend: Backend = "auto",
    as_simbody: bool = False,
) -> Tensor:
    """Generalized forces at which the free coordinates do not accelerate: those of inertia at given speeds, less
    gravity's and the loads'.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates; columns of coupled ones are computed anew.
        v: Generalized speeds, shape [..., nv], alike.
        loads: As for :func:`inverse_dynamics`.
        backend: Which implementation answers.
        as_simbody: As for :func:`inverse_dynamics`.

    Returns:
        [N·m or N], shape [..., number of free coordinates].

    Raises:
        DataError: As for :func:`inverse_dynamics`.
        ModelError: A load acts on a body that is not there.
    """
    check(skeleton, q, {"v": v}, loads)
    # Columns of coupled coordinates are not read.
    q, v = narrow_positions(skeleton, q), narrow(skeleton, v)
    return inverse_dynamics(
        skeleton, q, v, torch.zeros_like(v),
        loads=loads, backend=backend, as_simbody=as_simbody, ignore_constraints=True,
    )  # fmt: skip


def gravity_forces(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Generalized forces that hold the body still in a pose; shape [..., number of free coordinates].

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates; columns of coupled ones are computed anew.

    Raises:
        DataError: Shapes do not fit the skeleton, devices or precisions differ.
    """
    return gravity_forces_torch(skeleton, _looked_at(skeleton, check(skeleton, q, {}))["q"])


def forward_dynamics(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    tau: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    locked: Sequence[str] = (),
    backend: Backend = "auto",
    as_simbody: bool = False,
) -> Tensor:
    """Accelerations that generalized forces cause under gravity and external loads, by the articulated-body algorithm.

    With couplers the mass matrix of the free coordinates is solved instead. Points that the skeleton holds together
    are held, by torch: they are taken to be together in ``q`` and not to part in ``v``.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates; columns of coupled ones are computed anew.
        v: Generalized speeds, shape [..., nv], alike; of a ball joint the angular velocity in its frame F.
        tau: Generalized forces [N·m or N], alike; those of coupled coordinates act on the ones that they follow.
        loads: As for :func:`inverse_dynamics`.
        locked: Names of coordinates that do not accelerate, whatever force that takes; answered by torch.
        backend: Which implementation answers.
        as_simbody: As for :func:`inverse_dynamics`.

    Returns:
        Time derivatives of the speeds [rad/s² or m/s²], shape [..., nv], with the columns that ``tau`` has.

    Raises:
        DataError: Shapes do not fit the skeleton, devices or precisions differ, or a rotation is none.
        ModelError: Something without mass would accelerate, constraints say the same twice, or a load or a lock is on
            something that is not there.

    Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 7.3.
    """
    given = check(skeleton, q, {"v": v, "tau": tau}, loads)
    loaded = loaded_bodies(skeleton, loads)
    by_torch = bool(locked or skeleton.point_constraints)
    # Where columns of coupled coordinates are there but not read, gradients would need a second kind of kernel.
    by_torch |= bool(skeleton.couplers) and not given.reduced and _wants_gradient(skeleton, q, v, tau)
    if may_compile(skeleton, backend) and not by_torch:
        compiled = ForwardDynamics.of(skeleton, reduced=given.reduced, loaded=loaded, as_simbody=as_simbody)
        if use_compiled(backend, q, compiled.plan, compiled.task, given.batch.numel()):
            rows = _load_rows(skeleton, given, loaded)
            found = compiled(_rows(given, "q"), _rows(given, "v"), _rows(given, "tau"), rows)
            return found.reshape(*given.batch, found.shape[-1])
    else:
        use_compiled(backend, q, None, None, 0)
    tensors = _looked_at(skeleton, given)
    return forward_dynamics_torch(
        skeleton, tensors["q"], tensors["v"], tensors["tau"],
        loads=_wrenches(given, loads), as_simbody=as_simbody, locked=locked,
    )  # fmt: skip


def _looked_at(skeleton: Skeleton, given: Arguments) -> Mapping[str, Tensor]:
    """The tensors, their rotations held to being some; on a GPU that would wait for the device, and is left out."""
    if skeleton.rotations in CHECKED_ROTATIONS and skeleton.mass.device.type == "cpu":
        check_rotations(skeleton, widen_positions(skeleton, given.tensors["q"]))
    return given.tensors


def _wants_gradient(skeleton: Skeleton, *tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and bool(any(x.requires_grad for x in tensors) or open_fields(skeleton))


def _wrenches(given: Arguments, loads: Mapping[str, Wrench] | None) -> dict[str, Wrench]:
    """Loads with the batch shape of everything else."""
    tensors = given.tensors
    return {name: (tensors[f"force on {name}"], tensors[f"moment on {name}"]) for name in loads or {}}


def _rows(given: Arguments, name: str) -> Tensor:
    """A tensor as [frames, columns]."""
    x = given.tensors[name]
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _load_rows(skeleton: Skeleton, given: Arguments, loaded: tuple[int, ...]) -> Tensor | None:
    """Loads as [frames, 6 L]."""
    if not loaded:
        return None
    names = [skeleton.body_names[i] for i in loaded]
    return torch.cat([_rows(given, f"{part} on {name}") for name in names for part in ("force", "moment")], dim=-1)
