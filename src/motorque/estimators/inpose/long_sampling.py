"""Sampling whole recordings: windows that overlap by half are taken back from noise together, step by step.

All windows of a recording see one noisy recording. In each step what they expect, and what guidance adds, is averaged
where they overlap, so that they never part and no seam has to be hidden afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.conditions import Conditions, conditions
from motorque.estimators.inpose.contact_chance import head_height, unit_length
from motorque.estimators.inpose.diffusion import Diffusion, respaced
from motorque.estimators.inpose.guidance import GuidanceSettings, Guide, guide_to
from motorque.estimators.inpose.heading import forward_angle, turned
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.sampling import expected
from motorque.estimators.inpose.tree import HEAD, JOINTS, SLIDE, WINDOW, columns, matrices, standing_length
from motorque.progress import Progress, silent

TOGETHER = 8
"""Windows that the network is asked about at once: on one core twice as fast as one by one, more is no faster."""


@dataclass(frozen=True)
class Measured:
    """What sensors say of a recording at 60 Hz, in a world with y up.

    Args:
        columns6: Global rotations as six numbers, shape [T, 22, 6]; anything where not seen.
        seen: Whose rotation was measured, bool, shape [T, 22].
        points: Places [m], shape [T, 22, 3]; anything where not there.
        there: Whose place was measured, bool, shape [T, 22].
        rest: Rest joints [m], shape [22, 3].
        placed: Whether the prior is told the head's place, which must then be over a floor at y = 0.
    """

    columns6: Tensor
    seen: Tensor
    points: Tensor
    there: Tensor
    rest: Tensor
    placed: bool = False

    def __len__(self) -> int:
        return len(self.seen)

    def frames(self, which: Tensor) -> Measured:
        """Only some frames."""
        return Measured(
            self.columns6[which], self.seen[which], self.points[which], self.there[which], self.rest, self.placed
        )


@dataclass(frozen=True)
class Dialect:
    """What a network is told of places and what its rotations are: the prior's own by default.

    Args:
        places: Joints whose places it is told where :attr:`Measured.placed`.
        bare: Whether in bare metres, from where the head is in the middle of a window, instead of in units of the
            person's standing length, each from its own.
        turned: Turns its rotations about the vertical, see :func:`motorque.estimators.inpose.heading.turned`.
        whole: From its rotations to global matrices, [..., 22, 6] → [..., 22, 3, 3].
    """

    places: tuple[int, ...] = (HEAD,)
    bare: bool = False
    turned: Callable[[Tensor, Tensor], Tensor] = turned
    whole: Callable[[Tensor], Tensor] = matrices


PRIORS = Dialect()
CLIMBED = 0.05
"""How much higher than when it stands a head must be, throughout a window, for the prior not to be told of it [m], of
an adult of 1.70 m."""


def starts(frames: int, window: int = WINDOW, slide: int = SLIDE) -> list[int]:
    """First frames of the windows that cover a recording; the last one ends with it."""
    last = max(frames - window, 0)
    return [*range(0, last, slide), last]


def climbed(measured: Measured, slide: int = SLIDE) -> float:
    """The share of windows in which the head is too high for who stands, so that the prior is not told of it."""
    if not measured.placed or not len(measured):
        return 0.0
    rows = _rows(len(measured), slide)
    heights, there = measured.points[:, HEAD, 1][rows], measured.there[:, HEAD][rows]
    return float(_on_no_floor(heights, there, measured.rest).float().mean())


def sample_recording(
    network: PriorNetwork,
    measured: Measured,
    *,
    seeds: list[int],
    steps: int = 10,
    last: int = 0,
    guidance: GuidanceSettings | None = None,
    strength: float = 1.0,
    slide: int = SLIDE,
    even: bool = False,
    smooth: float = 0.0,
    start: Tensor | None = None,
    dialect: Dialect = PRIORS,
    progress: Progress = silent,
) -> Tensor:
    """Clean rotations of a recording.

    Args:
        network: The prior.
        measured: What sensors say.
        seeds: One for each sample; a sample depends on its own alone.
        steps: How many of the 1000 steps.
        last: The last of them; what is expected there is the sample.
        guidance: How samples are pulled to measured places; not at all if None.
        strength: Of classifier-free guidance.
        slide: Frames from one window to the next.
        even: Whether windows count alike where they overlap, as in the paper; by default the more the nearer the frame
            is to a window's middle.
        smooth: Standard deviation of the Gaussian by which samples are smoothed over time in the end [frames]: a few
            steps leave some of the noise that they began from, frame by frame, which nobody moves like.
        start: The first draw, shape [n, T, 22, 6]; made from the seeds if not given.
        dialect: What the network is told and says, where it is not the prior.
        progress: Told how far it is.

    Returns:
        Shape [n, T, 22, 6], in the world of the measurements; not exactly orthonormal.

    Raises:
        DataError: There is no frame, or a number can't be.
    """
    if not len(measured) or not seeds or not 1 <= slide <= WINDOW:
        raise DataError("sampling: give at least one frame and one seed, and windows that leave no gap")
    order, frames = respaced(steps, last), len(measured)
    diffusion = Diffusion(network.size.target, learned_variance=network.size.learned_variance)
    rows = _rows(frames, slide)
    told, guide, angle = _windows(measured, rows, diffusion, order, guidance, dialect)
    share = torch.ones(WINDOW) if even else torch.minimum(torch.arange(WINDOW) + 1.0, WINDOW - torch.arange(WINDOW))
    total = torch.zeros(frames).index_add_(0, rows.flatten(), share.repeat(len(rows)))[:, None, None]
    values = _draws(seeds, frames) if start is None else start
    jobs = [
        (sample, slice(first, first + TOGETHER))
        for sample in range(len(values))
        for first in range(0, len(rows), TOGETHER)
    ]
    for number, step in enumerate(order):
        following = diffusion.kept[order[number + 1]] if number + 1 < len(order) else torch.ones(())
        clean, pull = torch.zeros_like(values), torch.zeros_like(values)
        for sample, which in jobs:
            with torch.set_grad_enabled(guide is not None and guide.gradient):
                noisy = dialect.turned(values[sample, rows[which]], angle[which])
                noisy.requires_grad_(guide is not None and guide.gradient)
                split = expected(network, diffusion, noisy, step, _some(told, which), strength)
                added = None if guide is None else guide.of(which)(noisy, split, step).detach()
            where = rows[which].flatten()
            for into, part in ((clean, split.clean.detach()), (pull, added)):
                if part is not None:
                    part = dialect.turned(part, -angle[which]) * share[:, None, None]
                    into[sample].index_add_(0, where, part.flatten(0, 1))
        clean, pull = clean / total, pull / total
        kept = diffusion.kept[step]
        noise = (values - kept.sqrt() * clean) / (1 - kept).sqrt()
        values = following.sqrt() * clean + (1 - following).sqrt() * noise + pull
        progress("sampling", (number + 1) / len(order))
    if smooth > 0:
        values = torch.from_numpy(gaussian_filter1d(values.numpy(), smooth, axis=1, mode="nearest"))
    return values


def _rows(frames: int, slide: int) -> Tensor:
    """Frames of windows, shape [B, 41]; a recording shorter than a window stands still at its end."""
    return (torch.tensor(starts(frames, slide=slide))[:, None] + torch.arange(WINDOW)).clamp(max=frames - 1)


def _windows(
    measured: Measured,
    rows: Tensor,
    diffusion: Diffusion,
    order: list[int],
    guidance: GuidanceSettings | None,
    dialect: Dialect,
) -> tuple[Conditions, Guide | None, Tensor]:
    """What is told of each window, what pulls it, and by how much it is turned to face forward."""
    own_six, own_seen = through_gaps(measured.columns6, measured.seen)
    seen, there = own_seen[rows], measured.there[rows]
    six = torch.where(seen[..., None], own_six[rows], own_six.new_zeros(()))
    angle = forward_angle(six, seen)
    points = turned(torch.where(there[..., None], measured.points[rows], six.new_zeros(())), angle)
    placed = torch.zeros_like(seen)
    if measured.placed:
        own = list(dialect.places)
        placed[..., own] = measured.seen[rows][..., own] & there[..., own]
        if not dialect.bare:
            placed[_on_no_floor(points[..., HEAD, 1], there[..., HEAD], measured.rest)] = False
    told = conditions(
        turned(six, angle),
        seen,
        points=points if placed.any() else None,
        placed=placed,
        length=1.0 if dialect.bare else standing_length(measured.rest.double().numpy()),
        origin=HEAD if dialect.bare else None,
    )
    if guidance is None:
        return told, None, angle
    joints = measured.there.any(dim=0).nonzero()[:, 0].tolist()
    if len(joints) < 2:
        return told, None, angle
    guide = guide_to(
        points[..., joints, :],
        there[..., joints],
        measured.rest,
        joints,
        diffusion=diffusion,
        order=order,
        settings=guidance,
        whole=dialect.whole,
    )
    return told, guide, angle


def _on_no_floor(heights: Tensor, there: Tensor, rest: Tensor) -> Tensor:
    """Whether the head is higher than when it stands throughout windows, bool, shape [B]: then somebody has climbed, or
    walks on what is no floor, and how high the head is over it says something else than it says of others.

    Args:
        heights: Of the head over the floor [m], shape [B, T]; anything where not there.
        there: Where they were measured, bool, shape [B, T].
        rest: Rest joints [m], shape [22, 3].
    """
    own = rest.double().numpy()
    least = torch.where(there, heights, heights.new_tensor(float("inf"))).amin(dim=1)
    return (least > head_height(own) + CLIMBED * unit_length(own)) & there.any(dim=1)


def through_gaps(columns6: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations with one joint's turned straight through frames in which no rotation was measured.

    The prior, told nothing at all, has people face anywhere, and turn about within a gap of all sensors.

    Args:
        columns6: Global rotations as six numbers, shape [T, 22, 6]; anything where not seen.
        seen: Whose rotation was measured, bool, shape [T, 22].

    Returns:
        The same with the head's rotation, or if it was never measured that of the lowest number, between its last and
        its next one, and bool flags with it seen there.
    """
    blind = ~seen.any(dim=1)
    if not blind.any() or blind.all():
        return columns6, seen
    joint = HEAD if seen[:, HEAD].any() else int(seen.any(dim=0).int().argmax())
    known = seen[:, joint].nonzero()[:, 0].numpy()
    frames = blind.nonzero()[:, 0].numpy()
    turns = Rotation.from_matrix(matrices(columns6[known, joint].double()).numpy())
    if len(known) > 1:
        between = Slerp(known, turns)(frames.clip(known[0], known[-1])).as_matrix()
    else:
        between = turns.as_matrix().repeat(len(frames), 0)
    columns6, seen = columns6.clone(), seen.clone()
    columns6[blind, joint] = torch.tensor(columns(between), dtype=columns6.dtype)
    seen[blind, joint] = True
    return columns6, seen


def _some(told: Conditions, which: slice) -> Conditions:
    return Conditions(told.channels[which], told.seen[which], told.placed[which])


def _draws(seeds: list[int], frames: int) -> Tensor:
    """A recording of noise for each seed, shape [n, T, 22, 6]."""
    return torch.stack(
        [torch.randn(frames, len(JOINTS), 6, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )
