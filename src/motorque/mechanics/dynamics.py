"""Inverse dynamics, mass matrix, bias forces and forward dynamics: checked input, and the back end that fits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from motorque.mechanics.arguments import Arguments, Wrench, check, loaded_bodies
from motorque.mechanics.backends import Backend, use_compiled
from motorque.mechanics.compiled.backend import InverseDynamics
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.skeleton.skeleton import Skeleton


def inverse_dynamics(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    a: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    backend: Backend = "auto",
    as_simbody: bool = False,
) -> Tensor:
    """Generalized forces that produce a motion under gravity and external loads.

    Differentiable in positions, speeds, accelerations, loads and the skeleton's tensors. Constraints between points
    are not looked at: what the joints of a closed loop provide can't be told from its motion alone.

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

    Returns:
        Generalized forces [N·m or N], shape [..., nv], or without coupled coordinates.

    Raises:
        DataError: Shapes do not fit the skeleton, devices or precisions differ, or a rotation is none.
        ModelError: A load acts on a body that is not there.

    Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 5.3.
    """
    given = check(skeleton, q, {"v": v, "a": a}, loads)
    loaded = loaded_bodies(skeleton, loads)
    frames = given.batch.numel()
    compiled = None
    if backend != "torch" and skeleton.mass.device.type == "cpu":
        compiled = InverseDynamics.of(skeleton, reduced=given.reduced, loaded=loaded, as_simbody=as_simbody)
    task, plan = (compiled.task, compiled.plan) if compiled else (None, None)
    if not use_compiled(backend, q, plan, task, frames) or compiled is None:
        tensors = given.tensors
        wrenches = {name: (tensors[f"force on {name}"], tensors[f"moment on {name}"]) for name in loads or {}}
        return inverse_dynamics_torch(
            skeleton, tensors["q"], tensors["v"], tensors["a"], loads=wrenches, as_simbody=as_simbody
        )
    loads_in_rows = _load_rows(skeleton, given, loaded)
    tau = compiled(_rows(given, "q"), _rows(given, "v"), _rows(given, "a"), loads_in_rows)
    return tau.reshape(*given.batch, tau.shape[-1])


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
