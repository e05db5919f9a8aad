"""The compiled back end as torch sees it: functions of tensors, with gradients."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from motorque.mechanics.compiled.kernel import Signature
from motorque.mechanics.compiled.plan import Plan, open_fields, plan_of
from motorque.mechanics.compiled.programs import Task
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.mechanics.reduced import widen_positions
from motorque.skeleton.rotations import check_rotations
from motorque.skeleton.skeleton import Skeleton
from motorque.spatial import CHECKED_ROTATIONS, ROTATION_TOLERANCE


@dataclass(frozen=True, eq=False)
class InverseDynamics:
    """Inverse dynamics of one skeleton by kernels.

    Args:
        skeleton: The skeleton, on the CPU.
        plan: Its plan.
        task: The program.
        as_simbody: Whether custom joints' axes turn as in Simbody.
    """

    skeleton: Skeleton
    plan: Plan
    task: Task
    as_simbody: bool

    @staticmethod
    def of(skeleton: Skeleton, *, reduced: bool, loaded: tuple[int, ...], as_simbody: bool) -> InverseDynamics:
        """For a skeleton with gradients for its tensors that carry some."""
        plan = plan_of(skeleton, open_fields(skeleton), as_simbody=as_simbody)
        return InverseDynamics(skeleton, plan, Task("inverse_dynamics", reduced, loaded), as_simbody)

    def __call__(self, q: Tensor, v: Tensor, a: Tensor, loads: Tensor | None) -> Tensor:
        """Generalized forces.

        Args:
            q: Positions, shape [frames, nq].
            v: Speeds, shape [frames, nv].
            a: Accelerations, shape [frames, nv].
            loads: Force and moment about the ground origin of each loaded body, shape [frames, 6 L].

        Returns:
            Shape [frames, nv].

        Raises:
            DataError: A rotation is none.
        """
        arrays = [q, v, a] + ([] if loads is None else [loads])
        opened = [getattr(self.skeleton, name) for name in self.plan.structure.open]
        if torch.is_grad_enabled() and (opened or any(x.requires_grad for x in arrays)):
            return _Differentiable.apply(self, len(arrays), *arrays, *opened)
        return self.forces(arrays)

    def forces(self, arrays: list[Tensor]) -> Tensor:
        """Generalized forces, without gradients."""
        return run(self.skeleton, self.plan, self.task, arrays, [arrays[1].shape[1]])[0]

    def gradient(self, arrays: list[Tensor], weights: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Derivatives of ``(weights * forces).sum()`` by the arrays and by the skeleton's open tensors."""
        structure = self.plan.structure
        opened = [getattr(self.skeleton, name) for name in structure.open]
        columns = tuple(x.shape[1] for x in arrays)
        totals = sum(x.numel() for x in opened)
        task = dataclasses.replace(self.task, kind="inverse_dynamics_gradient")
        kernel = self.plan.kernel(task, weights.dtype, Signature((*columns, weights.shape[1]), columns, totals))
        inputs = [*(x.detach().contiguous() for x in arrays), weights.detach().contiguous()]
        by_arrays, sums, _ = kernel.run(inputs, self.plan.parameters)
        by_tensors = torch.as_tensor(sums, dtype=weights.dtype).split([x.numel() for x in opened]) if opened else ()
        return by_arrays, [part.reshape(x.shape) for part, x in zip(by_tensors, opened, strict=True)]

    def tangent(self, arrays: list[Tensor], weights: Tensor) -> list[Tensor]:
        """Derivatives of ``(weights * forces).sum()`` by small rotations and changes of coordinates, speeds and
        accelerations, each [frames, nv].
        """
        columns = tuple(x.shape[1] for x in arrays)
        task = dataclasses.replace(self.task, kind="inverse_dynamics_tangent")
        signature = Signature((*columns, weights.shape[1]), (columns[1], *columns[1:]))
        kernel = self.plan.kernel(task, weights.dtype, signature)
        found, _, _ = kernel.run([*(x.contiguous() for x in arrays), weights], self.plan.parameters)
        return found[:3]


