"""Bones that nobody knows well, from the recording itself: lengths under which what sensors say is likely.

The prior samples poses from the sensors' rotations alone, which tell nothing of lengths. Given the poses, differences
of measured places are linear in lengths (the paper's Eq. 8), and so is the head's height over the lower foot. Samples
are off by tens of degrees, though, for seconds, and by something of a person's own throughout: turns of the joints in
each frame and constant ones are unknowns beside the lengths, all Gaussian; the frames' are eliminated frame by frame,
and the most likely lengths are found by Gauss and Newton's method. Frames near in time count as parts of one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import roma
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.bone_equations import FittedBones, fit_to_turns
from motorque.estimators.inpose.bone_lengths import (
    ADULTS,
    Lengths,
    partly_told_lengths,
    published_lengths,
    told_lengths,
)
from motorque.estimators.inpose.conditions import Conditions, conditions
from motorque.estimators.inpose.diffusion import Diffusion
from motorque.estimators.inpose.heading import forward_angle, turned
from motorque.estimators.inpose.long_sampling import TOGETHER, Measured
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.sampling import sample
from motorque.estimators.inpose.sensor_offsets import at_joints
from motorque.estimators.inpose.tree import JOINTS, RATE, WINDOW, matrices
from motorque.journal import Journal
from motorque.progress import Progress, silent

Told = Literal["lengths", "stature", "nothing"]
"""What somebody was told of bones."""
MOST = 24
"""Windows that are looked at; spread over the recording where it has more."""
MOST_DOUBT = 0.3
"""Largest error of a length or an offset that is meant in metres."""
EVERY = 10
"""Frames from one that is looked at to the next within a window."""
STATURE = 0.02
"""Standard deviation of a told stature as a share of it: 3 cm, with shoes or without."""
DOUBT = 0.02
"""Standard deviation of told lengths that are to be found, where nobody says it [m]."""
APART = 3.0
"""Frames so far apart are off independently of each other [s]. On watched people errors of trunk and arms are still
alike to 0.75 and 0.4 after 0.7 s; with 1 s in place of 3 lengths come out worse than they were told."""
INDEPENDENT = 1.0
"""Frames that a recording counts for at most, however long. What samples have wrong of somebody, or of what is done,
throughout does not average out: counted in full, 28 s made one watched person's arms 7 cm too long; counted as three
frames 3 cm, as one 1.4 cm."""


@dataclass(frozen=True)
class SomeTold:
    """Lengths of some bones.

    Args:
        lengths: [m], by the joint that the bone ends in.
        published: Rest joints of the others' published proportions [m], shape [22, 3].
    """

    lengths: Mapping[str, float]
    published: Tensor


@dataclass(frozen=True)
class BoneDoubts:
    """How far bones and sensors' places on them are to be doubted.

    Args:
        told: What was told of bones: ``lengths``, a ``stature`` or ``nothing``.
        error: Standard deviation of each told length [m]; None if it is not said.
        fit: Whether bones are found from the recording; None: wherever they are not told, or with an error.
        offset_error: Standard deviation of where sensors sit about their joints, in each direction [m].
        some: Lengths that were told beside a stature or nothing.

    Raises:
        DataError: An error that can't be, or is said of what was not told.
    """

    told: Told = "lengths"
    error: float | None = None
    fit: bool | None = None
    offset_error: float = 0.0
    some: SomeTold | None = None

    def __post_init__(self) -> None:
        if self.error is not None and self.told != "lengths" and self.some is None:
            raise DataError("bones: an error is said of lengths, and none is told; give the bones or leave it out")
        if self.error is not None and not 0 <= self.error <= MOST_DOUBT:
            raise DataError(f"bones: an error of {self.error:g} m can't be; give 0 to {MOST_DOUBT:g} m")
        if not 0 <= self.offset_error <= MOST_DOUBT:
            raise DataError(f"offsets: an error of {self.offset_error:g} m can't be; give 0 to {MOST_DOUBT:g} m")

    def known(self, rest: Tensor) -> Lengths | None:
        """What is known of bones before anybody moves, by rest joints as told; None if there is nothing to find."""
        error = self.error if self.error is not None else DOUBT if self.fit else 0.0
        if self.told == "lengths":
            if (error > 0 and self.fit is not False) or self.offset_error > 0:
                return told_lengths(rest, 0.0 if self.fit is False else error)
            return None
        if self.fit is False:
            return told_lengths(rest, 0.0) if self.offset_error > 0 else None
        size = STATURE if self.told == "stature" else ADULTS
        if self.some is not None:
            return partly_told_lengths(self.some.published, self.some.lengths, error, size)
        return published_lengths(rest, size)


def with_bones_found(
    network: PriorNetwork,
    measured: Measured,
    doubts: BoneDoubts,
    *,
    noise: float = 0.002,
    seed: int = 0,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> tuple[Measured, FittedBones | None]:
    """Measurements with bones, and places of joints, as the recording has them.

    Args:
        network: The prior.
        measured: What sensors say, and bones as told.
        doubts: How far those are to be doubted.
        noise: Standard deviation of places in each direction [m].
        seed: Of the first sample.
        journal: Where it is recorded what was found.
        progress: Told how far it is.

    Returns:
        The measurements, and what was found; None if nothing was to be.
    """
    known = doubts.known(measured.rest)
    if known is None:
        return measured, None
    journal = Journal() if journal is None else journal
    if (int(measured.there.any(dim=0).sum()) < 2 and not measured.placed) or not measured.seen.any():
        journal.warn("bones can't be found without two places and a rotation; they are left as told, or as published")
        return measured, None
    if (doubts.told == "lengths" or doubts.some is not None) and doubts.error is None and doubts.fit:
        journal.assume(f"nobody says how far off the bones are: {100 * DOUBT:g} cm each; give --bones-error")
    found = fitted_bones(
        network, measured, known, offset_error=doubts.offset_error, noise=noise, seed=seed, progress=progress
    )
    arms = ", ".join(
        f"{name} {100 * float(found.lengths.mean[JOINTS.index(f'left_{joint}') - 1]):.1f} ± "
        f"{100 * float(found.std[JOINTS.index(f'left_{joint}')]):.1f} cm"
        for name, joint in (("left upper arm", "elbow"), ("forearm", "wrist"), ("thigh", "knee"))
    )
    journal.info(f"bones were found from the recording: {arms}")
    if doubts.offset_error > 0:
        measured = at_joints(measured, found.offsets, journal=journal)
        for joint in found.offsets.norm(dim=-1).nonzero()[:, 0].tolist():
            place, std = (100 * value[joint].numpy() for value in (found.offsets, found.offsets_std))
            said = ", ".join(f"{x:.1f} ± {s:.1f}" for x, s in zip(place, std, strict=True))
            journal.info(f"{JOINTS[joint]}'s sensor was found {said} cm from where it was told, in the joint's axes")
    return replace(measured, rest=found.rest), found


def fitted_bones(
    network: PriorNetwork,
    measured: Measured,
    known: Lengths,
    *,
    offset_error: float = 0.0,
    noise: float = 0.002,
    steps: int = 5,
    samples: int = 2,
    seed: int = 0,
    progress: Progress = silent,
) -> FittedBones:
    """The most likely bones of whoever moves in a recording.

    Args:
        network: The prior.
        measured: What sensors say; their bones are not looked at. The head's height counts where it is ``placed``.
        known: What is known of the bones.
        offset_error: Standard deviation of where a sensor sits about its joint in each direction [m]; found too if
            above zero, of sensors whose rotation is measured.
        noise: Standard deviation of places in each direction [m].
        steps: Of the diffusion.
        samples: Whose mean poses are.
        seed: Of the first one.
        progress: Told how far it is.
    """
    turns, rows = sampled_turns(network, measured, steps=steps, samples=samples, seed=seed, progress=progress)
    weight = min(1.0, min(len(measured) / RATE / APART, INDEPENDENT) / len(rows))
    return fit_to_turns(turns, measured.frames(rows), known, weight=weight, noise=noise, offset_error=offset_error)


def sampled_turns(
    network: PriorNetwork,
    measured: Measured,
    *,
    steps: int = 5,
    samples: int = 2,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Tensor, Tensor]:
    """Poses in some frames, from measured rotations alone.

    Args:
        network: The prior.
        measured: What sensors say.
        steps: Of the diffusion.
        samples: How many are averaged.
        seed: Of the first.
        progress: Told how far it is.

    Returns:
        Global rotations, shape [N, 22, 3, 3], measured ones as measured; and which frames they are of, shape [N].
    """
    frames = len(measured)
    count = min(MOST, math.ceil(frames / WINDOW))
    first = torch.linspace(0, max(frames - WINDOW, 0), count).round().long()
    rows = (first[:, None] + torch.arange(WINDOW)).clamp(max=frames - 1)
    seen = measured.seen[rows]
    six = torch.where(seen[..., None], measured.columns6[rows], measured.columns6.new_zeros(()))
    angle = forward_angle(six, seen)
    told = conditions(turned(six, angle), seen)
    diffusion = Diffusion(network.size.target, learned_variance=network.size.learned_variance)
    total = torch.zeros(count, WINDOW, len(JOINTS), 3, 3, dtype=torch.float64)
    for number in range(samples):
        draw = torch.Generator().manual_seed(seed + number)
        start = torch.randn(count, WINDOW, len(JOINTS), 6, generator=draw)
        for some in range(0, count, TOGETHER):
            which = slice(some, some + TOGETHER)
            part = Conditions(told.channels[which], told.seen[which], told.placed[which])
            found = sample(network, diffusion, part, steps=steps, start=start[which])
            total[which] += matrices(turned(found, -angle[which]).double())
            progress("bones", (number + min(1.0, (some + TOGETHER) / count)) / samples)
    kept = torch.arange(min(EVERY // 2, frames - 1), min(WINDOW, frames), EVERY)
    rows, turns = rows[:, kept].flatten(), roma.special_procrustes(total[:, kept].flatten(0, 1))
    own = matrices(measured.columns6[rows].double())
    return torch.where(measured.seen[rows][..., None, None], own, turns), rows
