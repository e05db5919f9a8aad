"""Poses between which generated movements go: what walking alone would never show."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from motorque.skeleton.fullbody import fullbody

# Degrees. A name without a side is both sides'; with ``_a`` or ``_b`` it is one side's and the other's, and which is
# which is drawn. What is not named is as in standing.
STANDING = {
    "hip_flexion": 3.0,
    "knee_angle": 5.0,
    "ankle_angle": 2.0,
    "elbow_flex": 20.0,
    "arm_add": -12.0,
    "pro_sup": 70.0,
}
LEG_POSES: dict[str, dict[str, float]] = {
    "standing": {},
    "half squat": {"pelvis_tilt": -25, "hip_flexion": 75, "knee_angle": 80, "ankle_angle": 20, "lumbar_extension": -10},
    "deep squat": {"pelvis_tilt": -15, "hip_flexion": 112, "knee_angle": 130, "ankle_angle": 30,
                   "hip_adduction": -12, "hip_rotation": -10, "lumbar_extension": -30},
    "wide squat": {"pelvis_tilt": -12, "hip_flexion": 60, "hip_adduction": -30, "hip_rotation": -30, "knee_angle": 80,
                   "ankle_angle": 15},
    "sitting": {"pelvis_tilt": 5, "hip_flexion": 82, "knee_angle": 90, "lumbar_extension": -15},
    "leaving the chair": {"pelvis_tilt": -40, "hip_flexion": 110, "knee_angle": 95, "ankle_angle": 15,
                          "lumbar_extension": -15},
    "lunge": {"pelvis_tilt": -8, "hip_flexion_a": 80, "knee_angle_a": 88, "ankle_angle_a": 8, "hip_flexion_b": -8,
              "knee_angle_b": 65, "ankle_angle_b": 15, "mtp_angle_b": 20},
    "kneeling on one knee": {"hip_flexion_a": 85, "knee_angle_a": 90, "hip_flexion_b": 0, "knee_angle_b": 95,
                             "ankle_angle_b": 0, "mtp_angle_b": 25},
    "side lunge": {"pelvis_tilt": -20, "hip_flexion_a": 75, "hip_adduction_a": -18, "knee_angle_a": 80,
                   "ankle_angle_a": 18, "hip_flexion_b": 20, "hip_adduction_b": -40, "knee_angle_b": 5},
    "knee up": {"hip_flexion_a": 90, "knee_angle_a": 95},
    "tree": {"hip_flexion_a": 55, "hip_adduction_a": -38, "hip_rotation_a": -35, "knee_angle_a": 115},
    "kick forward": {"pelvis_tilt": 10, "hip_flexion_a": 85, "knee_angle_a": 12, "ankle_angle_a": -20},
    "kick aside": {"pelvis_list": 8, "hip_adduction_a": -42, "hip_flexion_a": 15, "knee_angle_a": 8},
    "leg back": {"pelvis_tilt": -25, "hip_flexion_a": -12, "knee_angle_a": 25, "hip_flexion_b": 28,
                 "knee_angle_b": 12, "lumbar_extension": -5},
    "heel to seat": {"hip_flexion_a": -5, "knee_angle_a": 120},
    "balance forward": {"pelvis_tilt": -65, "hip_flexion_a": 0, "knee_angle_a": 8, "hip_flexion_b": 68,
                        "knee_angle_b": 12, "lumbar_extension": -8},
    "deadlift": {"pelvis_tilt": -50, "hip_flexion": 75, "knee_angle": 25, "ankle_angle": 5, "lumbar_extension": -25},
    "touching the toes": {"pelvis_tilt": -55, "hip_flexion": 65, "knee_angle": 8, "ankle_angle": -5,
                          "lumbar_extension": -60},
    "bent aside": {"lumbar_bending": 28, "pelvis_list": 6},
    "twisted": {"lumbar_rotation": 35, "hip_rotation_a": 20, "hip_rotation_b": -20},
    "arched back": {"lumbar_extension": 22, "pelvis_tilt": 8, "hip_flexion": -10},
    "toes in": {"hip_rotation": 28},
    "toes out": {"hip_rotation": -35},
    "on the toes": {"ankle_angle": -32, "mtp_angle": 25},
    "legs apart": {"hip_adduction": -25},
    "legs crossed": {"hip_adduction": 14, "hip_flexion_a": 15},
    "bowed": {"pelvis_tilt": -25, "hip_flexion": 28, "lumbar_extension": -35},
    "stride": {"hip_flexion_a": 30, "knee_angle_a": 8, "hip_flexion_b": -12, "knee_angle_b": 20, "ankle_angle_b": -5},
    "step up": {"pelvis_tilt": -12, "hip_flexion_a": 70, "knee_angle_a": 78, "ankle_angle_a": 10, "hip_flexion_b": 10},
}  # fmt: skip
ARM_POSES: dict[str, dict[str, float]] = {
    "hanging": {},
    "overhead": {"arm_flex": 155, "arm_add": -15, "elbow_flex": 15},
    "aside": {"arm_add": -85, "elbow_flex": 10},
    "forward": {"arm_flex": 85, "elbow_flex": 12},
    "on the hips": {"arm_flex": -15, "arm_add": -45, "arm_rot": 45, "elbow_flex": 95},
    "crossed": {"arm_flex": 40, "arm_add": 5, "arm_rot": 50, "elbow_flex": 105},
    "hands together": {"arm_flex": 35, "arm_rot": 40, "elbow_flex": 95},
    "running": {"arm_flex_a": 30, "arm_flex_b": -40, "elbow_flex": 90},
    "one up": {"arm_flex_a": 150, "elbow_flex_a": 20},
    "one aside": {"arm_add_a": -75, "elbow_flex_a": 25},
    "boxing": {"arm_flex": 50, "arm_rot": 30, "elbow_flex": 120},
    "on the knees": {"arm_flex": 40, "elbow_flex": 35},
}

# Spread of a pose about its template, by coordinate without side [degrees]: what both sides share, each side's own.
SPREAD: dict[str, tuple[float, float]] = {
    "pelvis_tilt": (8.0, 0.0), "pelvis_list": (3.5, 0.0), "lumbar_extension": (9.0, 0.0), "lumbar_bending": (7.0, 0.0),
    "lumbar_rotation": (10.0, 0.0), "hip_flexion": (6.0, 4.0), "hip_adduction": (4.0, 4.0), "hip_rotation": (9.0, 9.0),
    "knee_angle": (6.0, 5.0), "ankle_angle": (5.0, 4.0), "subtalar_angle": (2.0, 5.0), "mtp_angle": (2.0, 5.0),
    "arm_flex": (12.0, 10.0), "arm_add": (10.0, 10.0), "arm_rot": (15.0, 15.0), "elbow_flex": (10.0, 12.0),
    "pro_sup": (25.0, 15.0),
}  # fmt: skip


def stem(name: str) -> str:
    """A coordinate's name without its side."""
    return name[:-2] if name.endswith(("_r", "_l")) else name


