"""Batches to learn from: motion capture and generated movements, seen by random phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from motorque.estimators.keypoint_prior.features import features
from motorque.estimators.keypoint_prior.loss import Truth, guessed_angles
from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.detector_errors import scaled_errors
from motorque.synthesis.keypoint_sequences import KeypointSequences, seen_by_phones
from motorque.synthesis.motions import CapturedMotion
from motorque.synthesis.random_movements import random_movements
from motorque.synthesis.variations import varied, window


class Example(NamedTuple):
    """One batch as plain tensors, so that other processes can make it; see :class:`Truth` for the last four."""

    values: Tensor
    angles: Tensor
    pelvis: Tensor
    up: Tensor
    turn: Tensor

    @property
    def truth(self) -> Truth:
        """What a guess is held to."""
        return Truth(self.angles, self.pelvis, self.up, self.turn)


@dataclass(frozen=True)
class Examples:
    """What batches are made of.

    Args:
        motions: Captured motions at 30 Hz, each [T, nq] in the built-in skeleton's coordinates [rad or m], float32.
        captured: Share of a batch that comes from them; the rest is generated.
        frames: Lengths that recordings have, one of them in each batch.
        total: Frames in a batch.
    """

    motions: Sequence[Tensor]
    captured: float = 0.5
    frames: tuple[int, ...] = (64, 128, 224)
    total: int = 4096

    def __call__(self, generator: torch.Generator, step: int) -> Example:
        """The batch of a step."""
        frames = self.frames[int(torch.randint(len(self.frames), (), generator=generator))]
        count = max(self.total // frames, 1)
        return example(self.sequences(count, frames, generator))

    def sequences(self, count: int, frames: int, generator: torch.Generator) -> KeypointSequences:
        """N recordings of T frames."""
        taken = round(self.captured * count) if self.motions else 0
        parts = []
        if taken:
            # Long recordings hold more that is new, but not in proportion.
            weight = torch.tensor([float(len(m)) for m in self.motions]).sqrt()
            chosen = torch.multinomial(weight, taken, replacement=True, generator=generator)
            cut = torch.stack([window(self.motions[i], frames, generator) for i in chosen.tolist()])
            parts.append(varied(cut, generator))
        if count > taken:
            parts.append(random_movements(count - taken, frames, generator))
        # Some detectors are better than the one that the model was made after, some worse.
        errors = scaled_errors(0.6 + 0.8 * float(torch.rand((), generator=generator)))
        return seen_by_phones(torch.cat(parts), generator, errors=errors)


def on_generic(motion: CapturedMotion) -> Tensor:
    """A captured motion as the generic person of 1.70 m would do it: the root's path goes with the legs' lengths.

    Returns:
        Coordinates [rad or m], float32, shape [T, nq].
    """
    q = torch.tensor(motion.q, dtype=torch.float32)
    legs = 0.5 * (motion.factors.get("thigh", 1.0) + motion.factors.get("shank", 1.0))
    q[:, [fullbody().coordinate(f"pelvis_t{axis}") for axis in "xyz"]] /= legs
    return q


def example(sequences: KeypointSequences) -> Example:
    """What the network is told of recordings and what it should answer."""
    seen = features(sequences.points, sequences.confidence, sequences.cameras.size)
    return Example(
        seen.values,
        guessed_angles(sequences.q),
        seen.turn @ sequences.pelvis_in_camera,
        sequences.cameras.up,
        seen.turn,
    )
