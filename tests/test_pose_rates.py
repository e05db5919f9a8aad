"""Rates of sampled poses: known motions, ends, half turns, missing frames and derivatives of every method."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from known_rotations import analytic, seeded
from motorque.errors import DataError
from motorque.signals.pose_rates import (
    METHODS,
    CentralDifferences,
    FilteredDifferences,
    PoseRates,
    RauchTungStriebel,
    SavitzkyGolay,
    SmoothingSpline,
    pose_rates,
)
from motorque.signals.pose_rates.rotation_calculus import rotation_exp, rotation_log, turning_rates

methods = pytest.mark.parametrize("method", list(METHODS))


def errors(found: PoseRates, wanted: PoseRates, inner: slice = slice(None)) -> tuple[float, ...]:
    names = ("angular_velocity", "angular_acceleration", "velocity", "acceleration")
    return tuple(float((getattr(found, n) - getattr(wanted, n))[inner].abs().max()) for n in names)


def test_rotation_vectors_there_and_back() -> None:
    vector = 2.0 * seeded(2000, 3)
    matrix = rotation_exp(vector)
    eye = torch.eye(3, dtype=torch.float64)
    assert float((matrix @ matrix.mT - eye).abs().max()) < 1e-14
    assert float((rotation_exp(rotation_log(matrix)) - matrix).abs().max()) < 1e-14
    short = vector[vector.norm(dim=-1) < 3.1]
    assert float((rotation_log(rotation_exp(short)) - short).abs().max()) < 1e-13
    half = torch.tensor([[math.pi, 0.0, 0.0], [0.0, -math.pi, 0.0]], dtype=torch.float64)
    assert torch.allclose(rotation_log(rotation_exp(half)).abs(), half.abs(), atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.99, 1.01, 3.1])
def test_rotation_vectors_have_two_derivatives(angle: float) -> None:
    x = torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64) * angle
    y, z = seeded(2, 3)
    inputs = [v.clone().requires_grad_() for v in (x, y, z)]
    assert torch.autograd.gradcheck(rotation_exp, inputs[:1])
    assert torch.autograd.gradcheck(lambda v: rotation_log(rotation_exp(v)), inputs[:1])
    assert torch.autograd.gradgradcheck(lambda v: rotation_log(rotation_exp(v)), inputs[:1], atol=1e-4)
    assert torch.autograd.gradcheck(turning_rates, inputs)
    assert torch.autograd.gradgradcheck(turning_rates, inputs, atol=1e-4)


@pytest.mark.parametrize("size", [1e-3, 0.5, 2.0])
def test_turning_rates_are_those_of_the_rotation(size: float) -> None:
    c, h = size * seeded(4, 3), 1e-4

    def at(t: float) -> Tensor:
        return c[0] + c[1] * t + c[2] * t**2 + c[3] * t**3

    w, dw = turning_rates(at(0.1), c[1] + 0.2 * c[2] + 0.03 * c[3], 2 * c[2] + 0.6 * c[3])
    turns = [rotation_exp(at(t)) for t in (0.1 - h, 0.1, 0.1 + h)]
    before, after = (rotation_log(two @ one.mT) for one, two in zip(turns[:-1], turns[1:], strict=True))
    assert torch.allclose(w, (after + before) / (2 * h), atol=3e-7 * size)
    assert torch.allclose(dw, (after - before) / h**2, atol=3e-7 * max(size, 0.1))


def test_central_differences_are_of_second_order() -> None:
    coarse, fine = (
        errors(pose_rates((x := analytic(n, fps)).rotation, x.translation, fps), x, slice(1, -1))
        for n, fps in ((41, 40.0), (81, 80.0))
    )
    for one, two in zip(coarse[:3], fine[:3], strict=True):
        assert 3.7 < one / two < 4.3 and two < 3e-3
    assert fine[3] < 1e-9  # a cubic's second difference is exact


def test_central_differences_at_the_ends() -> None:
    """Velocities to second order, accelerations to first."""
    coarse, fine = (
        errors(pose_rates((x := analytic(n, fps)).rotation, x.translation, fps), x, slice(0, 1))
        for n, fps in ((201, 200.0), (401, 400.0))
    )
    ratios = [one / two for one, two in zip(coarse, fine, strict=True)]
    assert ratios[0] == pytest.approx(4, abs=0.2) and ratios[2] == pytest.approx(4, abs=0.2)
    assert ratios[1] == pytest.approx(2, abs=0.1) and ratios[3] == pytest.approx(2, abs=0.1)
    x = analytic(9, 50.0)
    none = CentralDifferences(ends="nan")(x.rotation, x.translation, 50.0)
    for y in (none.angular_velocity, none.angular_acceleration, none.velocity, none.acceleration):
        assert y[[0, -1]].isnan().all() and y[1:-1].isfinite().all()


@methods
def test_a_constant_angular_velocity_beyond_half_turns(method: str) -> None:
    fps = 60.0
    w = torch.tensor([[0.4, 5.0, -0.3], [0.0, 0.0, 2.0]], dtype=torch.float64)
    t = torch.arange(240, dtype=torch.float64)[:, None, None] / fps
    r = rotation_exp(t * w) @ rotation_exp(seeded(2, 3))
    found = pose_rates(r, seeded(1, 3).expand(240, 3), fps, method=method)
    # A filter begins its passes with the first padded sample as if it had always been there: a ramp feels it.
    inner = slice(60, -60) if method == "butterworth" else slice(None)
    assert torch.allclose(found.angular_velocity[inner], w.expand(240, 2, 3)[inner], atol=1e-6)
    assert float(found.angular_acceleration[inner].abs().max()) < 1e-5
    assert torch.allclose(found.rotation[inner], r[inner], atol=1e-7)
    assert torch.allclose(found.angular_velocity, w.expand(240, 2, 3), rtol=3e-4, atol=1e-6)
    assert float(found.velocity.abs().max()) < 1e-6 and float(found.acceleration.abs().max()) < 1e-5


@methods
def test_a_constant_angular_acceleration(method: str) -> None:
    """Parabolas are exact for all methods but filters and differences of differences, for which the middle is."""
    fps = 50.0
    t = torch.arange(150, dtype=torch.float64)[:, None, None] / fps
    axis = torch.tensor([[0.6, 0.0, -0.8], [0.0, 1.0, 0.0]], dtype=torch.float64)
    r = rotation_exp((0.3 - 2 * t + 1.5 * t**2) * axis) @ rotation_exp(seeded(2, 3))
    c = seeded(3, 3, seed=2)
    found = pose_rates(r, c[0] + c[1] * t[:, 0] + c[2] * t[:, 0] ** 2, fps, method=method)
    wanted = (3 * t - 2) * axis, 3 * axis.expand(150, 2, 3), c[1] + 2 * c[2] * t[:, 0], 2 * c[2].expand(150, 3)
    inner = {"butterworth": slice(60, -60), "central-twice": slice(2, -2)}.get(method, slice(None))
    parts = (found.angular_velocity, found.angular_acceleration, found.velocity, found.acceleration)
    for part, right in zip(parts, wanted, strict=True):
        assert torch.allclose(part[inner], right[inner], atol=2e-5), method


@pytest.mark.parametrize(
    ("method", "limits"),
    [
        # Errors of the middle of a motion of up to 4 rad/s and 20 rad/s² at 60 frames per second
        ("central", (0.01, 0.06, 1e-3, 1e-9)),
        ("central-twice", (0.01, 0.2, 1e-3, 1e-9)),
        ("butterworth", (0.015, 0.1, 1e-3, 1e-5)),
        ("savitzky-golay", (0.002, 0.6, 1e-9, 1e-9)),
        ("spline", (1e-4, 1e-3, 1e-9, 1e-8)),
        ("rts", (1e-3, 1e-2, 1e-5, 1e-4)),
    ],
)
def test_swings_in_closed_form(method: str, limits: tuple[float, ...]) -> None:
    x = analytic(240, 60.0, pace=4.0)
    found = pose_rates(x.rotation, x.translation, 60.0, method=method)
    for error, limit in zip(errors(found, x, slice(40, -40)), limits, strict=True):
        assert error < limit, errors(found, x, slice(40, -40))


@methods
def test_constant_turns_of_world_and_body_change_nothing_else(method: str) -> None:
    x = analytic(40, 30.0)
    noisy = rotation_exp(0.02 * seeded(40, 2, 3)) @ x.rotation
    world, body = rotation_exp(seeded(2, 3, seed=1)), rotation_exp(seeded(2, 3, seed=2))
    plain = pose_rates(noisy, x.translation, 30.0, method=method)
    turned = pose_rates(world @ noisy @ body, x.translation, 30.0, method=method)
    assert torch.allclose(turned.rotation, world @ plain.rotation @ body, atol=1e-7)
    for name in ("angular_velocity", "angular_acceleration"):
        expected = (world @ getattr(plain, name)[..., None])[..., 0]
        assert torch.allclose(getattr(turned, name), expected, rtol=1e-6, atol=1e-5), name


@methods
def test_sequences_of_a_batch_do_not_touch(method: str) -> None:
    r = rotation_exp(0.05 * seeded(2, 3, 30, 4, 3)) @ rotation_exp(seeded(2, 3, 1, 4, 3, seed=1))
    p = seeded(2, 3, 30, 3, seed=2)
    together = pose_rates(r, p, 30.0, method=method)
    alone = pose_rates(r[1, 2], p[1, 2], 30.0, method=method)
    for name in ("rotation", "translation", "angular_velocity", "angular_acceleration", "velocity", "acceleration"):
        assert torch.allclose(getattr(together, name)[1, 2], getattr(alone, name), rtol=1e-7, atol=1e-7), name


@methods
def test_poses_at_rest_and_single_precision(method: str) -> None:
    still = rotation_exp(seeded(1, 2, 3)).expand(20, 2, 3, 3)
    vector = torch.zeros(20, 2, 3, dtype=torch.float64, requires_grad=True)
    place = torch.zeros(20, 3, dtype=torch.float64, requires_grad=True)
    found = pose_rates(rotation_exp(vector) @ still, place, 30.0, method=method)
    assert float(found.angular_acceleration.detach().abs().max()) < 1e-9
    gradients = torch.autograd.grad(
        (found.angular_acceleration + found.angular_velocity).sum() + found.acceleration.sum(), [vector, place]
    )
    assert all(bool(g.isfinite().all()) for g in gradients)
    x = analytic(60, 30.0)
    low = pose_rates(x.rotation.float(), x.translation.float(), 30.0, method=method)
    high = pose_rates(x.rotation, x.translation, 30.0, method=method)
    assert low.angular_acceleration.dtype == low.rotation.dtype == low.acceleration.dtype == torch.float32
    assert torch.allclose(low.angular_velocity.double(), high.angular_velocity, atol=2e-2)


@methods
def test_missing_frames(method: str) -> None:
    """Nothing is made up for them, other joints do not notice, and gradients stay numbers."""
    x = analytic(60, 30.0)
    vector = (0.01 * seeded(60, 2, 3)).requires_grad_()
    place = (x.translation + 0.01 * seeded(60, 3, seed=1)).requires_grad_()
    whole = rotation_exp(vector) @ x.rotation
    gone = torch.zeros(60, 2, dtype=torch.bool)
    gone[[0, 1, 20, 30, 31, 32], 0] = True
    lost = torch.zeros(60, dtype=torch.bool)
    lost[[10, 59]] = True
    nan = torch.tensor(float("nan"), dtype=torch.float64)
    given = torch.where(gone[..., None, None], nan, whole), torch.where(lost[:, None], nan, place)
    found, full = pose_rates(*given, 30.0, method=method), pose_rates(whole, place, 30.0, method=method)
    reach = {"central-twice": 2}.get(method, 0)  # frames beside a gap that it cannot do either
    for name, missing in (
        ("angular_velocity", gone),
        ("angular_acceleration", gone),
        ("velocity", lost),
        ("acceleration", lost),
    ):
        bad = getattr(found, name).isnan().any(-1)
        assert bool(bad[missing].all())
        if not reach:
            assert bool((bad == missing).all()), name
    for name in ("rotation", "angular_velocity", "angular_acceleration"):
        assert torch.allclose(getattr(found, name)[:, 1], getattr(full, name)[:, 1], rtol=1e-9, atol=1e-10)
    good = [found.angular_acceleration, found.acceleration, found.angular_velocity]
    total: Tensor = sum(y[y.isfinite()].square().sum() for y in good)
    for gradient in torch.autograd.grad(total, [vector, place]):
        assert bool(gradient.isfinite().all())
    error = (found.angular_velocity.detach() - x.angular_velocity)[~gone]
    wrong = (full.angular_velocity.detach() - x.angular_velocity).abs().max()
    assert float(error[error.isfinite()].abs().max()) < 3 * float(wrong)


SETTLED = {
    **{name: METHODS[name]() for name in ("central", "central-twice", "butterworth", "savitzky-golay")},
    "spline": SmoothingSpline.at_cutoff(4.0),
    "rts": RauchTungStriebel(noise=0.02, jerk=60.0, place_noise=0.02, place_jerk=60.0),
}


@pytest.mark.parametrize("method", list(SETTLED))
def test_gradients(method: str) -> None:
    x = analytic(26, 30.0)
    weights = [seeded(*shape, seed=k) for k, shape in enumerate([(26, 2, 3, 3), (26, 3), *[(26, 2, 3)] * 2])]
    weights += [seeded(26, 3, seed=5), seeded(26, 3, seed=6)]

    def total(vector: Tensor, place: Tensor) -> Tensor:
        found = SETTLED[method](rotation_exp(vector) @ x.rotation, place, 30.0)
        parts = (found.rotation, found.translation, found.angular_velocity, found.angular_acceleration)
        parts = (*parts, found.velocity, found.acceleration)
        return torch.stack([(w * y).sum() for w, y in zip(weights, parts, strict=True)]).sum()

    inputs = [(0.03 * seeded(26, 2, 3)).requires_grad_(), seeded(26, 3, seed=9).requires_grad_()]
    gradients = torch.autograd.grad(total(*inputs), inputs, create_graph=True)
    for k, gradient in enumerate(gradients):
        direction, step = seeded(*gradient.shape, seed=20 + k), 1e-5

        def moved(sign: float, k: int = k, direction: Tensor = direction, step: float = step) -> list[Tensor]:
            return [(y + sign * step * direction if i == k else y).detach() for i, y in enumerate(inputs)]

        slope = (total(*moved(1)) - total(*moved(-1))) / (2 * step)
        assert (gradient * direction).sum().item() == pytest.approx(float(slope), rel=1e-6)
    # Second derivatives, along one direction of rotations
    direction, step = seeded(26, 2, 3, seed=30), 1e-5
    (second,) = torch.autograd.grad((gradients[0] * direction).sum(), inputs[0])
    slopes = []
    for sign in (1, -1):
        at = [(inputs[0] + sign * step * direction).detach().requires_grad_(), inputs[1].detach()]
        slopes.append(torch.autograd.grad(total(*at), at[0])[0])
    assert torch.allclose(
        second, (slopes[0] - slopes[1]) / (2 * step), rtol=1e-5, atol=1e-4 * float(second.abs().max())
    )


def test_noise_in_central_differences() -> None:
    """White noise s gives s / (sqrt(2) h) and sqrt(6) s / h²."""
    fps, s = 30.0, 1e-3
    r = rotation_exp(s * seeded(4000, 20, 3))
    found = pose_rates(r, s * seeded(4000, 3, seed=1), fps)
    for w, dw in (
        (found.angular_velocity, found.angular_acceleration),
        (found.velocity, found.acceleration),
    ):
        assert float(w[1:-1].std()) == pytest.approx(s * fps / math.sqrt(2), rel=0.02)
        assert float(dw[1:-1].std()) == pytest.approx(math.sqrt(6) * s * fps**2, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, p: pose_rates(r, p, 0.0), "frame rate must be a positive"),
        (lambda r, p: pose_rates(r, p, float("nan")), "frame rate must be a positive"),
        (lambda r, p: pose_rates(r, p, None), "frame rate must be a positive"),
        (lambda r, p: pose_rates(r[:1], p[:1], 30.0), "1 frames are too few"),
        (lambda r, p: pose_rates(r[..., 0], p, 30.0), "must have the shape"),
        (lambda r, p: pose_rates(r, p[:3], 30.0), "want a translation of shape"),
        (lambda r, p: pose_rates(r, p.float(), 30.0), "bring one to the other"),
        (lambda r, p: pose_rates(r, p, 30.0, method="magic"), "no way to rates called 'magic'"),
        (lambda r, p: pose_rates(r[:5], p[:5], 30.0, method="spline"), "5 frames are too few"),
        (lambda r, p: pose_rates(r, p, 30.0, method=FilteredDifferences(15.0)), "not below half the sampling rate"),
        (lambda r, p: FilteredDifferences(0.0), "cutoff must be a positive"),
        (lambda r, p: FilteredDifferences(6.0, order=3), "must be even"),
        (lambda r, p: SavitzkyGolay(window=8), "odd number of frames"),
        (lambda r, p: SavitzkyGolay(window=5, degree=5), "degree must be from 2 to 4"),
        (lambda r, p: SmoothingSpline(penalty=-1.0), "penalty must be a positive"),
        (lambda r, p: SmoothingSpline.at_cutoff(0.0), "cutoff must be a positive"),
        (lambda r, p: RauchTungStriebel(noise=0.0), "noise must be positive"),
        (lambda r, p: RauchTungStriebel(noise=torch.ones(3))(r, p, 30.0), "one for each of 2 joints"),
        (
            lambda r, p: pose_rates(
                torch.where(torch.arange(12)[:, None, None, None] < 2, r, torch.nan), p, 30.0, method="spline"
            ),
            "only 2 of 12 frames",
        ),
        (lambda r, p: CentralDifferences(ends="repeat"), "end 'one-sided' or with 'nan'"),
    ],
)
def test_says_what_is_wrong(call, message: str) -> None:
    x = analytic(12, 30.0)
    with pytest.raises(DataError, match=message) as caught:
        call(x.rotation, x.translation)
    assert "\n" not in str(caught.value)
