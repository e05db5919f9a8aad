"""A library whose movements are all done by the default body: what baselines learn from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.estimators.inpose.library import Library
from motorque.studies.inpose.bodies import default_body, on_body


@dataclass(frozen=True)
class DefaultLibrary(Library):
    """A library on the default body.

    Args:
        way: The pelvis in all frames [m], shape [F, 3].
    """

    way: NDArray[np.float32]

    @cached_property
    def pelvis(self) -> NDArray[np.float32]:
        """The pelvis [m], shape [F, 3]."""
        return self.way


def on_default_body(library: Library) -> DefaultLibrary:
    """The same movements with the default body's rest joints and the pelvis' way that goes with them.

    Args:
        library: As it was recorded.
    """
    body, way = default_body(), np.array(library.pelvis)
    for movement in library.movements:
        rows = slice(movement.first, movement.first + movement.frames)
        turns, own = np.array(library.rotations[rows]), torch.tensor(movement.rest, dtype=torch.float64)
        way[rows] = on_body(torch.from_numpy(turns), torch.from_numpy(way[rows]), own, body).numpy()
    rest = tuple((x, y, z) for x, y, z in body.tolist())
    movements = tuple(dataclasses.replace(movement, rest=rest) for movement in library.movements)
    return DefaultLibrary(library.folder, movements, library.fingerprint, way)
