"""Windows to learn from: drawn at random from a library on disk, turned forward, mirrored, and told of in part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.conditions import Conditions, conditions
from motorque.estimators.inpose.heading import forward_angle, turned
from motorque.estimators.inpose.library import Library, Movement
from motorque.estimators.inpose.mirror import mirrored, mirrored_place, mirrored_points
from motorque.estimators.inpose.tree import HEAD, JOINTS, THREE, WINDOW, matrices, places, standing_length

NONE, SOME_OF_THREE, ANY, MORE = 0.05, 0.08, 0.08, 0.07
"""Shares of windows that are told nothing, some of the three sensors, any joints, the three and some others; the rest
is told the three: what there is to learn from them is little, and mostly they are what there is."""
PLACED = 0.5
"""Share of the windows told of the head in which they are also told where it is."""
GAPS = 0.05
"""Share of windows in which sensors drop out for a while."""
STRAY = 0.5
"""Share of the windows without any rotation that face anywhere: all others can be turned by what is told."""
OFF_FORWARD = 0.2
"""Standard deviation of how far the others are off forward [rad]."""
PACE = 0.2
"""Standard deviation of the logarithm of how much faster or slower a window is played than it was recorded: people walk
and turn at more paces than a few recordings show."""
WATCHED = 96
"""Windows on which errors are told while training, evenly from all of the watched subjects' movements."""
Telling = Callable[[int, int, torch.Generator], tuple[Tensor, Tensor]]
"""From a number of windows and of frames to whose rotation and whose place is told, bool, shape [B, T, 22] each."""


class Batch(NamedTuple):
    """A batch as plain tensors, so that other processes can make it.

    Args:
        clean: Rotations, shape [B, 41, 22, 6].
        channels: As of :class:`Conditions`, like the next two.
        seen: Whose rotation is told.
        placed: Whose place is told.
        noise: Shape [B, 41, 22, 6].
        step: Shape [B].
    """

    clean: Tensor
    channels: Tensor
    seen: Tensor
    placed: Tensor
    noise: Tensor
    step: Tensor

    @property
    def told(self) -> Conditions:
        """What the sensors say."""
        return Conditions(self.channels, self.seen, self.placed)


