"""One decoded frame as people see it: upright, square pixels, 8 bit RGB, no larger than asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""A picture, RGB, shape [height, width, 3], uint8."""

PQ, HLG = 16, 18
"""Transfer characteristics of HDR video, as ITU-T H.273, table 3 numbers them: SMPTE ST 2084 and ARIB STD-B67."""

REFERENCE_WHITE = 203.0
"""Luminance of a white page in HDR video [cd/m²] (ITU-R BT.2408-7, table 1)."""

PEAK = 1000.0
"""Luminance that is shown as the brightest white [cd/m²]: the nominal peak of HLG, and what most PQ is graded for."""


@dataclass(frozen=True)
class Orientation:
    """How stored pictures are turned and mirrored to be shown: an element of the square's symmetry group.

    Args:
        transpose: Exchange rows and columns, before the flips.
        flip_x: Then mirror left and right.
        flip_y: And mirror top and bottom.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged, not only turned."""
        return (self.transpose + self.flip_x + self.flip_y) % 2 == 1

    def shape(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the shown picture, from those of the stored one."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, picture: Picture) -> Picture:
        """The picture as shown."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        if self.flip_x:
            picture = picture[:, ::-1]
        if self.flip_y:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)


def orientation_of(matrix: bytes) -> tuple[Orientation, float]:
    """The orientation that a container's display matrix asks for.

    The matrix ((a, b, u), (c, d, v), (x, y, w)) of ISO/IEC 14496-12, 6.2.2, takes the stored point (x, y), y down, to
    (a x + c y, b x + d y).

    Args:
        matrix: Nine little-endian 32-bit integers, as FFmpeg hands them out; a to d are 16.16 fixed point.

    Returns:
        The nearest orientation, and by how many degrees it misses the one asked for.
    """
    if len(matrix) != 36:
        return Orientation(), 0.0
    values = np.frombuffer(matrix, dtype="<i4").reshape(3, 3)[:2, :2] / 65536.0
    scale = float(np.sqrt(abs(np.linalg.det(values))))
    if scale < 1e-3:
        return Orientation(), 0.0
    (a, b), (c, d) = values / scale
    transpose = abs(b) + abs(c) > abs(a) + abs(d)
    along_x, along_y = (c, b) if transpose else (a, d)
    miss = np.degrees(np.arccos(np.clip(min(abs(along_x), abs(along_y)), 0.0, 1.0)))
    return Orientation(bool(transpose), bool(along_x < 0), bool(along_y < 0)), float(miss)


def turned(picture: Picture, degrees: int) -> Picture:
    """The picture turned counter-clockwise by 0, 90, 180 or 270 degrees."""
    return np.ascontiguousarray(np.rot90(picture, degrees // 90))


def tone_curve(transfer: int) -> Picture:
    """What 8-bit value stands for each 16-bit HDR value, shape [65536], uint8.

    The value is turned into light, compressed by Reinhard's curve that maps the reference white to half and the peak
    to all of the range (Reinhard et al. 2002, eq. 4), and encoded with sRGB's transfer function. Each channel goes
    alone and keeps the wide gamut's numbers: colours come out a little pale, which a person detector does not mind.

    Args:
        transfer: :data:`PQ` (SMPTE ST 2084:2014, eq. 4.1) or :data:`HLG` (ITU-R BT.2100-2, table 5, with its system
            gamma of 1.2 for a peak of 1000 cd/m²).
    """
    signal = np.linspace(0.0, 1.0, 65536)
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = signal ** (1 / m2)
        light = 10000.0 * (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3.0, (np.exp((signal - c) / a) + b) / 12.0)
        light = PEAK * scene**1.2
    relative, white = light / REFERENCE_WHITE, PEAK / REFERENCE_WHITE
    linear = np.clip(relative * (1.0 + relative / white**2) / (1.0 + relative), 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255.0 * encoded).astype(np.uint8)


class PictureMaker:
    """Turns decoded frames of one video into pictures.

    Args:
        orientation: How the stored frames are to be shown.
        size: Width and height of the picture to make [px].
    """

    def __init__(self, orientation: Orientation, size: tuple[int, int]) -> None:
        from av.video.reformatter import VideoReformatter

        self._orientation = orientation
        self._stored = orientation.shape(*size)
        self._reformatter = VideoReformatter()
        self._curves: dict[int, Picture] = {}

    def __call__(self, frame: Any) -> Picture:
        """The picture of a frame of PyAV."""
        width, height = self._stored
        transfer = int(frame.color_trc or 0)
        hdr = transfer in (PQ, HLG)
        smaller = width < frame.width
        # AREA averages what falls into a pixel: no aliasing where the picture shrinks.
        made = self._reformatter.reformat(
            frame, width, height, "rgb48le" if hdr else "rgb24", interpolation="AREA" if smaller else "BILINEAR"
        )
        picture = np.asarray(made.to_ndarray())
        if hdr:
            if transfer not in self._curves:
                self._curves[transfer] = tone_curve(transfer)
            picture = self._curves[transfer][picture]
        return self._orientation.apply(picture.astype(np.uint8, copy=False))
