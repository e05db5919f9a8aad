"""What SMPL-Dynamics (arXiv 2605.24776) reports, to stand beside what is measured here."""

from __future__ import annotations

SIGMA = 0.05
"""Standard deviation of every rotation vector's component that the paper calls typical of video [rad]."""

UNIFORM, REALISTIC, FILTERED = 88.4, 95.9, 42.0
"""Torque errors of 4.4 [N·m]: uniform noise, the realistic profile, and about that after 6 Hz for both."""
FILTER_REDUCTION = 55.0
"""By how much 6 Hz lowers them, as the paper says [%]."""
CUTOFF = 6.0
"""Recommended [Hz]."""
FACTOR = 1000.0
"""Amplification, about [N·m/rad]."""
ONE_JOINT = {"spine1": 34.4, "spine2": 26.0, "spine3": 16.5, "left_hip": 8.6, "right_hip": 8.6}
"""Torque error of noise on one joint alone [N·m], 4.2."""
DISTAL = 1.0
"""The same of distal joints: less than that [N·m]."""
DISTAL_JOINTS = ("left_foot", "right_foot", "left_wrist", "right_wrist", "left_hand", "right_hand", "head")
NOISY, REFINED = 59.7, 4.7
"""Table 1: torque error before and after refinement [N·m]."""
NOISY_POSE, REFINED_POSE = 0.0795, 0.0787
"""Table 1: pose error before and after [rad]."""
