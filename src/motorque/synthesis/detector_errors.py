"""What a keypoint detector makes of true positions: constant bias, slow jitter, hidden points, swaps and gaps.

Sizes are those of MediaPipe's model on phone videos, measured against cameras that were fitted to marker-based motion
capture: hips to shoulders biased by 1 to 3 cm, the same for a whole recording, and a standard deviation of 1 to 2 cm
about that, correlated over 0.1 to 0.3 s; feet worse. All errors are made in metres at the person's depth, so that they
grow in the picture as the person does.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.synthesis.occlusion import hidden_by_body
from motorque.synthesis.people import LANDMARK_NAMES, MIRRORED
from motorque.synthesis.smooth_noise import smooth_noise

# How much worse than a knee a landmark is seen.
_FACTOR = {"nose": 0.7, "ear": 0.8, "shoulder": 1.0, "elbow": 1.0, "wrist": 1.2, "hip": 1.1, "knee": 1.0, "ankle": 1.0}
_FACTOR |= {"heel": 1.5, "toe": 1.6}
_LEGS = [i for i, name in enumerate(LANDMARK_NAMES) if name.split("_")[0] in ("knee", "ankle", "heel", "toe")]


@dataclass(frozen=True)
class ErrorModel:
    """How large a detector's errors are; lengths in metres along each axis of the picture, at the person's depth.

    Args:
        bias: Standard deviation of the constant shift of a landmark in one recording, besides its random place on the
            person.
        jitter: Smallest and largest standard deviation of the slow error of a recording.
        white: Standard deviation of the error that changes from frame to frame.
        correlation: Shortest and longest time over which the slow error lasts [s].
        hidden: Factor on the slow error where the body hides a point.
        covered: Standard deviation of the error where furniture hides a point.
        furniture: Share of recordings in which something stands in the way for a while.
        swaps: Share of recordings in which left and right are now and then taken for each other.
        gaps: Share of recordings in which the person is lost now and then.
        sparse: Share of recordings in which points of low confidence are not given at all.
        plain: Share of recordings whose confidence says nothing.
    """

    bias: float = 0.011
    jitter: tuple[float, float] = (0.006, 0.016)
    white: float = 0.003
    correlation: tuple[float, float] = (0.1, 0.3)
    hidden: float = 2.0
    covered: float = 0.07
    furniture: float = 0.2
    swaps: float = 0.1
    gaps: float = 0.15
    sparse: float = 0.15
    plain: float = 0.1


NO_ERRORS = ErrorModel(0.0, (0.0, 0.0), 0.0, (0.1, 0.1), 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
"""A detector that sees everything exactly."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector says.

    Args:
        points: In the picture [px], shape [N, T, K, 2]; NaN where a point was not found.
        confidence: 0 to 1, shape [N, T, K]; 0 where a point was not found.
    """

    points: Tensor
    confidence: Tensor


def detect(
    pixels: Tensor,
    depth: Tensor,
    focal: Tensor,
    size: Tensor,
    generator: torch.Generator,
    *,
    rate: float,
    errors: ErrorModel | None = None,
) -> Detections:
    """Detections of people whose landmarks are known.

    Args:
        pixels: Where the landmarks are in the picture [px], shape [N, T, K, 2].
        depth: How far ahead they are [m], shape [N, T, K].
        focal: Focal length [px], shape [N].
        size: Width and height of the picture [px], shape [N, 2].
        generator: Where the randomness comes from.
        rate: Frames per second.
        errors: How large the errors are.
    """
    errors = ErrorModel() if errors is None else errors
    count, frames, landmarks = depth.shape
    scale = focal[:, None] / depth.mean(-1).clamp(min=0.5)  # px for a metre at the person's depth, [N, T]
    factor = torch.tensor([_FACTOR[name.split("_")[0]] for name in LANDMARK_NAMES])

    hidden = hidden_by_body(pixels, depth, focal)
    outside = ((pixels < 0) | (pixels > size[:, None, None])).any(-1) | (depth < 0.3)
    covered = _furniture(pixels, scale, generator, errors.furniture)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    shape = (count, frames, landmarks, 2)
    tau = rate * uniform(*errors.correlation, count) / 2  # two filters in a row
    slow = smooth_noise(shape, tau, generator)
    level = uniform(*errors.jitter, count, 1) * torch.exp(0.25 * torch.randn(count, landmarks, generator=generator))
    size_of = (level * factor)[:, None, :] * torch.where(hidden, errors.hidden, 1.0)
    size_of = size_of * torch.where(outside, 2.5, 1.0)
    constant = errors.bias * factor[:, None] * torch.randn(count, 1, landmarks, 2, generator=generator)
    when_hidden = 1.2 * errors.bias * torch.randn(count, 1, landmarks, 2, generator=generator)
    guess = errors.covered * (
        0.8 * smooth_noise(shape, 3 * tau, generator) + 0.6 * torch.randn(count, 1, landmarks, 2, generator=generator)
    )
    error = constant + torch.where(hidden[..., None], when_hidden, 0.0) + size_of[..., None] * slow
    error = error + errors.white * factor[:, None] * torch.randn(shape, generator=generator)
    error = error + torch.where(covered[..., None], guess, 0.0)
    points = pixels + scale[..., None, None] * error

    confidence = _confidence(hidden, outside, covered, errors, generator)
    points, confidence = _swapped(points, confidence, generator, errors.swaps)
    return Detections(*_with_gaps(points, confidence, generator, errors))


def _confidence(
    hidden: Tensor, outside: Tensor, covered: Tensor, errors: ErrorModel, generator: torch.Generator
) -> Tensor:
    """A number that is lower where a point is not in sight; each recording has its own scale, some have none."""
    count = len(hidden)
    slow = smooth_noise(hidden.shape, torch.full((count,), 5.0), generator)
    worse = 3.0 - 2.2 * hidden.float() - 3.0 * outside.float() - 3.5 * covered.float() + 0.9 * slow
    shift = 0.8 * torch.randn(count, 1, 1, generator=generator)
    confidence = torch.sigmoid(worse + shift)
    plain = torch.rand(count, 1, 1, generator=generator) < errors.plain
    return torch.where(plain, torch.ones_like(confidence), confidence)


def _furniture(pixels: Tensor, scale: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Points behind a box that stands in part of the picture for part of the time; shape [N, T, K], bool."""
    count, frames, landmarks = pixels.shape[:3]

    def draw() -> Tensor:
        return torch.rand(count, generator=generator)

    there = draw() < share
    around = pixels[torch.arange(count), (draw() * frames).long(), (draw() * landmarks).long()]
    metre = scale.mean(1)
    half = 0.5 * torch.stack([0.2 + 0.8 * draw(), 0.2 + 0.5 * draw()], -1) * metre[:, None]
    inside = ((pixels - around[:, None, None]).abs() < half[:, None, None]).all(-1)
    begin = draw() * 1.2 - 0.4
    length = 0.3 + 0.9 * draw()
    now = torch.arange(frames) / max(frames, 1)
    during = (now >= begin[:, None]) & (now < (begin + length)[:, None])
    return inside & during[..., None] & there[:, None, None]


