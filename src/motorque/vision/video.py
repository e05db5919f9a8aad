"""Videos: one after the other, upright pictures with the file's own times, whatever the file went through."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.journal import Journal
from motorque.vision.container import check_file, opened, packets, seek
from motorque.vision.frame_choice import FrameChoice
from motorque.vision.picture import Orientation, Picture, PictureMaker, orientation_of
from motorque.vision.timeline import read_timeline
from motorque.vision.video_metadata import equivalent_focal_length, focal_length_in_pixels

LARGEST_PICTURE = 8192 * 8192
"""Pixels of the largest picture that is read: a header that claims more would fill the memory with one frame."""

SMALLEST_SIDE = 32
"""Pixels of the shorter side below which nobody can be found in a picture made for a detector; a picture that is all
line would make one look for minutes, in thousands of small squares."""

LONG_SIDE = 1280
"""Pixels of the longer side of the pictures made for a detector, which looks at 256 by 256 of them at a time."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Args:
        time: Its time [s].
        picture: RGB, upright, shape [height, width, 3], uint8.
    """

    time: float
    picture: Picture


class Video:
    """A video file, to be read from its start as often as needed.

    Only a few frames are in memory at a time.

    Args:
        path: The file.
        journal: Where everything that is wrong with it is recorded.

    Raises:
        FileFormatError: It is no video that can be read, holds no moving picture, or cannot be opened.

    Attributes:
        size: Width and height of the picture as shown: turned as its container asks, with square pixels [px].
        timeline: Its frames' times.
        focal_length: What the container tells of the lens, as a focal length in pixels of the picture as shown; None
            where it tells nothing.
    """

    def __init__(self, path: Path | str, *, journal: Journal) -> None:
        self.path = Path(path)
        self._journal = journal
        self._about = str(path)
        check_file(self.path)
        with opened(self.path) as (container, stream):
            tags = {**container.metadata, **stream.metadata}
            self.timeline = read_timeline(container, stream, tags, journal=journal, about=self._about)
        if self.timeline.count < 2:
            raise FileFormatError(f"{self.path}: has one frame only, as far as it can be read; a motion needs two")
        with opened(self.path) as (container, stream):
            first, _ = next(self._decoded(container, stream), (None, 0.0))
            aspect = float(stream.sample_aspect_ratio or 1)  # a stream must not be asked once its file is closed
        if first is None:
            raise FileFormatError(f"{self.path}: not one of its frames can be decoded; the file is damaged")
        if first.width * first.height > LARGEST_PICTURE:
            raise FileFormatError(f"{self.path}: pictures of {first.width} by {first.height} pixels are too large")
        self._orientation = self._read_orientation(first)
        wide = round(first.width * aspect) if 0.1 < aspect < 10 else first.width
        self.size = self._orientation.shape(wide, first.height)
        if min(self.picture_size()) < SMALLEST_SIDE:
            raise FileFormatError(
                f"{self.path}: pictures of {self.size[0]} by {self.size[1]} pixels are too small or too narrow to show "
                "a person; give the video as it was recorded"
            )
        equivalent = equivalent_focal_length(tags)
        self.focal_length = None if equivalent is None else focal_length_in_pixels(equivalent, self.size)

    @property
    def duration(self) -> float:
        """From the first frame to the end of the last one [s]."""
        return self.timeline.duration / self.timeline.stretch

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each frame in the file [s], shape [T]; some of them may turn out to be damaged."""
        return self.timeline.times / self.timeline.stretch

    @property
    def rate(self) -> float:
        """Frames per second of the movement filmed [Hz]: one over the usual interval."""
        return self.timeline.rate * self.timeline.stretch

    def picture_size(self, long_side: int | None = LONG_SIDE) -> tuple[int, int]:
        """Width and height of pictures whose longer side is no longer than asked for [px]."""
        shrink = 1.0 if long_side is None else min(1.0, long_side / max(self.size))
        return max(1, round(self.size[0] * shrink)), max(1, round(self.size[1] * shrink))

    def frames(
        self,
        *,
        start: float | None = None,
        end: float | None = None,
        fps: float | None = None,
        long_side: int | None = LONG_SIDE,
        journal: Journal | None = None,
    ) -> Generator[Frame, None, None]:
        """The frames from ``start`` to ``end`` [s], both included, in order of time.

        Args:
            start: First time wanted [s].
            end: Last time wanted [s].
            fps: At most about this many frames a second: every n-th frame of the file, n the least that serves, where
                frames are evenly spaced, and those nearest to that grid in time where they are not. All if None.
            long_side: The longer side of the pictures [px]; never enlarged; as in the file if None.
            journal: Where damage is recorded; the video's own if None.

        Raises:
            DataError: No frame lies between the two times.
        """
        choice = FrameChoice.of_rate(self.rate, fps)
        taken = 0
        with opened(self.path) as (container, stream):
            make = PictureMaker(self._orientation, self.picture_size(long_side))
            if start is not None and start > 1.0 and self.timeline.stamped:
                seek(container, stream, start * self.timeline.stretch + self.timeline.start)
            wanted = self._between(self._decoded(container, stream, journal or self._journal, since=start), start, end)
            for frame, time in choice.choose(wanted):
                taken += 1
                yield Frame(time, make(frame))
        if not taken:
            raise self._no_frame(start, end)

    def check_interval(self, start: float | None, end: float | None) -> None:
        """Raise a :class:`DataError` if no frame lies between the two times [s]; nothing is decoded."""
        low, high = _or(start, -np.inf) - 1e-9, _or(end, np.inf) + 1e-9
        if not ((self.times >= low) & (self.times <= high)).any():
            raise self._no_frame(start, end)

    def _no_frame(self, start: float | None, end: float | None) -> DataError:
        if end is None:
            where = f"after {_or(start, 0.0):g} s"
        else:
            where = f"before {end:g} s" if start is None else f"between {start:g} and {end:g} s"
        return DataError(f"{self.path}: no frame lies {where}; the video lasts {self.duration:.2f} s")

    @staticmethod
    def _between(
        frames: Generator[tuple[Any, float], None, None], start: float | None, end: float | None
    ) -> Iterator[tuple[Any, float]]:
        with contextlib.closing(frames):
            for frame, time in frames:
                if end is not None and time > end + 1e-9:
                    return
                if start is None or time >= start - 1e-9:
                    yield frame, time

    def still(self, time: float, *, long_side: int | None = LONG_SIDE) -> Frame | None:
        """A frame near a time [s], cheaply: the last one before it that can be decoded alone. None if none can."""
        with opened(self.path) as (container, stream):
            if self.timeline.stamped:
                seek(container, stream, time * self.timeline.stretch + self.timeline.start)
            for frame, at in self._decoded(container, stream):
                return Frame(at, PictureMaker(self._orientation, self.picture_size(long_side))(frame))
        return None

    def _decoded(
        self, container: Any, stream: Any, journal: Journal | None = None, *, since: float | None = None
    ) -> Generator[tuple[Any, float], None, None]:
        """Every frame that can be decoded, with its time [s] from the video's first one, in order of time.

        Frames that cannot be decoded, are marked as damaged, or go back in time are left out; those ``since`` a time
        are counted: the first ones after a leap into the file may lack what they build on, and are not wanted.
        """
        timeline, number, last = self.timeline, 0, -np.inf
        damage: Counter[str] = Counter()

        def counts(stamp: float | None) -> bool:
            return since is None or stamp is None or (stamp - timeline.start) / timeline.stretch >= since

        try:
            for packet in packets(container, stream):
                try:
                    frames = packet.decode()
                except (av.error.FFmpegError, ValueError):
                    stamp = None if packet.pts is None else float(packet.pts * stream.time_base)
                    damage["lost"] += counts(stamp)
                    continue
                for frame in frames:
                    stamp = frame.time if timeline.stamped else number / timeline.rate + timeline.start
                    number += 1
                    if frame.is_corrupt:
                        damage["partial"] += counts(stamp)
                    elif stamp is None or (stamp - timeline.start) / timeline.stretch <= last + 1e-6:
                        damage["back"] += counts(stamp)
                    else:
                        last = (stamp - timeline.start) / timeline.stretch
                        yield frame, last
        finally:  # also where nobody wants the rest
            if journal is not None:
                self._report(damage, journal)

    def _report(self, damage: Counter[str], journal: Journal) -> None:
        lost, partial, back = damage["lost"], damage["partial"], damage["back"]
        if lost or partial:
            journal.warn(
                f"{lost + partial} of {self.timeline.count} frames are damaged and were left out ({lost} cannot be "
                f"decoded, {partial} only in part)",
                self._about,
            )
        if back:
            journal.repair(
                f"{back} frames with a time stamp that is missing or was there before were left out", self._about
            )

    def _read_orientation(self, frame: Any) -> Orientation:
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return Orientation()
        orientation, miss = orientation_of(bytes(matrix))
        if miss > 1.0:
            self._journal.warn(
                f"the file asks to be turned by an angle that is no quarter turn; the nearest one, {miss:.0f}° off, is "
                "used",
                self._about,
            )
        if orientation.mirrored:
            self._journal.warn(
                "the file asks to be shown mirrored, as some front cameras do; so it is, and left and right may be "
                "exchanged in every result",
                self._about,
            )
        return orientation


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
