"""The joints of SMPL, SMPL-H and SMPL-X, and which of them the tree of 24 joints takes.

All three begin with the same 22 joints, pelvis to wrists. Then SMPL has one joint in each hand; SMPL-H 15 in the left
and 15 in the right (three each of index, middle, pinky, ring and thumb); SMPL-X jaw and eyes, then SMPL-H's hands.
SMPL's joint in the hand is where the fingers begin, so the middle finger's first joint stands for it.

Sources: Loper et al. 2015 (SMPL), Romero et al. 2017 (SMPL-H and MANO), Pavlakos et al. 2019 (SMPL-X); the orders are
those of the joint names in their public loaders.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BODY = 22
"""Joints from pelvis to wrists, the same in all three."""

_BODY = list(range(BODY))
LAYOUTS: dict[int, tuple[str, list[int]]] = {
    24: ("SMPL", [*_BODY, 22, 23]),
    22: ("SMPL without hands (SMPL-H's and SMPL-X's body)", _BODY),
    52: ("SMPL-H", [*_BODY, 25, 40]),
    55: ("SMPL-X", [*_BODY, 28, 43]),
}
"""By number of joints with the root: what it is, and which of its joints the tree of 24 takes, in its order."""

MODELS = {24: "smpl", 52: "smplh", 55: "smplx"}
"""By number of joints: what such a model is called in files."""


def layout_of(joints: int) -> tuple[str, list[int]] | None:
    """The layout with that many joints, the root included; None where there is none."""
    return LAYOUTS.get(joints)


def known_layouts() -> str:
    """The numbers of joints that are understood, for an error's line."""
    return "24 (SMPL), 22 (SMPL without hands), 52 (SMPL-H) and 55 (SMPL-X)"


def to_tree(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations of a known layout on the tree of 24 joints; a hand that it lacks is straight.

    Args:
        rotations: Shape [T, 22, 24, 52 or 55, 3, 3].

    Returns:
        Shape [T, 24, 3, 3].
    """
    _, members = LAYOUTS[rotations.shape[1]]
    found = np.broadcast_to(np.eye(3), (len(rotations), 24, 3, 3)).copy()
    found[:, : len(members)] = rotations[:, members]
    return found