def _runs(count: int, frames: int, share: float, most: int, longest: int, generator: torch.Generator) -> Tensor:
    """Up to ``most`` runs of up to ``longest`` frames in a share of the recordings; shape [N, T], bool."""
    start = (torch.rand(count, most, generator=generator) * frames).long()
    length = 1 + (torch.rand(count, most, generator=generator) * longest).long()
    used = (torch.rand(count, 1, generator=generator) < share) & (torch.rand(count, most, generator=generator) < 0.6)
    now = torch.arange(frames)
    inside = (now >= start[..., None]) & (now < (start + length)[..., None]) & used[..., None]
    return inside.any(1)


def _swapped(points: Tensor, confidence: Tensor, generator: torch.Generator, share: float) -> tuple[Tensor, Tensor]:
    """The points with left and right exchanged in a few frames, of the legs or of the whole body."""
    count, frames = points.shape[:2]
    mirror = torch.tensor(MIRRORED)
    swap = _runs(count, frames, share, 4, 12, generator)[..., None].expand(-1, -1, len(mirror)).clone()
    legs_only = torch.rand(count, generator=generator) < 0.7
    others = torch.ones(len(mirror), dtype=torch.bool)
    others[_LEGS] = False
    swap &= ~(legs_only[:, None, None] & others)
    points = torch.where(swap[..., None], points[:, :, mirror], points)
    return points, torch.where(swap, confidence[:, :, mirror], confidence)


def _with_gaps(
    points: Tensor, confidence: Tensor, generator: torch.Generator, errors: ErrorModel
) -> tuple[Tensor, Tensor]:
    """The points without frames in which the person was lost, and without points too uncertain to be given."""
    count, frames, landmarks = confidence.shape
    lost = _runs(count, frames, errors.gaps, 3, 10, generator)
    lost = lost | _runs(count, frames, errors.gaps / 3, 1, 75, generator)  # out of the picture for a while
    lost = lost[..., None].expand(confidence.shape)
    sparse = torch.rand(count, 1, 1, generator=generator) < errors.sparse
    lost = lost | (sparse & (confidence < 0.3))
    # A few landmarks that are missing for a long stretch, as when a detector has no such point.
    some = _runs(count * landmarks, frames, 0.03 if errors.sparse else 0.0, 1, frames, generator)
    lost = lost | (some.reshape(count, landmarks, frames).transpose(1, 2) & sparse)
    return torch.where(lost[..., None], torch.nan, points), torch.where(lost, 0.0, confidence)


def scaled_errors(factor: float, model: ErrorModel | None = None) -> ErrorModel:
    """The same error model with every length ``factor`` times as large."""
    model = ErrorModel() if model is None else model
    return dataclasses.replace(
        model,
        bias=factor * model.bias,
        jitter=(factor * model.jitter[0], factor * model.jitter[1]),
        white=factor * model.white,
        covered=factor * model.covered,
    )
