"""Scale factors of a person's bodies: distances between markers, measured in a static trial over those on the model.

With a list of measurements this is what OpenSim's Scale tool does: the model stands in its default pose, a measurement
is the mean of its pairs' ratios, each pair's measured distance is the mean over the frames, and later entries override
earlier ones. Without one, :mod:`motorque.fitting.scale_measurements` makes the list.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.files.scale_setup import MANUAL, MEASUREMENTS, Measurement, ScalePlan
from motorque.journal import Journal
from motorque.mechanics.kinematics import marker_positions
from motorque.series import Markers, Scales
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]
PLAUSIBLE = (0.5, 2.0)
"""Factors between which a person differs from a generic adult model; beyond, markers are probably confused."""


def measure_scales(
    skeleton: Skeleton, plan: ScalePlan, static: Markers | None, *, journal: Journal | None = None
) -> Scales:
    """Scale factors by marker pairs and manual factors.

    Args:
        skeleton: The generic model with its markers.
        plan: Measurements, manual factors, their order, and the time range to average over.
        static: Static trial in ground [m]; None if the plan measures nothing.
        journal: Where ratios and odd factors are recorded.

    Returns:
        A factor for every body of the skeleton and axis.

    Raises:
        DataError: A measured marker is not on the model or not in the trial, is never seen together with its partner,
            or two paired markers coincide on the model.
    """
    journal = journal if journal is not None else Journal()
    factors = np.ones((len(skeleton.body_names), 3))
    for step in plan.order:
        if step == MEASUREMENTS and plan.measurements:
            if static is None:
                raise DataError(
                    "the scale setup measures marker pairs, but no static trial is given; give one with --static"
                )
            model = _Distances.on(skeleton)
            frames = frame_range(static, plan.time_range)
            for measurement in plan.measurements:
                ratio = _ratio(measurement, model, static, frames, journal)
                for body, axes in measurement.bodies:
                    for index in _body(skeleton, body, f"measurement {measurement.name}", journal):
                        factors[index, list(axes)] = ratio
        elif step == MANUAL:
            for body, values in plan.manual:
                for index in _body(skeleton, body, "manual factor", journal):
                    factors[index] = values
    odd = [
        n for n, f in zip(skeleton.body_names, factors, strict=True) if f.min() < PLAUSIBLE[0] or f.max() > PLAUSIBLE[1]
    ]
    if odd:
        journal.warn(
            f"scale factors of {', '.join(odd)} lie outside {PLAUSIBLE[0]:g} to {PLAUSIBLE[1]:g}: "
            "check the markers' names and unit",
            "scale",
        )
    return Scales(skeleton.body_names, factors)


def frame_range(static: Markers, time_range: tuple[float, float] | None) -> slice:
    """The frames of a time range as OpenSim takes them: from the last frame at or before its start to the first at or
    after its end; all frames for None.
    """
    if time_range is None:
        return slice(0, len(static.times))
    before = np.flatnonzero(static.times <= time_range[0])
    first = int(before[-1]) if len(before) else 0
    after = np.flatnonzero(static.times[first:] >= time_range[1] - 1e-9)
    return slice(first, first + int(after[0]) + 1 if len(after) else len(static.times))


class _Distances:
    """Distances between the model's markers in its default pose."""

    def __init__(self, names: tuple[str, ...], positions: Array) -> None:
        self.names, self.positions = names, positions

    @staticmethod
    def on(skeleton: Skeleton) -> _Distances:
        return _Distances(skeleton.marker_names, marker_positions(skeleton, skeleton.default_pose).detach().numpy())

    def between(self, a: str, b: str) -> float:
        i, j = self.names.index(a), self.names.index(b)
        return float(np.linalg.norm(self.positions[i] - self.positions[j]))


def _ratio(measurement: Measurement, model: _Distances, static: Markers, frames: slice, journal: Journal) -> float:
    ratios = []
    for a, b in measurement.pairs:
        pair = f"the pair {a} - {b} of the measurement {measurement.name!r}"
        for name in (a, b):
            if name not in model.names:
                raise DataError(
                    f"{pair} can't be measured: the model has no marker {name!r}; add it or leave the pair out"
                )
            if name not in static.names:
                raise DataError(
                    f"{pair} can't be measured: the static trial has no marker {name!r}; rename it there or "
                    "leave the pair out"
                )
        on_model = model.between(a, b)
        if on_model <= 1e-9:
            raise DataError(f"{pair} can't be measured: both markers lie at the same place on the model")
        positions = static.select([a, b]).positions[frames]
        distances = np.linalg.norm(positions[:, 0] - positions[:, 1], axis=-1)
        seen = np.isfinite(distances)
        if not seen.any():
            raise DataError(f"{pair} can't be measured: the two markers are never seen together in the static trial")
        if not seen.all():
            journal.assume(f"{pair} is averaged over the {int(seen.sum())} of {len(seen)} frames that show both", a)
        ratios.append(float(distances[seen].mean()) / on_model)
        journal.info(
            f"{measurement.name}: {a} - {b} {1000 * distances[seen].mean():.1f} mm, "
            f"on the model {1000 * on_model:.1f} mm",
            "scale",
        )
    return float(np.mean(ratios))


def _body(skeleton: Skeleton, name: str, about: str, journal: Journal) -> list[int]:
    """Index of a body in a list, empty for ground and for bodies that the model lacks (as OpenSim, but said)."""
    if name in skeleton.body_names:
        return [skeleton.body_names.index(name)]
    if name != "ground":
        journal.info(f"{about} for the body {name} is not used: the model has none of that name", "scale")
    return []
