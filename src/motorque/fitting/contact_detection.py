"""Which parts of the feet press on the ground, from how high they are and how fast they move.

The idea is that of Fluit et al., J. Biomech. 47 (2014) 2321-2329 and Skals et al., Multibody Syst. Dyn. 39 (2017)
175-195: a contact point can push only where it is low and slow. Theirs switch at thresholds; here the strength falls
off smoothly, as the pressure of a soft sole does when it is lifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from motorque.errors import DataError
from motorque.journal import Journal

Array = NDArray[np.float64]

SOFTNESS = 0.010
"""Rise of a point in which its strength falls to 1/e [m]: heel pad and shoe give about a centimetre under body weight
(the bare heel pad 9 mm in running: De Clercq, Aerts, Kunnen, J. Biomech. 27 (1994) 1213-1222)."""
DEEPEST = 2.0
"""A point that lies this many softnesses deeper than at rest counts as no deeper: soles do not give any further."""
FAST, FAST_WIDTH = 0.8, 0.2
"""Speed over ground at which half the strength is gone, and how gradually [m/s]; near the threshold of Fluit 2014."""
SLOW = 0.4
"""Points slower than this may be at rest on the ground [m/s]; half of `FAST`."""
UNEVEN = 0.03
"""How far a point's own resting height may be from the ground's [m]: sole thickness, marker and model errors."""
ORIGIN = 0.05
"""Ground found within this of Y = 0 is taken to be at 0 [m]: laboratories put their origin on the floor, while the sole
of a model may be anywhere between the bare heel bone and a thick shoe."""
BELT = 0.15
"""Ground that moves slower than this is taken to be at rest [m/s]: standing feet of a fit wander that fast."""


@dataclass(frozen=True, eq=False)
class Contact:
    """How strongly each point of the feet presses.

    Args:
        strength: Relative to the same point at rest [-], shape [T, K], from 0 to exp(`DEEPEST`).
        ground: Height of the ground [m].
        velocity: Velocity of the ground (a treadmill's belt) [m/s], shape [3].
    """

    strength: Array
    ground: float
    velocity: Array


def detect_contact(position: Array, velocity: Array, *, journal: Journal) -> Contact:
    """Find the ground and the strength of every contact point along a motion.

    The ground's height is where the lowest slow points rest. Every point has a resting height of its own within
    `UNEVEN` of it, since neither models' soles nor marker placement are better than that.

    Args:
        position: Lowest points of the contact spheres in ground [m], shape [T, K, 3].
        velocity: Their velocities [m/s], shape [T, K, 3].
        journal: Says where the ground was found, and whether it moves.

    Raises:
        DataError: No point is ever low and slow.
    """
    height = position[..., 1]
    belt = _ground_velocity(height, velocity)
    if belt.any():
        journal.assume(
            f"the standing feet move at {np.linalg.norm(belt):.2f} m/s along ({belt[0]:.2f}, 0, {belt[2]:.2f}): the "
            "ground is taken to be a treadmill's belt of that speed"
        )
    speed = np.linalg.norm(velocity - belt, axis=-1)
    slow = speed < SLOW
    if not slow.any():
        raise DataError(
            f"motion: no point of the feet is ever slower than {SLOW:g} m/s, so that no contact with the ground is "
            "found; check the units and the frame rate of the motion, or give measured loads"
        )
    ground = _resting_height(height[slow])
    rest = np.full(height.shape[1], ground)
    for point in range(height.shape[1]):
        low = slow[:, point] & (np.abs(height[:, point] - ground) < 2 * UNEVEN)
        if low.any():
            rest[point] = np.clip(np.median(height[low, point]), ground - UNEVEN, ground + UNEVEN)
    floor = 0.0 if abs(ground) < ORIGIN else ground
    journal.assume(
        f"the ground is level at Y = {floor:.3f} m: the model's soles rest at {ground:.3f} m in this motion (single "
        f"points of them {1000 * (rest.min() - ground):+.0f} to {1000 * (rest.max() - ground):+.0f} mm from there)"
    )
    lift = np.maximum((height - rest) / SOFTNESS, -DEEPEST)
    return Contact(np.exp(-lift) * expit((FAST - speed) / FAST_WIDTH), floor, belt)


def _resting_height(heights: Array) -> float:
    """Where slow points rest: the median of those that are within `UNEVEN` of the lowest few (2 %) of them."""
    lowest = np.quantile(heights, 0.02)
    return float(np.median(heights[heights < lowest + UNEVEN]))


def _ground_velocity(height: Array, velocity: Array) -> Array:
    """Velocity of the ground [m/s], shape [3]: what the low points that neither rise nor fall have in common.

    While a foot stands its low points all share the ground's velocity; swinging feet pass low only briefly.
    """
    level = np.abs(velocity[..., 1]) < 0.5 * SLOW
    if not level.any():
        return np.zeros(3)
    low = level & (height < _resting_height(height[level]) + UNEVEN)
    seen = velocity[low] * [1.0, 0.0, 1.0]
    common = np.median(seen, axis=0)
    for _ in range(5):  # landing and leaving feet pull the median: narrow it to those at rest on the ground
        near = np.linalg.norm(seen - common, axis=1) < 0.5 * SLOW
        if near.any():
            common = np.median(seen[near], axis=0)
    return common if np.linalg.norm(common) >= BELT else np.zeros(3)
