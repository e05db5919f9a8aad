"""Bones that nobody knows well, from the recording itself: lengths under which what sensors say is likely.

The prior samples poses from the sensors' rotations alone, which tell nothing of lengths. Given the poses, differences
of measured places are linear in lengths (the paper's Eq. 8), and so is the head's height over the lower foot. Samples
are off by tens of degrees, though, for seconds, and by something of a person's own throughout: turns of the joints in
each frame and constant ones are unknowns beside the lengths, all Gaussian; the frames' are eliminated frame by frame,
and the most likely lengths are found by Gauss and Newton's method. Frames near in time count as parts of one.
"""

from __future__ import annotations

import math

import roma
import torch
from torch import Tensor

from motorque.estimators.inpose.bone_equations import FittedBones, fit_to_turns
from motorque.estimators.inpose.bone_lengths import Lengths
from motorque.estimators.inpose.conditions import Conditions, conditions
from motorque.estimators.inpose.diffusion import Diffusion
from motorque.estimators.inpose.heading import forward_angle, turned
from motorque.estimators.inpose.long_sampling import TOGETHER, Measured
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.sampling import sample
from motorque.estimators.inpose.tree import JOINTS, RATE, WINDOW, matrices
from motorque.progress import Progress, silent

MOST = 40
"""Windows that are looked at; spread over the recording where it has more."""
EVERY = 10
"""Frames from one that is looked at to the next within a window."""
APART = 3.0
"""Frames so far apart are off independently of each other [s]. On watched people errors of trunk and arms are still
alike to 0.75 and 0.4 after 0.7 s; with 1 s in place of 3 lengths come out worse than they were told."""


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
    turns, rows, windows = sampled_turns(network, measured, steps=steps, samples=samples, seed=seed, progress=progress)
    weight = min(1.0, len(measured) / RATE / windows / APART) * windows / len(rows)
    return fit_to_turns(turns, measured.frames(rows), known, weight=weight, noise=noise, offset_error=offset_error)


def sampled_turns(
    network: PriorNetwork,
    measured: Measured,
    *,
    steps: int = 5,
    samples: int = 2,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Tensor, Tensor, int]:
    """Poses in some frames, from measured rotations alone.

    Args:
        network: The prior.
        measured: What sensors say.
        steps: Of the diffusion.
        samples: How many are averaged.
        seed: Of the first.
        progress: Told how far it is.

    Returns:
        Global rotations, shape [N, 22, 3, 3], measured ones as measured; which frames they are of, shape [N]; and of
        how many windows.
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
    return torch.where(measured.seen[rows][..., None, None], own, turns), rows, count
