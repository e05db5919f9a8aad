"""Which foot stands: a chance for each ankle and ball of the foot, from how a sample's legs and the measured head move.

A sample alone tells it badly where it is late, as it is in walks slower or faster than most that were learned from: of
its feet the one that stands is wrong for a while in each step. The measured head tells more: its sinking and rising,
its swaying to the side that carries it, its being slowed down by the foot in front. A logistic regression weighs both,
now and a fifth of a second before and after; its numbers come from :mod:`motorque.estimators.inpose.contact_learning`.

Lengths are in units of a standing length, of the person who is sampled, times :data:`LENGTH`, so that a child's feet
and a giant's are weighed alike.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from motorque.errors import FileFormatError
from motorque.estimators.inpose.guidance_operator import chains
from motorque.estimators.inpose.tree import HEAD, JOINTS, RATE, standing_length
from motorque.skeleton.smpl import ANKLE_HEIGHT, BALL_HEIGHT

Array = NDArray[np.float64]

SOLES = tuple(JOINTS.index(name) for name in ("left_ankle", "left_foot", "right_ankle", "right_foot"))
"""Ankles and balls of the feet (SMPL's "foot" joints): the points that may stand."""
OTHER = (2, 3, 0, 1)
"""The same point of the other foot."""
SIDE = np.array([1.0, 1.0, -1.0, -1.0])
"""Where the point's foot is, along the axis to the person's left."""
LENGTH = 1.45
"""Standing length of an adult of 1.70 m, published proportions [m]: unit lengths are about metres of such a body."""
STATURE = 1.70
LAGS = (-12, 0, 12)
"""Frames at which the movement is looked at, about the one that is asked for."""
NUMBERS = 11
"""Numbers of a look, see :func:`looks`."""
STANDS = 0.2
"""Speed below which a true point stands [unit lengths a second]."""
WEIGHTS = Path(__file__).with_name("contact_chance.json")
_BLUR = 3.0  # frames: the head's accelerations are told from places


@dataclass(frozen=True)
class Sample:
    """A sample's feet over time, in unit lengths.

    Args:
        points: Where :data:`SOLES` are over a floor at y = 0, shape [T, 4, 3].
        head: Where the head was measured, straight through gaps, shape [T, 3].
        pelvis: The pelvis' rotations, shape [T, 3, 3].
        heights: How high the points of a foot that stands flat are, shape [4].
    """

    points: Array
    head: Array
    pelvis: Array
    heights: Array


def unit_length(rest: Array) -> float:
    """How long a unit length is for somebody [m]; rest joints [m], shape [22, 3]."""
    return standing_length(rest) / LENGTH


def sole_heights(rest: Array) -> Array:
    """How high the points of a foot that stands flat are, shape [4], in the unit of the rest joints [22, 3].

    The middle of ankle and ball is where published proportions have it; how far they differ is the skeleton's own.
    """
    middle = 0.5 * (1 + BALL_HEIGHT) * ANKLE_HEIGHT * STATURE * unit_length(rest)
    own = rest[list(SOLES), 1].reshape(2, 2)
    return np.asarray((middle + own - own.mean(axis=1, keepdims=True)).reshape(4))


def head_height(rest: Array) -> float:
    """How high the head of somebody is who stands straight and flat, in the unit of the rest joints [22, 3]."""
    return float(rest[HEAD, 1] - (rest[list(SOLES), 1] - sole_heights(rest)).mean())


def from_head(rest: Array) -> Array:
    """The bones between the head and the soles, shape [4, 22, 3], in the unit of the rest joints [22, 3].

    With the columns of global rotations they say where the soles are from the head.
    """
    joints = torch.tensor(rest)
    return np.asarray((chains(joints, SOLES) - chains(joints, (HEAD,))).numpy())


def looks(sample: Sample) -> Array:
    """What is weighed, shape [T - 1, 4, 33]: eleven numbers of each point between two frames, at each of the lags.

    How fast it moves and how fast the other foot's does (logarithms); how high they are over where they stand; how far
    ahead of the other it is; the head's speed and acceleration upward, to the foot's side, and forward.
    """
    points, head = sample.points, gaussian_filter1d(sample.head, _BLUR, axis=0, mode="nearest")
    speed = np.log(RATE * np.linalg.norm(np.diff(points, axis=0), axis=-1) + 0.1)
    height = np.clip(0.5 * (points[1:, :, 1] + points[:-1, :, 1]) - sample.heights, -0.1, 0.3)
    left = sample.pelvis[1:, :, 0] * (1.0, 0.0, 1.0)
    left = left / np.maximum(np.linalg.norm(left, axis=-1, keepdims=True), 1e-9)
    ahead = np.cross(left, (0.0, 1.0, 0.0))
    velocity = RATE * np.gradient(head, axis=0)
    pull = RATE * np.gradient(velocity, axis=0)[1:]
    velocity, other = velocity[1:], list(OTHER)
    middle = 0.5 * (points[1:] + points[:-1])
    before = ((middle - middle[:, other]) * ahead[:, None]).sum(axis=-1)

    def along(values: Array, axis: Array) -> Array:
        return np.asarray((values * axis).sum(axis=-1)[:, None])

    flat = np.ones((1, len(SOLES)))
    now = np.stack(
        [
            speed,
            speed[:, other],
            10 * height,
            10 * height[:, other],
            2 * velocity[:, 1:2] * flat,
            0.2 * pull[:, 1:2] * flat,
            0.3 * along(pull, left) * SIDE,
            along(velocity, left) * SIDE,
            0.3 * along(pull, ahead) * flat,
            along(velocity, ahead) * flat,
            3 * before,
        ],
        axis=-1,
    )
    rows = np.arange(len(now))
    return np.concatenate([now[np.clip(rows + lag, 0, len(now) - 1)] for lag in LAGS], axis=-1)


def chances(sample: Sample) -> Array:
    """The chance that each point stands between two frames, shape [T - 1, 4]; none for less than two frames."""
    if len(sample.points) < 2:
        return np.zeros((0, len(SOLES)))
    own = looks(sample)
    ankle, ball = weights()
    told = np.stack([own[:, k] @ (ankle, ball)[k % 2][:-1] + (ankle, ball)[k % 2][-1] for k in range(4)], axis=-1)
    return np.asarray(1 / (1 + np.exp(-np.clip(told, -30, 30))))


@cache
def weights(path: Path = WEIGHTS) -> tuple[Array, Array]:
    """The numbers of the regressions for ankles and for balls, shape [34] each, the last one the constant.

    Raises:
        FileFormatError: The file is no such table.
    """
    try:
        table = json.loads(path.read_text())
        ankle, ball = (np.array(table[name], dtype=np.float64) for name in ("ankle", "ball"))
        fits = tuple(table["lags"]) == LAGS and ankle.shape == ball.shape == (len(LAGS) * NUMBERS + 1,)
    except (OSError, ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise FileFormatError(f"{path}: is no table of which foot stands; learn it anew (contact_learning)")
    return ankle, ball
