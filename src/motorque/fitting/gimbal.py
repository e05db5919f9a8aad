"""Joints that pass gimbal lock: two of their three angles lose their meaning there and swing without need.

Where the second of three angles brings the first and the third axis together, markers tell only the sum of their
angles. Each frame on its own puts an arbitrary part into either; from frame to frame they swing by half a turn, and
velocities and torques made from them are wild though the arm hardly moves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from motorque.fitting.ik import CoordinateTask, IKResult, inverse_kinematics
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Markers
from motorque.skeleton.skeleton import Skeleton

NEAR = 0.4
"""Sine of the angle between first and third axis under which a joint counts as near gimbal lock (23°)."""

PULL = 3e-4
"""Weight that holds the swinging angles to a steady course [m²/rad²]. An arm's markers weigh ten times that about an
axis that they tell, so that only what they do not tell gives way."""

SWING = 12.0
"""Speed near gimbal lock that is taken for swinging [rad/s]."""

FASTEST = 35.0
"""No joint turns faster than this [rad/s]; ankles reach 28 when a jumper lands, a sprinter's knee 20."""


def steady_through_gimbal_lock(
    skeleton: Skeleton,
    markers: Markers,
    fit: IKResult,
    *,
    weights: Mapping[str, float] | None,
    journal: Journal,
) -> IKResult:
    """The fit with joints near gimbal lock held to a steady course between the frames before and after.

    Args:
        skeleton: The skeleton with its markers.
        markers: The recording [m].
        fit: Inverse kinematics of it.
        weights: Marker weights as for that.
        journal: Which joints were held, and when.
    """
    if len(markers.times) < 4:
        return fit
    tasks: dict[str, CoordinateTask] = {}
    near_any = np.zeros(len(markers.times), dtype=bool)
    swings = swinging_joints(skeleton, fit.motion.values, markers.times)
    for body, near in swings.items():
        for coordinate in (e.coordinate for e in skeleton.joints[body].elements[:3]):
            values = np.unwrap(fit.motion.values[:, coordinate])
            course = PchipInterpolator(markers.times[~near], values[~near], extrapolate=False)(markers.times)
            known = np.flatnonzero(np.isfinite(course))
            course = np.interp(markers.times, markers.times[known], course[known])
            tasks[skeleton.coordinate_names[coordinate]] = CoordinateTask(PULL, course)
        near_any |= near
    if not tasks:
        return fit
    frames = np.flatnonzero(near_any)
    some = Markers(markers.times[frames], markers.positions[frames], markers.names)
    held = {name: CoordinateTask(t.weight, np.asarray(t.value)[frames]) for name, t in tasks.items()}
    start = fit.motion.values[frames].copy()
    for name, task in held.items():
        start[:, skeleton.coordinate(name)] = task.value
    again = inverse_kinematics(skeleton, some, weights=weights, tasks=held, start=start)
    journal.repair(
        f"{', '.join(skeleton.joints[b].name for b in swings)} pass gimbal lock, where two of three angles have no "
        f"meaning of their own; they are held to a steady course in {len(frames)} frames (from {some.times[0]:.2f} s)",
        "ik",
    )
    return _with_frames(fit, again, frames)


def swinging_joints(
    skeleton: Skeleton, q: NDArray[np.float64], times: NDArray[np.float64]
) -> dict[int, NDArray[np.bool_]]:
    """Joints whose angles swing near gimbal lock: body and the frames that are near it, shape [T], bool."""
    found: dict[int, NDArray[np.bool_]] = {}
    axes = forward_kinematics(skeleton, torch.as_tensor(q)).carried_axes.numpy()
    for body, joint in enumerate(skeleton.joints):
        driven = [e.coordinate for e in joint.elements[:3]]
        if min(driven) < 0 or len(set(driven)) < 3 or skeleton.parents[body] < 0:
            continue
        apart = np.linalg.norm(np.cross(axes[:, body, 0], axes[:, body, 2]), axis=1)
        near = apart < NEAR
        speed = np.abs(np.gradient(np.unwrap(q[:, driven], axis=0), times, axis=0)).max(axis=1)
        if (near & (speed > SWING)).any() and (~near).sum() >= 2:
            found[body] = near
    return found


def report_impossible_speeds(
    skeleton: Skeleton, rate: NDArray[np.float64], times: NDArray[np.float64], journal: Journal
) -> None:
    """Say which angles turn faster than any joint does, and when.

    Args:
        skeleton: The skeleton.
        rate: First derivatives of the coordinates [rad/s or m/s], shape [T, nq].
        times: Times [s], shape [T].
        journal: Where it is said.
    """
    for index, coordinate in enumerate(skeleton.coordinates):
        fast = np.abs(rate[:, index]) > FASTEST
        if coordinate.rotational and fast.any():
            speed = np.abs(rate[:, index])
            journal.warn(
                f"{coordinate.name} turns at up to {speed.max():.0f} rad/s around {times[int(speed.argmax())]:.2f} s, "
                "faster than any joint: its fit is wrong there, and so are the torques",
                coordinate.name,
            )


def _with_frames(fit: IKResult, again: IKResult, frames: NDArray[np.int_]) -> IKResult:
    """A fit with some frames taken from another one of the same markers."""
    values, errors = fit.motion.values.copy(), fit.errors.copy()
    positions, converged = fit.model_markers.positions.copy(), fit.converged.copy()
    values[frames], converged[frames] = again.motion.values, again.converged
    columns = np.array([fit.model_markers.names.index(n) for n in again.model_markers.names])
    errors[np.ix_(frames, columns)] = again.errors
    positions[np.ix_(frames, columns)] = again.model_markers.positions
    return IKResult(
        dataclasses.replace(fit.motion, values=values),
        dataclasses.replace(fit.model_markers, positions=positions),
        errors,
        fit.weights,
        converged,
    )