@dataclass(frozen=True)
class Windows:
    """All windows of 41 frames of some movements, read from disk as they are drawn.

    Args:
        library: Where they lie.
        movements: Which of its movements.
        frames: Length of a window.

    Raises:
        DataError: Not one movement is as long as a window.
    """

    library: Library
    movements: Sequence[Movement]
    frames: int = WINDOW

    def __post_init__(self) -> None:
        if not any(m.frames >= self.frames for m in self.movements):
            raise DataError(f"data: no movement is as long as a window of {self.frames} frames at 60 Hz")

    @property
    def counts(self) -> np.ndarray:
        """How many windows each movement has, int64."""
        return np.array([max(0, m.frames - self.frames + 1) for m in self.movements])

    def __len__(self) -> int:
        return int(self.counts.sum())

    def read(self, numbers: np.ndarray, pace: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Some windows by their number.

        Args:
            numbers: Which, shape [B], each from 0 to below the length.
            pace: How much faster than recorded each is played, about its middle, shape [B]; as fast by default.
                A movement that is too short for it is played as fast as it fits.

        Returns:
            Rotations [B, T, 22, 6], the pelvis [B, T, 3] and rest joints [B, 22, 3], float32.
        """
        ends = np.cumsum(self.counts)
        which = np.searchsorted(ends, numbers, side="right")
        own = numbers - ends[which] + self.counts[which]
        first = np.array([m.first for m in self.movements])[which]
        rest = torch.from_numpy(np.array([self.movements[w].rest for w in which], dtype=np.float32))
        if pace is None:
            rows = (first + own)[:, None] + np.arange(self.frames)
            return torch.from_numpy(self.library.rotations[rows]), torch.from_numpy(self.library.pelvis[rows]), rest
        last = np.array([m.frames for m in self.movements])[which] - 1
        half = (self.frames - 1) / 2
        reach = half * np.minimum(pace.double().numpy(), last / (2 * half))
        middle = np.clip(own + half, reach, last - reach)
        times = middle[:, None] + reach[:, None] * np.linspace(-1, 1, self.frames)
        before = np.clip(np.floor(times).astype(np.int64), 0, np.maximum(last - 1, 0)[:, None])
        share = torch.from_numpy((times - before).astype(np.float32))[..., None]
        rows = first[:, None] + before

        def between(values: np.ndarray, share: Tensor) -> Tensor:
            return torch.lerp(torch.from_numpy(values[rows]), torch.from_numpy(values[rows + 1]), share)

        pelvis, turns = between(self.library.pelvis, share), between(self.library.rotations, share[..., None])
        return matrices(turns)[..., :2].mT.flatten(-2), pelvis, rest

    def mean(self, most: int = 20_000) -> Tensor:
        """What rotations that face forward are on average, as six numbers, shape [22, 6]."""
        total, count = torch.zeros(len(JOINTS), 6, dtype=torch.float64), 0
        every = max(1, sum(m.frames for m in self.movements) // most)
        for movement in self.movements:
            some = torch.from_numpy(
                np.array(self.library.rotations[movement.first : movement.first + movement.frames : every])
            )
            seen = torch.ones(len(some), 1, len(JOINTS), dtype=torch.bool)
            total += turned(some, forward_angle(some[:, None], seen)).double().sum(0)
            count += len(some)
        return (total / count).float()


@dataclass(frozen=True)
class Batches:
    """Makes the batch of a step, as the training loop wants it.

    Args:
        windows: What they are drawn from.
        size: Windows in a batch.
        telling: What windows are told of, see :func:`told_of`, which it is by default.
        stray: Share of windows without any rotation that face anywhere.
        bare: See :func:`measured`.
        target: From global rotations as six numbers to what is learned; they themselves by default.
        pace: See :data:`PACE`; 0 plays all as they were recorded.
    """

    windows: Windows
    size: int
    telling: Telling | None = None
    stray: float = STRAY
    bare: bool = False
    target: Callable[[Tensor], Tensor] | None = None
    pace: float = PACE

    def __call__(self, generator: torch.Generator, step: int) -> Batch:
        """The batch of a step: all that is random in it comes from the generator."""
        numbers = torch.randint(len(self.windows), (self.size,), generator=generator).numpy()
        pace = torch.exp(self.pace * torch.randn(self.size, generator=generator)) if self.pace else None
        rotations, pelvis, rest = self.windows.read(numbers, pace)
        flip = torch.rand(self.size, generator=generator) < 0.5
        rotations = torch.where(flip[:, None, None, None], mirrored(rotations), rotations)
        pelvis = torch.where(flip[:, None, None], mirrored_place(pelvis), pelvis)
        rest = torch.where(flip[:, None, None], mirrored_points(rest), rest)
        seen, placed = (self.telling or told_of)(self.size, self.windows.frames, generator)
        off = OFF_FORWARD * torch.randn(self.size, generator=generator)
        anywhere = torch.pi * (2 * torch.rand(self.size, generator=generator) - 1)
        stray = (torch.rand(self.size, generator=generator) < self.stray) & ~seen.flatten(1).any(dim=1)
        off = torch.where(stray, anywhere, off)
        told, rotations, _ = measured(rotations, pelvis, rest, seen, placed, off, bare=self.bare)
        rotations = rotations if self.target is None else self.target(rotations)
        noise = torch.randn(rotations.shape, generator=generator)
        which = torch.randint(1000, (self.size,), generator=generator)
        return Batch(rotations, told.channels, told.seen, told.placed, noise, which)


def measured(
    rotations: Tensor,
    pelvis: Tensor,
    rest: Tensor,
    seen: Tensor,
    placed: Tensor,
    off: Tensor | None = None,
    *,
    bare: bool = False,
) -> tuple[Conditions, Tensor, Tensor]:
    """What faultless sensors say of windows, and the windows turned forward by what they say.

    Args:
        rotations: Shape [B, T, 22, 6].
        pelvis: Shape [B, T, 3] [m].
        rest: Rest joints [m], shape [B, 22, 3].
        seen: Whose rotation is measured, bool, shape [B, T, 22].
        placed: Whose place is measured, bool, shape [B, T, 22].
        off: How far off forward each is turned [rad], shape [B]; not at all by default.
        bare: Whether places are told in bare metres and from where the head is in the middle of the window, whatever
            the person's length; then the head's must be among them.

    Returns:
        What is told, the turned rotations, and by how much they were turned [rad], shape [B].
    """
    angle = forward_angle(rotations, seen)
    angle = angle if off is None else angle + off
    rotations = turned(rotations, angle)
    points = None
    if placed.any():
        points = places(rotations, rest[:, None], turned(pelvis, angle))
    if bare:
        return conditions(rotations, seen, points=points, placed=placed, origin=HEAD), rotations, angle
    length = torch.tensor([standing_length(r.double().numpy()) for r in rest], dtype=rotations.dtype)
    return conditions(rotations, seen, points=points, placed=placed, length=length), rotations, angle


def told_of(size: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Of which joints windows are told: mostly the three sensors, but also fewer, others, more and nothing.

    Returns:
        Whose rotation and whose place is told, bool, shape [B, T, 22] each. Places are the head's alone.
    """

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    kind, joints = rand(size), len(JOINTS)
    three = torch.zeros(size, joints, dtype=torch.bool)
    three[:, list(THREE)] = True
    share = rand(size, 1) ** 2  # few joints more often than many
    any_of = rand(size, joints) < share
    seen = three.clone()
    edges = torch.tensor([NONE, SOME_OF_THREE, ANY, MORE]).cumsum(0)
    seen[kind < edges[0]] = False
    some = (kind >= edges[0]) & (kind < edges[1])
    seen[some] &= (rand(size, joints) < 0.5)[some]
    other = (kind >= edges[1]) & (kind < edges[2])
    seen[other] = any_of[other]
    more = (kind >= edges[2]) & (kind < edges[3])
    seen[more] |= any_of[more]
    seen = seen[:, None].expand(size, frames, joints).clone()
    start, length = rand(size, 1, joints) * frames, rand(size, 1, joints) * frames
    time = torch.arange(frames)[None, :, None]
    gap = (time >= start) & (time < start + length) & (rand(size, 1, joints) < 0.5)
    seen &= ~(gap & (rand(size) < GAPS)[:, None, None])
    placed = torch.zeros_like(seen)
    placed[:, :, HEAD] = seen[:, :, HEAD] & (rand(size) < PLACED)[:, None]
    return seen, placed


def watched_batch(
    windows: Windows,
    *,
    placed: bool,
    where: Sequence[int] = (HEAD,),
    bare: bool = False,
    target: Callable[[Tensor], Tensor] | None = None,
) -> Batch:
    """The windows on which errors are told, always the same: evenly over all there are, all three sensors known.

    Args:
        windows: What they are taken from.
        placed: Whether it is also told where some joints are.
        where: Which joints those are.
        bare: See :func:`measured`.
        target: See :class:`Batches`.
    """
    count = min(WATCHED, len(windows))
    numbers = np.linspace(0, len(windows) - 1, count).round().astype(np.int64)
    rotations, pelvis, rest = windows.read(numbers)
    seen = torch.zeros(count, windows.frames, len(JOINTS), dtype=torch.bool)
    seen[..., list(THREE)] = True
    known = torch.zeros_like(seen)
    known[..., list(where)] = placed
    told, rotations, _ = measured(rotations, pelvis, rest, seen, known, bare=bare)
    rotations = rotations if target is None else target(rotations)
    generator = torch.Generator().manual_seed(count)
    noise = torch.randn(rotations.shape, generator=generator)
    step = torch.linspace(0, 999, count).long()
    return Batch(rotations, told.channels, told.seen, told.placed, noise, step)
