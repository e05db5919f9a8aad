"""By how much the clocks of several cameras differ, measured from the movement that they saw.

Two cameras' rays to the same point meet if they are of the same moment, and miss each other by the way that it went in
between if they are not. That is minimised over the shifts of all cameras together. What a camera's rays miss by all the
time, because its calibration is a little off or because a detector sees a joint elsewhere from behind, is taken out
first: it would be explained by a shift otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.series import Camera, Keypoints
from motorque.vision.ray_gaps import check_pairs, directions, gap, shared_names

Array = NDArray[np.float64]

LARGEST = 1.0
"""Shifts that are looked for [s]; a periodic movement fits itself a cycle later, and most take longer than this."""

SMOOTHING = 0.02
"""Standard deviation of the window over which keypoints are averaged [s]. Points between frames are means of two;
without this they would be less noisy than those on frames, and half a frame would always look best."""

CAPPED = 0.1
"""Distance between rays beyond which it counts no more [m]: hidden joints, exchanged sides."""

STEPS = 4
"""Shifts that are tried per frame; the best is interpolated between them."""

MOST_FRAMES = 400
"""Frames that are compared, those with the most movement first."""

RESAMPLED = 40
"""Times that the keypoints are drawn again to see how sure the shifts are."""

UNSURE = 0.05
"""Standard deviation of a shift above which it counts as not measured [s]."""

NOTED = 0.012
"""Shifts above this are warned of [s]: a joint at 2 m/s, as in walking, is then 2.4 cm elsewhere, as far off as a
detector's own error."""

FEWEST = 10
"""Frames that two cameras must have in common."""


@dataclass(frozen=True)
class Shifts:
    """How the clocks of cameras differ.

    Args:
        seconds: What to add to each camera's times to have them on the first one's clock [s], shape [V].
        std: Standard deviation of each [s], shape [V]; 0 for the first.
    """

    seconds: Array
    std: Array

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which shifts the movement determines, shape [V]."""
        return np.asarray(self.std < UNSURE)


def measure_shifts(
    views: Sequence[Keypoints], cameras: Sequence[Camera], *, largest: float = LARGEST, seed: int = 0
) -> Shifts:
    """How much each camera's clock differs from the first one's.

    Args:
        views: One per camera.
        cameras: Calibrated.
        largest: Shift up to which is searched [s]; less where the recording is short.
        seed: Of the resampling that the standard deviations come from.

    Raises:
        DataError: Fewer than two cameras, other picture sizes, or too few frames in common.
    """
    check_pairs(views, cameras)
    names = shared_names(views)
    picked = [_smooth(view.select(names)) for view in views]
    rate = max(_rate(view) for view in picked)
    length = min(float(view.times[-1] - view.times[0]) for view in picked)
    if length * rate < FEWEST:
        raise DataError(f"{length:.2f} s of video are too little to tell whether the cameras are in time")
    largest = min(largest, 0.3 * length)
    steps = int(np.ceil(largest * rate * STEPS))
    grid = np.arange(-steps, steps + 1) / (rate * STEPS)
    rays = [directions(camera, view.points) for camera, view in zip(cameras, picked, strict=True)]
    curves = {
        (i, j): _curve(picked[i], rays[i], cameras[i], picked[j], rays[j], cameras[j], grid)
        for i, j in combinations(range(len(views)), 2)
    }
    best = _solve(curves, np.ones(len(names)), grid, len(views))
    generator = np.random.default_rng(seed)
    even = np.full(len(names), 1 / len(names))
    drawn = generator.multinomial(len(names), even, RESAMPLED)
    again = [_solve(curves, counts, grid, len(views)) for counts in drawn.astype(np.float64)]
    return Shifts(best, np.std(again, axis=0))


def report_shifts(shifts: Shifts, cameras: Sequence[Camera], journal: Journal) -> None:
    """Record what was measured, as a warning where it matters."""
    for camera, seconds, std, known in list(zip(cameras, shifts.seconds, shifts.std, shifts.measured, strict=True))[1:]:
        about = f"camera {camera.name}"
        if not known:
            journal.info(f"too little movement to tell whether it is in time with camera {cameras[0].name}", about)
        elif abs(seconds) > max(NOTED, 2 * std):
            journal.warn(
                f"its video seems to start {abs(seconds) * 1000:.0f} ms (± {std * 1000:.0f}) "
                f"{'later' if seconds > 0 else 'earlier'} than that of camera {cameras[0].name}; cameras are taken to "
                "start together, so cut the videos to a common start",
                about,
            )
        else:
            journal.info(f"in time with camera {cameras[0].name}: {seconds * 1000:+.0f} ms (± {std * 1000:.0f})", about)


def in_step(views: Sequence[Keypoints], shifts: Shifts | None = None) -> tuple[Keypoints, ...]:
    """All views at the first one's times, as far as they share them, perhaps with shifts taken out.

    Points between two frames are interpolated where both have them and lie no more than 0.1 s apart.

    Raises:
        DataError: The videos have no time in common.
    """
    seconds = np.zeros(len(views)) if shifts is None else shifts.seconds
    moved = [replace(view, times=view.times + s) for view, s in zip(views, seconds, strict=True)]
    start, end = max(v.times[0] for v in moved), min(v.times[-1] for v in moved)
    times = moved[0].times[(moved[0].times >= start - 1e-6) & (moved[0].times <= end + 1e-6)]
    if not len(times):
        raise DataError("the videos have no time in common; cut them to the same interval")
    return tuple(_at(view, times) for view in moved)


def _at(view: Keypoints, times: Array) -> Keypoints:
    if len(view.times) == len(times) and np.abs(view.times - times).max() < 1e-6:
        return replace(view, times=times)
    points, confidence = _interpolated(view.times, view.points, times), np.zeros((len(times), len(view.names)))
    for k in range(len(view.names)):
        confidence[:, k] = np.interp(times, view.times, view.confidence[:, k])
    world = None if view.world is None else _interpolated(view.times, view.world, times)
    return replace(view, times=times, points=points, confidence=confidence, world=world)


def _interpolated(times: Array, values: Array, wanted: Array, longest: float = 0.1) -> Array:
    """Values, shape [T, ...], at other times, shape [N, ...]; NaN where a neighbour is missing or too far away."""
    after = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    before, after = after - 1, np.minimum(after, len(times) - 1)
    step = times[after] - times[before]
    share = np.clip((wanted - times[before]) / np.where(step > 0, step, 1.0), 0.0, 1.0)
    share = np.where(np.abs(share - np.round(share)) < 1e-4, np.round(share), share)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    mixed = np.where(share == 0, values[before], np.where(share == 1, values[after], 0.0))
    between = (share > 0) & (share < 1)
    mixed = np.where(between, (1 - share) * values[before] + share * values[after], mixed)
    outside = (
        (wanted < times[0] - 1e-6) | (wanted > times[-1] + 1e-6) | ((step > longest) & between.reshape(len(wanted)))
    )
    return np.where(outside.reshape(-1, *[1] * (values.ndim - 1)), np.nan, mixed)


def _rate(view: Keypoints) -> float:
    return float(1 / np.median(np.diff(view.times))) if len(view.times) > 1 else 1.0


def _smooth(view: Keypoints) -> Keypoints:
    """The points averaged over neighbouring frames, gaps left as they are."""
    width = SMOOTHING * _rate(view)
    seen = view.seen[..., None].astype(np.float64)
    above = gaussian_filter1d(np.where(seen > 0, view.points, 0.0) * seen, width, axis=0, mode="nearest")
    below = gaussian_filter1d(seen, width, axis=0, mode="nearest")
    return replace(view, points=np.where(seen > 0, above / np.maximum(below, 1e-12), np.nan))


def _curve(
    view: Keypoints, rays: Array, camera: Camera, other: Keypoints, others: Array, second: Camera, grid: Array
) -> Array:
    """Mean capped distance between two cameras' rays for each keypoint and shift of the other one, shape [K, S]."""
    speed = np.nan_to_num(np.linalg.norm(np.gradient(view.points, axis=0), axis=-1)).sum(1)
    inside = (view.times >= other.times[0] + grid[0] - 1e-9) & (view.times <= other.times[-1] + grid[-1] + 1e-9)
    frames = np.flatnonzero(inside)
    if len(frames) < FEWEST:
        raise DataError(
            f"cameras {camera.name} and {second.name} have {len(frames)} frames in common; cut their videos to the "
            "same interval"
        )
    frames = np.sort(frames[np.argsort(-speed[frames])[:MOST_FRAMES]])
    weight = view.confidence[frames]
    curve = np.full((len(view.names), len(grid)), np.nan)
    for s, shift in enumerate(grid):
        there = _interpolated(other.times, others, view.times[frames] + shift)
        miss = gap(camera, rays[frames], second, there)
        known = np.where(np.isfinite(miss), weight, 0.0)
        enough = (known > 0).sum(0) >= 0.5 * min(len(frames), len(other.times))
        middle = np.nanmedian(np.where(enough, miss, 0.0), axis=0)
        off = np.minimum(np.abs(np.nan_to_num(miss - middle)), CAPPED)
        curve[:, s] = np.where(enough, (known * off).sum(0) / np.maximum(known.sum(0), 1e-12), np.nan)
    worst = np.nan_to_num(curve, nan=-np.inf).max(1, keepdims=True)
    return np.where(np.isfinite(curve), curve, np.where(np.isfinite(worst), worst, 0.0))


