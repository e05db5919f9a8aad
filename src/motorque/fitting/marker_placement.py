"""Putting a scaled model's markers where they were on the person: the last step of OpenSim's Scale tool.

The model takes the static pose by inverse kinematics, and every marker that is not fixed moves, on its body, to where
it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.ik import CoordinateTask, IKResult, inverse_kinematics
from motorque.fitting.scale import frame_range
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Markers
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placement:
    """Where markers belong on the model.

    Args:
        positions: New position of each moved marker, in its body [m], shape [3], by name.
        unmeasured: Markers of the model that the trial does not have.
        fit: The static pose and how near the markers came before they were moved.
    """

    positions: Mapping[str, Array]
    unmeasured: tuple[str, ...]
    fit: IKResult


def place_markers(
    skeleton: Skeleton,
    static: Markers,
    *,
    time_range: tuple[float, float] | None = None,
    weights: Mapping[str, float] | None = None,
    tasks: Mapping[str, CoordinateTask] | None = None,
    max_movement: float | None = None,
    journal: Journal | None = None,
) -> Placement:
    """Fit the static pose and carry the measured markers over to the bodies.

    Args:
        skeleton: The scaled model.
        static: Static trial in ground [m].
        time_range: Times over which positions are averaged [s]; the whole trial for None.
        weights: Weight by marker in the fit; all alike for None.
        tasks: Coordinates that should stay near a value.
        max_movement: How far a marker may move in that time before it is said [m]; any distance for None.
        journal: Where movements and the quality of the fit are recorded.

    Raises:
        DataError: Model and trial share no marker.
    """
    journal = journal if journal is not None else Journal()
    frames = frame_range(static, time_range)
    still = _average(static, frames, max_movement, journal)
    common = [n for n in skeleton.marker_names if n in still.names]
    if not common:
        raise DataError(
            f"no marker of the static trial ({', '.join(static.names[:6])}…) is on the model "
            f"({', '.join(skeleton.marker_names[:6]) or 'none'}…); rename them or give another model"
        )
    fit = inverse_kinematics(skeleton, still, weights=weights, tasks=tasks, journal=journal)
    _say_fit(fit, journal)
    poses = forward_kinematics(skeleton, torch.as_tensor(fit.motion.values[0]))
    rotation, position = poses.rotation.detach().numpy(), poses.position.detach().numpy()
    moved: dict[str, Array] = {}
    for marker in skeleton.markers:
        if marker.fixed or marker.name not in still.names:
            continue
        place = still.positions[0, still.names.index(marker.name)]
        if not np.isfinite(place).all():
            journal.warn(
                f"marker {marker.name} is never seen in the static trial and stays where the scaled model has it",
                marker.name,
            )
            continue
        moved[marker.name] = (
            place if marker.body == GROUND else rotation[marker.body].T @ (place - position[marker.body])
        )
    return Placement(moved, tuple(n for n in skeleton.marker_names if n not in static.names), fit)


def _say_fit(fit: IKResult, journal: Journal) -> None:
    """The quality of the static pose, over the markers whose weight is at least a hundredth of the largest."""
    names = fit.model_markers.names
    weight = np.array([fit.weights.get(name, 1.0) for name in names])
    counted = np.isfinite(fit.errors[0]) & (weight >= 0.01 * weight.max())
    if counted.any():
        errors = np.where(counted, fit.errors[0], 0.0)
        rms = float(np.sqrt((errors**2).sum() / counted.sum()))
        journal.info(
            f"static pose: marker error {1000 * rms:.1f} mm RMS over the {int(counted.sum())} markers that lead it, "
            f"largest {1000 * float(errors.max()):.1f} mm ({names[int(errors.argmax())]})",
            "scale",
        )


def _average(static: Markers, frames: slice, max_movement: float | None, journal: Journal) -> Markers:
    """One frame with each marker's mean position over the frames that show it."""
    positions = static.positions[frames]
    seen = np.isfinite(positions[..., 0])
    count = seen.sum(axis=0)
    mean = np.where(seen[..., None], positions, 0.0).sum(axis=0) / np.maximum(count, 1)[:, None]
    mean[count == 0] = np.nan
    if max_movement is not None:
        for index, name in enumerate(static.names):
            if count[index] > 1:
                span = float(np.ptp(positions[seen[:, index], index], axis=0).max())
                if span > max_movement:
                    journal.warn(
                        f"marker {name} moves by {1000 * span:.1f} mm in the static trial, more than the "
                        f"{1000 * max_movement:.1f} mm that the setup allows",
                        name,
                    )
    return Markers(static.times[frames][:1], mean[None], static.names)
