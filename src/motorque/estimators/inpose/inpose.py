"""InPose for its users: weights in, then whole bodies from a few tracked points, offline or frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.bodies import Bodies, pelvis_of
from motorque.estimators.inpose.bone_fit import with_bones_found
from motorque.estimators.inpose.closing import SURE, closed
from motorque.estimators.inpose.contact_guidance import FeetSettings, can_stand, planted
from motorque.estimators.inpose.error_bars import doubts as doubts_of_error_bars
from motorque.estimators.inpose.gap_ends import without_jumps
from motorque.estimators.inpose.given_bones import GivenBones, bones_of, doubts_of
from motorque.estimators.inpose.guidance import PAPER_GUIDANCE, GuidanceSettings
from motorque.estimators.inpose.long_sampling import Measured, sample_recording
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.noisy_places import LEAST, left_over, smoothed
from motorque.estimators.inpose.sensor_offsets import at_joints, offsets_of
from motorque.estimators.inpose.sensor_times import at_60_hz
from motorque.estimators.inpose.sensor_units import Units, in_metres
from motorque.estimators.inpose.sensors import Convention, check_plausible, in_smpls_world, measured_of
from motorque.estimators.inpose.stream import Stream
from motorque.estimators.inpose.stream_input import Device
from motorque.estimators.inpose.tree import SLIDE, matrices
from motorque.estimators.inpose.weights import load_weights, weights_file
from motorque.files.smpl_bones import complete
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series.poses import Up
from motorque.series.tracks import Tracks
from motorque.skeleton.anthropometry import Sex

Array = NDArray[np.float64]
SHIPPED = Path(__file__).with_name("weights.safetensors")
"""Where weights that come with motorque lie."""
LAST = 250
"""Where sampling ends: what the network expects here is the sample. Below, little noise is left and the network's own
faults are larger (11° of clean rotations of watched people): five steps down to 0 have 6.2 cm where four down to 250
have 5.6, three 5.7, five down to 400 5.8, all with feet on the ground."""
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


class InPose:
    """The prior with all that is needed to use it; made by :meth:`load`.

    Args:
        network: The prior.
        about: What is known of how it was trained.
    """

    def __init__(self, network: PriorNetwork, about: dict[str, Any]) -> None:
        self.network, self.about = network, about

    @classmethod
    def load(cls, weights: str | Path | None = None) -> InPose:
        """Weights from a file or a training's folder, or those that come with motorque.

        Raises:
            FileFormatError: The file is none of this prior's; or none is given, and none comes with this version.
        """
        if weights is None and not SHIPPED.is_file():
            raise FileFormatError(
                "no weights of InPose come with this version of motorque; train some (motorque train inpose) and give "
                "the file: --weights FILE, InPose.load(FILE)"
            )
        return cls(*load_weights(weights_file(Path(SHIPPED if weights is None else weights))))

    def sample(
        self,
        sensors: Tracks,
        bones: GivenBones = None,
        n: int = 8,
        *,
        seed: int = 0,
        settings: SamplingSettings = USUAL,
        sex: Sex = "unknown",
        up: Up | None = None,
        convention: Convention = "smpl",
        t_pose: float | None = None,
        units: Units | None = None,
        floor: float | None = 0.0,
        bones_error: float | None = None,
        fit_bones: bool | None = None,
        offsets: Mapping[str, Sequence[float]] | None = None,
        offset_error: float = 0.0,
        delays: Mapping[str, float] | None = None,
        journal: Journal | None = None,
        progress: Progress = silent,
    ) -> Bodies:
        """Whole bodies that fit what sensors measured.

        Args:
            sensors: Places and rotations of any of the 22 joints.
            bones: Rest joints [m], shape [22 or 24, 3]; or the stature [m] for published proportions; or a path to
                ``bones.json``, or what would be in it by name; or None if nothing is known. Bones that a file does
                not tell are found as where a stature alone is told.
            n: Number of samples.
            seed: Of the first sample; the next has the next. A sample depends on nothing else that is random.
            settings: How.
            sex: Whose proportions, where bones are not all told.
            up: What is up in the sensors' world; y if None. If it is told, somebody may lie.
            convention: What their rotations are, see :data:`motorque.estimators.inpose.sensors.CONVENTIONS`.
            t_pose: A time at which the person stands in the T-pose [s], if sensors sit on joints any way.
            units: Unit of places; found if not given.
            floor: Height of the floor along ``up`` [m]; None if it is not known: then the prior is not told how high
                the head is.
            bones_error: Standard deviation of each told length [m]; 0 by default.
            fit_bones: Whether bones are found from the recording; by default where they are not told, or with an error.
            offsets: Where sensors are in their joints' axes [m], by joint; in the joint by default.
            offset_error: How far off that is in each direction [m]; offsets are found from the recording if above zero.
            delays: By how much sensors' rows are later than what they show [s], by joint; not at all by default.
            journal: Where assumptions, repairs and doubts are recorded.
            progress: Told how far it is.

        Returns:
            The samples at 60 Hz from the first row on, in a world with y up; with the floor where it was.

        Raises:
            DataError: Sensors or bones that can't be a person's, or numbers that can't be.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise DataError(f"sampling: {n!r:.60} samples can't be; give a whole number from 1 on")
        if not isinstance(sensors, Tracks):
            raise DataError(f"sampling: {sensors!r:.60} is no Tracks; read a file of them with mq.read_tracks")
        check_floor(floor)
        journal = Journal() if journal is None else journal
        own = bones_of(bones, sex=sex, journal=journal)
        rest, offsets = own.rest, {**own.offsets, **(offsets or {})}
        doubts = doubts_of(own, error=bones_error, fit=fit_bones, offset_error=offset_error)
        tracks = in_smpls_world(sensors, up=up or "y", convention=convention, t_pose=t_pose)
        tracks = in_metres(tracks, rest, units=units, floor=floor, journal=journal)
        check_plausible(tracks, up=up, convention=convention, journal=journal)
        tracks = at_60_hz(tracks, delays=delays, journal=journal)
        say_few(tracks, journal)
        measured = measured_of(tracks, rest, floor=floor, journal=journal)
        measured = at_joints(measured, offsets_of(offsets), journal=journal)
        measured, found = with_bones_found(
            self.network, measured, doubts, noise=settings.noise, seed=seed, journal=journal
        )
        if found is not None:
            rest = complete(measured.rest.double().numpy())
        if settings.feet is not None and not can_stand(measured):
            journal.info(
                "nobody knows where the head is over the floor: feet are where the prior has them", tracks.source
            )
        for doubt in doubts_of_error_bars(self.network, asdict(settings)) if n > 1 else ():
            journal.info(doubt, tracks.source)
        turns, measured, settings = drawn_from(
            self.network, measured, settings, seeds=[seed + number for number in range(n)], progress=progress
        )
        pelvis = np.stack([pelvis_of(sample, measured, rest, root=settings.root) for sample in turns.numpy()])
        pelvis[..., 1] += floor or 0.0
        measured = replace(measured, points=measured.points + torch.tensor([0.0, floor or 0.0, 0.0]))
        std = None if found is None else found.std.numpy()
        height = None if own.lengths is None else own.height
        return Bodies(
            tracks.times, turns.numpy(), pelvis, rest, own.sex, height, sensors.source, measured, settings, std
        )

    def stream(
        self,
        joints: tuple[str, ...] = ("head", "left_wrist", "right_wrist"),
        bones: GivenBones = None,
        *,
        sex: Sex = "unknown",
        floor: float | None = 0.0,
        offsets: Mapping[str, Sequence[float]] | None = None,
        settings: SamplingSettings = USUAL,
        seed: int = 0,
        hop: int = 6,
        delay: int = 6,
        up: Up | None = None,
        convention: Convention = "smpl",
        units: Units = "m",
    ) -> Stream:
        """Bodies while they move: give a frame of 60 Hz, get those that are ready.

        Args:
            joints: Which joints are tracked.
            bones: As :meth:`sample` takes them; a stream does not find them, but takes what a recording told (``rest``
                of :meth:`sample`'s bodies).
            sex: Whose proportions, where bones are a stature.
            floor: Height of the floor [m]; None if it is not known.
            offsets: Where sensors are in their joints' axes [m], by joint; in the joint by default.
            settings: How.
            seed: Of the noise.
            hop: Frames between two looks at the last 41.
            delay: Frames that a body is behind the newest at such a look.
            up: What is up in the device's world; y, but without a word of it, if None.
            convention: What its rotations are, as in :meth:`sample`.
            units: Unit of its places: m, cm, mm or in.

        Raises:
            DataError: There is no such joint, or numbers that can't be.
        """
        check_floor(floor)
        own = bones_of(bones, sex=sex, journal=Journal())
        return Stream(
            self.network,
            joints,
            own.rest,
            floor=floor,
            settings=settings,
            finish=closed_by,
            seed=seed,
            hop=hop,
            delay=delay,
            offsets=offsets_of({**own.offsets, **(offsets or {})}),
            device=Device(up, convention, units),
        )


