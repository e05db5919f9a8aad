"""Error bars of angles, torques and ground forces behind SMPL poses, from nothing but the recording itself.

What a recording leaves open is known from its smoothing (`pose_posterior`). Poses drawn from there go through the whole
chain (`pose_chain`), loads that were found in the motion follow, and the spread of what comes out is the error bar; or
the same is propagated linearly, which agrees and takes no longer for long recordings.

Results that were smoothed in another way than the most probable poses differ from these; that difference is known, and
is in the band as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from motorque.fitting.pose_chart import matrices_of, turned_by, vectors_of
from motorque.fitting.pose_smoothing import SmoothedPoses
from motorque.series import Loads, Motion
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.bands import Bands, LoadBand, Method, load_band
from motorque.uncertainty.pose_chain import PoseChain
from motorque.uncertainty.pose_posterior import SOURCES, PosePosterior
from motorque.uncertainty.sharing import SHARINGS, sharing_variances

Array = NDArray[np.float64]
Single = NDArray[np.float32]

DRAWS = 500
"""Draws of Monte Carlo: a standard deviation is known to 3 % then (1 / sqrt(2 · 500))."""

MOST_FRAMES = 1000
"""Frames up to which error bars are drawn; those of longer recordings are propagated linearly, which agrees."""

NUMBERS = 1_500_000
"""Numbers of coordinates held at once by a thread (6 MB for each of a dozen arrays)."""

BLOCK = 32
"""Frames that are propagated at once."""

NEARBY = 0.3
"""Width over which the squared difference from the most probable result is averaged in time [s]: of one frame it is
sometimes none by chance."""

SHARING = "sharing between the feet"
"""Source: what errors of poses do to ground forces beyond their sum."""

OWN_WAY = "chosen filter"
"""Source: how far a result of another way to rates is from the most probable one."""


LOST = 0.85
"""Standard deviation of what a ceiling took, of its root mean square nearby: it is a wave of known size, of which 90 %
lie within 1.40 times that, as in `uncertainty.missed_signal`."""

PAIRS = tuple((k, m) for k in range(3) for m in range(k, 3))
"""Values, first and second derivatives in time, each with each."""


@dataclass(frozen=True, eq=False)
class _Spread:
    """Variances of generalized forces [T, nv] and covariances of each load's wrench, [T, 6, 6]."""

    torques: Array
    wrenches: tuple[Array, ...]

    def plus(self, other: _Spread) -> _Spread:
        return _Spread(
            self.torques + other.torques, tuple(a + b for a, b in zip(self.wrenches, other.wrenches, strict=True))
        )


