"""Stick figures of the same frames, true and found, side by side (Figures 4 and 10 to 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.estimators.inpose.heading import heading
from motorque.estimators.inpose.tree import HEAD, JOINTS, PARENTS, RATE, places
from motorque.studies.drawing import Draw
from motorque.studies.inpose import cast
from motorque.studies.inpose.methods import Method
from motorque.studies.inpose.protocol import DEFAULT, Condition, Shape, Trial
from motorque.studies.inpose.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
SCALES = (0.7, 1.0, 1.3)
FRAMES = 4
"""Moments of a recording, evenly."""
APART = 0.8
"""From one body to the next [m]."""
SHOWN = (cast.GLOBAL, cast.REGRESSION, cast.PRIOR_IK, cast.INPOSE, cast.HEAD)
"""Methods, those that there are."""
SIDE = (0.55, 0.0, 0.84)
"""Where they are looked at from, in the axes of the body in the middle of the recording (x left, z forward): from the
front and a little from its left, so that legs ahead of each other are seen apart."""


@dataclass(frozen=True)
class Stills:
    """True and found joints of some frames.

    Args:
        recording: Whose frames.
        times: Of the frames, from the first one of the stretch [s], shape [N].
        joints: By (scale, method) the joints across and upward over the scale [m], shape [N, 22, 2]; the true ones are
            called ``true``.
        errors: By (scale, method) the mean distance of the frames' joints from the true ones over the scale [cm].
    """

    recording: str
    times: Array
    joints: Mapping[tuple[float, str], Array]
    errors: Mapping[tuple[float, str], float]

    @property
    def methods(self) -> list[str]:
        """Methods in the order of the columns."""
        return list(dict.fromkeys(method for _, method in self.joints if method != "true"))

    def draw(self) -> Draw:
        """A row for each scale, a column for each method, the true body in grey behind each."""

        def draw(panels: Sequence[Axes]) -> None:
            methods = self.methods
            for number, panel in enumerate(panels):
                scale, method = SCALES[number // len(methods)], methods[number % len(methods)]
                for name, color, width in (("true", "#BBBBBB", 2.6), (method, "#0072B2", 1.1)):
                    for still, body in enumerate(self.joints[scale, name]):
                        for joint, parent in enumerate(PARENTS[1:], 1):
                            ends = body[[parent, joint]] + np.array([APART * still, 0.0])
                            side = JOINTS[joint].startswith("left") and name != "true"
                            panel.plot(*ends.T, color="#D55E00" if side else color, linewidth=width)
                panel.set_aspect("equal")
                panel.set_axis_off()
                panel.set_title(f"{method}, × {scale:g}: {self.errors[scale, method]:.1f} cm", fontsize=7)

        return draw


def stills(methods: Mapping[str, Method], trial: Trial, *, seed: int = 0) -> Stills:
    """Bodies of a recording at three sizes.

    Args:
        methods: Who finds them, by name.
        trial: The recording.
        seed: Of samples.
    """
    rows = torch.linspace(0, len(trial.pelvis) - 1, FRAMES + 2).round().long()[1:-1]
    facing = float(heading(six_of(trial.rotations[len(trial.pelvis) // 2, :1])))
    joints: dict[tuple[float, str], Array] = {}
    errors: dict[tuple[float, str], float] = {}
    for scale in SCALES:
        condition = Condition(Shape(whole=scale))
        true = places(six_of(trial.rotations), condition.shape.rest, trial.way(condition.shape))
        joints[scale, "true"] = _seen(true[rows], true[rows], facing) / scale
        measured = trial.measured(condition, seed=seed)
        for name, method in methods.items():
            found = places(six_of(method.pose(measured, seed=trial.seed(seed)).double()), condition.shape.rest)
            found = found + (true[:, HEAD] - found[:, HEAD])[:, None]
            joints[scale, name] = _seen(found[rows], true[rows], facing) / scale
            errors[scale, name] = float(100 * (found[rows] - true[rows]).norm(dim=-1).mean() / scale)
    return Stills(trial.name, rows.numpy() / RATE, joints, errors)


def liveliest(trials: Sequence[Trial]) -> Trial:
    """The recording in which the feet go fastest about the pelvis."""

    def speed(trial: Trial) -> float:
        at = places(six_of(trial.rotations), Shape().rest)
        feet = [JOINTS.index("left_ankle"), JOINTS.index("right_ankle")]
        return float(at[:, feet].diff(dim=0).norm(dim=-1).mean())

    return max(trials, key=speed)


def most_lost(results: Results, trials: Sequence[Trial]) -> Trial | None:
    """The recording in which InPose without the head's place is most behind InPose with it; None without results."""
    without, told = (results.of(name, DEFAULT.name) for name in (cast.INPOSE, cast.HEAD))
    behind = {name: row.measures.lpe - told[name].measures.lpe for name, row in without.items() if name in told}
    own = [trial for trial in trials if trial.name in behind]
    return max(own, key=lambda trial: behind[trial.name]) if own else None


def six_of(turns: Tensor) -> Tensor:
    """Rotation matrices as six numbers, [..., 3, 3] → [..., 6]."""
    return torch.cat([turns[..., 0], turns[..., 1]], dim=-1)


def _seen(at: Tensor, true: Tensor, facing: float) -> Array:
    """Joints across and upward, by frame about the true pelvis, seen from :data:`SIDE`."""
    c, s = np.cos(facing), np.sin(facing)
    forward = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])  # body axes into the world
    eye = forward @ np.array(SIDE)
    across = np.cross([0.0, 1.0, 0.0], eye / np.linalg.norm(eye))
    from_pelvis = at.numpy() - true[:, :1].numpy() * np.array([1.0, 0.0, 1.0])
    return np.stack([from_pelvis @ across, from_pelvis[..., 1]], axis=-1)
