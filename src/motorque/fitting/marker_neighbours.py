"""Where a marker should be, judged by the markers around it that move with it as a rigid body would."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NEIGHBOURS = 6
"""Markers that predict another one: a segment's own cluster and what lies next to it."""
_LAGS = (0.1, 0.3)
"""Times within which distances on one segment hardly change, and others do when a person moves [s]."""
_FRAMES = 400
"""Frames from which neighbours are chosen: distances that hardly vary show in few of them."""
_NOISE = 0.003
"""Steadiness beyond which neighbours are trusted alike [m]."""
_IN_LINE = 0.008
"""Neighbours that lie less than this beside a line leave the turn about it open [m]."""
_SLACK = 0.02
"""Misfit beyond which a neighbour counts less [m]: skin moves up to this much (Leardini et al. 2005)."""


def distance_spread(positions: Array, rate: float) -> tuple[Array, Array]:
    """How much the distance of every two markers varies, and its median.

    Variation is what a distance changes within 0.1 and 0.3 s, so that a marker that is off for half of the recording
    keeps its neighbours.

    Args:
        positions: Shape [T, M, 3], NaN where unseen.
        rate: Frames per second [Hz].

    Returns:
        Larger of the median changes within the two lags, and median of the distances [m], each of shape [M, M];
        infinite where two markers are seen together too rarely to tell, and on the diagonal.
    """
    count, frames = positions.shape[1], len(positions)
    longest = max(frames // 5, 1)
    lags = {min(max(round(rate * lag), 1), longest) for lag in _LAGS}
    starts = np.unique(np.linspace(0, frames - 1 - max(lags), _FRAMES).round().astype(int).clip(0))
    sampled = [positions[np.minimum(starts + lag, frames - 1)] for lag in (0, *sorted(lags))]
    spread, middle = np.full((count, count), np.inf), np.full((count, count), np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pairs that are never seen together
        for first in range(count - 1):
            now, *later = (np.linalg.norm(p[:, first + 1 :] - p[:, first : first + 1], axis=-1) for p in sampled)
            change = np.nanmax([np.nanmedian(np.abs(then - now), axis=0) for then in later], axis=0)
            usual = np.nanmedian(now, axis=0)
            told = np.isfinite(change) & np.isfinite(usual) & (np.isfinite(now).sum(axis=0) >= 3)
            spread[first, first + 1 :] = spread[first + 1 :, first] = np.where(told, change, np.inf)
            middle[first, first + 1 :] = middle[first + 1 :, first] = np.where(told, usual, np.inf)
    return spread, middle


def predict(positions: Array, wanted: Sequence[int], spread: Array, middle: Array) -> Array:
    """Positions of the wanted markers as their neighbours imply them.

    The neighbours of a marker are those whose distance to it varies least (near ones are preferred). Their arrangement
    in the most typical frame is fitted to every frame as a rigid body (Kabsch 1976), in three passes that take weight
    from neighbours that do not fit. The steadier a neighbour's distance, the more it counts from the start: a toe
    marker follows its own foot although three markers of the shank agree with each other.

    Args:
        positions: Shape [T, M, 3], NaN where unseen.
        wanted: Columns of the markers to predict.
        spread: As from `distance_spread`.
        middle: As from `distance_spread`.

    Returns:
        Shape [T, W, 3], NaN where fewer than three neighbours that are not in line are seen.
    """
    result = np.full((len(positions), len(wanted), 3), np.nan)
    for column, marker in enumerate(wanted):
        order = np.argsort(spread[marker] + 0.05 * middle[marker], kind="stable")
        order = order[np.isfinite(spread[marker][order])]
        for size in range(min(NEIGHBOURS, len(order)), 2, -1):
            around = order[:size]
            typical = _typical_frame(positions, np.array([marker, *around]), middle)
            if typical is not None:
                trust = 1.0 / (spread[marker, around] + _NOISE) ** 2
                reference, point = positions[typical, around], positions[typical, marker]
                result[:, column] = _carried(reference, positions[:, around], point, trust / trust.max())
                break
    return result


def _typical_frame(positions: Array, chosen: NDArray[np.int_], middle: Array) -> int | None:
    """The frame in which the chosen markers' distances are nearest to their medians; None where never all are seen."""
    points = positions[:, chosen]
    complete = np.flatnonzero(np.isfinite(points[..., 0]).all(axis=1))
    if len(complete) == 0:
        return None
    distances = np.linalg.norm(points[complete][:, :, None] - points[complete][:, None], axis=-1)
    usual = middle[np.ix_(chosen, chosen)]
    off = np.where(np.isfinite(usual), distances - np.where(np.isfinite(usual), usual, 0.0), 0.0)
    return int(complete[np.argmin(np.abs(off).sum(axis=(1, 2)))])


def _carried(reference: Array, observed: Array, point: Array, trust: Array) -> Array:
    """A point carried along with a rigid body: ``reference`` [K, 3] fitted to ``observed`` [T, K, 3]; shape [T, 3]."""
    seen = np.isfinite(observed[..., 0])
    target = np.nan_to_num(observed)
    weights = seen * trust
    for _ in range(3):
        total = np.maximum(weights.sum(axis=1), 1e-12)[:, None]
        center_ref = weights @ reference / total
        center_obs = np.einsum("tk,tkc->tc", weights, target) / total
        from_ref = reference - center_ref[:, None]
        from_obs = target - center_obs[:, None]
        u, _, vt = np.linalg.svd(np.einsum("tk,tki,tkj->tij", weights, from_obs, from_ref))
        flip = np.sign(np.linalg.det(u @ vt))
        u[:, :, 2] *= np.where(flip == 0, 1.0, flip)[:, None]
        rotation = u @ vt
        misfit = np.linalg.norm(np.einsum("tij,tkj->tki", rotation, from_ref) - from_obs, axis=-1)
        weights = seen * trust / (1.0 + (misfit / _SLACK) ** 2)
    share = weights / np.maximum(weights.sum(axis=1), 1e-12)[:, None]
    spans = np.linalg.eigvalsh(np.einsum("tk,tki,tkj->tij", share, from_ref, from_ref))
    result = np.einsum("tij,tj->ti", rotation, point - center_ref) + center_obs
    result[(seen.sum(axis=1) < 3) | (spans[:, 1] < _IN_LINE**2)] = np.nan
    return result
