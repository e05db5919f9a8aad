"""The compiled back end as torch sees it: functions of tensors, with gradients."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.compiled.kernel import Kernel, Signature
from motorque.mechanics.compiled.plan import Plan, open_fields, plan_of
from motorque.mechanics.compiled.programs import Task
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.skeleton.skeleton import Skeleton
from motorque.spatial import ROTATION_TOLERANCE, rotation_error


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
        arrays = [x.detach().contiguous() for x in arrays]
        structure = self.plan.structure
        watched = structure.rotations in ("quaternion", "matrix") and bool(structure.balls)
        width = arrays[1].shape[1]
        signature = Signature(tuple(x.shape[1] for x in arrays), (width,), watched=watched)
        kernel = self.plan.kernel(self.task, arrays[0].dtype, signature)
        (tau,), _, largest = kernel.run(arrays, self.plan.values.pack(self.skeleton))
        if largest > ROTATION_TOLERANCE[tau.dtype]:
            raise no_rotation(self.skeleton, arrays[0])
        return tau

    def gradient(self, arrays: list[Tensor], weights: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Derivatives of ``(weights * forces).sum()`` by the arrays and by the skeleton's open tensors."""
        structure = self.plan.structure
        opened = [getattr(self.skeleton, name) for name in structure.open]
        columns = tuple(x.shape[1] for x in arrays)
        totals = sum(x.numel() for x in opened)
        task = dataclasses.replace(self.task, kind="inverse_dynamics_gradient")
        kernel: Kernel = self.plan.kernel(task, weights.dtype, Signature((*columns, weights.shape[1]), columns, totals))
        inputs = [*(x.detach().contiguous() for x in arrays), weights.detach().contiguous()]
        by_arrays, sums, _ = kernel.run(inputs, self.plan.values.pack(self.skeleton))
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
        found, _, _ = kernel.run([*(x.contiguous() for x in arrays), weights], self.plan.values.pack(self.skeleton))
        return found[:3]


class _Differentiable(torch.autograd.Function):
    """Forces with their gradient; a gradient of the gradient comes from the torch back end."""

    @staticmethod
    def forward(ctx: Any, dynamics: InverseDynamics, count: int, *tensors: Tensor) -> Tensor:
        ctx.dynamics, ctx.count = dynamics, count
        ctx.save_for_backward(*tensors)
        return dynamics.forces(list(tensors[:count]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors, (weights,) = ctx.saved_tensors, gradients
        dynamics: InverseDynamics = ctx.dynamics
        if torch.is_grad_enabled():  # somebody will want to derive this once more
            return None, None, *_by_torch(dynamics, ctx.count, tensors, weights)
        by_arrays, by_tensors = dynamics.gradient(list(tensors[: ctx.count]), weights)
        return None, None, *by_arrays, *by_tensors


def _by_torch(dynamics: InverseDynamics, count: int, tensors: tuple[Tensor, ...], weights: Tensor) -> list[Any]:
    fields = dict(zip(dynamics.plan.structure.open, tensors[count:], strict=True))
    skeleton = dataclasses.replace(dynamics.skeleton, **fields)  # type: ignore[arg-type]
    loads = {}
    if count > 3:
        wrenches = tensors[3].unflatten(-1, (-1, 2, 3))
        loads = {
            skeleton.body_names[i]: (wrenches[..., n, 0, :], wrenches[..., n, 1, :])
            for n, i in enumerate(dynamics.task.loaded)
        }
    tau = inverse_dynamics_torch(skeleton, *tensors[:3], loads=loads, as_simbody=dynamics.as_simbody)
    wanted = [x for x in tensors if x.requires_grad]
    found = iter(torch.autograd.grad(tau, wanted, weights, create_graph=True, allow_unused=True))
    return [next(found) if x.requires_grad else None for x in tensors]


def no_rotation(skeleton: Skeleton, q: Tensor) -> DataError:
    """The error that names the first frame and joint whose rotation is none.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [frames, nq] or reduced.
    """
    dropped = skeleton.nv - len(skeleton.free_coordinates) if q.shape[-1] != skeleton.nq else 0
    _, balls = skeleton.position_columns
    for body, columns in zip(skeleton.balls, balls, strict=True):
        before = 0
        if dropped:
            first = (skeleton.joints[body].ball or (0,))[0]
            before = sum(c.dependent < first for c in skeleton.couplers)
        error = rotation_error(q[:, [c - before for c in columns]], skeleton.rotations)
        bad = error > ROTATION_TOLERANCE[q.dtype]
        if bad.any():
            frame = int(bad.int().argmax())
            return DataError(
                f"{skeleton.name}: the {skeleton.rotations} of joint {skeleton.joints[body].name!r} in frame {frame} "
                f"is no rotation (it is off by {float(error[frame]):.2g}); normalize it, or look at where it comes from"
            )
    return DataError(f"{skeleton.name}: a {skeleton.rotations} in the positions is no rotation; normalize it")
