"""How noisy samples are and how fast the motion under them changes: by the likelihood of a Kalman filter's surprises.

Model and units are those of `rts`, time counted in frames. The gains are those of a motion that turns little from frame
to frame (the same for the three components), for which they do not depend on the samples: all ratios that are tried,
all joints and all sequences go through the frames together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.signals.pose_rates.manifold import Manifold

MOST = 500
"""Frames that are looked at, from the middle of a recording: more would hardly change what is found."""
SMALLEST, LARGEST, STEPS = 1e-12, 1e2, 29
"""Ratios of the jerk's to the noise's variance that are tried [1/frame⁵]."""
FIRST = 3
"""Samples from which position, velocity and acceleration of the start are taken: nothing else can be learnt of them."""
JERK = ((1 / 20, 1 / 8, 1 / 6), (1 / 8, 1 / 3, 1 / 2), (1 / 6, 1 / 2, 1.0))
"""Covariance of place, rate and change after one frame of white jerk of density one."""
START = ((0.0, 0.0, 1.0), (0.5, -2.0, 1.5), (1.0, -2.0, 1.0))
"""Place, rate and change at the third of three samples, by the parabola through them."""
DOUBT = 100.0
"""Factor on the start's variance where one of its samples is missing."""


@torch.no_grad()
def likely_noise(
    manifold: Manifold, points: Tensor, there: Tensor | None, noise: Tensor | None, jerk: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Variances of noise and jerk of greatest likelihood, one of each for every joint of every sequence.

    Args:
        manifold: Where the points are.
        points: Samples, time first, shape [T, ..., J, (3,) 3].
        there: Which of them are there, shape [T, ..., J]; None for all.
        noise: The noise's variance [rad², m²] if it is known, shape [..., J].
        jerk: The jerk's density by frames [rad²/frame⁵, m²/frame⁵] if it is known, shape [..., J].

    Returns:
        Noise and jerk, each [..., J].
    """
    if noise is not None and jerk is not None:
        return noise, jerk
    first = max(0, (len(points) - MOST) // 2)
    points = points[first : first + MOST]
    there = None if there is None else there[first : first + MOST]
    like = points
    ratios = torch.logspace(
        torch.tensor(SMALLEST).log10().item(), torch.tensor(LARGEST).log10().item(), STEPS, dtype=like.dtype
    ).to(like.device)
    ratio = ratios.reshape(-1, *[1] * (manifold.between(points[0], points[0]).ndim - 1))
    squares, logs, count = _surprises(manifold, points, there, ratio)
    # Both variances are proportional to the noise's: it is known, or follows from the jerk's, or is the likeliest.
    if noise is not None:
        variance = noise.expand_as(squares)
    elif jerk is not None:
        variance = jerk / ratio
    else:
        variance = (squares / (3 * count)).clamp(min=1e-30)
    score = -0.5 * (squares / variance + 3 * count * variance.log() + 3 * logs)
    best = score.argmax(0)
    inner = best.clamp(1, STEPS - 2)
    one, two, three = (score.gather(0, (inner + k)[None])[0] for k in (-1, 0, 1))
    bend = one - 2 * two + three
    shift = torch.where((bend < 0) & (best == inner), 0.5 * (one - three) / bend, (best - inner).to(like.dtype))
    step = ratios[1].log() - ratios[0].log()
    found = (ratios[inner].log() + step * shift.clamp(-1, 1)).exp()
    if noise is None and jerk is None:  # between the two nearest, on logarithms
        position = inner + shift.clamp(-1, 1)
        low = position.floor().clamp(0, STEPS - 2).long()
        part = position - low
        logged = variance.log()
        noise = ((1 - part) * logged.gather(0, low[None])[0] + part * logged.gather(0, low[None] + 1)[0]).exp()
    elif noise is None:
        assert jerk is not None
        noise = jerk / found
    return noise.expand_as(found), (noise * found if jerk is None else jerk).expand_as(found)


def _surprises(
    manifold: Manifold, points: Tensor, there: Tensor | None, ratio: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A filter for every ratio: sums over frames of squared surprises over their variance (in units of the noise's),
    of the variances' logarithms, and how many there are; each [ratios, ..., J].
    """
    before, after = manifold.between(points[0], points[1]), manifold.between(points[1], points[2])
    shape = (len(ratio), *before.shape[:-1])
    rate, change = (x.expand(*shape, 3) for x in (1.5 * after - 0.5 * before, after - before))
    point = points[2].expand(len(ratio), *points[2].shape)
    start, driven = before.new_tensor(START), ratio[..., None, None] * before.new_tensor(JERK)
    spread = (start @ start.T + driven).expand(*shape, 3, 3)
    if there is not None:
        seen = there[:FIRST].all(0)[..., None, None]
        spread = torch.where(seen, spread, DOUBT * spread)
    move = before.new_tensor([[1.0, 1.0, 0.5], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    squares, logs, count = (before.new_zeros(shape) for _ in range(3))
    for t in range(FIRST, len(points)):
        point = manifold.step(point, manifold.displacement(rate, change))
        rate = rate + change
        spread = move @ spread @ move.T + driven
        surprise = manifold.between(point, points[t].expand_as(point))
        variance = spread[..., 0, 0] + 1
        gain = spread[..., 0] / variance[..., None]
        known = before.new_ones(shape) if there is None else there[t].to(before.dtype).expand(shape)
        squares = squares + known * (surprise * surprise).sum(-1) / variance
        logs = logs + known * variance.log()
        count = count + known
        gain = gain * known[..., None]
        correction = gain[..., :, None] * surprise[..., None, :]
        point = manifold.step(point, correction[..., 0, :])
        rate, change = rate + correction[..., 1, :], change + correction[..., 2, :]
        spread = spread - gain[..., :, None] * spread[..., :1, :]
    return squares, logs, count.clamp(min=1)
