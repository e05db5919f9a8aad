"""The joint elements of a tree flattened, so that all of them are evaluated at once; and which must be angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from motorque.errors import ModelError
from motorque.skeleton.functions import FunctionTable

if TYPE_CHECKING:
    from motorque.skeleton.skeleton import Joint, Skeleton


@dataclass(frozen=True, eq=False)
class KinematicsTables:
    """All joint elements as two function tables and their coordinate indices; 6 B entries, joint by joint."""

    functions: FunctionTable
    coordinate: np.ndarray
    factor_entries: np.ndarray
    factors: FunctionTable
    factor_coordinate: np.ndarray

    @staticmethod
    def of(joints: tuple[Joint, ...]) -> KinematicsTables:
        """Tables of these joints; replacing a skeleton's tensors keeps its joints, so fits that vary lengths reuse
        the tables.
        """
        key = id(joints)
        if key not in _TABLES or _TABLES[key][0] is not joints:
            if len(_TABLES) > 64:
                _TABLES.clear()
            _TABLES[key] = (joints, _flatten(joints))
        return _TABLES[key][1]


_TABLES: dict[int, tuple[tuple[Joint, ...], KinematicsTables]] = {}


def _flatten(joints: Sequence[Joint]) -> KinematicsTables:
    elements = [e for joint in joints for e in joint.elements]
    with_factor = [n for n, e in enumerate(elements) if e.factor is not None]
    return KinematicsTables(
        FunctionTable(tuple(e.function for e in elements)),
        np.array([e.coordinate for e in elements], dtype=np.int64),
        np.array(with_factor, dtype=np.int64),
        FunctionTable(tuple(e.factor for e in elements if e.factor is not None)),
        np.array([elements[n].factor_coordinate for n in with_factor], dtype=np.int64),
    )


def check_bound_angles(skeleton: Skeleton) -> None:
    """Refuse positions without the angles of a ball joint where something else follows these.

    Raises:
        ModelError: A coupler, or a translation of the joint itself (as of an ellipsoid), follows such an angle.
    """
    if skeleton.rotations == "angles":
        return
    angles = {c: joint for joint in skeleton.joints for c in joint.ball or ()}
    followed = {c: f"the coupler {coupler.name!r}" for coupler in skeleton.couplers for c in
                (coupler.dependent, coupler.independent)}  # fmt: skip
    for joint in skeleton.joints:
        slides = {c for e in joint.elements[3:] for c in (e.coordinate, e.factor_coordinate)} if joint.ball else ()
        followed |= {c: "a translation of that joint" for c in slides}
    for c in sorted(angles.keys() & followed.keys()):
        raise ModelError(
            f"{skeleton.name}: {followed[c]} follows an angle of joint {angles[c].name!r}, which positions with "
            f"rotations={skeleton.rotations!r} do not have; use 'angles'"
        )
