"""InPose for its users: weights in, then whole bodies from a few tracked points, offline or frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.bodies import Bodies, pelvis_of
from motorque.estimators.inpose.bone_fit import with_bones_found
from motorque.estimators.inpose.contact_guidance import can_stand
from motorque.estimators.inpose.drawing import USUAL, SamplingSettings, closed_by, drawn_from
from motorque.estimators.inpose.error_bars import doubts as doubts_of_error_bars
from motorque.estimators.inpose.given_bones import GivenBones, bones_of, doubts_of
from motorque.estimators.inpose.long_sampling import climbed
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.sensor_offsets import at_joints, offsets_of
from motorque.estimators.inpose.sensor_times import at_60_hz
from motorque.estimators.inpose.sensor_units import Units, in_metres
from motorque.estimators.inpose.sensors import Convention, check_plausible, in_smpls_world, measured_of
from motorque.estimators.inpose.stream import Stream
from motorque.estimators.inpose.stream_input import Device
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
        drawn = drawn_from(
            self.network, measured, settings, seeds=[seed + number for number in range(n)], progress=progress
        )
        turns, measured = drawn.turns.numpy(), drawn.measured
        _say_climbed(climbed(measured, settings.slide), tracks.source, journal)
        pelvis = np.stack([pelvis_of(sample, measured, rest, root=settings.root) for sample in turns])
        pelvis[..., 1] += floor or 0.0
        measured = replace(measured, points=measured.points + torch.tensor([0.0, floor or 0.0, 0.0]))
        return Bodies(
            tracks.times,
            turns,
            pelvis,
            rest,
            own.sex,
            None if own.lengths is None else own.height,
            sensors.source,
            measured,
            drawn.settings,
            None if found is None else found.std.numpy(),
            floor or 0.0,
            drawn.stands,
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


def check_floor(floor: float | None) -> None:
    """Refuse heights of floors that are none.

    Raises:
        DataError: It is neither a number nor None.
    """
    if floor is not None and not (isinstance(floor, int | float | np.number) and np.isfinite(floor)):
        raise DataError(f"floor: {floor!r} is no height; give metres, or None where it is not known")


def _say_climbed(share: float, source: str, journal: Journal) -> None:
    """Say that the head is too high at times to be told."""
    if share > 0:
        journal.info(
            f"in {max(share, 0.01):.0%} of windows of 0.7 s the head is higher than when it stands: there the prior is "
            "not told where it is, as of somebody who climbs (if nobody does, check --floor and --height)",
            source,
        )


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
