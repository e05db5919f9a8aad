"""Where the feet are along a motion, for deciding which ground force acts on which of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.files.plate_columns import side_of
from motorque.mechanics.kinematics import BodyPoses, forward_kinematics
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]

SIDE_NAMES = {"r": "right", "l": "left"}
_TOE_SHARE = 0.35
"""Length of the toes beyond the toe joint over that from heel to toe joint (0.07 of 0.19 m in Rajagopal's model)."""
_BARE_FOOT = 0.25
"""Length of a foot without a toe joint [m]."""
_LOW, _SLOW = 0.05, 0.4
"""A foot stands where it is less than this above its lowest place [m] and slower than this [m/s]."""


@dataclass(frozen=True)
class Foot:
    """One foot along a motion.

    Args:
        side: ``r`` or ``l``.
        body: The body that ground forces act on (``calcn_r``).
        bodies: All bodies of the foot.
        heel: Hind end of the midline in ground [m], shape [T, 3].
        toe: Fore end of the midline in ground [m], shape [T, 3].
        stands: Whether it is low and slow, shape [T], bool.
    """

    side: str
    body: str
    bodies: frozenset[str]
    heel: Array
    toe: Array
    stands: NDArray[np.bool_]

    def distance(self, point: Array) -> Array:
        """Horizontal distance of points from the midline [m], shape [T]."""
        start, along, to = (v[:, [0, 2]] for v in (self.heel, self.toe - self.heel, point - self.heel))
        share = np.clip((to * along).sum(1) / np.maximum((along**2).sum(1), 1e-12), 0.0, 1.0)
        return np.linalg.norm(point[:, [0, 2]] - start - share[:, None] * along, axis=1)

    @property
    def middle(self) -> Array:
        """Middle of the midline [m], shape [T, 3]."""
        return 0.5 * (self.heel + self.toe)


def has_feet(skeleton: Skeleton) -> bool:
    """Whether both feet are found among the bodies."""
    hind = [side_of(n) for n in skeleton.body_names if any(w in n.lower() for w in ("calc", "foot", "heel"))]
    return "r" in hind and "l" in hind


def find_feet(skeleton: Skeleton, q: Array, times: Array) -> tuple[Foot, Foot]:
    """The right and the left foot along a motion.

    Args:
        skeleton: The skeleton; its foot bodies are called ``calcn_r``/``calcn_l`` or have ``foot`` in their names.
        q: Coordinates [rad or m], shape [T, nq].
        times: Times [s], shape [T].

    Raises:
        DataError: There are no such bodies.
    """
    poses = forward_kinematics(skeleton, torch.as_tensor(q))
    right, left = (_foot(skeleton, poses, side, times) for side in ("r", "l"))
    return right, left


def _foot(skeleton: Skeleton, poses: BodyPoses, side: str, times: Array) -> Foot:
    mine = [name for name in skeleton.body_names if side_of(name) == side]

    def pick(*words: str) -> str | None:
        return next((name for word in words for name in mine if word in name.lower()), None)

    heel_body, toe_body = pick("calc", "foot", "heel"), pick("toe")
    if heel_body is None:
        raise DataError(
            f"{skeleton.name}: no {SIDE_NAMES[side]} foot is found among the bodies {', '.join(skeleton.body_names)}; "
            "give the loads as an ExternalLoads .xml that names the bodies"
        )
    index = skeleton.body(heel_body)
    heel = poses.position[:, index].numpy()
    if toe_body is not None:
        joint = poses.position[:, skeleton.body(toe_body)].numpy()
        toe = joint + _TOE_SHARE * (joint - heel)
    else:
        toe = heel + _BARE_FOOT * poses.rotation[:, index, :, 0].numpy()
    height = np.minimum(heel[:, 1], toe[:, 1])
    speed = np.linalg.norm(np.gradient(0.5 * (heel + toe), times, axis=0), axis=1) if len(times) > 1 else np.zeros(1)
    stands = (height < height.min() + _LOW) & (speed < _SLOW)
    talus = pick("talus")
    return Foot(side, heel_body, frozenset(b for b in (heel_body, toe_body, talus) if b), heel, toe, stands)
