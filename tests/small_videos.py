"""Videos of a few small pictures, written by PyAV, and a detector that finds coloured figures in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from motorque.vision.detector import Person, Region

Picture = NDArray[np.uint8]

RED, BLUE, GREEN = (220, 30, 30), (30, 30, 220), (20, 120, 40)

CLOCK = Fraction(1, 12800)


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    *,
    fps: int = 30,
    times: Sequence[float] | None = None,
    codec: str = "mpeg4",
    turn: int = 0,
    mirror: bool = False,
    tags: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    aspect: Fraction | None = None,
) -> Path:
    """Encode pictures, at even steps or at the given times [s], with a display rotation [degrees] and tags."""
    with av.open(str(path), "w", container_options=container or {}) as file:
        stream = file.add_stream(codec, rate=fps, options=options or {})
        stream.codec_context.time_base = CLOCK
        for key, value in (tags or {}).items():
            file.metadata[key] = value
        for k, picture in enumerate(pictures):
            if k == 0:
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = pixels
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
                if turn or mirror:
                    stream.set_display_rotation(turn, hflip=mirror)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = round((times[k] if times is not None else k / fps) / CLOCK)
            frame.time_base = CLOCK
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def numbered(count: int, shape: tuple[int, int] = (48, 64)) -> list[Picture]:
    """Pictures that show their number, in eight stripes: white for the bits that are set."""
    bits = (np.arange(count)[:, None] >> np.arange(8)) & 1
    rows = np.repeat(np.where(bits, 220, 30), shape[1] // 8, axis=1).astype(np.uint8)
    return [np.ascontiguousarray(np.broadcast_to(row[:, None], (*shape, 3))) for row in rows]


def number_of(picture: Picture) -> int:
    """The number that a picture of :func:`numbered` shows."""
    stripes = picture.reshape(picture.shape[0], 8, -1).mean((0, 2))
    return int(((stripes > 125) << np.arange(8)).sum())


def background(shape: tuple[int, int], seed: int = 0) -> Picture:
    """A picture with structure everywhere."""
    coarse = np.random.default_rng(seed).integers(60, 120, size=(shape[0] // 8 + 1, shape[1] // 8 + 1, 1))
    fine = np.kron(coarse, np.ones((8, 8, 3), dtype=int))[: shape[0], : shape[1]]
    return np.asarray(fine, dtype=np.uint8)


def draw_figure(picture: Picture, x: float, y: float, height: float, colour: tuple[int, int, int]) -> None:
    """A figure standing at its middle: a body of one colour, under a white head."""
    wide, rows, columns = height / 4, picture.shape[0], picture.shape[1]
    top, low = int(np.clip(y - height / 2, 0, rows)), int(np.clip(y + height / 2, 0, rows))
    left, right = int(np.clip(x - wide / 2, 0, columns)), int(np.clip(x + wide / 2, 0, columns))
    neck = int(np.clip(y - height / 3, 0, rows))
    picture[top:low, left:right] = colour
    picture[top:neck, left:right] = 255


NAMES = ("nose", "shoulder_r", "shoulder_l", "hip_r", "hip_l", "knee_r", "knee_l", "ankle_r", "ankle_l")

SHAPE = np.array(
    [
        (0.0, -0.42),
        (-0.09, -0.3),
        (0.09, -0.3),
        (-0.09, 0.0),
        (0.09, 0.0),
        (-0.09, 0.25),
        (0.09, 0.25),
        (-0.09, 0.48),
        (0.09, 0.48),
    ]
)
"""Where the points of a figure of height one are, from its middle."""


class FigureFinder:
    """A detector that finds the figures of :func:`draw_figure`, upright or upside down, by their colours.

    Like a real one it follows whatever is in the region, without knowing who that is.

    Args:
        colours: Colours of the figures that it knows.
    """

    label = "figures"
    names = NAMES

    def __init__(self, colours: Sequence[tuple[int, int, int]] = (RED, BLUE)) -> None:
        self.colours = colours
        self.closed = False
        self.followed = 0

    def everybody(self, picture: Picture) -> list[Person]:
        people = [person for colour in self.colours if (person := self._figure(picture, colour)) is not None]
        return sorted(people, key=lambda person: -person.extent)

    def follow(self, picture: Picture, region: Region) -> Person | None:
        self.followed += 1
        people = [p for p in self.everybody(picture) if np.abs(p.region.center - region.center).max() < region.side / 2]
        return min(people, key=lambda p: float(np.linalg.norm(p.region.center - region.center)), default=None)

    def restart(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def _figure(self, picture: Picture, colour: tuple[int, int, int]) -> Person | None:
        body = np.abs(picture.astype(int) - colour).max(-1) < 60
        if body.sum() < 40:
            return None
        rows, columns = np.nonzero(body)
        wide = np.ptp(columns) + 1
        white = (picture.min(-1) > 220)[:, columns.min() : columns.max() + 1]
        head = np.nonzero(white.any(1))[0]
        if not len(head) or wide < 4:
            return None
        sign = 1.0 if head.mean() < rows.mean() else -1.0
        height = (np.ptp(np.concatenate([rows, head])) + 1.0) * sign
        middle = np.array([columns.mean(), (min(rows.min(), head.min()) + max(rows.max(), head.max())) / 2]) + 0.5
        points = middle + abs(height) * SHAPE * (1.0, sign)
        region = Region(middle, 1.25 * abs(height))
        return Person(points, np.full(len(NAMES), 0.9), region)
