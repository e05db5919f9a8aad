"""Where on the skeleton a detector's keypoints sit, and what of the skeleton is stretched to a person.

Positions are in the frames of the generic bodies, right side and middle; the left side mirrors z. Joint keypoints sit
at the model's joint centres, those of the feet under the skin of the sole's ends, where detectors put them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Attachment:
    """A keypoint on the skeleton.

    Args:
        name: The keypoint, ``_r`` or ``_l`` at its end where it has a side.
        body: The body that carries it.
        position: In the generic body's frame [m].
        kind: What its offset is shared with: the other side's, mirrored.
        std: Standard deviation of its place on a person, once bodies are scaled [m], by axis.
        weight: How much it counts beside a joint of the limbs.
    """

    name: str
    body: str
    position: tuple[float, float, float]
    kind: str
    std: float
    weight: float = 1.0

    @property
    def mirror(self) -> Array:
        """What turns the offset of its kind into its own, shape [3]."""
        return np.array([1.0, 1.0, -1.0 if self.name.endswith("_l") else 1.0])


# Joint centres and landmarks of the generic skeleton (Uhlrich et al. 2022); standard deviations: a detector's idea of a
# joint differs from the anatomical centre by 1 to 3 cm, the same in all frames of a recording.
_RIGHT_AND_MIDDLE: tuple[tuple[str, str, tuple[float, float, float], float, float], ...] = (
    ("hip_r", "pelvis", (-0.0563, -0.0785, 0.0773), 0.015, 1.0),
    ("knee_r", "femur_r", (-0.0045, -0.4096, -0.0018), 0.015, 1.0),
    ("ankle_r", "tibia_r", (-0.0100, -0.4000, 0.0), 0.015, 1.0),
    ("heel_r", "calcn_r", (-0.0200, -0.0300, 0.0), 0.015, 1.0),
    ("toe_r", "toes_r", (0.0500, -0.0200, 0.0), 0.015, 1.0),
    ("big_toe_r", "toes_r", (0.0650, -0.0180, -0.0180), 0.015, 1.0),
    ("small_toe_r", "toes_r", (0.0200, -0.0200, 0.0520), 0.015, 1.0),
    ("shoulder_r", "torso", (0.0032, 0.3715, 0.1700), 0.015, 1.0),
    ("elbow_r", "humerus_r", (0.0131, -0.2863, -0.0096), 0.015, 1.0),
    ("wrist_r", "hand_r", (0.0, 0.0, 0.0), 0.015, 1.0),
    ("pelvis", "pelvis", (-0.0563, -0.0785, 0.0), 0.015, 1.0),
    ("neck", "torso", (0.0032, 0.3715, 0.0), 0.020, 1.0),
)

_LEFT_BODY = {"pelvis": "pelvis", "torso": "torso"}


def _attachments() -> dict[str, Attachment]:
    table: dict[str, Attachment] = {}
    for name, body, position, std, weight in _RIGHT_AND_MIDDLE:
        kind = name.removesuffix("_r")
        table[name] = Attachment(name, body, position, kind, std, weight)
        if name.endswith("_r"):
            other = _LEFT_BODY.get(body, body.removesuffix("_r") + "_l")
            x, y, z = position
            table[kind + "_l"] = Attachment(kind + "_l", other, (x, y, -z), kind, std, weight)
    return table


ATTACHMENTS = _attachments()
"""Every keypoint that the skeleton follows. Heads turn on a neck that the skeleton has not: they are left out."""


@dataclass(frozen=True)
class ScaleGroup:
    """Lengths that are stretched together.

    Args:
        name: Its name.
        bodies: The bodies, right side and middle.
        axes: The axes of these bodies (0 x, 1 y, 2 z).
        std: Standard deviation of its proportion to the whole body (of the logarithm).
    """

    name: str
    bodies: tuple[str, ...]
    axes: tuple[int, ...]
    std: float


PROPORTION_STD = 0.04
"""Spread of a segment's length at given stature: 3.5 to 5 % in ANSUR's limb lengths (Gordon et al. 2014)."""

GROUPS = (
    ScaleGroup("pelvis width", ("pelvis",), (2,), PROPORTION_STD),
    ScaleGroup("pelvis height", ("pelvis",), (0, 1), PROPORTION_STD),
    ScaleGroup("femur", ("femur_r", "patella_r"), (0, 1, 2), PROPORTION_STD),
    ScaleGroup("tibia", ("tibia_r",), (0, 1, 2), PROPORTION_STD),
    ScaleGroup("foot", ("talus_r", "calcn_r", "toes_r"), (0, 1, 2), PROPORTION_STD),
    ScaleGroup("torso height", ("torso",), (0, 1), PROPORTION_STD),
    ScaleGroup("torso width", ("torso",), (2,), PROPORTION_STD),
    ScaleGroup("humerus", ("humerus_r",), (0, 1, 2), PROPORTION_STD),
    ScaleGroup("forearm", ("ulna_r", "radius_r", "hand_r"), (0, 1, 2), PROPORTION_STD),
)


def group_masks(skeleton: Skeleton) -> Array:
    """Which factors of which bodies belong to each scale group, 0 or 1, shape [G, B, 3]; left goes with right.

    Bodies that no group knows go with the torso's height, so that a factor for the whole body reaches them all.
    """
    masks = np.zeros((len(GROUPS), len(skeleton.body_names), 3))
    for body, name in enumerate(skeleton.body_names):
        right = name.removesuffix("_l") + "_r" if name.endswith("_l") else name
        for g, group in enumerate(GROUPS):
            if right in group.bodies:
                masks[g, body, list(group.axes)] = 1.0
        if not masks[:, body].any():
            masks[[g.name for g in GROUPS].index("torso height"), body] = 1.0
    return masks


SOLE_POINTS = (
    ("heel_r", "calcn_r", (0.002, -0.042, -0.004)),
    ("ball_r", "calcn_r", (0.154, -0.042, 0.012)),
    ("heel_l", "calcn_l", (0.002, -0.042, 0.004)),
    ("ball_l", "calcn_l", (0.154, -0.042, -0.012)),
)
"""Lowest points of the generic skeleton's contact spheres: under the heel, and under the ball of the foot."""