def _solve(curves: dict[tuple[int, int], Array], counts: Array, grid: Array, cameras: int) -> Array:
    """The shifts with the least sum of all pairs' distances; from every camera's shift against the first, in turn."""
    mean = {pair: counts @ curve / counts.sum() for pair, curve in curves.items()}
    shifts = np.zeros(cameras)
    for v in range(1, cameras):
        shifts[v] = -_lowest(grid, mean[0, v])

    def cost(v: int, value: Array) -> Array:
        total = np.zeros_like(value)
        for (i, j), curve in mean.items():  # the pair is in time when view j is read later by shift i - shift j
            if i == v:
                total += np.interp(value - shifts[j], grid, curve)
            elif j == v:
                total += np.interp(shifts[i] - value, grid, curve)
        return total

    for _ in range(10):
        before = shifts.copy()
        for v in range(1, cameras):
            shifts[v] = _lowest(grid, cost(v, grid))
        if np.abs(shifts - before).max() < 1e-6:
            break
    return shifts


def _lowest(grid: Array, values: Array) -> float:
    """Where a sampled curve is lowest, by a parabola through the samples a frame to both sides of its lowest one.

    Noise of the keypoints makes ripples a frame long, which this averages out.
    """
    k = int(np.argmin(values))
    if not STEPS <= k < len(grid) - STEPS:
        return float(grid[k])
    offsets = np.arange(-STEPS, STEPS + 1)
    bend, slope, _ = np.polyfit(offsets, values[k - STEPS : k + STEPS + 1], 2)
    step = float(np.clip(-0.5 * slope / bend, -STEPS, STEPS)) if bend > 0 else 0.0
    return float(grid[k] + step * (grid[1] - grid[0]))
