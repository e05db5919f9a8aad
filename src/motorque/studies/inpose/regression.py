"""The regression as a method: whole recordings from windows that overlap, their rotations averaged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.conditions import Conditions, conditions
from motorque.estimators.inpose.drawing import SMOOTH
from motorque.estimators.inpose.heading import forward_angle, turned
from motorque.estimators.inpose.long_sampling import TOGETHER, Measured, starts
from motorque.estimators.inpose.tree import HEAD, THREE, WINDOW, matrices
from motorque.studies.inpose.baseline_weights import load_regression
from motorque.studies.inpose.local_rotations import global_matrices
from motorque.studies.inpose.regression_network import RegressionNetwork


@dataclass(frozen=True)
class Regression:
    """The regression; it does not look at bones, and needs all three sensors in all frames.

    Args:
        network: Its network.
        name: What it is called.
        smooth: Standard deviation of the Gaussian by which rotations are smoothed over time [frames], as InPose's
            samples are, whose default it is.
    """

    network: RegressionNetwork
    name: str = "Regression"
    knows_bones: bool = False
    smooth: float = SMOOTH

    @classmethod
    def load(cls, path: str | Path) -> Regression:
        """The method with weights from a file.

        Raises:
            FileFormatError: The file is none of this method's.
        """
        return cls(load_regression(path)[0])

    @torch.no_grad()
    def pose(self, measured: Measured, *, seed: int = 0) -> Tensor:
        """See :class:`motorque.studies.inpose.methods.Method`; nothing is random.

        Raises:
            DataError: A sensor is missing somewhere.
        """
        three, frames = list(THREE), len(measured)
        if not frames or not (measured.seen[:, three] & measured.there[:, three]).all():
            raise DataError("regression: needs places and rotations of the head and both wrists in every frame")
        rows = torch.tensor(starts(frames))[:, None] + torch.arange(WINDOW)
        rows = rows.clamp(max=frames - 1)  # a recording shorter than a window stands still at its end
        six, seen = measured.columns6[rows], torch.zeros(*rows.shape, measured.seen.shape[-1], dtype=torch.bool)
        seen[..., three] = True
        angle = forward_angle(six, seen)
        points = turned(measured.points[rows], angle)
        told = conditions(turned(six, angle), seen, points=points, placed=seen, origin=HEAD)
        whole = global_matrices if self.network.size.local else matrices
        share = torch.minimum(torch.arange(WINDOW) + 1.0, WINDOW - torch.arange(WINDOW))
        total = torch.zeros(frames, *six.shape[2:], dtype=torch.float64)
        for first in range(0, len(rows), TOGETHER):
            some = slice(first, first + TOGETHER)
            said = self.network(Conditions(told.channels[some], told.seen[some], told.placed[some]))
            turns = whole(said.rotations.double())
            world = turned(torch.cat([turns[..., 0], turns[..., 1]], dim=-1), -angle[some].double())
            total.index_add_(0, rows[some].flatten(), (world * share[:, None, None]).flatten(0, 1))
        if self.smooth > 0:
            total = (
                total / share.new_zeros(frames).index_add_(0, rows.flatten(), share.repeat(len(rows)))[:, None, None]
            )
            total = torch.from_numpy(gaussian_filter1d(total.numpy(), self.smooth, axis=0, mode="nearest"))
        return matrices(total)
