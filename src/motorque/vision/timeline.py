"""When the frames of a video are shown: its time stamps, gaps, damage and slow motion, told without decoding it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.journal import Journal
from motorque.vision.container import packets
from motorque.vision.video_metadata import SLOW_MOTION, capture_rate

VARIABLE = 0.2
"""Frame intervals that differ by more than this share of their median are called a variable frame rate."""


@dataclass(frozen=True)
class Timeline:
    """When the frames of a video are shown, read from its packets without decoding them.

    Args:
        start: Time stamp of the first frame [s]; it is shown at time zero.
        duration: From the first frame to the end of the last one [s].
        rate: One over the usual interval [Hz].
        times: When each frame is shown, counted from the first one, as the file has it [s], shape [T].
        stamped: Whether the file has time stamps; where it has none, frames are taken to be evenly spaced.
        stretch: How many times slower than life the file plays; times are divided by it.
    """

    start: float
    duration: float
    rate: float
    times: NDArray[np.float64]
    stamped: bool
    stretch: float = 1.0

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.times)


def read_timeline(container: Any, stream: Any, tags: Mapping[str, str], *, journal: Journal, about: str) -> Timeline:
    """The frames' times, from the stream's packets; what is wrong with them is recorded.

    Args:
        container: Of PyAV, just opened.
        stream: Its video stream.
        tags: What the container says of itself.
        journal: Where gaps, doubled time stamps, a varying rate and slow motion are recorded.
        about: The file's name.
    """
    declared = _seconds(stream.duration, stream.time_base) or (container.duration or 0) / 1e6
    stamps: list[float] = []
    unstamped = 0
    for packet in packets(container, stream):
        if packet.size == 0 or packet.is_discard:
            continue
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            unstamped += 1
        else:
            stamps.append(float(stamp * stream.time_base))
    count = len(stamps) + unstamped
    nominal = float(stream.average_rate or stream.guessed_rate or 0)
    distinct = np.unique(stamps)
    steps = np.diff(distinct)
    if count < 2:
        return Timeline(0.0, 0.0, nominal or 1.0, np.zeros(count), False)
    if unstamped > 0.5 * count or len(steps) == 0:
        rate = nominal if 1 <= nominal <= 1000 else 30.0
        journal.assume(f"the file has no usable time stamps; its frames are taken to be {rate:g} a second", about)
        return Timeline(0.0, count / rate, rate, np.arange(count) / rate, False)
    # Time stamps are rounded, in some files to milliseconds: the mean of ordinary steps is finer than their median.
    usual = float(np.median(steps))
    rate = 1.0 / float(steps[np.abs(steps / usual - 1) < 0.3].mean())
    if len(distinct) < len(stamps) or unstamped:
        journal.warn(
            f"{len(stamps) - len(distinct) + unstamped} of {count} frames have no time stamp of their own",
            about,
        )
    spread = float(np.percentile(steps, 95) - np.percentile(steps, 5)) * rate
    if spread > VARIABLE:
        journal.info(
            f"the frame rate varies, from {1 / np.percentile(steps, 95):.1f} to {1 / np.percentile(steps, 5):.1f} "
            "frames a second; the file's own times are used",
            about,
        )
    long = steps.max()
    if long > max(0.25, 5.0 / rate):
        at = float(distinct[steps.argmax()] - distinct[0])
        journal.warn(f"no frame for {long:.2f} s after {at:.2f} s", about)
    duration = float(distinct[-1] - distinct[0]) + 1.0 / rate
    if declared > duration + max(0.5, 3.0 / rate):
        journal.warn(
            f"the file breaks off at {duration:.2f} s, though its header speaks of {declared:.2f} s; what is there "
            "is used",
            about,
        )
    stretch = _slow_motion(tags, rate, journal, about)
    return Timeline(float(distinct[0]), duration, rate, distinct - distinct[0], True, stretch)


def _slow_motion(tags: Mapping[str, str], rate: float, journal: Journal, about: str) -> float:
    taken = capture_rate(tags)
    if taken is None or taken / rate < 1.4:
        return 1.0
    if taken / rate < SLOW_MOTION:
        journal.warn(
            f"the file says that {taken:g} frames a second were taken and plays {rate:.4g}; if it plays in slow "
            "motion, every speed is too small by that much",
            about,
        )
        return 1.0
    journal.assume(
        f"slow motion: taken at {taken:g} frames a second, played at {rate:.4g}; times are divided by "
        f"{taken / rate:.4g}",
        about,
    )
    return taken / rate


def _seconds(ticks: int | None, base: Any) -> float:
    return 0.0 if ticks is None or base is None else float(ticks * base)
