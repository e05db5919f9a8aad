"""How far off bodies are: standard deviations from samples' spread and numbers that strangers' errors gave.

Samples differ by far less than they are off, all of them in the same way: 3 to 7 degrees where strangers are off by 8
to 50. So what they say of each frame is widened: the variance of the mean of n samples is ``own² + (times² + 1/n)
spread²``, with two numbers for each part of the body, of rotations and of places each. They come from
:mod:`motorque.estimators.inpose.calibration`, from head and wrists, default settings and one prior.

A standard deviation is the root mean square of an angle or of a distance, all directions together. Where errors are
alike in all of them, 90 % are within :data:`BAND` of it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from motorque.errors import FileFormatError
from motorque.estimators.inpose.tree import HEAD, JOINTS, PARENTS

Array = NDArray[np.float64]

TABLE = Path(__file__).with_name("error_bars.json")
BAND = math.sqrt(6.251389 / 3)
"""Root mean squares that hold 90 % of Gaussian errors alike in three directions (chi-squared of three degrees)."""
ANY = math.sqrt(math.pi**2 / 3 + 2)
"""Root mean square angle of rotations of which nothing is known [rad]: their density is (1 - cos) / pi."""
KINDS = ("rotations_rad", "places_m")
"""What a table has numbers of."""
GROUPS = {
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
    "head": ("neck", "head"),
    "arms": ("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
    "legs": ("left_hip", "left_knee", "right_hip", "right_knee"),
    "feet": ("left_ankle", "left_foot", "right_ankle", "right_foot"),
}
FREE = "free arms"
"""Arms of which nothing is measured, as where there is a head-set only: their errors are some times as large."""


@dataclass(frozen=True)
class Widening:
    """What makes standard deviations of spreads.

    Args:
        own: What there is without any spread [rad or m], by joint, shape [22].
        times: How much of the spread, by joint, shape [22].
    """

    own: Array
    times: Array

    def __call__(self, spread: Array, count: int) -> Array:
        """Standard deviations of the mean of some samples, from their spread, both [T, 22]; NaN where that is."""
        return np.asarray(np.sqrt(self.own**2 + (self.times**2 + 1 / count) * spread**2))


@dataclass(frozen=True)
class ErrorBars:
    """A table of error bars.

    Args:
        rotations: Of global rotations [rad].
        places: Of places, the head where it was measured [m].
        free_rotations: Of global rotations where nothing of the arms is measured [rad].
        free_places: Of places there [m].
        network: Fingerprint of the prior that it is of.
        settings: Those that it is of.
    """

    rotations: Widening
    places: Widening
    free_rotations: Widening
    free_places: Widening
    network: str
    settings: dict[str, Any]


@cache
def error_bars(path: Path = TABLE) -> ErrorBars:
    """A table as :mod:`motorque.estimators.inpose.calibration` writes it.

    Raises:
        FileFormatError: The file is no such table.
    """
    try:
        table = json.loads(path.read_text())
        each = [{name: table[kind][name] for name in GROUPS} for kind in KINDS]
        each += [{**own, "arms": table[kind][FREE]} for kind, own in zip(KINDS, each, strict=True)]
        turns, points, free_turns, free_points = (by_joint(own) for own in each)
        about = table["about"]
        found = ErrorBars(turns, points, free_turns, free_points, str(about["network"]), dict(about["settings"]))
        numbers = np.array([(own.own, own.times) for own in (turns, points, free_turns, free_points)])
        fits = bool(np.isfinite(numbers).all() and (numbers >= 0).all())
    except (OSError, ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise FileFormatError(f"{path}: is no table of error bars; make it anew (calibration)")
    return found


def by_joint(groups: dict[str, Sequence[float]]) -> Widening:
    """A widening from the two numbers of each part of the body."""
    own, times = np.empty(len(JOINTS)), np.empty(len(JOINTS))
    for name, joints in GROUPS.items():
        for joint in joints:
            own[JOINTS.index(joint)], times[JOINTS.index(joint)] = groups[name]
    return Widening(own, times)


def free_arms(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Joints of arms of which nothing is measured in a frame, [T, 22] → [T, 22].

    Args:
        known: Whose place or rotation was measured.
    """
    found = np.zeros_like(known)
    for side in ("left_", "right_"):
        arm = [JOINTS.index(name) for name in GROUPS["arms"] if name.startswith(side)]
        found[:, arm] = ~known[:, arm].any(axis=1, keepdims=True)
    return found


def fingerprint(network: nn.Module) -> str:
    """Sixteen digits that tell networks apart by their numbers, as half precision keeps them."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.detach().half().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def doubts(network: nn.Module, settings: dict[str, Any]) -> list[str]:
    """Why the table may not hold: sentences to be said, none where it is of this prior and these settings.

    Args:
        network: The prior that samples.
        settings: How, as a dictionary; noises may be any, as measured joints have theirs.
    """
    table, found = error_bars(), []
    if fingerprint(network) != table.network:
        found.append(
            "standard deviations are calibrated for the weights that come with motorque, not for these: they may be "
            "too small (python -m motorque.estimators.inpose.calibration)"
        )
    ours = json.loads(json.dumps(settings))
    other = [name for name in table.settings if "noise" not in name and ours.get(name) != table.settings[name]]
    if other:
        found.append(
            f"standard deviations are calibrated for default settings; with other {', '.join(other)} they may be off"
        )
    return found


def bones_share(rest_std: Array) -> Array:
    """How far bones that may be off put joints from the head [m], [22] → [22].

    Each is wrong by itself: people's proportions differ by more than their sizes, and a stature that is told has bones
    that are too long go with others that are too short.
    """
    paths = []
    for joint in range(len(JOINTS)):
        path = set()
        while joint > 0:
            path.add(joint)
            joint = PARENTS[joint]
        paths.append(path)
    return np.array([float(np.linalg.norm(rest_std[sorted(path ^ paths[HEAD])])) for path in paths])


def within_reach(places: Array, turns: Array, rest: Array, rest_std: Array | None = None) -> Array:
    """No joint is farther off than the next one, and the bone between them by how it is turned, allow.

    So joints next to measured ones are nearly as sure, wherever sensors are.

    Args:
        places: Standard deviations of places [m], shape [T, 22]; NaN where not known.
        turns: Of global rotations [rad], alike.
        rest: Rest joints [m], shape [22 or more, 3].
        rest_std: Of the lengths of the bones that end in each joint [m], shape [22], where they may be off.

    Returns:
        Standard deviations that are no larger, shape [T, 22]; errors add as lengths do, at most.
    """
    found, between = places.copy(), {}
    for joint, parent in enumerate(PARENTS[1:], 1):
        # A bone that may point anywhere is off by the square root of two of its length
        between[joint] = float(np.linalg.norm(rest[joint] - rest[parent])) * np.minimum(turns[:, parent], math.sqrt(2))
        if rest_std is not None:
            between[joint] = np.hypot(between[joint], rest_std[joint])
    for joint in reversed(between):
        found[:, PARENTS[joint]] = np.fmin(found[:, PARENTS[joint]], found[:, joint] + between[joint])
    for joint in between:
        found[:, joint] = np.fmin(found[:, joint], found[:, PARENTS[joint]] + between[joint])
    return found
