"""What a fit to keypoints leaves open, joints together: errors that come and go, and errors that stay.

Feet on the ground, pelvis and legs err together: a knee that is bent too far goes with a hip and an ankle that are. A
torque hangs on how the body's mass lies over the foot, which is known far better than each angle is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.fitting.keypoint_body import KeypointBody
from motorque.fitting.keypoint_piece import Piece, Stretch

Array = NDArray[np.float64]

SMALL = 1e-6
"""Turn by which derivatives of the pelvis' angles are found [rad]."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """What is open in a motion; the covariance of a frame is ``own + shared sharedᵀ``.

    Args:
        times: Time of each frame [s], shape [T].
        columns: The motion's coordinates that were fitted, n of them; coupled ones follow, held ones are not open.
        own: Covariance of what comes and goes, [rad or m] squared, shape [T, n, n].
        shared: How far the coordinates follow K independent numbers of variance 1 that stay as they are for the whole
            recording: lengths, places of keypoints, cameras, the floor; shape [T, n, K].
        lengths: How far the logarithm of each body's scale factors follows them, by axis, shape [B, 3, K].
        staying: How many times further off what all frames share is than the two tell. The fit weighs as many
            observations of it as there are, and its prior as often, for they err alike and count as one.
        by_local: Derivative of the coordinates by the fit's own unknowns, shape [T, n, n].
        stretches: The fit's equations.
    """

    times: Array
    columns: tuple[int, ...]
    own: Array
    shared: Array
    lengths: Array
    staying: float
    by_local: Array
    stretches: tuple[Stretch, ...]

    @property
    def covariance(self) -> Array:
        """Covariance of the coordinates in each frame, shape [T, n, n]."""
        return np.asarray(self.own + self.shared @ self.shared.swapaxes(-1, -2))


def posterior(
    body: KeypointBody, found: Piece, q: Array, turn: Array, floor: int, groups: slice, observations: float
) -> Posterior:
    """What a solved recording leaves open, in the coordinates of its result.

    Args:
        body: The person's skeleton with its keypoints.
        found: The solution.
        q: The result's coordinates [rad or m], shape [T, nq].
        turn: What ground was turned by, shape [3, 3].
        floor: Which shared unknown is the floor's height, from which the result's heights are measured.
        groups: Which shared unknowns are the logarithms of the segments' proportions; that of the whole is the first.
        observations: How often the shared unknowns' prior was weighed.
    """
    count = 6 + len(body.columns)
    by_local = np.zeros((len(q), count, count))
    by_local[:, :3, 3:6] = turned_rates(body, found, turn, q)
    by_local[:, 3:6, :3] = turn
    by_local[:, range(6, count), range(6, count)] = 1.0
    shared = found.shared.copy()
    shared[:, 1] -= found.among[floor]
    among = found.among[0] + found.among[groups]
    return Posterior(
        found.times,
        (*(int(c) for c in body.root), *(int(c) for c in body.columns)),
        by_local @ found.own @ by_local.swapaxes(-1, -2),
        by_local @ shared,
        np.einsum("gbx,gk->bxk", body.masks, among),
        float(np.sqrt(observations)) / found.stretches[0].wider,
        by_local,
        found.stretches,
    )


def turned_rates(body: KeypointBody, found: Piece, turn: Array, q: Array) -> Array:
    """Derivatives of the pelvis' angles by a turn about ground's axes, found by differences, shape [T, 3, 3]."""
    by_turn = []
    for axis in np.eye(3):
        moved = turn @ Rotation.from_rotvec(SMALL * axis).as_matrix() @ found.state.rotation
        shifted = body.coordinates(found.state.position, moved, found.state.angles)[:, body.root[:3]]
        by_turn.append(np.angle(np.exp(1j * (shifted - q[:, body.root[:3]]))) / SMALL)
    return np.stack(by_turn, axis=-1)
