"""InPose's guidance: its operator, Theorem 1's covariance, and pulls against dense algebra and a known posterior."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.diffusion import Diffusion, Split, respaced
from motorque.estimators.inpose.guidance import GuidanceSettings, Guide, guide_to
from motorque.estimators.inpose.guidance_operator import (
    carried,
    carried_back,
    chains,
    differences,
    rotation_covariance,
)
from motorque.estimators.inpose.tree import JOINTS, THREE, matrices, places
from motorque.skeleton.smpl import rest_joints

DENSE = 1e-10
"""Of algebra in double precision against its dense form."""
REST = torch.tensor(rest_joints(height=1.7), dtype=torch.float64)[:22]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bent() -> Tensor:
    """Rest joints whose bones point anywhere."""
    return REST + 0.03 * normal(22, 3, seed=9)


@pytest.mark.parametrize("joints", [THREE, (7,), (0, 15, 10), tuple(range(22))])
def test_the_operator_puts_joints_where_the_tree_does(joints: tuple[int, ...]) -> None:
    six, rest = normal(2, 3, 22, 6), bent()
    turns = matrices(six)
    expected = places(six, rest)[..., list(joints), :]
    assert torch.allclose(carried(chains(rest, joints), turns), expected, atol=1e-12)


def test_the_operator_back_is_its_transpose() -> None:
    rows = chains(bent(), THREE)
    turns, values = normal(22, 3, 3), normal(3, 3, seed=1)
    one = (carried(rows, turns) * values).sum()
    assert torch.allclose(one, (carried_back(rows, values) * turns).sum(), rtol=1e-12)


def test_differences_go_round_the_points_that_are_there() -> None:
    there = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)
    found = differences(there)
    assert found[0].tolist() == [[1, -1, 0, 0], [0, 1, -1, 0], [0, 0, 1, -1], [-1, 0, 0, 1]]
    assert found[1].tolist() == [[1, 0, -1, 0], [0, 0, 0, 0], [0, 0, 1, -1], [-1, 0, 0, 1]]
    assert found[2].tolist() == [[0, 0, 0, 0], [0, 1, 0, -1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert not found[3:].any()
    open_ended = differences(there, cyclic=False)
    assert torch.equal(torch.linalg.matrix_rank(open_ended), torch.tensor([3, 2, 1, 0, 0]))
    assert torch.equal((open_ended != 0).any(-1).sum(-1), torch.tensor([3, 2, 1, 0, 0]))
    assert not differences(torch.ones(3, 1, dtype=torch.bool)).any()  # a single point has none


def test_differences_do_not_see_where_the_pelvis_is() -> None:
    settings = GuidanceSettings()
    points = places(normal(1, 4, 22, 6), bent())[..., list(THREE), :]
    there = torch.ones(1, 4, 3, dtype=torch.bool)
    made = [
        guide_to(points + move, there, bent(), list(THREE), diffusion=Diffusion(), order=[0], settings=settings)
        for move in (torch.zeros(3), normal(1, 4, 1, 3, seed=4))
    ]
    assert torch.allclose(made[0].measured, made[1].measured, atol=1e-12)
    # The trunk below the third joint of the spine carries all three points alike: it is not in the operator
    assert {JOINTS[j] for j in made[0].joints} == {
        "spine3", "neck", "left_collar", "right_collar", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    }  # fmt: skip


@pytest.mark.parametrize("variance", [0.01, 0.3])
def test_theorem_1_is_what_samples_show(variance: float) -> None:
    """Two million draws: the largest of 81 covariances is off by less than 1 % of the largest."""
    mean = matrices(normal(6, seed=3))
    drawn = mean[..., :2].mT.flatten() + variance**0.5 * normal(2_000_000, 6)
    a, b = drawn[:, :3], drawn[:, 3:]
    nine = torch.cat([a, b, torch.linalg.cross(a, b)], dim=-1)
    found = rotation_covariance(mean, torch.tensor(variance, dtype=torch.float64))
    assert torch.allclose(nine.mean(0), mean.mT.flatten(), atol=4e-3)  # the third column's mean is the cross product
    assert float((torch.cov(nine.T) - found).abs().max()) < 0.01 * float(found.max())
    assert float(torch.linalg.eigvalsh(found).min()) > 0


def test_theorem_1_lists_the_papers_terms() -> None:
    """Appendix A for the identity and a variance of s: the third column's are s + 2 s² twice and 2 s + 2 s²; the only
    covariances are those of its elements with one of a or b, as the cross product has them."""
    s = 0.1
    found = rotation_covariance(torch.eye(3, dtype=torch.float64), torch.tensor(s, dtype=torch.float64))
    assert torch.allclose(found.diagonal()[:6], torch.full((6,), s, dtype=torch.float64))
    third = torch.tensor([s + 2 * s**2, s + 2 * s**2, 2 * s + 2 * s**2], dtype=torch.float64)
    assert torch.allclose(found.diagonal()[6:], third)
    # c = (a2 b3 - a3 b2, a3 b1 - a1 b3, a1 b2 - a2 b1) about a = x, b = y: dc = (-da3, -db3, da1 + db2)
    beside = {(2, 6): -s, (5, 7): -s, (0, 8): s, (4, 8): s}
    off = found - torch.diag(found.diagonal())
    for (i, j), value in beside.items():
        assert float(off[i, j]) == pytest.approx(value) and float(off[j, i]) == pytest.approx(value)
        off[i, j] = off[j, i] = 0
    assert not off.any()


def case(settings: GuidanceSettings, *, gaps: bool = False) -> tuple[Guide, Tensor, Tensor]:
    """A guide over three frames, the expected values, and where points are."""
    six, points = normal(1, 3, 22, 6, seed=1), places(normal(1, 3, 22, 6, seed=2), bent())[..., list(THREE), :]
    there = torch.ones(1, 3, 3, dtype=torch.bool)
    if gaps:
        there[0, 1, 1] = there[0, 2, :2] = False
    guide = guide_to(points, there, bent(), list(THREE), diffusion=Diffusion(), order=respaced(10), settings=settings)
    return guide, six, points


@pytest.mark.parametrize("covariance", ["identity", "theorem"])
@pytest.mark.parametrize("noise", [None, 0.02])
@pytest.mark.parametrize("gaps", [False, True])
def test_pulls_are_those_of_dense_algebra(covariance: str, noise: float | None, gaps: bool) -> None:
    """The whole window at once, with explicit Kronecker products, as the formulas have it."""
    settings = GuidanceSettings(covariance=covariance, noise=noise)  # type: ignore[arg-type]
    guide, six, points = case(settings, gaps=gaps)
    step, frames, eye = 555, 3, np.eye(3)
    kept = float(Diffusion().kept[step])
    spread = 1 - kept
    a = chains(bent(), THREE).numpy()  # [3, 22, 3]
    there = np.ones((3, 3), bool)
    if gaps:
        there[1, 1] = there[2, :2] = False
    pairs = differences(torch.tensor(there), cyclic=noise is None).numpy()
    turns = matrices(six)[0].numpy()
    blocks, covs, noises, y = [], [], [], []
    for t in range(frames):
        keep = np.abs(pairs[t]).any(1)
        s = np.kron(pairs[t][keep], eye)
        blocks.append(s @ np.kron(a.reshape(3, 66), eye))
        cov = np.eye(198)
        if covariance == "theorem":
            own = (
                rotation_covariance(torch.tensor(turns[t]), torch.tensor(spread, dtype=torch.float64)).numpy() / spread
            )
            for j in range(22):
                cov[9 * j : 9 * j + 9, 9 * j : 9 * j + 9] = own[j]
        covs.append(cov)
        noises.append(0.1 / spread * np.eye(len(s)) if noise is None else noise**2 / spread * s @ s.T)
        y.append(s @ points[0, t].numpy().ravel())
    operator, cov, extra = (torch.block_diag(*(torch.tensor(m) for m in x)).numpy() for x in (blocks, covs, noises))
    stacked = turns.transpose(0, 1, 3, 2).ravel()  # column after column, joint after joint, frame after frame
    wanted = operator.T @ np.linalg.pinv(operator @ cov @ operator.T + extra) @ (np.concatenate(y) - operator @ stacked)
    found = carried_back(guide.rows, guide.weighed(matrices(six)[..., guide.joints, :, :], guide.spread(step)))
    whole = torch.zeros(1, frames, 22, 3, 3, dtype=torch.float64)
    whole[:, :, guide.joints] = found
    assert guide.spread(step) == pytest.approx(spread, rel=1e-6)
    off = np.abs(whole[0].numpy().transpose(0, 1, 3, 2).ravel() - wanted).max()
    assert off < DENSE
    assert np.abs(wanted).max() > 0.01


def test_the_pull_is_the_gradient_of_the_likelihood() -> None:
    """Through a made-up network and from six numbers to matrices: against numerical differences."""
    guide, six, _ = case(GuidanceSettings(covariance="theorem"))
    mix = torch.eye(6, dtype=torch.float64) + 0.1 * normal(6, 6, seed=5)
    step = 333
    noisy = six.clone().requires_grad_()
    pull = guide(noisy, Split(noisy @ mix, noisy, None), step)
    v = guide.weighed(matrices(six @ mix)[..., guide.joints, :, :], guide.spread(step))

    def along(x: Tensor) -> Tensor:
        return (v * carried(guide.rows, matrices(x @ mix)[..., guide.joints, :, :])).sum()

    way = normal(*six.shape, seed=8)
    slope = (along(six + 1e-6 * way) - along(six - 1e-6 * way)) / 2e-6
    weight = 5 * float(Diffusion().kept[step]) ** 0.5
    assert float((pull * way).sum()) == pytest.approx(weight * float(slope), rel=1e-6)


def test_a_gaussian_priors_posterior_is_found() -> None:
    """Rotations that are Gaussian in their six numbers, measured linearly: the posterior is known.

    DDIM takes the noise linearly to the sample, so zero noise goes to the mean, and unit vectors to a root of the
    covariance; a thousand steps are off by their size.
    """
    var, noise, joints = 0.05, 0.03, list(THREE)
    flat = bent() * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)  # no third column
    mean = normal(22, 6, seed=6)

    def linear(six: Tensor) -> Tensor:
        columns = six.unflatten(-1, (2, 3)).mT
        return torch.cat([columns, torch.zeros_like(columns[..., :1])], dim=-1)

    points = carried(chains(flat, joints), linear(mean + 0.2 * normal(22, 6, seed=7)))[None, None]
    diffusion, order = Diffusion("clean", learned_variance=False), respaced(1000)
    settings = GuidanceSettings(weight="score", noise=noise, variance=var)
    there = torch.ones(1, 1, 3, dtype=torch.bool)
    one = guide_to(points, there, flat, joints, diffusion=diffusion, order=order, settings=settings, whole=linear)
    seeds = torch.cat([torch.zeros(1, 132), torch.eye(132)]).double().reshape(133, 1, 22, 6)
    many = Guide(
        diffusion, settings, tuple(order), one.joints,
        *(x.expand(133, *x.shape[1:]) for x in (one.rows, one.measured, one.noise, one.used)), linear,
    )  # fmt: skip
    x = seeds + float(diffusion.kept[-1]) ** 0.5 * mean  # 0.6 % of the values are left in the noisiest step
    for number, step in enumerate(order):
        kept = float(diffusion.kept[step])
        after = float(diffusion.kept[order[number + 1]]) if number + 1 < len(order) else 1.0
        noisy = x.detach().requires_grad_()
        clean = mean + var * kept**0.5 / (var * kept + 1 - kept) * (noisy - kept**0.5 * mean)
        split = Split(clean, (noisy - kept**0.5 * clean) / (1 - kept) ** 0.5, None)
        pull = many(noisy, split, step)
        x = after**0.5 * split.clean.detach() + (1 - after) ** 0.5 * split.noise.detach() + pull
    rows = one.rows[0, 0]
    a = torch.zeros(3, 22, 3, dtype=torch.float64)
    a[:, one.joints] = rows
    h = torch.kron(a[..., :2].reshape(3, 44), torch.eye(3, dtype=torch.float64))[: 2 * 3]
    y = one.measured[0, 0, :2].reshape(-1)
    r = noise**2 * torch.kron(one.noise[0, 0, :2, :2], torch.eye(3, dtype=torch.float64))
    gain = var * h.T @ torch.linalg.inv(var * h @ h.T + r)
    wanted = mean.reshape(-1) + gain @ (y - h @ mean.reshape(-1))
    spread = var * (torch.eye(132, dtype=torch.float64) - gain @ h)
    found = x[0].reshape(-1)
    root = (x[1:] - x[:1]).reshape(132, 132)
    assert float((wanted - mean.reshape(-1)).abs().max()) > 0.1
    assert torch.allclose(found, wanted, atol=2e-4)
    assert float((root.T @ root - spread).abs().max()) < 0.02 * var


def test_without_the_networks_gradient_nothing_is_asked_of_it() -> None:
    guide, six, _ = case(GuidanceSettings(jacobian=False))
    assert not guide.gradient
    pull = guide(six, Split(six, six, None), 333)
    assert torch.isfinite(pull).all() and float(pull.abs().max()) > 0


def test_one_point_pulls_nowhere_and_wrong_settings_are_said() -> None:
    points, there = normal(1, 3, 1, 3), torch.ones(1, 3, 1, dtype=torch.bool)
    guide = guide_to(points, there, REST, [15], diffusion=Diffusion(), order=[0])
    six = normal(1, 3, 22, 6).requires_grad_()
    assert not guide(six, Split(six * 1.0, six, None), 0).any()
    with pytest.raises(DataError, match="22 rest joints"):
        chains(REST[:20], THREE)
    with pytest.raises(DataError, match="no kind"):
        GuidanceSettings(kind="magic")  # type: ignore[arg-type]
