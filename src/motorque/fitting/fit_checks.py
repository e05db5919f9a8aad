"""Whether a pose fit can be believed: how far it is from the markers, and which coordinates no marker tells."""

from __future__ import annotations

import numpy as np

from motorque.errors import DataError
from motorque.fitting.ik import IKResult
from motorque.journal import Journal
from motorque.skeleton.skeleton import Skeleton

DOUBTFUL = 0.04
"""Median marker error that is warned of [m, RMS]: twice the 2 cm that OpenSim's user guide recommends."""
USELESS = 0.15
"""Median marker error from which on the markers are not on this skeleton at all [m, RMS]: half a thigh."""


def check_fit(skeleton: Skeleton, fit: IKResult, *, name: str, journal: Journal) -> None:
    """Say what a fit leaves open, and refuse one that has nothing to do with its markers.

    Args:
        skeleton: The skeleton that was fitted.
        fit: The result of inverse kinematics.
        name: The recording, for messages.
        journal: Where a doubtful fit and coordinates without markers are recorded.

    Raises:
        DataError: The fit is worse than `USELESS` in half of the frames.
    """
    error = float(np.median(fit.rms))
    size = f"{1000 * error:.0f} mm (root mean square over markers, median over frames)"
    if error > USELESS:
        raise DataError(
            f"{name}: the skeleton stays {size} away from the markers; check their names and unit, the model, and "
            "whether the person is near the origin"
        )
    if error > DOUBTFUL:
        journal.warn(
            f"the skeleton stays {size} away from the markers: model, scaling or marker names do not fit", name
        )
    found = np.flatnonzero(np.isfinite(fit.errors).any(axis=0))
    untold = untold_coordinates(skeleton, [fit.model_markers.names[i] for i in found])
    if untold:
        journal.info(f"no marker tells {', '.join(untold)}: their values mean nothing", name)


def untold_coordinates(skeleton: Skeleton, markers: list[str]) -> list[str]:
    """Coordinates of joints beyond which there is none of these markers; not those that are locked or coupled."""
    told = [False] * len(skeleton.joints)
    for marker in skeleton.markers:
        body = marker.body if marker.name in markers else -1
        while body >= 0 and not told[body]:
            told[body], body = True, skeleton.parents[body]
    free = [i for i in skeleton.free_coordinates if not skeleton.coordinates[i].locked]
    moving = {e.coordinate for body, joint in enumerate(skeleton.joints) if told[body] for e in joint.elements}
    return [skeleton.coordinate_names[i] for i in free if i not in moving]
