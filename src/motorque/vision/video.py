"""Videos: one after the other, upright pictures with the file's own times, whatever the file went through."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.journal import Journal
from motorque.vision.frame_choice import FrameChoice
from motorque.vision.picture import Orientation, Picture, PictureMaker, orientation_of
from motorque.vision.video_metadata import SLOW_MOTION, capture_rate, equivalent_focal_length, focal_length_in_pixels

CONTAINERS = (
    "3gp",
    "aac",
    "asf",
    "avi",
    "bmp_pipe",
    "flac",
    "flv",
    "gif",
    "h264",
    "hevc",
    "image2",
    "ivf",
    "jpeg_pipe",
    "m4v",
    "matroska",
    "mov",
    "mp3",
    "mp4",
    "mpeg",
    "mpegts",
    "mpegvideo",
    "obu",
    "ogg",
    "png_pipe",
    "tiff_pipe",
    "wav",
    "webm",
    "webp_pipe",
)
"""FFmpeg's readers that may open a file. Playlists are not among them: they name other files and network addresses."""

PICTURES = ("image2", "_pipe")
"""Readers of single pictures."""

OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}

LARGEST_PICTURE = 8192 * 8192
"""Pixels of the largest picture that is read: a header that claims more would fill the memory with one frame."""

LONG_SIDE = 1280
"""Pixels of the longer side of the pictures made for a detector, which looks at 256 by 256 of them at a time."""