def drawn_from(
    network: PriorNetwork,
    measured: Measured,
    settings: SamplingSettings,
    *,
    seeds: list[int],
    progress: Progress = silent,
) -> tuple[torch.Tensor, Measured, SamplingSettings]:
    """Samples of a recording from beginning to end: what all that draws bodies offline calls.

    Args:
        network: The prior.
        measured: What sensors say.
        settings: How.
        seeds: One for each sample.
        progress: Told how far it is.

    Returns:
        Global rotations, shape [n, T, 22, 3, 3], and the measurements and settings that they were closed with, noise
        taken out.
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
    return finished(matrices(six.double()), measured, settings), measured, settings


def finished(turns: torch.Tensor, measured: Measured, settings: SamplingSettings) -> torch.Tensor:
    """Samples, [n, T, 22, 3, 3], with feet on the ground, what guidance left over closed and gaps without jumps."""
    if settings.feet is not None:
        turns = planted(turns, measured, settings.feet)
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
    mean = drawn.mean
    if drawn.measured is None or drawn.settings is None or len(drawn.rotations) == 1:
        return mean
    turns = finished(torch.tensor(mean.rotations), drawn.measured, drawn.settings).numpy()
    if not drawn.measured.there.any():
        return replace(mean, rotations=turns)
    pelvis = pelvis_of(turns[0], drawn.measured, drawn.rest, root=drawn.settings.root)
    return replace(mean, rotations=turns, pelvis=pelvis[None])


def check_floor(floor: float | None) -> None:
    """Refuse heights of floors that are none.

    Raises:
        DataError: It is neither a number nor None.
    """
    if floor is not None and not (isinstance(floor, int | float | np.number) and np.isfinite(floor)):
        raise DataError(f"floor: {floor!r} is no height; give metres, or None where it is not known")


def say_few(tracks: Tracks, journal: Journal) -> None:
    """Say what a few sensors leave open.

    Raises:
        DataError: Not one was ever measured.
    """
    placed, turned = int(tracks.there.any(axis=0).sum()), int(tracks.seen.any(axis=0).sum())
    where = tracks.source or "tracks"
    if not placed and not turned:
        raise DataError(f"{where}: nothing was ever measured; check that the columns hold numbers")
    if placed < 2 and turned:
        journal.warn(
            f"{'one place is' if placed else 'no place is'} measured, so there is no difference to guide by: the pose "
            "follows the rotations alone, whatever the bones",
            where,
        )
    if not turned:
        journal.warn(
            "no rotation is measured: the prior is told nothing, nor where the person faces, and only places guide",
            where,
        )
    elif turned + placed < 5:
        journal.info(
            f"places of {placed} and rotations of {turned} are measured; most of the body is the prior's guess", where
        )
