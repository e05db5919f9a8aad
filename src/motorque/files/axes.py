"""Which way is up in a recording, and how it is turned into motorque's ground frame (Y up).

Only the vertical is turned: which way the person faces in the laboratory is left as recorded.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.series import Markers

Array = NDArray[np.float64]

SURE = 0.6
"""Confidence from which on a guess can be relied upon."""

# Rows of the rotation are ground X, Y, Z in the recording's axes; the recorded X stays where it can, as OpenSim's
# C3D example does it (Z-up laboratories are turned by -90 degrees about X).
_ROTATIONS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "+y": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-y": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "+z": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-z": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "+x": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    "-x": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
}

# How high landmarks lie on a standing person, as fractions of body height (Drillis and Contini 1966, in Winter 2009,
# figure 4.1). Arms are left out: they may be anywhere.
_HEIGHTS: tuple[tuple[re.Pattern[str], float], ...] = tuple(
    (re.compile(pattern), height)
    for pattern, height in (
        (r"head|[fb]hd|temple|nose|vertex|eye$", 0.94),
        (r"should|acrom|^[rl]?sho$|^[rl]?acr$|^c7|neck|clav|jugul|^[rl]?sjc", 0.82),
        (r"stern|strn|xiph|^t10|scap", 0.74),
        (r"asis?(?!t)|psis?|sacr|^vsac|^s2$|pelvis|hip|hjc", 0.54),
        (r"knee|kne|kjc|^[rl]?[lm]fc|condyl", 0.285),
        (r"(?<!sh)ank|mal$|malleol|ajc", 0.05),
        (r"heel|hee$|toe|calc|^[rl]?cal$|[rl]_?mt\d|^[rl]?mt\d|\dmeta|hallux|midfoot|meta\d", 0.02),
    )
)


def up_axis(text: str) -> str:
    """An axis as a user writes it (``z``, ``+Z``, ``-y``) in this module's spelling (``+z``).

    Raises:
        DataError: It is no axis.
    """
    axis = text.strip().lower()
    axis = axis if axis[:1] in "+-" and axis else f"+{axis}"
    if axis not in _ROTATIONS:
        raise DataError(f"up axis {text!r} is not known; use one of x, y, z, -x, -y, -z")
    return axis


def up_rotation(up: str) -> Array:
    """Rotation matrix that takes vectors of a recording with this up axis into ground: ``ground = R @ recorded``.

    Args:
        up: The recording's up axis, as `up_axis` understands it.

    Returns:
        Shape [3, 3], a proper rotation.

    Raises:
        DataError: It is no axis.
    """
    return np.array(_ROTATIONS[up_axis(up)], dtype=np.float64)


def rotate_to_ground(markers: Markers, up: str, *, journal: Journal) -> tuple[Markers, Array]:
    """The markers turned so that Y points up, and the rotation for whatever else came in the same axes.

    Args:
        markers: Markers in the recording's axes.
        up: The recording's up axis, such as ``+z``.
        journal: Where the turn is recorded as a repair, if there is one.

    Returns:
        The markers in ground, and the rotation matrix ``ground = R @ recorded``, shape [3, 3].

    Raises:
        DataError: ``up`` is no axis.
    """
    axis = up_axis(up)
    rotation = up_rotation(axis)
    if axis == "+y":
        return markers, rotation
    journal.repair(f"the recording's up axis is {axis.upper()}; turned so that Y points up", "axes")
    return Markers(markers.times, markers.positions @ rotation.T, markers.names), rotation


def guess_up_axis(markers: Markers) -> tuple[str, float]:
    """The axis that points up, guessed from the markers.

    Where names tell landmarks of at least two heights (head, shoulders, pelvis, knees, ankles, feet), the heights that
    they have on a standing person are regressed on the positions, frame by frame: the slope points from feet to head.
    Otherwise the axis with the largest extent of the body counts, upwards from the floor at zero.
    A person who lies on the floor looks like one who stands on a wall; what gives them away is that another axis keeps
    everything just above zero. Such a guess is that other axis, with a low confidence.

    Args:
        markers: Markers in the recording's axes.

    Returns:
        The axis (``+x``, ``-x``, ``+y``, ``-y``, ``+z`` or ``-z``) and a confidence from 0 to 1: how much more of the
        body's direction lies along that axis than along the next, lowered where something speaks against it. `SURE` is
        a sensible limit.

    Raises:
        DataError: No frame has markers enough to tell.
    """
    body = _from_names(markers)
    named = body is not None
    if body is None:
        body = _from_extent(markers)
    axis = int(np.argmax(np.abs(body)))
    others = np.delete(np.abs(body), axis)
    # How much clearer the best axis is than the next best: 1 for a body exactly along an axis, 0 for a diagonal one.
    confidence = float(abs(body[axis]) - others.max()) * (1.0 if named else 0.7)
    rival = _flat_axis(markers, without=axis)
    if rival is not None and not _stands_on_zero(markers, axis, body[axis]):
        return rival, 0.3
    return ("+" if body[axis] > 0 else "-") + "xyz"[axis], min(max(confidence, 0.0), 1.0)


def _heights(names: tuple[str, ...]) -> Array:
    """Nominal height of each marker [body heights], NaN where its name tells none; shape [M]."""
    heights = np.full(len(names), np.nan)
    for index, name in enumerate(names):
        plain = re.sub(r"[\s._\-]", "", name.lower().rsplit(":", 1)[-1])
        plain = re.sub(r"study$", "", plain)
        heights[index] = next((height for pattern, height in _HEIGHTS if pattern.search(plain)), np.nan)
    return heights


def _from_names(markers: Markers) -> Array | None:
    """Mean direction from feet to head, shape [3], length at most one; None where the names do not tell."""
    heights = _heights(markers.names)
    known = np.isfinite(heights)
    if not known.any():
        return None
    seen = markers.seen[:, known]
    points = np.nan_to_num(markers.positions[:, known])
    level = heights[known]
    count = np.maximum(seen.sum(axis=1), 1)
    centred = np.where(seen, level - ((seen * level).sum(axis=1) / count)[:, None], 0.0)  # [T, K]
    variance = (centred**2).sum(axis=1) / count
    enough = (seen.sum(axis=1) >= 3) & (variance > 0.1**2)
    if not enough.any():
        return None
    slope = np.einsum("tk,tkc->tc", centred, points)[enough] / (variance * count)[enough, None]
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    return (slope / np.maximum(length, 1e-9)).mean(axis=0)


def _from_extent(markers: Markers) -> Array:
    """Shares of the body's mean extent by axis, shape [3], signed away from zero; raises `DataError` without data."""
    frames = markers.positions[markers.seen.sum(axis=1) >= 3]
    if len(frames) == 0:
        raise DataError("markers: no frame has three markers, so up can't be told; give --up")
    extent = np.median(np.nanmax(frames, axis=1) - np.nanmin(frames, axis=1), axis=0)
    low, high = np.nanpercentile(frames.reshape(-1, 3), [1, 99], axis=0)
    sign = np.where(np.abs(low) <= np.abs(high), 1.0, -1.0)
    return sign * extent / max(float(np.linalg.norm(extent)), 1e-9)


def _range(markers: Markers, axis: int) -> tuple[float, float]:
    low, high = np.nanpercentile(markers.positions[..., axis], [1, 99])
    return float(low), float(high)


def _stands_on_zero(markers: Markers, axis: int, sign: float) -> bool:
    """Whether the lowest markers along an axis are near zero, as feet on a laboratory's floor are."""
    low, high = _range(markers, axis)
    return -0.15 < (low if sign > 0 else -high) < 0.25


def _flat_axis(markers: Markers, *, without: int) -> str | None:
    """Another axis along which the whole recording lies between the floor at zero and half a metre, if there is one."""
    for axis in (a for a in (2, 1, 0) if a != without):
        low, high = _range(markers, axis)
        if -0.05 < low < 0.2 and high < 0.6:
            return "+" + "xyz"[axis]
        if -0.05 < -high < 0.2 and -low < 0.6:
            return "-" + "xyz"[axis]
    return None
