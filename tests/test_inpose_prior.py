"""InPose's prior: its diffusion's arithmetic, what it is told, its networks, and sampling from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inpose_people import person
from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.conditions import Conditions, conditions
from motorque.estimators.inpose.diffusion import STEPS, TARGETS, Diffusion, Split, respaced
from motorque.estimators.inpose.heading import turned
from motorque.estimators.inpose.loss import prior_loss
from motorque.estimators.inpose.network import PAPER, SMALL, TINY, PriorNetwork, PriorSize, count_weights
from motorque.estimators.inpose.sampling import expected, sample
from motorque.estimators.inpose.tree import HEAD, THREE, columns, global_rotations, resting
from motorque.estimators.inpose.weights import load_weights, save_weights
from motorque.estimators.inpose.windows import Batch, measured, told_of

SINGLE = 2e-5
"""Rounding of float32 where noisy values are taken apart."""


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def told(batch: int, frames: int = 41, *, seed: int = 0) -> Conditions:
    generator = torch.Generator().manual_seed(seed)
    seen, placed = told_of(batch, frames, generator)
    channels = torch.randn(batch, frames, 22, 18, generator=generator)
    return Conditions(channels, torch.ones_like(seen), torch.ones_like(placed)).only(seen, placed)


def windows(batch: int = 3, frames: int = 41) -> tuple[Tensor, Tensor, Tensor]:
    some = [person(seed, frames=frames, height=1.6 + 0.1 * seed) for seed in range(batch)]
    parts = [(*global_rotations(p), resting(p)) for p in some]
    return tuple(torch.tensor(np.stack(x)) for x in zip(*((columns(r), p, b) for r, p, b in parts), strict=True))  # type: ignore[return-value]


def everywhere(batch: int, joints: tuple[int, ...], frames: int = 41) -> Tensor:
    seen = torch.zeros(batch, frames, 22, dtype=torch.bool)
    seen[..., list(joints)] = True
    return seen


def test_the_schedule_is_the_papers() -> None:
    """Ho et al. 2020: variances from 1e-4 to 0.02 in 1000 steps; 4e-5 of the values are left at the end."""
    kept = Diffusion().kept
    assert len(kept) == STEPS and float(kept[0]) == pytest.approx(1 - 1e-4)
    assert float(kept[-1]) == pytest.approx(4.04e-5, rel=0.01) and bool((kept.diff() < 0).all())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("step", [0, 1, 300, 999])
def test_what_is_wanted_means_the_clean_values(target: str, step: int) -> None:
    diffusion = Diffusion(target, learned_variance=False)
    clean, noise, steps = normal(4, 41, 22, 6), normal(4, 41, 22, 6, seed=1), torch.full((4,), step)
    noisy = diffusion.noisy(clean, noise, steps)
    split = diffusion.split(diffusion.wanted(clean, noise, steps), noisy, steps)
    loose = SINGLE / float(diffusion.kept[step].sqrt()) / float((1 - diffusion.kept[step]).sqrt())
    np.testing.assert_allclose(split.clean, clean, atol=loose)
    np.testing.assert_allclose(split.noise, noise, atol=loose)
    assert split.log_variance is None


@pytest.mark.parametrize("step", [1, 2, 400, 999])
def test_the_step_back_is_bayes(step: int) -> None:
    """Mean and variance of the values a step earlier, from the two Gaussians themselves."""
    diffusion = Diffusion()
    kept = diffusion.kept.double()
    a, before = kept[step], kept[step - 1]
    ratio = a / before
    clean, noisy = normal(1, 5).double(), normal(1, 5, seed=1).double()
    # Before: N(sqrt(before) clean, 1 - before); noisy given it: N(sqrt(ratio) ., 1 - ratio)
    precision = 1 / (1 - before) + ratio / (1 - ratio)
    wanted = (before.sqrt() * clean / (1 - before) + ratio.sqrt() * noisy / (1 - ratio)) / precision
    mean, log = diffusion.back(clean, noisy, torch.tensor([step]))
    # kept is in float32, and 1 - kept of the first steps is 1e-4
    np.testing.assert_allclose(mean, wanted, atol=2e-3 if step < 5 else 1e-4)
    np.testing.assert_allclose(log.exp()[0, 0], 1 / precision, rtol=5e-3 if step < 5 else 1e-4)


def test_learned_variances_lie_between_their_bounds_and_the_bound_knows_the_true_ones() -> None:
    diffusion = Diffusion("v", learned_variance=True)
    clean, noise, steps = normal(2, 3, 22, 6), normal(2, 3, 22, 6, seed=1), torch.tensor([2, 30])
    noisy = diffusion.noisy(clean, noise, steps)
    wanted = diffusion.wanted(clean, noise, steps)

    def bound(share: float) -> Tensor:
        said = torch.stack([wanted, torch.full_like(wanted, share)], dim=-2)
        return diffusion.bound(diffusion.split(said, noisy, steps), clean, noisy, steps)

    low, high = (diffusion.split(torch.stack([wanted, torch.full_like(wanted, s)], -2), noisy, steps) for s in (-1, 1))
    assert low.log_variance is not None and high.log_variance is not None
    assert bool((low.log_variance < high.log_variance).all())
    # With the clean values known the smaller variance is the true one, and nothing is lost
    np.testing.assert_allclose(bound(-1.0), 0.0, atol=1e-3)
    assert bool((bound(1.0) > bound(-1.0)).all())


def test_steps_are_spread_from_the_noisiest_to_the_cleanest() -> None:
    for count in (1, 2, 5, 10, 50, 1000):
        order = respaced(count)
        assert len(order) == count == len(set(order)) and order[0] == 999 and order == sorted(order, reverse=True)
        assert count == 1 or order[-1] == 0
    assert respaced(4, 250) == [999, 749, 500, 250] and len(set(respaced(750, 250))) == 750
    for count, last in ((751, 250), (1, 1000), (1, -1)):
        with pytest.raises(DataError, match="down to"):
            respaced(count, last)
    for count in (0, 1001):
        with pytest.raises(DataError, match="1 to 1000"):
            respaced(count)


def test_the_papers_network_runs_forward_and_backward() -> None:
    """12 layers, 384 channels, 6 heads, a token for each joint and frame: about 22 million weights."""
    network = PriorNetwork(PAPER)
    assert 21.5e6 < count_weights(network) < 22.5e6
    assert network.enter.in_features == 24 and network.leave.out_features == 12
    diffusion = Diffusion(PAPER.target, learned_variance=PAPER.learned_variance)
    told_of_one = told(1)
    batch = Batch(
        normal(1, 41, 22, 6), *(getattr(told_of_one, k) for k in ("channels", "seen", "placed")),
        normal(1, 41, 22, 6, seed=2), torch.tensor([500]),
    )  # fmt: skip
    network.eval()
    noisy = batch.clean.requires_grad_()
    said = network(noisy, batch.step, batch.told)
    assert said.shape == (1, 41, 22, 2, 6)
    value = prior_loss(diffusion, network, batch._replace(clean=noisy.detach()))
    value.backward()
    assert np.isfinite(value.item())
    gradients = [p.grad for p in network.parameters()]
    assert all(g is None or bool(torch.isfinite(g).all()) for g in gradients)
    assert network.leave.weight.grad is not None and float(network.leave.weight.grad.abs().max()) > 0


def alive(size: PriorSize, seed: int = 0) -> PriorNetwork:
    """A network whose last layers, which begin at zero, say something."""
    torch.manual_seed(seed)
    network = PriorNetwork(size)
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.mark.parametrize("size", [TINY, dataclasses.replace(TINY, tokens="joints", own_modulation=True)])
@pytest.mark.parametrize("variance", [False, True])
def test_every_input_of_a_network_counts(size: PriorSize, variance: bool) -> None:
    network = alive(dataclasses.replace(size, learned_variance=variance)).requires_grad_(False)
    noisy, steps, said = normal(2, 41, 22, 6), torch.tensor([10, 900]), told(2)
    found = network(noisy, steps, said)
    assert found.shape == ((2, 41, 22, 2, 6) if variance else (2, 41, 22, 6))
    for other in (
        network(noisy + 0.1, steps, said),
        network(noisy, steps // 2, said),
        network(noisy, steps, Conditions(said.channels + 0.1, said.seen, said.placed)),
    ):
        assert float((other - found).abs().max()) > 1e-4
    # Windows of a batch know nothing of each other
    np.testing.assert_allclose(
        network(noisy[:1], steps[:1], Conditions(*(x[:1] for x in (said.channels, said.seen, said.placed)))),
        found[:1],
        atol=SINGLE,
    )
    # Shorter windows, as at the end of a recording
    short = Conditions(*(x[:, :7] for x in (said.channels, said.seen, said.placed)))
    assert network(noisy[:, :7], steps, short).shape[1] == 7


def test_a_new_network_expects_the_mean() -> None:
    mean = normal(22, 6)
    for target in ("v", "clean", "residual"):
        size = dataclasses.replace(TINY, target=target)
        network = PriorNetwork(size, mean=mean).eval().requires_grad_(False)
        diffusion = Diffusion(target, learned_variance=False)
        split = expected(network, diffusion, torch.zeros(1, 41, 22, 6), 999, told(1))
        np.testing.assert_allclose(split.clean[0, 0], mean, atol=1e-3)


def test_the_small_network_is_small_enough_to_ship() -> None:
    """At most 12 MB in half precision."""
    assert 2 * count_weights(PriorNetwork(SMALL)) < 12e6


@pytest.mark.parametrize("wrong", [{"heads": 3}, {"layers": 0}, {"target": "x"}, {"tokens": "x"}, {"dropout": 1.0}])
def test_networks_that_can_not_be_are_refused(wrong: dict) -> None:
    with pytest.raises(DataError, match="prior:"):
        dataclasses.replace(TINY, **wrong)


class Knows(nn.Module):
    """A network that knows the clean values of everybody, and what they are if nothing is told."""

    def __init__(self, diffusion: Diffusion, clean: Tensor) -> None:
        super().__init__()
        self.diffusion, self.clean, self.asked = diffusion, clean, 0

    def forward(self, noisy: Tensor, step: Tensor, said: Conditions) -> Tensor:
        self.asked += 1
        clean = self.clean if said.seen.any() else torch.zeros_like(self.clean)
        a = self.diffusion.kept[step][:, None, None, None]
        noise = (noisy - a.sqrt() * clean) / (1 - a).sqrt()
        return self.diffusion.wanted(clean.expand_as(noise), noise, step)


@pytest.mark.parametrize("steps", [1, 5, 50])
@pytest.mark.parametrize("target", TARGETS)
def test_sampling_ends_at_what_a_perfect_network_knows(steps: int, target: str) -> None:
    diffusion = Diffusion(target, learned_variance=False)
    clean, said = normal(2, 41, 22, 6), told(2)
    said = said.only(everywhere(2, THREE), everywhere(2, ()))
    said = Conditions(said.channels, everywhere(2, THREE), said.placed)
    network = Knows(diffusion, clean)
    found = sample(network, diffusion, said, steps=steps, start=normal(2, 41, 22, 6, seed=5))
    loose = 2e-2 if target == "epsilon" else 1e-3  # taken apart at 4e-5 of the values
    np.testing.assert_allclose(found, clean, atol=loose)
    assert network.asked == steps
    twice = sample(network, diffusion, said, steps=steps, start=normal(2, 41, 22, 6, seed=5), strength=1.5)
    assert network.asked == 3 * steps
    np.testing.assert_allclose(twice, 1.5 * clean, atol=2 * loose)


def test_deterministic_sampling_keeps_a_gaussian() -> None:
    """DDIM is the probability flow: from N(0, 1) to N(mean, 0.2²) if the network knows the expectation."""
    diffusion = Diffusion("v", learned_variance=False)
    mean, spread = 0.7, 0.2

    class Expects(nn.Module):
        def forward(self, noisy: Tensor, step: Tensor, said: Conditions) -> Tensor:
            a = diffusion.kept[step][:, None, None, None]
            gain = a.sqrt() * spread**2 / (a * spread**2 + 1 - a)
            clean = mean + gain * (noisy - a.sqrt() * mean)
            return diffusion.wanted(clean, (noisy - a.sqrt() * clean) / (1 - a).sqrt(), step)

    start = normal(8, 41, 22, 6, seed=8)
    found = sample(Expects(), diffusion, told(8), steps=1000, start=start)
    assert float(found.mean()) == pytest.approx(mean, abs=0.005)
    assert float(found.std()) == pytest.approx(spread, rel=0.03)
    again = sample(Expects(), diffusion, told(8), steps=1000, start=start)
    assert torch.equal(found, again), "nothing is drawn after the first draw"


def test_a_guide_gets_gradients_and_moves_samples() -> None:
    network, said = alive(TINY), told(2)
    diffusion = Diffusion("v", learned_variance=False)
    start, steps = normal(2, 41, 22, 6), []

    def guide(noisy: Tensor, split: Split, step: int) -> Tensor:
        (gradient,) = torch.autograd.grad(split.clean.square().sum(), noisy)
        assert float(gradient.abs().max()) > 0
        steps.append(step)
        return -0.001 * gradient

    with torch.no_grad():  # as a caller may well have it
        pulled = sample(network, diffusion, said, steps=5, start=start, guide=guide)
        plain = sample(network, diffusion, said, steps=5, start=start)
    assert steps == respaced(5) and float(pulled.square().sum()) < float(plain.square().sum())
    assert not pulled.requires_grad


def test_what_is_told_does_not_depend_on_heading_place_or_size() -> None:
    rotations, pelvis, rest = windows()
    seen = placed = everywhere(3, THREE)
    one, straight, angle = measured(rotations, pelvis, rest, seen, placed)
    turn = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    along = torch.tensor([5.0, 0.0, -3.0], dtype=torch.float64)
    other, again, _ = measured(turned(rotations, turn), turned(pelvis, turn) + along, rest, seen, placed)
    np.testing.assert_allclose(other.channels, one.channels, atol=1e-10)
    np.testing.assert_allclose(again, straight, atol=1e-12)
    taller, _, _ = measured(rotations, 1.3 * pelvis, 1.3 * rest, seen, placed)
    np.testing.assert_allclose(taller.channels, one.channels, atol=1e-10)
    np.testing.assert_allclose(turned(straight, -angle), rotations, atol=1e-12)
    assert not one.channels[:, :, 3].any(), "of what was not seen nothing is told"


def test_velocities_are_those_of_the_recording() -> None:
    """Turning about the body's own axis at 1 rad/s while going at 2 lengths a second; gaps tell nothing wrong."""
    frames, rate = 41, 60.0
    angle = torch.arange(frames, dtype=torch.float64) / rate
    c, s, zero = angle.cos(), angle.sin(), torch.zeros(frames, dtype=torch.float64)
    own = torch.stack([c, zero, -s, zero, zero + 1, zero], dim=-1)
    rotations = own[None, :, None].expand(1, frames, 22, 6)
    points = torch.zeros(1, frames, 22, 3, dtype=torch.float64)
    points[..., 2] = 3.0 * angle[:, None]
    seen = everywhere(1, (HEAD,))
    seen[0, 10:15] = False
    found = conditions(rotations, seen, points=points, placed=seen, length=1.5)
    turns, speed = found.channels[0, :, HEAD, 6:12], found.channels[0, :, HEAD, 15:18]
    there = seen[0, :, HEAD]
    step = np.array([np.cos(1 / 60) - 1, 0, -np.sin(1 / 60), 0, 0, 0]) * 10.0
    np.testing.assert_allclose(turns[there], np.broadcast_to(step, (36, 6)), atol=1e-12)
    np.testing.assert_allclose(speed[there], np.broadcast_to([0, 0, 2.0 * 0.5], (36, 3)), atol=1e-12)
    assert not found.channels[0, ~there].any()
    middle = found.channels[0, 20, HEAD, 12:15]
    np.testing.assert_allclose(middle, [0.0, -1.0, 0.0], atol=1e-12)  # on the floor, one length under the standing head


