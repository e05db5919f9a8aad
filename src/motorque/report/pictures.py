"""Small pictures of a video for the page: JPEG, each with its own time.

Single pictures instead of a video stream: a browser shows exactly the one that is asked for, whatever the spacing of
the frames, while seeking in a stream is left to each browser; every browser reads them, and the encoder (FFmpeg's own)
is in every build of PyAV. They cost four times the bytes, which the small size makes up for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from motorque.errors import MotorqueError
from motorque.journal import Journal
from motorque.vision.picture import Picture, turned
from motorque.vision.video import Video

Array = NDArray[np.float64]

LONG_SIDE = 480
"""Of the pictures [px]; about as many as the page has room for."""

QUALITY = 6
"""FFmpeg's quantiser scale for JPEG, 2 to 31: 13 to 16 kB for a picture of a room, edges of a body still sharp."""

MOST_RATE, LEAST_RATE = 20.0, 8.0
"""Pictures a second [Hz]: more hardly helps the eye; with fewer one cannot follow a step."""

MOST_PICTURES = 320
"""In a whole report: 16 s at the highest rate, 40 s at the lowest; of a longer video the first part is shown."""

MOST_BYTES = 4_800_000
"""Of all pictures of a report, before base64 adds a third."""

BLOCKS = 4
"""A head that is made unrecognisable keeps as many blocks across: its place and colour, none of its features."""

Circle = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Film:
    """Pictures of one view.

    Args:
        times: Their times in the motion's clock [s], shape [N].
        pictures: JPEG files.
        size: Their width and height [px].
        until: Where the pictures end although the motion goes on [s], or None.
        trouble: Why there are none or some are missing; empty if all is well.
    """

    times: Array
    pictures: tuple[bytes, ...]
    size: tuple[int, int] = (0, 0)
    until: float | None = None
    trouble: str = ""

    @property
    def rate(self) -> float:
        """Pictures a second [Hz], one over the median interval; NaN for fewer than two."""
        return float("nan") if len(self.times) < 2 else 1.0 / float(np.median(np.diff(self.times)))


@dataclass(frozen=True, eq=False)
class Footage:
    """Where the pictures of a view come from.

    Args:
        video: The video; None for no pictures.
        turned: By how many degrees, counter-clockwise, its pictures are turned: 0, 90, 180 or 270.
        offset: Time of the motion when the video is at zero [s].
    """

    video: Video | None
    turned: int = 0
    offset: float = 0.0


def film(
    footage: Footage,
    start: float,
    end: float,
    *,
    views: int = 1,
    heads: Callable[[float], list[Circle]] | None = None,
    width: float | None = None,
) -> Film:
    """The pictures of a view from ``start`` to ``end`` of the motion's clock [s].

    Args:
        footage: The view's video.
        start: First time [s].
        end: Last time [s].
        views: How many views share the room in the page.
        heads: Where the head is at a time of the motion's clock: circles x, y, radius in pixels of the video as it is
            shown. They are made unrecognisable; a picture for which there is no circle is left out.
        width: Of the pictures to which those pixels belong [px]; the video's own, turned, if None.

    Returns:
        At most the share of :data:`MOST_PICTURES` and :data:`MOST_BYTES`; no pictures, with the reason, where the
        video cannot be read.
    """
    if footage.video is None:
        return Film(np.zeros(0), ())
    count = max(2, MOST_PICTURES // views)
    rate = float(np.clip(count / max(end - start, 1e-3), LEAST_RATE, MOST_RATE))
    last = min(end, start + count / rate)
    encoder: _Encoder | None = None
    times: list[float] = []
    made: list[bytes] = []
    trouble, hidden = "", 0
    try:
        # Half a millisecond more on both sides: times in files are rounded. What is wrong with the file has been said
        # when it was read for the analysis.
        frames = footage.video.frames(
            start=start - footage.offset - 5e-4,
            end=last - footage.offset + 5e-4,
            fps=rate,
            long_side=LONG_SIDE,
            journal=Journal(),
        )
        for frame in frames:
            picture, time = turned(frame.picture, footage.turned), frame.time + footage.offset
            if heads is not None:
                scale = picture.shape[1] / (width or footage.video.size[footage.turned in (90, 270)])
                circles = heads(time)
                hidden += not circles
                if not circles:
                    continue
                picture = pixelated(picture, [(x * scale, y * scale, r * scale) for x, y, r in circles])
            encoder = encoder or _Encoder(picture.shape[1], picture.shape[0])
            times.append(time)
            made.append(encoder(picture))
    except MotorqueError as error:
        trouble = str(error)
    if hidden:
        lost = f"{hidden} pictures are left out: the head could not be found in them"
        trouble = f"{trouble}; {lost}" if trouble else lost
    keep = _affordable([len(data) for data in made], MOST_BYTES // views)
    return Film(
        np.array([times[k] for k in keep]),
        tuple(made[k] for k in keep),
        (0, 0) if encoder is None else encoder.size,
        last if last < end - 1.0 / rate else None,
        trouble,
    )


def _affordable(sizes: list[int], most: int) -> list[int]:
    """Evenly spread indices of as many pictures as fit into so many bytes."""
    count = len(sizes)
    keep = list(range(count))
    while keep and sum(sizes[k] for k in keep) > most:
        count = min(count - 1, int(count * most / sum(sizes[k] for k in keep)))
        keep = np.unique(np.round(np.linspace(0, len(sizes) - 1, count)).astype(int)).tolist() if count > 0 else []
    return keep


def pixelated(picture: Picture, circles: list[Circle]) -> Picture:
    """A copy of a picture in which the squares about these circles are made of :data:`BLOCKS` by as many blocks.

    Args:
        picture: RGB, shape [height, width, 3].
        circles: x, y, radius [px]; they may reach over the picture's edge.
    """
    result = picture.copy()
    tall, wide = picture.shape[:2]
    for x, y, radius in circles:
        edges_x, edges_y = (np.round(np.linspace(c - radius, c + radius, BLOCKS + 1)) for c in (x, y))
        columns = np.clip(edges_x, 0, wide).astype(int)
        rows = np.clip(edges_y, 0, tall).astype(int)
        for top, bottom in zip(rows[:-1], rows[1:], strict=True):
            for left, right in zip(columns[:-1], columns[1:], strict=True):
                if bottom > top and right > left:
                    block = picture[top:bottom, left:right].reshape(-1, 3)
                    result[top:bottom, left:right] = block.mean(0).astype(np.uint8)
    return result


class _Encoder:
    """Pictures of one size to JPEG."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self._codec = av.CodecContext.create("mjpeg", "w")
        self._codec.width, self._codec.height = self.size
        self._codec.pix_fmt = "yuvj420p"
        self._codec.time_base = Fraction(1, 1000)
        self._codec.qmin = self._codec.qmax = QUALITY
        self._reformatter = VideoReformatter()  # kept: to set one up takes longer than to use it
        self._count = 0

    def __call__(self, picture: Picture) -> bytes:
        rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = self._reformatter.reformat(rgb, format="yuvj420p", interpolation="FAST_BILINEAR")
        frame.pts, self._count = self._count, self._count + 1
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
