"""Forward dynamics by kernels, with gradients that come from inverse dynamics.

With accelerations a from forces f, f = ID(q, v, a) holds whatever changes, so that da = M⁻¹ (df - dID at fixed a): the
gradient takes one product with M⁻¹ and one reverse product of inverse dynamics, and forward dynamics itself need not
be derived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from motorque.mechanics.compiled.backend import InverseDynamics, as_loads, by_torch_alone, derived, run, with_tensors
from motorque.mechanics.compiled.plan import Plan
from motorque.mechanics.compiled.programs import Task
from motorque.mechanics.forward_dynamics import forward_dynamics_torch, watch_mass_matrix
from motorque.skeleton.skeleton import Skeleton

_NEAR, _NEAR_COUPLED = 0.25, 0.25 / 64
"""Times 1 / eps: how far inertias may shrink before torch has a look at them, which refuses half of that. Of trees
kernels never understate how far they do, and overstate it up to 900 times, usually 3 times; with couplers they
eliminate in another order than torch and find a 35th to 60 times its share (twelve models, 300 random poses each).
"""


@dataclass(frozen=True, eq=False)
class ForwardDynamics:
    """Forward dynamics of one skeleton by kernels.

    Args:
        inverse: Its inverse dynamics, with the same columns.
        task: The program.
    """

    inverse: InverseDynamics
    task: Task

    @staticmethod
    def of(skeleton: Skeleton, *, reduced: bool, loaded: tuple[int, ...], as_simbody: bool) -> ForwardDynamics:
        """For a skeleton with gradients for its tensors that carry some."""
        inverse = InverseDynamics.of(skeleton, reduced=reduced, loaded=loaded, as_simbody=as_simbody)
        return ForwardDynamics(inverse, Task("forward_dynamics", reduced, loaded))

    @property
    def plan(self) -> Plan:
        """The skeleton's plan."""
        return self.inverse.plan

    def __call__(self, q: Tensor, v: Tensor, tau: Tensor, loads: Tensor | None) -> Tensor:
        """Accelerations [frames, nv] from positions, speeds, forces and loads, each [frames, columns].

        Raises:
            DataError: A rotation is none.
        """
        arrays = [q, v, tau] + ([] if loads is None else [loads])
        opened = [getattr(self.inverse.skeleton, name) for name in self.plan.structure.open]
        if torch.is_grad_enabled() and (opened or any(x.requires_grad for x in arrays)):
            return _Differentiable.apply(self, len(arrays), *arrays, *opened)
        return self.accelerations(arrays)

    def accelerations(self, arrays: list[Tensor]) -> Tensor:
        """Accelerations, without gradients.

        Raises:
            ModelError: The mass matrix of a frame is singular.
        """
        skeleton, columns = self.inverse.skeleton, [arrays[2].shape[1], 1]
        found, shrinkage = run(skeleton, self.plan, self.task, arrays, columns)
        near = _NEAR_COUPLED if skeleton.couplers else _NEAR
        _watch(skeleton, arrays[0].detach(), found, shrinkage > near / torch.finfo(found.dtype).eps)
        return found

    def inverse_mass_product(self, arrays: list[Tensor], weights: Tensor) -> Tensor:
        """M⁻¹ times each frame's weights: accelerations at rest, without gravity and loads, by these forces."""
        skeleton, structure = self.inverse.skeleton, self.plan.structure
        weightless = self.plan.parameters.clone()
        weightless[[code for code in structure.tensors["gravity"] if isinstance(code, int)]] = 0.0
        q, v, _, *loads = arrays
        at_rest = [q, torch.zeros_like(v), weights, *(torch.zeros_like(x) for x in loads)]
        return run(skeleton, self.plan, self.task, at_rest, [weights.shape[1], 1], weightless)[0]


def _watch(skeleton: Skeleton, q: Tensor, found: Tensor, near: Tensor) -> None:
    """Let torch look at the mass matrices of frames whose accelerations are none, or that are nearly singular.

    It decides and says what is wrong, so that both back ends refuse the same frames in the same words.
    """
    if bool(torch.isfinite(found.sum())) and not bool(near.any()):
        return
    frames = (near[:, 0] | ~torch.isfinite(found).all(-1)) & torch.isfinite(q).all(-1)
    if bool(frames.any()):
        watch_mass_matrix(skeleton, q, frames.nonzero()[:, 0])


class _Differentiable(torch.autograd.Function):
    """Accelerations with their gradient; gradients that kernels can't give come from the torch back end."""

    @staticmethod
    def forward(ctx: Any, dynamics: ForwardDynamics, count: int, *tensors: Tensor) -> Tensor:
        ctx.dynamics, ctx.count = dynamics, count
        accelerations = dynamics.accelerations(list(tensors[:count]))
        ctx.save_for_backward(accelerations, *tensors)
        return accelerations

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        dynamics: ForwardDynamics = ctx.dynamics
        (accelerations, *tensors), (weights,) = ctx.saved_tensors, gradients
        count, inverse = ctx.count, dynamics.inverse
        if by_torch_alone(weights):
            skeleton = with_tensors(inverse.skeleton, dynamics.plan, tensors[count:])
            loads = as_loads(skeleton, dynamics.task, tensors[3] if count > 3 else None)
            with torch.enable_grad():
                result = forward_dynamics_torch(skeleton, *tensors[:3], loads=loads, as_simbody=inverse.as_simbody)
                return None, None, *derived(result, tensors, weights)
        q, v, _, *loads_array = tensors[:count]
        forces = dynamics.inverse_mass_product(tensors[:count], weights)
        by_arrays, by_tensors = inverse.gradient([q, v, accelerations, *loads_array], forces)
        by_q, by_v, _, *by_loads = by_arrays
        return None, None, -by_q, -by_v, forces, *(-x for x in by_loads), *(-x for x in by_tensors)
