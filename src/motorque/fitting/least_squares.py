"""Many small bounded least-squares problems at once, one per frame, by damped Newton steps with an active set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Equations = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]

BATCH = 256
"""Problems evaluated together: their matrices stay in the processor's cache."""

NEAR = 0.05
"""Newton's steps are taken once Gauss-Newton promises less than this part of the cost: further away the Hessian of the
moment says little about the way."""


@dataclass(frozen=True)
class Solution:
    """Where each problem ended.

    Args:
        x: Minimizers, shape [T, n].
        cost: Their costs, shape [T].
        converged: Whether it settled, shape [T], bool.
        rounds: How many rounds were made.
    """

    x: Tensor
    cost: Tensor
    converged: Tensor
    rounds: int


def solve_bounded(
    equations: Equations,
    start: Tensor,
    lower: Tensor,
    upper: Tensor,
    *,
    largest_step: float = 0.5,
    tolerance: float = 1e-9,
    floor: float = 0.0,
    max_rounds: int = 150,
) -> Solution:
    """Minimize T independent costs within bounds.

    Each round takes a damped step in the variables that no bound holds (Gauss-Newton's from far, Newton's when near and
    where the Hessian is positive), clips it to the bounds, and keeps it where the cost falls. Problems that have
    settled leave the batch.

    Args:
        equations: ``(x [K, n], which [K]) -> cost [K], gradient [K, n], Gauss-Newton matrix [K, n, n], rest of the
            Hessian [K, n, n]`` of the problems ``which``.
        start: Starting points, shape [T, n]; clipped to the bounds.
        lower: Lower bounds, shape [n]; ``-inf`` for none.
        upper: Upper bounds, shape [n].
        largest_step: No variable moves further than this in one round, so that a joint that the data hardly determine
            isn't thrown to its other end by the first linearization.
        tolerance: A problem has settled when the quadratic model promises less than this part of its cost.
        floor: So it has when less than this is promised: a part of a cost that goes to zero is never small enough.
        max_rounds: Rounds before giving up on those that have not settled.

    Source: Bertsekas, SIAM J. Control Optim. 20 (1982) 221 (projected Newton); Marquardt 1963 (damping).
    """
    x = start.clamp(lower, upper)
    active = torch.arange(len(x), device=x.device)
    cost, gradient, matrix, curvature = _evaluate(equations, x, active)
    damping = torch.full_like(cost, 1e-3)
    growth = torch.full_like(cost, 4.0)
    converged = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    best = cost.clone()
    closeness = torch.full_like(cost, torch.inf)  # part of the cost that the last step promised to take away
    rounds = 0
    while len(active) and rounds < max_rounds:
        rounds += 1
        here, near = x[active], (closeness[active] <= NEAR).to(x.dtype)
        step, promise = _steps(here, gradient, matrix, near[:, None, None] * curvature, damping[active], lower, upper)
        trial = (here + step.clamp(-largest_step, largest_step)).clamp(lower, upper)
        # A step that rises however short it is means that rounding hides the rest of the way down.
        settled = (promise <= tolerance * cost + floor) | (damping[active] > 1e8)
        if settled.any():
            # The last step is too small to be worth a look at where it leads.
            x[active[settled]] = torch.where((damping[active] > 1e8)[:, None], here, trial)[settled]
            converged[active[settled]] = True
            go = ~settled
            active, here, trial, promise = active[go], here[go], trial[go], promise[go]
            cost, gradient, matrix, curvature = cost[go], gradient[go], matrix[go], curvature[go]
            if len(active) == 0:
                break
        closeness[active] = promise / cost
        fresh = _evaluate(equations, trial, active)
        better = fresh[0] <= cost
        if better.all():
            cost, gradient, matrix, curvature = fresh
            x[active] = trial
        else:
            x[active] = torch.where(better[:, None], trial, here)
            cost, gradient = torch.where(better, fresh[0], cost), torch.where(better[:, None], fresh[1], gradient)
            matrix = torch.where(better[:, None, None], fresh[2], matrix)
            curvature = torch.where(better[:, None, None], fresh[3], curvature)
        best[active] = cost
        less = (damping[active] / 10).clamp(min=1e-10)
        damping[active] = torch.where(better, less, damping[active] * growth[active])
        growth[active] = torch.where(better, torch.full_like(cost, 4.0), growth[active] * 2)
    return Solution(x, best, converged, rounds)


def _evaluate(equations: Equations, x: Tensor, which: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    parts = [equations(a, b) for a, b in zip(x.split(BATCH), which.split(BATCH), strict=True)]
    if len(parts) == 1:
        return parts[0]
    cost, gradient, matrix, curvature = (torch.cat(p) for p in zip(*parts, strict=True))
    return cost, gradient, matrix, curvature


def _steps(
    x: Tensor, gradient: Tensor, matrix: Tensor, curvature: Tensor, damping: Tensor, lower: Tensor, upper: Tensor
) -> tuple[Tensor, Tensor]:
    """Damped Newton steps [K, n] that leave variables at bounds alone, and the decrease that they promise [K]."""
    diagonal = matrix.diagonal(dim1=-1, dim2=-2)
    largest = diagonal.amax(-1, keepdim=True).clamp(min=1e-300)
    held = ((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0))
    free = (~held).to(x.dtype)
    # The floor keeps variables that no datum determines where they are, and the factorization regular.
    scale = torch.where(held, largest, damping[:, None] * (diagonal + 1e-4 * largest) + 1e-11 * largest)
    mask = free[:, :, None] * free[:, None, :]
    factor, info = torch.linalg.cholesky_ex((matrix + curvature) * mask + torch.diag_embed(scale))
    bent = torch.nonzero(info)[:, 0]
    if len(bent):
        again, failed = torch.linalg.cholesky_ex(matrix[bent] * mask[bent] + torch.diag_embed(scale[bent]))
        factor, info = factor.index_copy(0, bent, again), info.index_copy(0, bent, failed)
    slope = gradient * free
    step = -torch.cholesky_solve(slope[..., None], factor)[..., 0]
    usable = (info == 0)[:, None] & torch.isfinite(step).all(-1, keepdim=True)
    step = torch.where(usable, step, torch.zeros((), dtype=x.dtype, device=x.device))
    promise = -0.5 * (slope * step).sum(-1)
    return step, torch.where(usable[:, 0], promise, torch.full_like(promise, torch.inf))
