"""InPose for somebody whose bones are told with errors, or not at all: what is told is not taken for the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from motorque.estimators.inpose.bone_fit import fitted_bones
from motorque.estimators.inpose.bone_lengths import published_lengths, told_lengths
from motorque.estimators.inpose.long_sampling import Measured
from motorque.studies.inpose.bodies import default_body
from motorque.studies.inpose.methods import InPoseMethod
from motorque.studies.inpose.protocol import Condition


@dataclass(frozen=True)
class FoundBones:
    """InPose with bones found from the recording itself before it is sampled.

    Args:
        name: What it is called.
        method: InPose.
        told: Whether it is told lengths with errors of a known size; otherwise published proportions alone are known.
        error: Standard deviation of a told length [m]; without errors they are taken as they are.
    """

    name: str
    method: InPoseMethod
    told: bool = True
    error: float = 0.0
    knows_bones: bool = True

    def informed(self, condition: Condition) -> FoundBones:
        """See :class:`motorque.studies.inpose.methods.Informed`."""
        return replace(self, method=self.method.informed(condition), error=condition.bone_error)

    def pose(self, measured: Measured, *, seed: int) -> Tensor:
        """See :class:`motorque.studies.inpose.methods.Method`."""
        if self.error or not self.told:
            known = told_lengths(measured.rest, self.error) if self.told else published_lengths(default_body())
            own = replace(measured, placed=measured.placed and self.method.head)
            found = fitted_bones(self.method.network, own, known, noise=self.method.settings.noise, seed=seed)
            measured = replace(measured, rest=found.rest)
        return self.method.pose(measured, seed=seed)


@dataclass(frozen=True)
class DefaultBones:
    """InPose that takes everybody for the default body: what it costs not to know bones.

    Args:
        name: What it is called.
        method: InPose.
    """

    name: str
    method: InPoseMethod
    knows_bones: bool = False

    def pose(self, measured: Measured, *, seed: int) -> Tensor:
        """See :class:`motorque.studies.inpose.methods.Method`."""
        return self.method.pose(replace(measured, rest=default_body().float()), seed=seed)