def bands_of_poses(
    skeleton: Skeleton,
    smoothed: SmoothedPoses,
    *,
    motion: Motion,
    torques: Array,
    loads: Loads | None,
    estimated: bool,
    same: bool,
    method: Method | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Bands:
    """Error bars behind poses.

    Args:
        skeleton: SMPL's tree with y up and rotation vectors for positions, its bodies called as the loads call them.
        smoothed: What `fitting.pose_smoothing.smooth_poses` makes of the recording, in a world with y up.
        motion: The positions that are reported, at all frames.
        torques: The generalized forces that are reported, shape [T, 75]; NaN where they are missing.
        loads: Loads in ground at the same frames, or None.
        estimated: Whether these were found in the motion, and so follow its errors.
        same: Whether motion and torques come from the smoothed poses and neighbouring frames' differences; if not,
            they are as far from what the recording says as they are.
        method: ``monte carlo`` through the chain, or ``linear`` propagation; the former up to :data:`MOST_FRAMES`.
        draws: Draws of the former.
        seed: Their seed.
    """
    posterior = PosePosterior.of(smoothed)
    chain = PoseChain.of(skeleton, posterior, loads, estimated=estimated)
    way: Method = method or ("monte carlo" if len(motion.times) <= MOST_FRAMES else "linear")
    parts = dict(zip(SOURCES, _linear(chain), strict=True))
    total = _drawn(chain, draws, seed) if way == "monte carlo" else parts[SOURCES[0]].plus(parts[SOURCES[1]])
    angles = dict(zip(SOURCES, _columns(_angle_variances(posterior, motion)), strict=True))
    taken = _taken(chain, motion)
    if taken is not None:
        angles[SOURCES[1]] = angles[SOURCES[1]] + taken[0]
        parts[SOURCES[1]], total = parts[SOURCES[1]].plus(taken[1]), total.plus(taken[1])
    by_torque = {name: part.torques for name, part in parts.items()}
    shared = None if loads is None else sharing_variances(chain, skeleton, loads, seed=seed)
    if shared is not None:
        total = total.plus(_Spread(*shared))
        angles[SHARING], by_torque[SHARING] = np.zeros_like(angles[SOURCES[0]]), shared[0]
    angle, torque = sum(angles.values()), total.torques
    if not same:
        angles[OWN_WAY], by_torque[OWN_WAY] = _own_way(chain, motion, torques)
        angle, torque = angle + angles[OWN_WAY], torque + by_torque[OWN_WAY]
    missing = np.asarray(~np.isfinite(torques))
    if chain.following is not None:
        # The loads were made to leave nothing there: what they leave all the same is their own error, not noise's.
        missing[:, list(chain.following.root)] = True
    lost = np.asarray(~np.isfinite(torques).all(axis=1))
    bars: dict[str, LoadBand] = {}
    for number, load in enumerate(() if loads is None else loads.loads):
        bar = load_band(load, total.wrenches[number] if chain.following is not None else None)
        bars[load.name] = LoadBand(*(np.where(lost[:, None], np.nan, x) for x in (bar.force, bar.point, bar.moment)))
    return Bands(
        motion.times,
        motion.names,
        np.where(lost[:, None], np.nan, np.sqrt(np.asarray(angle))),
        np.where(missing, np.nan, np.sqrt(torque)),
        bars,
        {
            name: {"angles": np.sqrt(angles[name].mean(0)), "torques": np.sqrt(by_torque[name].mean(0))}
            for name in angles
        },
        _included(smoothed, by_torque, same),
        _excluded(estimated and loads is not None, loads is not None, shared is not None),
        way,
        draws if way == "monte carlo" else 0,
        seed,
    )


def _columns(parts: tuple[Array, ...]) -> list[Array]:
    """Numbers of joints and place [T, 25, 3] in the order of coordinates, [T, 75]: the place after the root's turn."""
    return [np.concatenate([x[:, :1], x[:, 24:], x[:, 1:24]], axis=1).reshape(len(x), -1) for x in parts]


def _angle_variances(posterior: PosePosterior, motion: Motion) -> tuple[Array, ...]:
    """Variances of the reported rotation vectors' components and of the place, by source, [T, 25, 3] each."""
    vectors = np.concatenate([motion.values[:, :3], motion.values[:, 6:]], axis=1).reshape(len(motion.times), -1, 3)
    own = np.linalg.solve(turned_by(vectors), turned_by(posterior.vectors))
    own = np.concatenate([own, np.broadcast_to(np.eye(3), own[:, :1].shape)], axis=1)
    return tuple(np.einsum("tjab,tjbc,tjac->tja", own, c, own, optimize=True) for c in posterior.covariances())


def _linear(chain: PoseChain) -> tuple[_Spread, _Spread]:
    """Variances by linear propagation, for each of the sources."""
    posterior, nv = chain.posterior, int(chain.skeleton.nv)
    frames, count = len(posterior.poses.times), (chain.rows - nv) // 6
    found = [_Spread(np.zeros((frames, nv)), tuple(np.zeros((frames, 6, 6)) for _ in range(count))) for _ in SOURCES]
    step = chain.step
    middles = np.array([0.5 * (w.first + w.last) for w in posterior.windows])

    def fill(start: int) -> None:
        part = slice(start, min(start + BLOCK, frames))
        of_forces, of_loads = chain.linear(part)
        # Windows overlap by half: the nearest one has the whole block, and knows it best.
        number = int(np.abs(middles - 0.5 * (part.start + part.stop)).argmin())
        window = posterior.windows[number]
        inner = slice(part.start - window.first, part.stop - window.first)
        for channels, columns in ((window.turned, slice(0, 72)), (window.moved, slice(72, 75))):
            modes = channels.fit.modes.T
            felt, carried = of_forces[..., columns] @ modes.astype(np.float32), of_loads[..., columns] @ modes
            by_source = [_time_derivatives(courses, step, inner) for courses in channels.courses]
            for k, m in PAIRS:
                left, lost = (rows[k] * rows[m] * (1 if k == m else 2) for rows in by_source)
                powers = np.stack(channels.powers((left, lost)), axis=-1)
                sizes = (felt[k] * felt[m]) @ powers.astype(np.float32)
                for source, spread in enumerate(found):
                    spread.torques[part] += sizes[..., source]
                    for n in range(count):
                        at = slice(6 * n, 6 * n + 6)
                        both = (carried[k][:, at] * powers[:, None, :, source]) @ carried[m][:, at].swapaxes(-1, -2)
                        spread.wrenches[n][part] += 0.5 * (both + both.swapaxes(-1, -2))

    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        list(pool.map(fill, range(0, frames, BLOCK)))
    for spread in found:
        np.maximum(spread.torques, 0.0, out=spread.torques)
    return found[0], found[1]


def _time_derivatives(courses: Array, step: float, part: slice) -> Array:
    """Time courses [T, n] and their first and second derivatives as the chain takes them, shape [3, part, n]."""
    # The first and the last frame have the parabola of the frame beside them.
    at = np.arange(part.start, part.stop)
    middle = np.clip(at, 1, len(courses) - 2)
    before, here, after = courses[middle - 1], courses[middle], courses[middle + 1]
    bend = (after - 2 * here + before) / step**2
    rate = (after - before) / (2 * step) + step * (at - middle)[:, None] * bend
    return np.stack([courses[at], rate, bend])


def _drawn(chain: PoseChain, draws: int, seed: int) -> _Spread:
    """Mean squared differences from the undisturbed result."""
    posterior, nv = chain.posterior, int(chain.skeleton.nv)
    frames, count = len(posterior.poses.times), (chain.rows - nv) // 6
    size = max(1, min(draws, NUMBERS // (frames * 75)))
    counts = [min(size, draws - start) for start in range(0, draws, size)]
    streams = np.random.default_rng(seed).spawn(len(counts))
    plain = chain.forces(np.zeros((1, frames, 75), dtype=np.float32))[0]

    def summed(rng: np.random.Generator, number: int) -> tuple[Array, list[Array]]:
        change = chain.changes(posterior.drawn(rng, number), plain)
        behind = [change[:, nv + 6 * n : nv + 6 * n + 6].astype(np.float64) for n in range(count)]
        tau = change[:, :nv]
        return np.einsum("tvd,tvd->tv", tau, tau, dtype=np.float64), [x @ x.swapaxes(-1, -2) for x in behind]

    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        # Summed in the order of the draws, whichever is done first.
        sums = list(pool.map(summed, streams, counts))
    torques = np.asarray(sum(s[0] for s in sums) / draws)
    return _Spread(torques, tuple(np.asarray(sum(s[1][n] for s in sums) / draws) for n in range(count)))


def _taken(chain: PoseChain, motion: Motion) -> tuple[Array, _Spread] | None:
    """Variances of angles [T, 75], torques and loads by movement that a ceiling took, if there is one."""
    posterior, nv = chain.posterior, int(chain.skeleton.nv)
    lost = posterior.under_ceiling
    if lost is None:
        return None
    width = max(1, round(NEARBY * posterior.poses.rate))

    def nearby(squares: Array) -> Array:
        return np.asarray(LOST**2 * uniform_filter1d(squares, width, axis=0, mode="nearest"))

    vectors = np.concatenate([motion.values[:, :3], motion.values[:, 6:]], axis=1).reshape(len(lost), -1, 3)
    own = np.linalg.solve(turned_by(vectors), turned_by(posterior.vectors))
    turned = (own @ lost[:, :72].reshape(len(lost), -1, 3, 1))[..., 0]
    angle = np.concatenate([turned[:, 0], lost[:, 72:], turned[:, 1:].reshape(len(lost), -1)], axis=1)
    plain = chain.forces(np.zeros((1, len(lost), 75), dtype=np.float32))[0]
    change = chain.changes(lost[None].astype(np.float32), plain)[..., 0].astype(np.float64)
    behind = [change[:, start : start + 6] for start in range(nv, change.shape[1], 6)]
    return nearby(angle**2), _Spread(
        nearby(change[:, :nv] ** 2), tuple(nearby(x[:, :, None] * x[:, None, :]) for x in behind)
    )


def _own_way(chain: PoseChain, motion: Motion, torques: Array) -> tuple[Array, Array]:
    """Squared differences of a result from the most probable one, of angles and torques, shape [T, 75] each."""
    poses = chain.posterior.poses
    vectors = np.concatenate([motion.values[:, :3], motion.values[:, 6:]], axis=1).reshape(len(motion.times), -1, 3)
    off = vectors_of(matrices_of(vectors) @ poses.rotations.swapaxes(-1, -2))
    turned = np.linalg.solve(turned_by(vectors), off[..., None])[..., 0]
    angle = np.concatenate(
        [turned[:, 0], motion.values[:, 3:6] - poses.translation, turned[:, 1:].reshape(len(turned), -1)], axis=1
    )
    plain = chain.forces(np.zeros((1, len(angle), 75), dtype=np.float32))[0]
    width = max(1, round(NEARBY * poses.rate))
    torque = np.nan_to_num(torques - plain)
    if chain.following is not None:
        # What the reported result's own loads took from the root, these loads took from the feet.
        torque[:, list(chain.following.root)] = 0.0
    return tuple(uniform_filter1d(x**2, width, axis=0, mode="nearest") for x in (angle, torque))


def _included(smoothed: SmoothedPoses, by_torque: Mapping[str, Array], same: bool) -> dict[str, str]:
    """What is in the band, with its size in words."""
    # Of the torque that has most of it: most joints know nothing of feet, and a median over all of them would say 0.
    largest = {name: float(np.sqrt(np.median(x[:, 6:], axis=0).max())) for name, x in by_torque.items()}
    found = {
        SOURCES[
            0
        ]: f"{smoothed.noise.sentence()}; what smoothing leaves of it makes up to {largest[SOURCES[0]]:.2g} N·m of a "
        "torque",
        SOURCES[1]: "movement that noise hides and smoothing takes away with it, as large as it can be without being "
        "seen"
        + (
            ""
            if smoothed.ceiling is None
            else f", and what stands between {smoothed.ceiling:g} Hz, above which nothing is let through, and "
            f"{2 * smoothed.ceiling:g} Hz"
        )
        + f": {largest[SOURCES[1]]:.2g} N·m where it makes most",
    }
    if SHARING in largest:
        found[SHARING] = (
            f"which foot has how much of the ground force, and where, as {SHARINGS} draws of the poses have it: "
            f"{largest[SHARING]:.2g} N·m where it makes most"
        )
    if not same:
        found[OWN_WAY] = (
            f"what the chosen way to rates does otherwise than the noise asks for: {largest[OWN_WAY]:.2g} N·m "
            "where it makes most"
        )
    return found


def _excluded(following: bool, loaded: bool, shared: bool) -> dict[str, str]:
    """What is not, and why."""
    found = {
        "lasting errors": "a joint that is always bent too much, a camera's wrong depth: no recording tells these from "
        "posture",
        "body and segment masses": "nothing in the poses tells them; torques grow with them in proportion, 1 % by 1 %",
        "joint centres": "nothing in the poses tells them; 1 cm at a hip that carries 800 N is 8 N·m",
        "soft tissue": "poses have none of their own: it is in their noise or in their lasting errors",
    }
    if following and shared:
        found["contact's own errors"] = "soles and ground are taken as contact has them: flat, level and rigid"
    elif following:
        found["sharing between the feet"] = "how the feet share the ground force is left as it was found"
    elif loaded:
        found["measured loads"] = "are taken as they are: their file does not tell their noise"
    else:
        found["forces from outside"] = "there are none in this result: what carries the body stands at the pelvis"
    return found