VARIABLE = 0.2
"""Frame intervals that differ by more than this share of their median are called a variable frame rate."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Args:
        time: Its time [s].
        picture: RGB, upright, shape [height, width, 3], uint8.
    """

    time: float
    picture: Picture


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
        self._check_file()
        with _opened(self.path) as (container, stream):
            tags = {**container.metadata, **stream.metadata}
            declared = _seconds(stream.duration, stream.time_base) or (container.duration or 0) / 1e6
            self.timeline = self._read_timeline(container, stream, tags, declared)
        if self.timeline.count < 2:
            raise FileFormatError(f"{self.path}: has one frame only; a motion needs a video of at least two")
        with _opened(self.path) as (container, stream):
            first, _ = next(self._decoded(container, stream), (None, 0.0))
            aspect = float(stream.sample_aspect_ratio or 1)  # a stream must not be asked once its file is closed
        if first is None:
            raise FileFormatError(f"{self.path}: not one of its frames can be decoded; the file is damaged")
        if first.width * first.height > LARGEST_PICTURE:
            raise FileFormatError(f"{self.path}: pictures of {first.width} by {first.height} pixels are too large")
        self._orientation = self._read_orientation(first)
        wide = round(first.width * aspect) if 0.1 < aspect < 10 else first.width
        self.size = self._orientation.shape(wide, first.height)
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
    ) -> Iterator[Frame]:
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
        with _opened(self.path) as (container, stream):
            make = PictureMaker(self._orientation, self.picture_size(long_side))
            if start is not None and start > 1.0 and self.timeline.stamped:
                _seek(container, stream, start * self.timeline.stretch + self.timeline.start)
            wanted = self._between(self._decoded(container, stream, journal or self._journal), start, end)
            for frame, time in choice.choose(wanted):
                taken += 1
                yield Frame(time, make(frame))
        if not taken:
            raise self._no_frame(start, end)

    def check_interval(self, start: float | None, end: float | None) -> None:
        """Raise a :class:`DataError` if no frame lies between the two times [s], as far as is known without decoding."""
        low, high = _or(start, -np.inf) - 1e-9, _or(end, np.inf) + 1e-9
        if not ((self.times >= low) & (self.times <= high)).any():
            raise self._no_frame(start, end)

    def _no_frame(self, start: float | None, end: float | None) -> DataError:
        return DataError(
            f"{self.path}: no frame lies between {_or(start, 0.0):g} and {_or(end, self.duration):g} s; the video "
            f"lasts {self.duration:.2f} s"
        )

    @staticmethod
    def _between(
        frames: Iterator[tuple[Any, float]], start: float | None, end: float | None
    ) -> Iterator[tuple[Any, float]]:
        for frame, time in frames:
            if end is not None and time > end + 1e-9:
                return
            if start is None or time >= start - 1e-9:
                yield frame, time

    def still(self, time: float, *, long_side: int | None = LONG_SIDE) -> Frame | None:
        """A frame near a time [s], cheaply: the last one before it that can be decoded alone. None if none can."""
        with _opened(self.path) as (container, stream):
            if self.timeline.stamped:
                _seek(container, stream, time * self.timeline.stretch + self.timeline.start)
            for frame, at in self._decoded(container, stream):
                return Frame(at, PictureMaker(self._orientation, self.picture_size(long_side))(frame))
        return None

    def _decoded(self, container: Any, stream: Any, journal: Journal | None = None) -> Iterator[tuple[Any, float]]:
        """Every frame that can be decoded, with its time [s] from the video's first one, in order of time.

        Frames that cannot be decoded, are marked as damaged, or go back in time are left out and counted.
        """
        timeline, lost, damaged, back, number = self.timeline, 0, 0, 0, 0
        last = -np.inf
        for packet in _packets(container, stream):
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):
                lost += 1
                continue
            for frame in frames:
                stamp = frame.time if timeline.stamped else number / timeline.rate + timeline.start
                number += 1
                if frame.is_corrupt:
                    damaged += 1
                elif stamp is None or (stamp - timeline.start) / timeline.stretch <= last + 1e-6:
                    back += 1
                else:
                    last = (stamp - timeline.start) / timeline.stretch
                    yield frame, last
        if journal is None:
            return
        if lost or damaged:
            journal.warn(
                f"{lost + damaged} of {timeline.count} frames are damaged and were left out ({lost} cannot be decoded, "
                f"{damaged} only in part)",
                self._about,
            )
        if back:
            journal.repair(f"{back} frames with a time stamp that is missing or was there before were left out", "")

    def _read_timeline(self, container: Any, stream: Any, tags: dict[str, str], declared: float) -> Timeline:
        stamps: list[float] = []
        unstamped = 0
        for packet in _packets(container, stream):
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
            self._journal.assume(
                f"the file has no usable time stamps; its frames are taken to be {rate:g} a second", self._about
            )
            return Timeline(0.0, count / rate, rate, np.arange(count) / rate, False)
        # Time stamps are rounded, in some files to milliseconds: the mean of ordinary steps is finer than their median.
        usual = float(np.median(steps))
        rate = 1.0 / float(steps[np.abs(steps / usual - 1) < 0.3].mean())
        if len(distinct) < len(stamps) or unstamped:
            self._journal.warn(
                f"{len(stamps) - len(distinct) + unstamped} of {count} frames have no time stamp of their own",
                self._about,
            )
        spread = float(np.percentile(steps, 95) - np.percentile(steps, 5)) * rate
        if spread > VARIABLE:
            self._journal.info(
                f"the frame rate varies, from {1 / np.percentile(steps, 95):.1f} to {1 / np.percentile(steps, 5):.1f} "
                "frames a second; the file's own times are used",
                self._about,
            )
        long = steps.max()
        if long > max(0.25, 5.0 / rate):
            at = float(distinct[steps.argmax()] - distinct[0])
            self._journal.warn(f"no frame for {long:.2f} s after {at:.2f} s", self._about)
        duration = float(distinct[-1] - distinct[0]) + 1.0 / rate
        if declared > duration + max(0.5, 3.0 / rate):
            self._journal.warn(
                f"the file breaks off at {duration:.2f} s, though its header speaks of {declared:.2f} s; what is there "
                "is used",
                self._about,
            )
        stretch = self._slow_motion(tags, rate)
        return Timeline(float(distinct[0]), duration, rate, distinct - distinct[0], True, stretch)

    def _slow_motion(self, tags: dict[str, str], rate: float) -> float:
        taken = capture_rate(tags)
        if taken is None or taken / rate < 1.4:
            return 1.0
        if taken / rate < SLOW_MOTION:
            self._journal.warn(
                f"the file says that {taken:g} frames a second were taken and plays {rate:.4g}; if it plays in slow "
                "motion, every speed is too small by that much",
                self._about,
            )
            return 1.0
        self._journal.assume(
            f"slow motion: taken at {taken:g} frames a second, played at {rate:.4g}; times are divided by "
            f"{taken / rate:.4g}",
            self._about,
        )
        return taken / rate

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
            self._journal.info("the file asks to be shown mirrored; so it is", self._about)
        return orientation

    def _check_file(self) -> None:
        try:
            if self.path.is_dir():
                raise FileFormatError(f"{self.path}: is a folder; give the name of a video file")
            if not self.path.is_file():
                raise FileFormatError(f"{self.path}: there is no such file; check the name and the folder")
            if self.path.stat().st_size == 0:
                raise FileFormatError(f"{self.path}: is empty; copy or record it again")
        except OSError as error:
            raise FileFormatError(f"{self.path}: {error.strerror}; check the name and the rights to it") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream, decoding on as many threads as FFmpeg sees fit."""
    try:
        container = av.open(str(path.resolve()), "r", options=OPTIONS, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError, OSError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        raise FileFormatError(
            f"{path}: cannot be read as a video ({said}); it is damaged, was cut off before its index was written, or "
            "is another kind of file"
        ) from error
    with container:
        moving = [
            stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic
        ]
        if any(word in container.format.name for word in PICTURES):
            raise FileFormatError(f"{path}: is a picture; a motion needs a video")
        if not moving:
            what = "sound only" if container.streams.audio else "no moving picture"
            raise FileFormatError(f"{path}: holds {what}; give a video")
        stream = moving[0]
        stream.thread_type = "AUTO"
        try:
            yield container, stream
        except av.error.DecoderNotFoundError as error:
            raise FileFormatError(f"{path}: no decoder for its pictures; convert it to H.264") from error


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets as far as they can be read, and the empty one that draws the last frames."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError, ValueError):
            return
        yield packet


def _seek(container: Any, stream: Any, stamp: float) -> None:
    with contextlib.suppress(av.error.FFmpegError, ValueError):  # what cannot be sought is read from its start
        container.seek(int(stamp / stream.time_base), stream=stream, backward=True)


def _seconds(ticks: int | None, base: Any) -> float:
    return 0.0 if ticks is None or base is None else float(ticks * base)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
