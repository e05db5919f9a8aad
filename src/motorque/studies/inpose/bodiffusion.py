"""BoDiffusion (Castillo et al. 2023): diffusion that is told places as they are, so that it knows one body's alone.

Its network, schedule, steps and windows are those of the prior of InPose; only what it is told differs, and in the
local variant what its rotations are. With guidance in place of the wrists' places it is the paper's table 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from motorque.estimators.inpose.drawing import LAST, SMOOTH
from motorque.estimators.inpose.guidance import GuidanceSettings
from motorque.estimators.inpose.heading import turned
from motorque.estimators.inpose.long_sampling import Dialect, Measured, sample_recording
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.tree import THREE, matrices
from motorque.studies.inpose.baseline_weights import load_diffusion
from motorque.studies.inpose.local_rotations import global_matrices

STEPS = 4
"""Steps of sampling, as many as InPose takes by default; the paper takes 50."""


@dataclass(frozen=True)
class BoDiffusion:
    """A BoDiffusion as a method.

    Args:
        name: What it is called.
        network: Its network.
        local: Whether its rotations are against parent joints.
        places: Joints whose places it is told: all three sensors, the head alone, or none.
        steps: Of sampling.
        last: The last one of the diffusion's that is taken, as of InPose's samples.
        guidance: How samples are pulled to all measured places, for the bones that are told; not at all if None.
        smooth: As of InPose's samples, whose default it is.
    """

    name: str
    network: PriorNetwork
    local: bool
    places: tuple[int, ...] = THREE
    steps: int = STEPS
    guidance: GuidanceSettings | None = None
    last: int = LAST
    smooth: float = SMOOTH

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        local: bool,
        name: str | None = None,
        places: tuple[int, ...] = THREE,
        steps: int = STEPS,
        guidance: GuidanceSettings | None = None,
    ) -> BoDiffusion:
        """The method with weights from a file.

        Raises:
            FileFormatError: The file is none of this method's.
        """
        kind: Literal["local", "global"] = "local" if local else "global"
        network, _ = load_diffusion(path, f"bodiffusion-{kind}")
        return cls(name or f"BoDiffusion ({kind.capitalize()})", network, local, places, steps, guidance)

    @property
    def knows_bones(self) -> bool:
        """Only guidance looks at bones."""
        return self.guidance is not None

    def pose(self, measured: Measured, *, seed: int) -> Tensor:
        """See :class:`motorque.studies.inpose.methods.Method`."""
        dialect = Dialect(
            self.places,
            bare=True,
            turned=turned_roots if self.local else turned,
            whole=global_matrices if self.local else matrices,
        )
        six = sample_recording(
            self.network,
            measured,
            seeds=[seed],
            steps=self.steps,
            last=self.last,
            guidance=self.guidance,
            smooth=self.smooth,
            dialect=dialect,
        )
        return dialect.whole(six[0].double())


def turned_roots(values: Tensor, angle: Tensor) -> Tensor:
    """Local rotations of bodies that are turned about the vertical: only the pelvis' own are others.

    Args:
        values: Six numbers of each joint, shape [B, T, 22, 6].
        angle: For each of the batch [rad], shape [B].
    """
    return torch.cat([turned(values[..., :1, :], angle), values[..., 1:, :]], dim=-2)