def test_any_subset_of_sensors_is_told() -> None:
    seen, placed = told_of(4000, 41, torch.Generator().manual_seed(3))
    all_time = seen.all(dim=1)
    three = everywhere(1, THREE, 1)[0, 0]
    shares = [
        float((all_time == three).all(-1).float().mean()),
        float((~seen.any(dim=1).any(dim=-1)).float().mean()),
        float((all_time.sum(-1) > 3).float().mean()),
    ]
    assert 0.65 < shares[0] < 0.8 and 0.05 < shares[1] < 0.1 and 0.05 < shares[2] < 0.15, shares
    assert (
        bool((placed <= seen).all())
        and not placed[..., :HEAD].any()
        and 0.2 < float(placed.any(1).any(1).float().mean())
    )


def test_weights_go_through_a_file(tmp_path: Path) -> None:
    network = alive(TINY)
    path = tmp_path / "w.safetensors"
    save_weights(path, network, {"step": 3})
    found, about = load_weights(path)
    assert found.size == TINY and about == {"step": 3} and not found.training
    noisy, said = normal(1, 41, 22, 6), told(1)
    np.testing.assert_allclose(
        found(noisy, torch.tensor([5]), said), network(noisy, torch.tensor([5]), said).detach(), atol=2e-2
    )
    assert path.stat().st_size < 2.2 * count_weights(network) + 5000
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="can't be read"):
        load_weights(other)
    with pytest.raises(FileFormatError, match="can't be read"):
        load_weights(tmp_path / "none.safetensors")
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, other, metadata={"format": "another"})
    with pytest.raises(FileFormatError, match="no weights of the InPose prior"):
        load_weights(other)
