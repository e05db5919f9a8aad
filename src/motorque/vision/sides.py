"""Left and right that one camera has exchanged, put right by what the others saw.

Detectors take a person seen from the front for one seen from the back now and then, or one leg for the other, for some
frames. One camera alone cannot tell; with several, the rays of exchanged joints miss those of the other cameras. For
each frame the sides of every camera are chosen so that the rays of all pairs of cameras meet best, that points do not
jump from frame to frame, and that as few cameras as possible are changed: the best path through all frames is found by
dynamic programming. Arms with face and trunk, and legs, are decided on their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from motorque.journal import Journal
from motorque.series import Camera, Keypoints
from motorque.signals.runs import runs_of
from motorque.vision.ray_gaps import check_pairs, directions, gap, shared_names

Array = NDArray[np.float64]

LOWER = ("hip", "knee", "ankle", "heel", "toe", "big_toe", "small_toe")
"""Parts that are exchanged with the legs; all others go with the arms."""

CAPPED = 0.3
"""Distance between rays beyond which it counts no more [m]: about the width of a person."""

CHANGED = 0.01
"""What changing a camera in a frame costs [m of distance between rays]: less than a detector's own error of 2 cm, so
that it only decides between what looks the same, such as one camera changed or all others."""

CHANGED_FOR = 0.18
"""What it costs per second that one camera's sides stay exchanged [m/s]. Points of somebody who turns his side on and
back jump by 0.3 to 0.6 m together, so up to about three seconds are put right."""

LONGEST_STEP = 0.07
"""Time between frames up to which limbs are followed from one to the next [s]: at 15 frames a second those of a walking
person move by half of what they swing."""

JUMPING = 1.0
"""Weight of the distance that points go from frame to frame [m] against that between rays [m]."""

HEIGHT = 1.7
"""Of the person whose extent in the picture tells how many pixels are a metre there [m]."""

TOGETHER = 4
"""Cameras that are decided on at once (16 ways to exchange); more are compared with these, one by one."""


def agree_on_sides(views: Sequence[Keypoints], cameras: Sequence[Camera], journal: Journal) -> tuple[Keypoints, ...]:
    """The same keypoints with left and right exchanged where all cameras together show that they were.

    Args:
        views: One per camera, with the same times (:func:`motorque.vision.synchronize.in_step`).
        cameras: Calibrated.
        journal: Where it is recorded in which frames of which camera sides were exchanged.

    Raises:
        DataError: Fewer than two cameras, other picture sizes, or no keypoint in common.
    """
    check_pairs(views, cameras)
    names = shared_names(views)
    result = list(views)
    for legs in (False, True):
        pairs = _pairs(names, legs)
        if not pairs:
            continue
        wrong = _exchanged([_sides(view, pairs) for view in views], cameras, [_metre(view) for view in views])
        for v, view in enumerate(result):
            if wrong[v].any():
                result[v] = _exchange(view, wrong[v], legs)
                journal.repair(
                    f"left and right of the {'legs' if legs else 'upper body'} exchanged in {int(wrong[v].sum())} of "
                    f"{len(view.times)} frames ({_when(view.times, wrong[v])}): so the cameras agree",
                    f"camera {cameras[v].name}",
                )
    return tuple(result)


def steady_sides(view: Keypoints, journal: Journal, *, about: str = "") -> Keypoints:
    """The same keypoints of one camera with sides exchanged where they jump from one to the other and back.

    Which of the two is right is not known from one camera: the shorter of both is taken to be wrong. Frames that are
    further apart than :data:`LONGEST_STEP` tell nothing, since limbs cross between them.

    Args:
        view: The keypoints.
        journal: Where it is recorded in which frames sides were exchanged.
        about: The video, for the journal.
    """
    result = view
    steps = np.diff(view.times)
    for legs in (False, True):
        pairs = _pairs(view.names, legs)
        if not pairs or len(view.times) < 3:
            continue
        jump = _jump(*_sides(view, pairs), _metre(view)) * (steps <= LONGEST_STEP)[:, None]
        lasting = CHANGED_FOR * np.append(steps, steps[-1])
        flip = np.array([[0, 1], [1, 0]])
        wrong = _best_path(lasting[:, None] * [0.0, 1.0], jump[:, flip]).astype(bool)
        if wrong.any():
            result = _exchange(result, wrong, legs)
            journal.repair(
                f"left and right of the {'legs' if legs else 'upper body'} exchanged in {int(wrong.sum())} of "
                f"{len(view.times)} frames ({_when(view.times, wrong)}): they jump from one side to the other and back",
                about,
            )
    return result


def _pairs(names: Sequence[str], legs: bool) -> list[tuple[str, str]]:
    """Names of right points and their left ones, of the legs or of all else."""
    right = [name for name in names if name.endswith("_r") and (name[:-2] in LOWER) == legs]
    return [(name, name[:-1] + "l") for name in right if name[:-1] + "l" in names]


def _sides(view: Keypoints, pairs: Sequence[tuple[str, str]]) -> tuple[Array, Array]:
    """Points as right and left ones, shape [T, P, 2 (side), 2], and their confidence, shape [T, P, 2]."""
    columns = np.array([[view.names.index(name) for name in pair] for pair in pairs])
    return view.points[:, columns], view.confidence[:, columns]


def _metre(view: Keypoints) -> float:
    """Pixels of a metre where the person is, by his extent in the picture."""
    seen = view.seen[..., None]
    size = np.where(seen, view.points, -np.inf).max(1) - np.where(seen, view.points, np.inf).min(1)
    extent = np.linalg.norm(size[view.seen.sum(1) > 2], axis=-1)
    return float(np.median(extent)) / HEIGHT if len(extent) else 1.0


def _exchanged(
    sides: Sequence[tuple[Array, Array]], cameras: Sequence[Camera], metres: Sequence[float]
) -> list[NDArray[np.bool_]]:
    """For each camera the frames whose sides are exchanged, shape [T]."""
    rays = [directions(camera, points) for (points, _), camera in zip(sides, cameras, strict=True)]
    jump = [_jump(points, sure, metre) for (points, sure), metre in zip(sides, metres, strict=True)]
    miss = {
        (i, j): _miss(cameras[i], rays[i], sides[i][1], cameras[j], rays[j], sides[j][1])
        for j in range(len(cameras))
        for i in range(j)
    }
    first = list(range(min(TOGETHER, len(cameras))))
    states = np.array(list(product((0, 1), repeat=len(first))))
    unary = CHANGED * states.sum(1) + np.zeros((len(rays[0]), len(states)))
    for i, j in miss:
        if j < len(first):
            unary = unary + miss[i, j][:, states[:, i] ^ states[:, j]]
    moving = sum(jump[v][:, states[:, None, v] ^ states[None, :, v]] for v in first)
    path = states[_best_path(unary, np.asarray(moving))]
    wrong = [path[:, v].astype(bool) for v in first]
    for v in range(len(first), len(cameras)):
        unary = np.zeros((len(path), 2)) + [0.0, CHANGED]
        for u in first:
            for state in (0, 1):
                unary[:, state] += miss[u, v][np.arange(len(path)), path[:, u] ^ state]
        flip = np.array([[0, 1], [1, 0]])
        wrong.append(_best_path(unary, jump[v][:, flip]).astype(bool))
    return wrong


def _miss(one: Camera, first: Array, sure: Array, other: Camera, second: Array, surer: Array) -> Array:
    """Mean distance between rays [m], with sides as they are and exchanged in one camera, shape [T, 2]."""
    result = []
    for way in (slice(None), slice(None, None, -1)):
        distance = np.abs(gap(one, first, other, second[:, :, way]))
        weight = np.where(np.isfinite(distance), sure * surer[:, :, way], 0.0).reshape(len(first), 2 * first.shape[1])
        capped = np.minimum(np.nan_to_num(distance), CAPPED).reshape(weight.shape)
        result.append((weight * capped).sum(1) / np.maximum(weight.sum(1), 1e-9))
    return np.stack(result, -1)


def _jump(points: Array, sure: Array, metre: float) -> Array:
    """Mean way of the points to the next frame [m], with sides as they are and exchanged, shape [T - 1, 2]."""
    result = []
    for way in (slice(None), slice(None, None, -1)):
        step = np.linalg.norm(points[1:, :, way] - points[:-1], axis=-1) / metre
        weight = np.where(np.isfinite(step), sure[1:, :, way] * sure[:-1], 0.0).reshape(len(step), 2 * step.shape[1])
        capped = np.minimum(np.nan_to_num(step), CAPPED).reshape(weight.shape)
        result.append(JUMPING * (weight * capped).sum(1) / np.maximum(weight.sum(1), 1e-9))
    return np.stack(result, -1)


def _best_path(unary: Array, moving: Array) -> NDArray[np.int64]:
    """The cheapest sequence of states, shape [T].

    Args:
        unary: What being in each state costs, shape [T, S].
        moving: What going from one to the next costs, shape [T - 1, S, S].
    """
    total = unary[0].copy()
    back = np.zeros(unary.shape, dtype=np.int64)
    for t in range(1, len(unary)):
        through = total[:, None] + moving[t - 1]
        back[t] = through.argmin(0)
        total = through.min(0) + unary[t]
    path = np.zeros(len(unary), dtype=np.int64)
    path[-1] = total.argmin()
    for t in range(len(unary) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def _exchange(view: Keypoints, frames: NDArray[np.bool_], legs: bool) -> Keypoints:
    order = np.arange(len(view.names))
    for k, name in enumerate(view.names):
        if name[-2:] in ("_r", "_l") and (name[:-2] in LOWER) == legs:
            other = name[:-1] + ("l" if name.endswith("r") else "r")
            order[k] = view.names.index(other) if other in view.names else k
    points, confidence = view.points.copy(), view.confidence.copy()
    points[frames], confidence[frames] = view.points[frames][:, order], view.confidence[frames][:, order]
    world = view.world
    if world is not None:
        world = world.copy()
        world[frames] = world[frames][:, order]
    return replace(view, points=points, confidence=confidence, world=world)


def _when(times: Array, frames: NDArray[np.bool_]) -> str:
    """The intervals of these frames in words; the first three of many."""
    spans = [f"{times[run.start]:.2f} to {times[run.stop - 1]:.2f} s" for run in runs_of(frames)]
    return ", ".join(spans[:3]) + (f" and {len(spans) - 3} more" if len(spans) > 3 else "")
