"""How far the results can be trusted: marker errors and root residuals against OpenSim's recommended limits.

Limits: Hicks, Uchida, Seth, Rajagopal, Delp, "Is my model good enough? Best practices for verification and validation
of musculoskeletal models and simulations of movement", J Biomech Eng 137 (2015) 020905,
https://doi.org/10.1115/1.4029304: marker errors below 2 cm RMS and 2 to 4 cm at most; residual forces below 5 % of the
net external force, residual moments below 1 % of the height of the centre of mass times that force.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.journal import Journal
from motorque.report.analysis import Analysis
from motorque.report.labels import Label

Array = NDArray[np.float64]

SOURCE = "Hicks et al. 2015, J Biomech Eng 137:020905"
MARKER_RMS_LIMIT = 0.02  # [m]
MARKER_MAX_LIMITS = (0.02, 0.04)  # [m], good up to the first, acceptable up to the second
FORCE_LIMIT = 0.05  # of the peak external force
MOMENT_LIMIT = 0.01  # of the centre of mass' height times the peak external force


@dataclass(frozen=True)
class Check:
    """One figure against its limit.

    Args:
        name: What is judged.
        value: The figure.
        limit: The limit, in the same unit.
        unit: Unit of both.
        verdict: ``good``, ``fair`` or ``poor``.
        detail: Where and when, in words.
    """

    name: str
    value: float
    limit: float
    unit: str
    verdict: str
    detail: str = ""


@dataclass(frozen=True, eq=False)
class MarkerQuality:
    """Errors of the fitted markers.

    Args:
        names: Marker names, worst RMS first.
        rms: Per marker over the frames [m].
        maximum: Per marker [m].
        worst_time: When the maximum was [s].
        seen: Share of the frames in which the marker was seen [-].
        frame_rms: Over all markers in each frame [m], shape [T].
        frame_max: Over all markers in each frame [m], shape [T].
        total_rms: Over everything [m].
        total_max: Over everything [m].
    """

    names: tuple[str, ...]
    rms: Array
    maximum: Array
    worst_time: Array
    seen: Array
    frame_rms: Array
    frame_max: Array
    total_rms: float
    total_max: float

    @property
    def largest(self) -> int:
        """Index of the marker with the largest single error; seldom the one with the worst RMS, which is the first."""
        return int(np.nanargmax(self.maximum))


@dataclass(frozen=True, eq=False)
class Residuals:
    """Generalized forces on the root, which nothing in the world exerts.

    Args:
        names: Coordinates of the root.
        rotational: Whether each is a moment.
        values: Shape [T, n], [N·m or N].
        force: Magnitude of the force [N], shape [T].
        moment: Magnitude of the moment [N·m], shape [T].
        peak_load: Peak of the net external force [N].
        com_height: Mean height of the centre of mass above the ground [m].
    """

    names: tuple[str, ...]
    rotational: tuple[bool, ...]
    values: Array
    force: Array
    moment: Array
    peak_load: float
    com_height: float

    @property
    def force_limit(self) -> float:
        """Recommended limit of the residual force [N]."""
        return FORCE_LIMIT * self.peak_load

    @property
    def moment_limit(self) -> float:
        """Recommended limit of the residual moment [N·m]."""
        return MOMENT_LIMIT * self.com_height * self.peak_load


def rms(values: Array, axis: int | None = None) -> Array:
    """Root mean square of the finite values; NaN where there are none."""
    finite = np.isfinite(values)
    count = finite.sum(axis)
    total = np.where(finite, values, 0.0) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(total.sum(axis) / count))


def marker_quality(analysis: Analysis) -> MarkerQuality | None:
    """Marker errors summed up, or None where no markers were fitted."""
    errors = analysis.marker_errors
    if errors is None or not np.isfinite(errors).any():
        return None
    known = np.where(np.isfinite(errors), errors, -1.0)
    maximum = np.where(np.isfinite(errors).any(0), known.max(0), np.nan)
    order = np.argsort(-np.nan_to_num(rms(errors, 0), nan=-1.0), kind="stable")
    frame_max = np.where(np.isfinite(errors).any(1), known.max(1), np.nan)
    return MarkerQuality(
        names=tuple(analysis.marker_names[k] for k in order),
        rms=rms(errors, 0)[order],
        maximum=maximum[order],
        worst_time=analysis.times[known.argmax(0)][order],
        seen=np.isfinite(errors).mean(0)[order],
        frame_rms=rms(errors, 1),
        frame_max=frame_max,
        total_rms=float(rms(errors)),
        total_max=float(np.nanmax(errors)),
    )


def residuals(analysis: Analysis, labels: dict[str, Label]) -> Residuals | None:
    """Root residuals, or None without kinetics or without external loads to compare them with."""
    kinetics = analysis.kinetics
    if kinetics is None or analysis.loads is None or not analysis.loads.loads:
        return None
    columns = [k for k, name in enumerate(kinetics.names) if name in labels and labels[name].root]
    if not columns:
        return None
    names = tuple(kinetics.names[k] for k in columns)
    rotational = tuple(labels[n].rotational for n in names)
    values = kinetics.values[:, columns]
    turns = np.array(rotational)
    # The external force is judged where the motion is: plates often run on before and after it.
    times = analysis.loads.times
    inside = (times >= analysis.times[0]) & (times <= analysis.times[-1])
    load = np.linalg.norm(analysis.loads.total_force()[inside if inside.any() else slice(None)], axis=1)
    return Residuals(
        names,
        rotational,
        values,
        np.linalg.norm(values[:, ~turns], axis=1),
        np.linalg.norm(values[:, turns], axis=1),
        float(np.nanmax(load)),
        float(np.nanmean(analysis.center_of_mass[:, 1])),
    )


def doubtful_torques(journal: Journal) -> list[str]:
    """Warnings that external loads leave force unexplained, so that torques, power and work are wrong there."""
    return [n.text for n in journal.notices if n.kind == "warning" and "unexplained" in n.text]


def checks(markers: MarkerQuality | None, found: Residuals | None, times: Array) -> list[Check]:
    """All figures against their limits."""
    result: list[Check] = []
    if markers is not None:
        frame = int(np.nanargmax(markers.frame_max))
        worst = markers.names[markers.largest]
        soft, hard = MARKER_MAX_LIMITS
        result.append(_check("Marker error, RMS", 100 * markers.total_rms, 100 * MARKER_RMS_LIMIT, "cm"))
        verdict = "good" if markers.total_max <= soft else "fair" if markers.total_max <= hard else "poor"
        detail = f"{worst} at {times[frame]:.2f} s"
        result.append(Check("Marker error, largest", 100 * markers.total_max, 100 * hard, "cm", verdict, detail))
    if found is not None and found.peak_load > 0:
        for name, values, limit, unit, scale in (
            ("Residual force", found.force, found.force_limit, "N", FORCE_LIMIT),
            ("Residual moment", found.moment, found.moment_limit, "N·m", MOMENT_LIMIT),
        ):
            what = "of the peak external force" if unit == "N" else "of COM height × peak external force"
            peak = float(np.nanmax(values))
            share = f"{100 * scale * peak / limit:.1f} % {what}"
            result.append(_check(f"{name}, RMS", float(rms(values)), limit, unit))
            result.append(_check(f"{name}, peak", peak, limit, unit, share))
    return result


def _check(name: str, value: float, limit: float, unit: str, detail: str = "") -> Check:
    verdict = "good" if value <= limit else "fair" if value <= 2 * limit else "poor"
    return Check(name, value, limit, unit, verdict, detail)
