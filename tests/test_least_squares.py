"""Many bounded least-squares problems at once: scipy's minima, bounds that hold, variables that nothing determines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

from motorque.fitting.least_squares import BATCH, solve_bounded

INF = torch.inf


@dataclass
class Bent:
    """Problems with residuals a x + bend sin(a x) - y_k, whose derivatives are exact."""

    a: Tensor
    y: Tensor
    bend: float = 0.3

    def residuals(self, x: Tensor, k: Tensor) -> Tensor:
        z = x @ self.a.T
        return z + self.bend * z.sin() - self.y[k]

    def __call__(self, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        z, r = x @ self.a.T, self.residuals(x, k)
        jacobian = (1 + self.bend * z.cos())[..., None] * self.a
        curved = (-self.bend * z.sin() * r)[..., None, None] * (self.a[:, :, None] * self.a[:, None, :])
        return (
            0.5 * r.square().sum(-1),
            (r[..., None] * jacobian).sum(-2),
            jacobian.transpose(-1, -2) @ jacobian,
            curved.sum(-3),
        )


def problems(count: int, seed: int = 0) -> Bent:
    rng = np.random.default_rng(seed)
    return Bent(torch.as_tensor(rng.normal(size=(9, 4))), torch.as_tensor(2 * rng.normal(size=(count, 9))))


LOWER = torch.tensor([-0.3, -INF, -0.2, -0.5], dtype=torch.float64)
UPPER = torch.tensor([0.4, INF, INF, 0.1], dtype=torch.float64)


def test_the_minima_are_scipys() -> None:
    bent = problems(30)
    found = solve_bounded(bent, torch.zeros(30, 4).double(), LOWER, UPPER, tolerance=1e-16)
    assert found.converged.all()
    held = 0
    for k in range(30):
        which = torch.tensor([k])
        theirs = scipy.optimize.least_squares(
            lambda x, k=which: bent.residuals(torch.as_tensor(x)[None], k)[0].numpy(),
            np.zeros(4), bounds=(LOWER.numpy(), UPPER.numpy()), method="dogbox", xtol=1e-15, ftol=1e-15, gtol=1e-15,
        )  # fmt: skip
        assert found.cost[k].item() == pytest.approx(theirs.cost, rel=1e-10)
        np.testing.assert_allclose(found.x[k].numpy(), theirs.x, atol=1e-6)
        held += int((theirs.active_mask != 0).sum())
    assert 10 < held < 110  # the bounds matter, and not everywhere


def test_a_bound_holds_its_variable_where_the_cost_falls_outwards() -> None:
    bent = problems(200, seed=1)
    found = solve_bounded(bent, torch.zeros(200, 4).double(), LOWER, UPPER, tolerance=1e-16)
    assert ((found.x >= LOWER) & (found.x <= UPPER)).all()
    _, gradient, _, _ = bent(found.x, torch.arange(200))
    low, high = found.x == LOWER, found.x == UPPER
    assert low.any() and high.any()
    assert (gradient[low] > -1e-6).all() and (gradient[high] < 1e-6).all()
    assert gradient[~low & ~high].abs().max() < 1e-6


def test_a_start_outside_the_bounds_is_brought_inside() -> None:
    bent = problems(5)
    far = solve_bounded(bent, torch.full((5, 4), 50.0).double(), LOWER, UPPER.clamp(max=1.0), tolerance=1e-16)
    near = solve_bounded(bent, torch.zeros(5, 4).double(), LOWER, UPPER.clamp(max=1.0), tolerance=1e-16)
    torch.testing.assert_close(far.x, near.x, rtol=0, atol=1e-6)


def test_a_variable_that_nothing_determines_stays() -> None:
    bent = problems(8)
    bent.a[:, 2] = 0.0
    start = torch.zeros(8, 4).double()
    start[:, 2] = 0.7
    free = torch.full((4,), INF).double()
    found = solve_bounded(bent, start, -free, free)
    assert (found.x[:, 2] == 0.7).all()
    assert found.converged.all()
    bent.a[:, 2] = -bent.a[:, 0]  # only the difference of two is determined now: both move, neither runs away
    found = solve_bounded(bent, start, -free, free, tolerance=1e-14)
    assert found.converged.all()
    torch.testing.assert_close(found.x[:, 0] + found.x[:, 2], start[:, 0] + start[:, 2], rtol=0, atol=1e-3)


def test_no_problem_knows_of_the_others() -> None:
    count = BATCH + 7
    bent = problems(count, seed=2)
    start = torch.as_tensor(np.random.default_rng(3).uniform(-2, 2, (count, 4)))
    together = solve_bounded(bent, start, LOWER, UPPER)
    for k in (0, 5, BATCH - 1, BATCH, count - 1):
        alone = solve_bounded(lambda x, which, k=k: bent(x, which + k), start[k : k + 1], LOWER, UPPER)
        torch.testing.assert_close(alone.x[0], together.x[k], rtol=0, atol=1e-12)
        torch.testing.assert_close(alone.cost[0], together.cost[k], rtol=1e-12, atol=0)


def test_the_cost_is_that_of_the_answer_and_never_above_the_start() -> None:
    bent = problems(50, seed=4)
    bent.bend = 3.0  # many hills: the Hessian is indefinite at most starts
    start = torch.as_tensor(np.random.default_rng(5).uniform(-3, 3, (50, 4)))
    free = torch.full((4,), INF).double()
    first, *_ = bent(start, torch.arange(50))
    _, _, matrix, curvature = bent(start, torch.arange(50))
    assert (torch.linalg.eigvalsh(matrix + curvature)[:, 0] < 0).any()
    found = solve_bounded(bent, start, -free, free)
    cost, gradient, _, _ = bent(found.x, torch.arange(50))
    # The last step may go unseen: it changes the cost by less than the tolerance of 1e-9.
    torch.testing.assert_close(found.cost, cost, rtol=2e-9, atol=0)
    assert (cost < first).all()
    assert found.converged.all()
    assert gradient.abs().max() < 1e-2


def test_a_minimum_stays_and_rounds_are_limited() -> None:
    bent = problems(6)
    free = torch.full((4,), INF).double()
    start = torch.full((6, 4), 2.0).double()
    cut = solve_bounded(bent, start, -free, free, max_rounds=1)
    assert not cut.converged.any() and cut.rounds == 1
    assert (cut.x - start).abs().max() <= 0.5 + 1e-12  # the longest step
    settled = solve_bounded(bent, start, -free, free, tolerance=1e-16)
    again = solve_bounded(bent, settled.x, -free, free)
    assert again.rounds == 1 and again.converged.all()
    torch.testing.assert_close(again.x, settled.x, rtol=0, atol=1e-7)


def test_an_exact_fit_settles_only_with_a_floor() -> None:
    """A cost that goes to zero takes every relative tolerance with it."""
    bent = problems(20, seed=7)
    truth = torch.as_tensor(np.random.default_rng(8).uniform(-1, 1, (20, 4)))
    z = truth @ bent.a.T
    bent.y = z + bent.bend * z.sin()
    free = torch.full((4,), INF).double()
    found = solve_bounded(bent, torch.zeros(20, 4).double(), -free, free, floor=1e-20)
    assert found.converged.all() and found.rounds < 20
    torch.testing.assert_close(found.x, truth, rtol=0, atol=1e-9)


def test_newton_settles_where_gauss_newton_crawls() -> None:
    """With large residuals Gauss-Newton converges linearly; the rest of the Hessian makes it quadratic."""
    bent = problems(20, seed=6)
    bent.y *= 4
    bent.bend = 0.8
    start, free = torch.zeros(20, 4).double(), torch.full((4,), INF).double()
    newton = solve_bounded(bent, start, -free, free, tolerance=1e-14)

    def without(x: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        cost, gradient, matrix, curvature = bent(x, k)
        return cost, gradient, matrix, torch.zeros_like(curvature)

    gauss = solve_bounded(without, start, -free, free, tolerance=1e-14)
    assert newton.converged.all()
    assert 2 * newton.rounds < gauss.rounds