@cache
def pose_table(kind: str) -> Tensor:
    """The poses of the ``legs`` (with the trunk) or ``arms``, side a on the right [rad], shape [P, nq]."""
    poses = LEG_POSES if kind == "legs" else ARM_POSES
    names = fullbody().coordinate_names
    table = torch.zeros(len(poses), len(names))
    for row, pose in enumerate(poses.values()):
        for column, name in enumerate(names):
            arm = stem(name) in ("arm_flex", "arm_add", "arm_rot", "elbow_flex", "pro_sup")
            if arm == (kind == "arms"):
                sided = f"{stem(name)}_{'a' if name.endswith('_r') else 'b'}"
                table[row, column] = pose.get(sided, pose.get(stem(name), STANDING.get(stem(name), 0.0)))
    return torch.deg2rad(table)


@cache
def mirror_table() -> tuple[tuple[int, ...], Tensor]:
    """What a pose is in the mirror Z = 0: the column that each coordinate comes from, and its sign, shape [nq]."""
    names = fullbody().coordinate_names
    columns, signs = [], torch.ones(len(names))
    for index, name in enumerate(names):
        other = name.replace("_r_beta", "_R").replace("_l_beta", "_r_beta").replace("_R", "_l_beta")
        if name.endswith("_r"):
            other = f"{name[:-2]}_l"
        elif name.endswith("_l"):
            other = f"{name[:-2]}_r"
        columns.append(names.index(other))
        if name in ("pelvis_list", "pelvis_rotation", "pelvis_tz", "lumbar_bending", "lumbar_rotation"):
            signs[index] = -1.0
    return tuple(columns), signs


def mirrored(q: Tensor) -> Tensor:
    """The same motion in the mirror Z = 0; shape [..., nq]."""
    columns, signs = mirror_table()
    return q[..., list(columns)] * signs
