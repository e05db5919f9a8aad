"""Gaps of a sensor end without a jump: what is guessed within leads from what was measured before to what comes after.

While a sensor is lost a sample guesses, and its guess is off from the first lost frame on by what strangers' joints are
off: tens of centimetres for hands. Measured frames stay as they are. The first frames of a gap go straight on, the
guess being smoothed into what was measured there; what it is off from where the body was going is taken back from it,
less and less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.estimators.inpose.closing import exp_vectors, log_vectors
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import RATE
from motorque.signals.runs import runs_of

Array = NDArray[np.float64]

FADE = 1.0
"""For so long an end of a gap bends what is guessed within [s], or up to the other end. On watched people who lost a
hand or the head for 2 to 3 s, 1 s has lower errors there than 0.5 or 0.25, with the same speeds; where all sensors are
lost 0.5 s does as well."""
STRAIGHT = 4
"""Frames of a gap that go straight: as far as samples are smoothed (three standard deviations of 1.5 frames)."""
GOING = 3
"""Frames over which it is seen how fast a joint goes."""


@dataclass(frozen=True)
class End:
    """One end of a gap.

    Args:
        known: The measured frame beside it.
        before: A measured frame up to :data:`GOING` farther away, by which it is seen how fast a joint goes.
        inner: The frame within the gap from which on guesses count.
        straight: Frames between them, from the measured one on.
        shares: How much of what the inner frame is off is taken back in each frame of the gap.
    """

    known: int
    before: int
    inner: int
    straight: list[int]
    shares: Array

    @property
    def ahead(self) -> float:
        """How often the way from ``before`` to ``known`` leads on to ``inner``; 0 where it is not known."""
        return abs(self.inner - self.known) / max(1, abs(self.known - self.before))


def without_jumps(turns: Tensor, measured: Measured, close: Callable[[Tensor, Measured], Tensor]) -> Tensor:
    """Closed samples whose joints do not jump where a sensor is lost or found.

    Args:
        turns: Global rotations, closed, shape [n, T, 22, 3, 3].
        measured: What sensors say.
        close: Closes samples of some frames again on what the other sensors say there.

    Returns:
        Rotations of the same shape; frames in which no sensor is lost are the same.
    """
    for lost in lost_frames(measured.there, measured.seen):
        bent = turns.clone()
        for gap in runs_of(lost):
            own = list(gap_ends(lost, gap.start, gap.stop - 1))
            bend = turns.new_zeros((len(turns), gap.stop - gap.start, turns.shape[2], 3))
            for end in own:
                way = log_vectors(turns[:, end.known] @ turns[:, end.before].mT)
                wanted = exp_vectors(end.ahead * way) @ turns[:, end.known]
                bend += torch.from_numpy(end.shares)[:, None, None] * _off(wanted, turns[:, end.inner])[:, None]
            bent[:, gap] = exp_vectors(bend) @ turns[:, gap]
            for end in own:
                way = _off(bent[:, end.inner], turns[:, end.known])
                for number, frame in enumerate(end.straight, 1):
                    share = number / (len(end.straight) + 1)
                    bent[:, frame] = exp_vectors(share * way) @ turns[:, end.known]
        which = torch.from_numpy(np.flatnonzero(lost))
        which = which[(bent[:, which] != turns[:, which]).flatten(2).any(dim=-1).any(dim=0)]
        if len(which):
            bent[:, which] = close(bent[:, which], measured.frames(which))
        turns = bent
    return turns


def lost_frames(*flags: Tensor) -> list[NDArray[np.bool_]]:
    """For each sensor that is lost at times, the frames in which it is, shape [T]; alike ones once.

    Args:
        flags: What was measured, each of shape [T, 22].
    """
    columns = {column.tobytes(): column for flag in flags for column in np.ascontiguousarray(flag.T.numpy())}
    return [~column for column in columns.values() if column.any() and not column.all()]


def gap_ends(lost: NDArray[np.bool_], first: int, last: int) -> Iterator[End]:
    """The ends of a gap beside which something was measured.

    Args:
        lost: Frames in which the sensor is lost, shape [T].
        first: The gap's first frame.
        last: Its last one.
    """
    frames, both = last + 1 - first, first > 0 and last + 1 < len(lost)
    straight = min(STRAIGHT, (frames - 1) // 4)
    fade = min(FADE * RATE, frames - 1 - 2 * straight) if both else FADE * RATE
    done = ((np.arange(frames) - straight) / max(1.0, fade)).clip(0.0, 1.0)
    shares = 1 - done**2 * (3 - 2 * done)
    if both and frames == 1:
        shares = shares / 2
    for edge, way in ((first, -1), (last, 1)):
        known = edge + way
        if not 0 <= known < len(lost):
            continue
        before = known
        while abs(before - known) < GOING and 0 <= before + way < len(lost) and not lost[before + way]:
            before += way
        yield End(
            known,
            before,
            edge - way * straight,
            [edge - way * number for number in range(straight)],
            shares[::-way].copy(),
        )


def _off(wanted: Tensor, found: Tensor) -> Tensor:
    return log_vectors(wanted @ found.mT)
