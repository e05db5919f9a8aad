"""How long bones are before anybody has moved: as told, to a stated error, and as bodies are, in proportion and alike
on both sides.

Lengths are Gaussian. Published proportions (:func:`motorque.skeleton.smpl.rest_joints`) hold for limbs better than for
joints of spine and shoulder girdle, whose places are a matter of definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.tree import JOINTS, PARENTS
from motorque.skeleton.smpl import rest_joints

Array = NDArray[np.float64]

LIMB, FOOT, TRUNK = 0.12, 0.15, 0.35
"""Standard deviation of a bone's length about published proportions, as a share of it: of upper arms, forearms, thighs
and shanks, of feet, and of all others. Stature alone tells an upper arm or a forearm to 3.5 % (Trotter and Gleser 1952:
the standard errors of their regressions, 4.05 and 4.32 cm, against a stature's of 6.6 cm). Most is where a skeleton has
its joints: limbs of four recorded people, whom nothing is tested on, are off by 5 to 23 %, their trunks' bones by a
third, and spine1 has no length at all."""
SIDES = 0.03
"""Standard deviation of the difference between a left bone and its right one, as a share of the length."""
SIZES = 0.3
"""Standard deviation of a whole body's size about an adult's, where bones are told: any size will do."""
ADULTS = 0.08
"""The same where nothing is told: adults of both sexes, half of whose spread is that between the sexes, and youths."""
FOLDED = 0.001
"""Bones told to be shorter than this have joints at one place on purpose and stay as they are [m]."""

_FOLLOWS = torch.tensor(PARENTS[1:])
_LIMBS = ("elbow", "wrist", "knee", "ankle")


@dataclass(frozen=True)
class Lengths:
    """What is known of the lengths of 21 bones, each named for the joint that it ends in.

    Args:
        mean: Shape [21] [m].
        covariance: Shape [21, 21] [m²].
        directions: Where they point in the T-pose, unit vectors, shape [21, 3]; zero for folded bones.
    """

    mean: Tensor
    covariance: Tensor
    directions: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviations, shape [21] [m]."""
        return self.covariance.diagonal().clamp(min=0.0).sqrt()

    def rest(self, lengths: Tensor | None = None) -> Tensor:
        """Rest joints from the pelvis on with these lengths, the mean by default; shape [22, 3] [m]."""
        bones = self.directions * (self.mean if lengths is None else lengths)[:, None]
        return ways() @ bones


def ways() -> Tensor:
    """Which bones lead from the pelvis to each joint: ones and zeros, shape [22, 21]."""
    found = torch.zeros(len(JOINTS), len(JOINTS) - 1, dtype=torch.float64)
    for joint, parent in enumerate(PARENTS[1:], 1):
        found[joint] = found[parent]
        found[joint, joint - 1] = 1.0
    return found


def told_lengths(rest: Tensor, error: float) -> Lengths:
    """Lengths that are told with errors, each its own, to somebody whose body is one.

    Args:
        rest: Rest joints as told [m], shape [22, 3]; directions are taken as told.
        error: Standard deviation of the error of a length [m].

    Raises:
        DataError: The error is negative, or the joints are not 22.
    """
    lengths, directions = _split(rest)
    if not 0 <= error < 1:
        raise DataError(f"bones: an error of {error:g} m can't be; give its standard deviation in metres")
    usual, spread = _usual(SIZES)
    known = lengths < FOLDED
    noise = torch.where(known, 1e-4, max(error, 1e-5)) ** 2
    spread = torch.where(known[:, None] | known, torch.diag(torch.ones_like(lengths)), spread)
    usual = torch.where(known, lengths, usual)
    gain = torch.linalg.solve(spread + torch.diag(noise), spread).mT
    covariance = spread - gain @ spread
    return Lengths(usual + gain @ (lengths - usual), 0.5 * (covariance + covariance.mT), directions)


def published_lengths(rest: Tensor, size_error: float = ADULTS) -> Lengths:
    """Lengths of which only proportions are known.

    Args:
        rest: Rest joints of published proportions [m], shape [22, 3].
        size_error: Standard deviation of the whole body's size, as a share of it: that of a stature where one is known.

    Raises:
        DataError: The error is not above zero, or the joints are not 22.
    """
    lengths, directions = _split(rest)
    if not 0 < size_error < 1:
        raise DataError(f"bones: a size with an error of {size_error:g} times itself can't be; give 0 to 1")
    usual, spread = _usual(size_error)
    ratio = lengths / usual
    return Lengths(lengths, ratio[:, None] * spread * ratio, directions)


def partly_told_lengths(
    published: Tensor, told: Mapping[str, float], error: float, size_error: float = ADULTS
) -> Lengths:
    """Lengths of which some are told, and of the others only proportions: Bayes' rule.

    Sides are alike, so that a told one tells the other; and where no stature does, told ones tell the body's size.

    Args:
        published: Rest joints of published proportions [m], shape [22, 3].
        told: Lengths [m] by the joint that the bone ends in.
        error: Standard deviation of the error of a told length [m].
        size_error: As :func:`published_lengths`.

    Raises:
        DataError: An error can't be, there is no such bone, or the joints are not 22.
    """
    before = published_lengths(published, size_error)
    if not 0 <= error < 1:
        raise DataError(f"bones: an error of {error:g} m can't be; give its standard deviation in metres")
    for name in told:
        if name not in JOINTS[1:]:
            raise DataError(f"bones: none ends in {name!r}")
    rows = torch.tensor([JOINTS.index(name) - 1 for name in told], dtype=torch.long)
    values = torch.tensor([float(value) for value in told.values()], dtype=torch.float64)
    own = before.covariance[rows][:, rows] + max(error, 1e-5) ** 2 * torch.eye(len(rows), dtype=torch.float64)
    gain = torch.linalg.solve(own, before.covariance[rows]).mT
    covariance = before.covariance - gain @ before.covariance[rows]
    mean = before.mean + gain @ (values - before.mean[rows])
    return Lengths(mean, 0.5 * (covariance + covariance.mT), before.directions)


def _split(rest: Tensor) -> tuple[Tensor, Tensor]:
    if rest.shape != (len(JOINTS), 3):
        raise DataError(f"bones: {len(JOINTS)} rest joints of 3 numbers are needed, got shape {list(rest.shape)}")
    bones = rest.double()[1:] - rest.double()[_FOLLOWS]
    lengths = bones.norm(dim=-1)
    return lengths, bones / lengths.clamp(min=1e-9)[:, None]


def _usual(size: float) -> tuple[Tensor, Tensor]:
    """Published lengths, shape [21], and their covariance, shape [21, 21]."""
    lengths, _ = _split(torch.tensor(rest_joints()[: len(JOINTS)], dtype=torch.float64))
    names = JOINTS[1:]
    share = [LIMB if n.endswith(_LIMBS) else FOOT if n.endswith("foot") else TRUNK for n in names]
    own = torch.tensor(share, dtype=torch.float64) * lengths
    alike = torch.eye(len(names), dtype=torch.float64)
    for number, name in enumerate(names):
        if name.startswith(("left_", "right_")):
            other = names.index(name.replace("left_", "right_") if name[0] == "l" else name.replace("right_", "left_"))
            alike[number, other] = 1 - 0.5 * (SIDES / share[number]) ** 2
    return lengths, own[:, None] * alike * own + size**2 * lengths[:, None] * lengths
