"""The joint elements of a tree flattened, so that all of them are evaluated at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from motorque.skeleton.functions import FunctionTable

if TYPE_CHECKING:
    from motorque.skeleton.skeleton import Joint


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
