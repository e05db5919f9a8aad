"""One camera out of the numbers of a calibration file, with errors that name file and camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.series import Camera

Array = NDArray[np.float64]

PIXEL_CENTER = 0.5
"""OpenCV and Qualisys give the middle of the upper left pixel the coordinates 0, 0; here they are 0.5, 0.5."""

FARTHEST = 1e6
"""From the origin to a camera [m or, in files that do not say, mm]."""


def finite(value: Any, shape: tuple[int, ...] | None, where: str) -> Array:
    """Finite numbers of a shape (a flat list of any length if None); raises :class:`FileFormatError`."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iuf":
            raise ValueError
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise FileFormatError(f"{where} must be numbers; export the calibration again") from None
    if shape is None:
        array = array.ravel()
    elif array.size == int(np.prod(shape)) and array.ndim <= len(shape) + 1:
        array = array.reshape(shape)
    else:
        raise FileFormatError(
            f"{where} must hold {' x '.join(map(str, shape))} numbers, got {' x '.join(map(str, array.shape)) or 'one'}"
        )
    if not np.isfinite(array).all():
        raise FileFormatError(f"{where} holds something that is no finite number; calibrate this camera again")
    return array


def make_camera(
    path: Path,
    name: str,
    size: Array,
    matrix: Array,
    rotation: Array,
    translation: Array,
    distortion: Array,
    *,
    fisheye: bool = False,
) -> Camera:
    """A camera from numbers in OpenCV's convention, its principal point moved to motorque's pixel corner.

    Args:
        path: The file, for errors.
        name: The camera's.
        size: Width and height [px], shape [2].
        matrix: Shape [3, 3] [px].
        rotation: From the file's world to the camera, shape [3, 3].
        translation: Shape [3] [m].
        distortion: Coefficients in OpenCV's order; trailing zeros that its shorter models lack are dropped.
        fisheye: Whether they are those of OpenCV's fisheye model.

    Raises:
        FileFormatError: These numbers describe no camera.
    """
    where = f"{path}: camera {name!r}"
    if not ((size >= 1) & (size <= 100_000)).all():
        raise FileFormatError(f"{where}: a picture of {size[0]:g} by {size[1]:g} pixels is none; correct its size")
    moved = matrix.copy()
    scale = float(moved[2, 2])
    if not (np.allclose(moved[2, :2], 0) and np.isclose(scale, 1) and np.isclose(moved[1, 0], 0)):
        raise FileFormatError(f"{where}: its matrix is no camera matrix ((fx, 0, cx), (0, fy, cy), (0, 0, 1))")
    moved[:2, 2] += PIXEL_CENTER
    if not ((moved[:2, 2] > -size) & (moved[:2, 2] < 2 * size)).all():
        raise FileFormatError(
            f"{where}: its principal point ({moved[0, 2]:.0f}, {moved[1, 2]:.0f}) lies far outside of its picture of "
            f"{size[0]:.0f}x{size[1]:.0f} pixels; matrix and size belong to different resolutions"
        )
    if np.abs(rotation).max() > 1.001:
        raise FileFormatError(f"{where}: its rotation is none (an entry above 1); calibrate this camera again")
    if np.abs(translation).max() > FARTHEST:
        raise FileFormatError(
            f"{where}: stands {np.abs(translation).max():.3g} m from the origin; check its translation"
        )
    lengths = (0, 4) if fisheye else (0, 4, 5, 8)
    kept = np.flatnonzero(distortion)
    needed = int(kept[-1]) + 1 if len(kept) else 0
    if len(distortion) not in lengths and needed <= lengths[-1]:
        length = next(n for n in lengths if n >= needed)
        distortion = np.pad(distortion, (0, max(0, length - len(distortion))))[:length]
    try:
        return Camera(
            name,
            (round(float(size[0])), round(float(size[1]))),
            moved,
            rotation,
            translation,
            distortion,
            fisheye,
        )
    except DataError as error:
        raise FileFormatError(f"{path}: {error}; calibrate this camera again") from None
