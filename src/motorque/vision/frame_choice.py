"""Which frames of a video to look at: every n-th, or those nearest to an even grid in time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class FrameChoice:
    """Thins frames to those nearest to an even grid.

    Args:
        interval: Spacing of the grid [s]; 0 takes every frame.
    """

    interval: float

    @classmethod
    def of_rate(cls, rate: float, fps: float | None) -> FrameChoice:
        """Every n-th frame of a video with this rate [Hz], n the least that gives at most about ``fps`` [Hz].

        A tenth more is let through: a camera of 30.01 Hz need not lose half of its frames for a wish of 30.
        """
        if fps is None or rate <= 1.1 * fps:
            return cls(0.0)
        return cls(math.ceil(rate / fps - 0.1) / rate)

    def choose(self, frames: Iterator[tuple[T, float]]) -> Iterator[tuple[T, float]]:
        """The frames nearest to the grid that starts at the first one; holds back one frame at most.

        Args:
            frames: Frames with their times [s], increasing.
        """
        if self.interval <= 0:
            yield from frames
            return
        origin, held, held_slot = math.nan, None, -1
        for frame, time in frames:
            if held is None:
                origin = time
            # Frames halfway between two slots go to the earlier one, however their time stamps were rounded.
            slot = round((time - origin) / self.interval - 0.05)
            if held is not None and slot == held_slot:
                if self._miss(time, origin) >= self._miss(held[1], origin):
                    continue
            elif held is not None:
                yield held
            held, held_slot = (frame, time), slot
        if held is not None:
            yield held

    def _miss(self, time: float, origin: float) -> float:
        cells = (time - origin) / self.interval
        return abs(cells - round(cells))
