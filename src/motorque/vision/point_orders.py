"""In which order published detectors give their points, and what these are called here."""

from __future__ import annotations

COCO_17: tuple[str | None, ...] = (
    "nose",
    "eye_l",
    "eye_r",
    "ear_l",
    "ear_r",
    "shoulder_l",
    "shoulder_r",
    "elbow_l",
    "elbow_r",
    "wrist_l",
    "wrist_r",
    "hip_l",
    "hip_r",
    "knee_l",
    "knee_r",
    "ankle_l",
    "ankle_r",
)
"""COCO's 17 keypoints (Lin et al. 2014, annotations of person keypoints)."""

HALPE_26: tuple[str | None, ...] = (
    *COCO_17,
    "head_top",
    "neck",
    "pelvis",
    "big_toe_l",
    "big_toe_r",
    "small_toe_l",
    "small_toe_r",
    "heel_l",
    "heel_r",
)
"""Halpe's 26 body keypoints (Fang et al. 2022, AlphaPose, ``Halpe-FullBody``)."""

BODY_25: tuple[str | None, ...] = (
    "nose",
    "neck",
    "shoulder_r",
    "elbow_r",
    "wrist_r",
    "shoulder_l",
    "elbow_l",
    "wrist_l",
    "pelvis",
    "hip_r",
    "knee_r",
    "ankle_r",
    "hip_l",
    "knee_l",
    "ankle_l",
    "eye_r",
    "eye_l",
    "ear_r",
    "ear_l",
    "big_toe_l",
    "small_toe_l",
    "heel_l",
    "big_toe_r",
    "small_toe_r",
    "heel_r",
)
"""OpenPose's BODY_25 (its documentation, ``02_output.md``)."""

OPENPOSE_COCO_18: tuple[str | None, ...] = (
    "nose",
    "neck",
    "shoulder_r",
    "elbow_r",
    "wrist_r",
    "shoulder_l",
    "elbow_l",
    "wrist_l",
    "hip_r",
    "knee_r",
    "ankle_r",
    "hip_l",
    "knee_l",
    "ankle_l",
    "eye_r",
    "eye_l",
    "ear_r",
    "ear_l",
)
"""OpenPose's COCO model: COCO's points in another order, and the neck."""

BY_COUNT = {17: COCO_17, 18: OPENPOSE_COCO_18, 25: BODY_25, 26: HALPE_26}
"""The orders by how many points there are."""


def order_of(count: int, allowed: tuple[int, ...] = tuple(BY_COUNT)) -> tuple[str | None, ...] | None:
    """The order with this many points, or None if none of the allowed ones has so many."""
    return BY_COUNT[count] if count in allowed else None