def run(
    skeleton: Skeleton,
    plan: Plan,
    task: Task,
    arrays: list[Tensor],
    columns: Sequence[int],
    parameters: Tensor | None = None,
) -> list[Tensor]:
    """Carry a kernel out whose first array is positions and whose results have some columns; no gradients.

    ``parameters`` are the skeleton's own unless others are given.

    Raises:
        DataError: A rotation is none.
    """
    arrays = [x.detach().contiguous() for x in arrays]
    watched = plan.structure.rotations in CHECKED_ROTATIONS and bool(plan.structure.balls)
    signature = Signature(tuple(x.shape[1] for x in arrays), tuple(columns), watched=watched)
    kernel = plan.kernel(task, arrays[0].dtype, signature)
    results, _, largest = kernel.run(arrays, plan.parameters if parameters is None else parameters)
    if largest > ROTATION_TOLERANCE[arrays[0].dtype]:
        check_rotations(skeleton, widen_positions(skeleton, arrays[0]))  # says which one
    return results


class _Differentiable(torch.autograd.Function):
    """Forces with their gradient; gradients that kernels can't give come from the torch back end."""

    @staticmethod
    def forward(ctx: Any, dynamics: InverseDynamics, count: int, *tensors: Tensor) -> Tensor:
        ctx.dynamics, ctx.count = dynamics, count
        ctx.save_for_backward(*tensors)
        return dynamics.forces(list(tensors[:count]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors, (weights,) = ctx.saved_tensors, gradients
        dynamics: InverseDynamics = ctx.dynamics
        if by_torch_alone(weights):
            with torch.enable_grad():
                return None, None, *_by_torch(dynamics, ctx.count, tensors, weights)
        by_arrays, by_tensors = dynamics.gradient(list(tensors[: ctx.count]), weights)
        return None, None, *by_arrays, *by_tensors


def by_torch_alone(weights: Tensor) -> bool:
    """Whether a gradient is beyond kernels: somebody will derive it once more, or many are asked for at once
    (``is_grads_batched``, ``torch.autograd.functional.jacobian(vectorize=True)``).
    """
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(weights)
    return torch.is_grad_enabled() or wrapped or torch._C._functorch.is_legacy_batchedtensor(weights)


def _by_torch(dynamics: InverseDynamics, count: int, tensors: tuple[Tensor, ...], weights: Tensor) -> list[Any]:
    skeleton = with_tensors(dynamics.skeleton, dynamics.plan, tensors[count:])
    loads = as_loads(skeleton, dynamics.task, tensors[3] if count > 3 else None)
    tau = inverse_dynamics_torch(skeleton, *tensors[:3], loads=loads, as_simbody=dynamics.as_simbody)
    return derived(tau, tensors, weights)


def with_tensors(skeleton: Skeleton, plan: Plan, tensors: Sequence[Tensor]) -> Skeleton:
    """The skeleton with others in place of its open tensors."""
    return dataclasses.replace(skeleton, **dict(zip(plan.structure.open, tensors, strict=True)))  # type: ignore[arg-type]


def as_loads(skeleton: Skeleton, task: Task, rows: Tensor | None) -> dict[str, tuple[Tensor, Tensor]]:
    """Loads by name from an array of them."""
    if rows is None:
        return {}
    wrenches = rows.unflatten(-1, (-1, 2, 3))
    return {skeleton.body_names[i]: (wrenches[..., n, 0, :], wrenches[..., n, 1, :]) for n, i in enumerate(task.loaded)}


def derived(result: Tensor, tensors: Sequence[Tensor], weights: Tensor) -> list[Any]:
    """Derivatives of ``(weights * result).sum()`` that can be derived again, None where none is asked for."""
    wanted = [x for x in tensors if x.requires_grad]
    found = iter(torch.autograd.grad(result, wanted, weights, create_graph=True, allow_unused=True))
    return [next(found) if x.requires_grad else None for x in tensors]
