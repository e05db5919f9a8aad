"""Published normative bands for the gait-cycle plots, brought to each plot's sign."""

from __future__ import annotations

import dataclasses

from motorque.report.results import Curve
from motorque.series.normative_gait import NormativeCurve, normative, normative_names

# Coordinate → what is positive in the published band (OpenSim's sign; internal moments have the angle's).
_POSITIVE = {
    "pelvis_tilt": "backward tilt",
    "pelvis_list": "right side down",
    "pelvis_rotation": "turned left",
    "hip_flexion": "flexion",
    "hip_adduction": "adduction",
    "hip_rotation": "internal rotation",
    "knee_angle": "flexion",
    "ankle_angle": "dorsiflexion",
}
_FORCES = {"vertical": "ground_force_vertical", "forward": "ground_force_anterior", "medial": "ground_force_medial"}


def norm_for(section: str, curve: Curve) -> NormativeCurve | None:
    """The band for a curve of a section of the report, or None where none was published.

    A skeleton that counts a coordinate the other way (knee extension in gait2392) gets the band turned over; one whose
    direction is not known gets none.
    """
    if section in ("angles", "torques"):
        name = curve.key if section == "angles" else f"{curve.key}_moment"
        sign = {curve.positive: 1.0, curve.negative: -1.0}.get(_POSITIVE.get(curve.key, "none"))
    else:
        name = f"{curve.key}_power" if section == "power" else _FORCES.get(curve.key, "")
        sign = 1.0
    if sign is None or name not in normative_names():
        return None
    band = normative(name)
    return dataclasses.replace(band, mean=sign * band.mean)
