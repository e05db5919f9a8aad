"""How bodies are drawn: the settings, and what follows one another from noise to samples and to their mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.estimators.inpose.bodies import Bodies, pelvis_of
from motorque.estimators.inpose.closing import SURE, closed
from motorque.estimators.inpose.contact_guidance import FeetSettings, planted, stances
from motorque.estimators.inpose.gap_ends import without_jumps
from motorque.estimators.inpose.guidance import PAPER_GUIDANCE, GuidanceSettings
from motorque.estimators.inpose.long_sampling import Measured, sample_recording
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.noisy_places import LEAST, left_over, smoothed
from motorque.estimators.inpose.tree import SLIDE, matrices
from motorque.progress import Progress, silent

Array = NDArray[np.float64]

LAST = 250
"""Where sampling ends: what the network expects here is the sample. Below, little noise is left and the network's own
faults are larger (11° of clean rotations of watched people): five steps down to 0 have 6.2 cm where four down to 250
have 5.6, three 5.7, five down to 400 5.8, all with feet on the ground, by a version before today's."""
SMOOTH = 1.5
"""Frames of 60 Hz: samples of five steps jerk twelve times as much as people (8600 against 710 m/s³ on watched ones),
so smoothed about as much, with errors 2 % lower."""


@dataclass(frozen=True)
class SamplingSettings:
    """How bodies are sampled.

    Args:
        steps: Of the diffusion.
        last: The last of its 1000 steps that is taken, see :data:`LAST`.
        guidance: How samples are pulled to measured places; None leaves places to the closing.
        close: Whether what is left over is closed on the rotations themselves, and measured rotations are taken over
            as far as they are surer than the sample.
        noise: Standard deviation of measured places in each direction [m], frame by frame. From 5 mm on
            it is taken out over time as far as it can be; guidance, where it weighs noise, and closing take what is
            left, guidance no less than its own.
        rotation_noise: Standard deviation of measured rotation vectors in each direction [rad], for the closing.
        strength: Of classifier-free guidance by the sensors' rotations.
        slide: Frames from one window to the next.
        even: Whether windows count alike where they overlap.
        smooth: Standard deviation of the Gaussian by which samples are smoothed over time before they are closed
            [frames of 60 Hz].
        feet: How feet are put on the ground before samples are closed, where the head is known over it; not if None.
        root: Whether the ``head`` says where the body is, or the ``mean`` of all sensors.

    Raises:
        DataError: There is no such root, or a size is below zero.
    """

    steps: int = 4
    last: int = LAST
    guidance: GuidanceSettings | None = GuidanceSettings(weight="score", noise=0.02, variance=0.3)
    close: bool = True
    noise: float = 0.002
    rotation_noise: float = SURE
    strength: float = 1.0
    slide: int = SLIDE
    even: bool = False
    smooth: float = SMOOTH
    feet: FeetSettings | None = None
    root: Literal["head", "mean"] = "head"

    def __post_init__(self) -> None:
        if self.root not in ("head", "mean"):
            raise DataError(f"sampling: root {self.root!r} can't be; give head or mean")
        if not (self.noise >= 0 and self.rotation_noise >= 0 and self.smooth >= 0):
            raise DataError("sampling: noise, rotation noise and smoothing must be numbers of 0 or more")

    def quieter(self, measured: Measured) -> tuple[Measured, SamplingSettings]:
        """Measurements with noise taken out of places as far as it can be, and settings for what is left of it."""
        if self.noise < LEAST:
            return measured, self
        points = smoothed(measured.points.numpy().astype(np.float64), measured.there.numpy(), self.noise)
        guidance, left = self.guidance, left_over(self.noise)
        if guidance is not None and guidance.noise is not None:
            guidance = replace(guidance, noise=max(left, guidance.noise))
        quiet = replace(measured, points=torch.tensor(points, dtype=torch.float32))
        return quiet, replace(self, noise=left, guidance=guidance)


FAST = SamplingSettings()
"""Four steps and a closing: as good as more on watched subjects, in less time."""
USUAL = SamplingSettings(feet=FeetSettings())
"""The same with feet on the ground: what users get."""
PAPER = SamplingSettings(50, 0, PAPER_GUIDANCE, close=False, even=True, smooth=0.0)
"""As the paper has it: fifty steps, its own guidance and nothing after."""


