"""Error bars of a model's motion that was smoothed by its own noise (`fitting.refine_motion`), and of its torques.

What smoothing leaves open is known window by window (`level_belief`): the noise that is left and the movement that may
have been taken away. Courses drawn from there go through central differences and the derivatives of inverse dynamics;
ground forces that were found in the motion follow. Where the motion was refined beyond its smoothing, the step away
from the most probable smooth motion is in the band as well: nothing but the chosen mechanics speaks for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from motorque.fitting.refine_motion import MotionWindow
from motorque.series import Loads, Motion
from motorque.signals.adaptive import ORDER, blend
from motorque.signals.differences import central_differences
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.bands import Bands, LoadBand, load_band
from motorque.uncertainty.evidence import rows_of_loads
from motorque.uncertainty.following_loads import following_loads
from motorque.uncertainty.level_belief import belief
from motorque.uncertainty.torque_gain import generalized_forces, torque_gain

Array = NDArray[np.float64]
Single = NDArray[np.float32]

SMOOTHING, MECHANICS = "noise and smoothing", "refinement"
"""Sources: what the recording leaves open, and how far mechanics took the motion from there."""

DRAWS = 200
"""A standard deviation is known to 5 % then (1 / sqrt(2 · 200))."""

BLOCK = 1000
"""Frames whose derivatives are held at once, some tens of MB."""

NUMBERS = 20_000_000
"""Numbers of drawn courses held at once (80 MB), if a few draws take no more."""

NEARBY = 0.3
"""Width over which the squared step of refinement is averaged in time [s]: of one frame it is sometimes none by
chance."""


def bands_of_refined(
    skeleton: Skeleton,
    windows: Sequence[MotionWindow],
    motion: Motion,
    *,
    loads: Loads | None,
    torques: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> Bands:
    """Error bars of a refined motion.

    Args:
        skeleton: The model.
        windows: What smoothing found.
        motion: The refined motion, all coordinates.
        loads: Ground forces found in it, at its times, or None.
        torques: Whether torques are asked for; if not, theirs are NaN.
        draws: How many courses are drawn.
        seed: Their seed.
    """
    step, free = 1.0 / motion.rate, list(skeleton.free_coordinates)
    frames, nv = len(motion.times), int(skeleton.nv)
    loads = Loads(motion.times, ()) if loads is None else loads
    posterior = _Posterior.of(windows, frames)
    gap = motion.values[:, free] - posterior.mean
    turning = [n for n, c in enumerate(free) if skeleton.coordinates[c].rotational]
    gap[:, turning] = np.arctan2(np.sin(gap[:, turning]), np.cos(gap[:, turning]))
    width = max(1, round(NEARBY * motion.rate))
    away = uniform_filter1d(gap**2, width, axis=0, mode="nearest")
    coupling = skeleton.coupling_matrix(torch.as_tensor(motion.values)).numpy()
    angle = (coupling**2 @ (posterior.variance + away)[..., None])[..., 0]
    own, moved = np.zeros((frames, nv)), np.zeros((frames, nv))
    wrenches = {load.name: np.zeros((frames, 6, 6)) for load in loads.loads}
    follows = False
    if torques:
        rates = central_differences(motion.values, step)
        shift = np.stack([gap, *central_differences(gap, step)])
        many = max(1, min(draws, NUMBERS // (3 * frames * len(free))))
        counts = [min(many, draws - k) for k in range(0, draws, many)]
        streams = np.random.default_rng(seed).spawn(len(counts))
        gains = []
        for start in range(0, frames, BLOCK):
            part = slice(start, min(start + BLOCK, frames))
            here = np.stack([motion.values[part], rates[0][part], rates[1][part]])
            under = rows_of_loads(loads, part)
            gain = torque_gain(skeleton, here, _wrenches(under))
            following = following_loads(skeleton, gain, under)
            by = gain.motion if following is None else following(gain.motion)
            follows = following is not None
            gains.append((part, (by @ coupling[part]).astype(np.float32)))
        for stream, count in zip(streams, counts, strict=True):
            courses = posterior.drawn(stream, count)
            course = np.stack([courses, *central_differences(courses, step)])
            for part, by in gains:
                change = np.einsum("ktrn,ktnd->trd", by, course[:, part], optimize=True)
                own[part] += np.einsum("tvd,tvd->tv", change[:, :nv], change[:, :nv], dtype=np.float64) / draws
                for number, load in enumerate(loads.loads if follows else ()):
                    felt = change[:, nv + 6 * number : nv + 6 * number + 6].astype(np.float64)
                    wrenches[load.name][part] += felt @ felt.swapaxes(-1, -2) / draws
        for part, by in gains:
            moved[part] = np.einsum("ktrn,ktn->tr", by[:, :, :nv], shift[:, part], optimize=True) ** 2
        moved = uniform_filter1d(moved, width, axis=0, mode="nearest")
    torque = np.sqrt(own + moved) if torques else np.full((frames, nv), np.nan)
    bars: dict[str, LoadBand] = {x.name: load_band(x, wrenches[x.name] if follows else None) for x in loads.loads}
    size = {name: float(np.sqrt(np.median(x))) for name, x in ((SMOOTHING, own), (MECHANICS, moved))}
    parts = {SMOOTHING: (posterior.variance, own), MECHANICS: (away, moved)}
    return Bands(
        motion.times,
        motion.names,
        np.sqrt(angle),
        torque,
        bars,
        {
            name: {
                "angles": np.sqrt((coupling**2 @ angles[..., None])[..., 0].mean(0)),
                "torques": np.sqrt(torques_.mean(0)),
            }
            for name, (angles, torques_) in parts.items()
        },
        {
            SMOOTHING: "noise that smoothing left and movement that it may have taken away: "
            f"{size[SMOOTHING]:.2g} N·m of a typical torque",
            MECHANICS: f"how far mechanics took the motion from its smoothing: {size[MECHANICS]:.2g} N·m",
        },
        EXCLUDED,
        "monte carlo",
        draws,
        seed,
    )


EXCLUDED = {
    "lasting errors": "a joint that is always bent too much: no motion tells this from posture",
    "body and segment masses": "nothing in the motion tells them",
    "joint centres": "nothing in the motion tells them",
    "sharing between the feet": "how the feet share the ground force is left as it was found",
}
"""What these bars do not hold."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Posterior:
    """Most probable smooth coordinates [T, n], their variances, and what draws are made of."""

    mean: Array
    variance: Array
    shares: tuple[Array, ...]
    windows: tuple[MotionWindow, ...]
    sizes: tuple[Array, ...]

    @staticmethod
    def of(windows: Sequence[MotionWindow], frames: int) -> _Posterior:
        total, count = np.zeros(frames), windows[0].values.shape[1]
        mean, variance = np.zeros((frames, count)), np.zeros((frames, count))
        for w in windows:
            total[w.first : w.last] += blend(w.first, w.last, frames)
        shares, sizes = [], []
        for w in windows:
            share = blend(w.first, w.last, frames) / total[w.first : w.last]
            open_ = belief(w.fit, w.values, order=ORDER).variance
            mean[w.first : w.last] += share[:, None] * w.fit.smoothed
            variance[w.first : w.last] += share[:, None] * (w.fit.basis**2 @ open_ @ w.fit.modes**2)
            shares.append(share)
            sizes.append(np.sqrt(open_))
        return _Posterior(mean, variance, tuple(shares), tuple(windows), tuple(sizes))

    def drawn(self, rng: np.random.Generator, count: int) -> Single:
        """What the coordinates may differ by from the most probable ones, shape [T, n, count]."""
        frames, channels = self.mean.shape
        found = np.zeros((frames, channels, count), dtype=np.float32)
        for w, share, size in zip(self.windows, self.shares, self.sizes, strict=True):
            units = rng.standard_normal((count, *size.shape), dtype=np.float32) * size.astype(np.float32)
            modes = (units @ w.fit.modes.astype(np.float32)).transpose(1, 2, 0).reshape(len(size), -1)
            # Independent draws of overlapping windows: their variances, not they themselves, are blended.
            courses = (np.sqrt(share)[:, None] * w.fit.basis).astype(np.float32)
            found[w.first : w.last] += (courses @ modes).reshape(-1, channels, count)
        return found


def forces_of(skeleton: Skeleton, motion: Motion, loads: Loads | None) -> Array:
    """Generalized forces of a motion by central differences of its coordinates, shape [T, nv] [N·m or N].

    Args:
        skeleton: The model.
        motion: All its coordinates, at a constant rate, at least three frames.
        loads: Loads in ground at the same times, or None.
    """
    rates = central_differences(motion.values, 1.0 / motion.rate)
    tau = generalized_forces(skeleton, np.stack([motion.values, *rates]), {} if loads is None else _wrenches(loads))
    return np.asarray(tau, dtype=np.float64)


def _wrenches(loads: Loads) -> dict[str, Array]:
    """Force and moment about the ground origin on each body, shape [T, 6]."""
    found: dict[str, Array] = {}
    for load in loads.loads:
        own = np.concatenate([load.force, load.moment_about_origin], axis=1)
        found[load.body] = found.get(load.body, np.zeros(1)) + own
    return found
