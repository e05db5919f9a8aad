"""Methods that are compared: three sensors' measurements in, global rotations out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from motorque.estimators.inpose.closing import closed
from motorque.estimators.inpose.drawing import FAST, SamplingSettings, drawn_from, nearest_rotations
from motorque.estimators.inpose.heading import heading, turned
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.tree import HEAD, matrices
from motorque.studies.inpose.protocol import Condition

IK_ROUNDS = 12
"""Updates of inverse kinematics from the mean pose, which is farther off than a sample; more change nothing."""


@runtime_checkable
class Method(Protocol):
    """What is compared."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def knows_bones(self) -> bool:
        """Whether it looks at the bones that it is told."""

    def pose(self, measured: Measured, *, seed: int) -> Tensor:
        """Global rotations from what sensors say.

        Args:
            measured: What sensors say, with the head over a floor at y = 0, and the bones that are told.
            seed: Of what is random.

        Returns:
            Shape [T, 22, 3, 3].
        """


@runtime_checkable
class Informed(Protocol):
    """A method that can be told how large the noise is."""

    def informed(self, condition: Condition) -> Method:
        """The same method, told the noise of a condition."""


@dataclass(frozen=True)
class InPoseMethod:
    """InPose, in one of its variants.

    Args:
        name: What it is called.
        network: The prior.
        settings: How it is sampled.
        head: Whether the prior is told where the head is.
        knows_noise: Whether settings are told the noise of places and rotations, as a user may tell it.
        samples: How many are drawn; of several the mean is taken and closed again, as ``motorque sensors`` does.
    """

    name: str
    network: PriorNetwork
    settings: SamplingSettings = FAST
    head: bool = False
    knows_noise: bool = True
    samples: int = 1

    @property
    def knows_bones(self) -> bool:
        """Only guidance and closing look at bones, and without them none is needed."""
        return self.settings.guidance is not None or self.settings.close

    def informed(self, condition: Condition) -> InPoseMethod:
        """See :class:`Informed`."""
        if not self.knows_noise:
            return self
        return replace(self, settings=told_noise(self.settings, condition))

    def pose(self, measured: Measured, *, seed: int) -> Tensor:
        """See :class:`Method`."""
        measured = replace(measured, placed=measured.placed and self.head)
        seeds = [seed + number for number in range(self.samples)]
        return drawn_from(self.network, measured, self.settings, seeds=seeds).mean[0]


@dataclass(frozen=True)
class MeanPose:
    """Inverse kinematics from the mean pose of all people learned from, turned to where the head faces.

    Args:
        name: What it is called.
        network: The prior, for its mean.
        settings: How large noise is, which is taken out as for InPose.
    """

    name: str
    network: PriorNetwork
    settings: SamplingSettings = FAST
    knows_bones: bool = True

    def informed(self, condition: Condition) -> MeanPose:
        """See :class:`Informed`."""
        return replace(self, settings=told_noise(self.settings, condition))

    def pose(self, measured: Measured, *, seed: int = 0) -> Tensor:
        """See :class:`Method`; nothing is random."""
        measured, settings = self.settings.quieter(measured)
        six = measured.columns6
        angle = torch.where(measured.seen[:, HEAD], heading(six[:, HEAD]), six.new_zeros(()))
        start = matrices(turned(self.network.mean.expand(len(six), -1, -1), angle).double())
        return closed(
            start,
            measured.points.double(),
            measured.there,
            measured.rest.double(),
            measured=matrices(six.double()),
            seen=measured.seen,
            noise=max(settings.noise, 1e-4),
            rotation_noise=settings.rotation_noise,
            rounds=IK_ROUNDS,
        )


@dataclass(frozen=True)
class MeanOf:
    """The mean of several of a method's samples.

    Args:
        name: What it is called.
        method: What is sampled.
        samples: How many.
    """

    name: str
    method: Method
    samples: int

    @property
    def knows_bones(self) -> bool:
        """Whether the method does."""
        return self.method.knows_bones

    def pose(self, measured: Measured, *, seed: int) -> Tensor:
        """See :class:`Method`."""
        each = [self.method.pose(measured, seed=seed + number) for number in range(self.samples)]
        return nearest_rotations(torch.stack(each).mean(dim=0))


def told_noise(settings: SamplingSettings, condition: Condition) -> SamplingSettings:
    """Settings that are told a condition's noise, where it is more than they take for granted."""
    return replace(
        settings,
        noise=max(settings.noise, condition.place_noise),
        rotation_noise=max(settings.rotation_noise, condition.rotation_noise),
    )