@dataclass(frozen=True)
class Drawn:
    """Samples of a recording.

    Args:
        turns: Global rotations, shape [n, T, 22, 3, 3].
        measured: What sensors said, noise taken out as far as it can be.
        settings: How they were drawn, with the noise that is left.
        stands: How likely ankles and balls stand between frames, on average of the samples as they were before their
            feet were put on the ground, shape [T - 1, 4]; None where feet were not.
    """

    turns: torch.Tensor
    measured: Measured
    settings: SamplingSettings
    stands: Array | None = None

    @property
    def mean(self) -> torch.Tensor:
        """The rotations nearest to all samples, finished as each of them is, shape [1, T, 22, 3, 3]."""
        if len(self.turns) == 1:
            return self.turns
        return finished(nearest_rotations(self.turns.mean(dim=0))[None], self.measured, self.settings, self.stands)


def drawn_from(
    network: PriorNetwork,
    measured: Measured,
    settings: SamplingSettings,
    *,
    seeds: list[int],
    progress: Progress = silent,
) -> Drawn:
    """Samples of a recording from beginning to end: what all that draws bodies offline calls.

    Args:
        network: The prior.
        measured: What sensors say.
        settings: How.
        seeds: One for each sample.
        progress: Told how far it is.
    """
    measured, settings = settings.quieter(measured)
    six = sample_recording(
        network,
        measured,
        seeds=seeds,
        steps=settings.steps,
        last=settings.last,
        guidance=settings.guidance,
        strength=settings.strength,
        slide=settings.slide,
        even=settings.even,
        smooth=settings.smooth,
        progress=progress,
    )
    turns = matrices(six.double())
    each = None if settings.feet is None else stances(turns, measured)
    stands = None if each is None else each.mean(axis=0)
    return Drawn(finished(turns, measured, settings, each), measured, settings, stands)


def finished(
    turns: torch.Tensor, measured: Measured, settings: SamplingSettings, stands: Array | None = None
) -> torch.Tensor:
    """Samples with feet on the ground, what guidance left over closed and gaps without jumps.

    Args:
        turns: Global rotations, shape [n, T, 22, 3, 3].
        measured: What sensors say.
        settings: How.
        stands: How likely ankles and balls stand, shape [T - 1, 4], or of each sample, [n, T - 1, 4]; told by how each
            moves if not given. For a mean of samples: what :class:`Drawn` has of them.

    Returns:
        Rotations of the same shape.
    """
    if settings.feet is not None:
        turns = planted(turns, measured, settings.feet, stands=stands)
    turns = closed_by(turns, measured, settings)
    if not settings.close:
        return turns
    return without_jumps(turns, measured, lambda some, part: closed_by(some, part, settings))


def closed_by(turns: torch.Tensor, measured: Measured, settings: SamplingSettings) -> torch.Tensor:
    """Samples, [n, T, 22, 3, 3], with what guidance left over closed frame by frame, where asked for."""
    if not settings.close:
        return turns
    return closed(
        turns,
        measured.points.double(),
        measured.there,
        measured.rest.double(),
        noise=max(settings.noise, 1e-4),
        measured=matrices(measured.columns6.double()),
        seen=measured.seen,
        rotation_noise=settings.rotation_noise,
    )


def refit(drawn: Bodies) -> Bodies:
    """The mean of samples, moved to where it fits the sensors as each of them does; one sample."""
    if drawn.measured is None or drawn.settings is None or len(drawn.rotations) == 1:
        return drawn.mean
    # Feet are put on a floor at y = 0
    measured = replace(drawn.measured, points=drawn.measured.points - torch.tensor([0.0, drawn.floor, 0.0]))
    turns = Drawn(torch.tensor(drawn.rotations), measured, drawn.settings, drawn.stands).mean.numpy()
    if not measured.there.any():
        return replace(drawn.mean, rotations=turns)
    pelvis = pelvis_of(turns[0], measured, drawn.rest, root=drawn.settings.root)
    pelvis[:, 1] += drawn.floor
    return replace(drawn, rotations=turns, pelvis=pelvis[None])


def nearest_rotations(values: torch.Tensor) -> torch.Tensor:
    """The rotations nearest to matrices, such as means of some, [..., 3, 3] → the same shape."""
    u, _, vt = torch.linalg.svd(values)
    u = torch.cat([u[..., :2], u[..., 2:] * torch.linalg.det(u @ vt)[..., None, None]], dim=-1)
    return u @ vt
