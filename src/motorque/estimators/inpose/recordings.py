"""Recordings of any of the readable kinds on the prior's 22 joints at 60 Hz, each checked against its own skeleton."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, MotorqueError
from motorque.estimators.inpose.resample import UNEVEN, resampled, unevenness
from motorque.estimators.inpose.tree import JOINTS, RATE, WINDOW, columns, global_rotations, resting
from motorque.files.acclaim import read_amc, read_asf
from motorque.files.bone_axes import TO_GROUND
from motorque.files.bvh import read_bvh
from motorque.files.expmap import read_expmap
from motorque.files.smpl_poses import read_poses
from motorque.fitting.lead_frame import without_lead_frame
from motorque.fitting.smpl_from_bones import joint_centres, poses_from_bones, source_joints
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series.bones import BoneMotion
from motorque.signals.runs import runs_of
from motorque.synthesis.motion_library import without_rest_pose
from motorque.synthesis.motion_sources import BALL_HEIGHT, standing_factor

Array = NDArray[np.float64]

LIMBS = tuple(j for j, name in enumerate(JOINTS) if name.split("_")[-1] in ("hip", "knee", "ankle", "elbow", "wrist"))
"""Joints that every source has at the same place; the spine's and the neck's are a family's own choice."""
FEET = (JOINTS.index("left_foot"), JOINTS.index("right_foot"))
FASTEST_TURN = 60.0
"""Angular speed of a body that is a fault of the recording [rad/s]."""
FASTEST_ROOT = 15.0
"""Speed of the pelvis that is one [m/s]."""


@dataclass(frozen=True)
class Source:
    """A file to read.

    Args:
        path: The file.
        name: What it is called in the library: its path within its folder.
        subject: Whose recording it is; empty where nobody knows.
        activity: What is done, as far as the source says.
        encoding: Recordings are compared with those of other encodings; lower ``rank`` is nearer to what was measured.
        rank: See there.
        skeleton: The ``.asf`` of an ``.amc`` or of exponential maps, or None.
        likely: Who it may be, where that was only inferred; never trained on while that person is tested.
        level: Whether the person only ever stood on one level floor that the file has somewhere near height 0.
        person: Recordings with borrowed bones and the same ``person`` get the same lengths; empty for own bones.
        inside: The path below the folder of the data, without that folder's own name.
    """

    path: Path
    name: str
    subject: str
    activity: str
    encoding: str
    rank: int = 0
    skeleton: Path | None = None
    likely: str = ""
    person: str = ""
    level: bool = False
    inside: str = ""


@dataclass(frozen=True)
class Recording:
    """A recording on the 22 joints at 60 Hz, in a world with y up and the floor at 0.

    Args:
        source: Where it comes from.
        rotations: Global rotations as six numbers, shape [T, 22, 6], float32.
        pelvis: The pelvis [m], shape [T, 3], float32.
        rest: Rest joints from the pelvis [m], shape [22, 3].
        off: How far joints of the limbs are from the source's own hierarchy, mean over frames [m]; NaN for SMPL's.
        factor: How much longer the bones must be for standing feet to reach the floor; NaN where nobody can tell.
        trace: The pelvis over the whole file at 60 Hz [m], shape [N, 3], by which files are compared.
        part: Number of the piece, where faults cut the file into several; 0 otherwise.
    """

    source: Source
    rotations: NDArray[np.float32]
    pelvis: NDArray[np.float32]
    rest: Array
    off: float
    factor: float
    trace: NDArray[np.float32]
    part: int = 0

    @property
    def name(self) -> str:
        """What it is called, unique in a library."""
        return f"{self.source.name} part {self.part}" if self.part else self.source.name


def read_recordings(
    sources: Sequence[Source], *, workers: int = 1, journal: Journal, progress: Progress = silent
) -> list[Recording]:
    """Read files, several at a time; one that can't be read is skipped and said.

    Args:
        sources: The files.
        workers: Processes that read; up to 1, this one does.
        journal: Where skipped files and what was cut are recorded.
        progress: Told how far it is.

    Raises:
        DataError: Not one of them can be used.
    """
    found: list[Recording] = []
    reasons: list[str] = []

    def take(number: int, result: tuple[list[Recording], list[tuple[str, str]]]) -> None:
        pieces, said = result
        found.extend(pieces)
        for kind, text in said:
            if kind == "warning":
                reasons.append(text)
                journal.warn(text, sources[number].name)
            else:
                journal.repair(text, sources[number].name)
        progress("reading recordings", (number + 1) / len(sources))

    if workers > 1 and len(sources) > 4:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for number, result in enumerate(pool.map(read_source, sources, chunksize=2)):
                take(number, result)
    else:
        for number, source in enumerate(sources):
            take(number, read_source(source))
    if not found:
        first = f"; the first: {reasons[0]}" if reasons else ""
        raise DataError(f"none of the {len(sources)} files holds a recording that can be used{first}")
    return _own_lengths(found)


def read_source(source: Source) -> tuple[list[Recording], list[tuple[str, str]]]:
    """The usable pieces of one file and what there is to say about it, as (kind, text)."""
    said: list[tuple[str, str]] = []
    try:
        off, factor = float("nan"), float("nan")
        if source.path.suffix.lower() == ".npz":
            poses = read_poses(source.path, journal=Journal())
        else:
            bones = _bones(source)
            count = len(bones.times)
            bones = _thinned(without_rest_pose(bones))
            if len(bones.times) < 2:
                raise DataError(f"{source.path}: holds {count} frames, which is no movement")
            own = Journal()
            poses = without_lead_frame(poses_from_bones(bones, source=source.name, journal=own), own)
            bones = bones.frames(slice(len(bones.times) - len(poses.times), None))
            centres = bones.positions[:, source_joints(bones)[: len(JOINTS)]] @ TO_GROUND
            gap = np.linalg.norm(joint_centres(poses)[:, : len(JOINTS)] - centres, axis=-1)
            off, factor = float(gap[:, LIMBS].mean()), standing_factor(bones) if source.person else 1.0
            if source.level:
                low = float(np.percentile(centres[:, FEET, 1].min(axis=1), 5.0)) - BALL_HEIGHT
                poses = dataclasses.replace(poses, translation=poses.translation - (0.0, low, 0.0))
                if abs(low) > 0.03:
                    said.append(("repair", f"lowered by {100 * low:.0f} cm, so that feet stand on the floor"))
        if unevenness(poses.times) > UNEVEN:
            said.append(("repair", f"frames are {100 * unevenness(poses.times):.0f} % uneven in time; resampled"))
        turns, pelvis = global_rotations(poses)
        pieces: list[Recording] = []
        kept = 0
        trace = _trace(poses.times[poses.known], pelvis[poses.known])
        for first, last in _runs(poses.known):
            even, place = resampled(poses.times[first:last], turns[first:last], pelvis[first:last], RATE)
            for a, b in smooth_runs(even, place):
                kept += b - a
                piece = Recording(
                    source, columns(even[a:b]).astype(np.float32), place[a:b].astype(np.float32), resting(poses),
                    off, factor, trace, len(pieces) + 1,
                )  # fmt: skip
                pieces.append(piece)
        if not pieces:
            raise DataError(f"{source.path}: has no {WINDOW} frames in a row at {RATE:g} Hz without a fault")
        lost = poses.times[-1] - poses.times[0] - kept / RATE
        if lost > 2.5 / RATE:
            said.append(("repair", f"{lost:.2f} s with unseen joints or jumps were left out"))
        if len(pieces) == 1:
            pieces = [dataclasses.replace(pieces[0], part=0)]
        return pieces, said
    except MotorqueError as error:
        return [], [("warning", f"{error}; skipped")]


def smooth_runs(turns: Array, pelvis: Array) -> list[tuple[int, int]]:
    """Stretches of a window's length or more without a jump: first frame and the one after the last."""
    cosine = (np.einsum("tjab,tjab->tj", turns[1:], turns[:-1]) - 1.0) / 2.0
    turned = np.arccos(np.clip(cosine, -1.0, 1.0)).max(axis=1) * RATE
    moved = np.linalg.norm(np.diff(pelvis, axis=0), axis=1) * RATE
    jump = np.flatnonzero((turned > FASTEST_TURN) | (moved > FASTEST_ROOT)) + 1
    edges = [0, *jump.tolist(), len(turns)]
    return [(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True) if b - a >= WINDOW]


def _bones(source: Source) -> BoneMotion:
    kind = source.path.suffix.lower()
    if kind == ".bvh":
        return read_bvh(source.path, journal=Journal())
    skeleton = None if source.skeleton is None else read_asf(source.skeleton)
    if kind == ".amc":
        if skeleton is None:
            raise DataError(f"{source.path}: its skeleton (.asf) is not beside it")
        return read_amc(source.path, skeleton, journal=Journal())
    return read_expmap(source.path, skeleton=skeleton, journal=Journal())


def _trace(times: Array, pelvis: Array) -> NDArray[np.float32]:
    """The pelvis at 60 Hz, straight through what was not seen, shape [N, 3]; nothing where there is no movement."""
    if len(times) < 2:
        return np.zeros((0, 3), dtype=np.float32)
    even = np.arange(times[0], times[-1], 1.0 / RATE)
    return np.stack([np.interp(even, times, pelvis[:, axis]) for axis in range(3)], axis=1).astype(np.float32)


def _thinned(bones: BoneMotion) -> BoneMotion:
    """Every second or third frame of what is recorded at a multiple of 60 Hz: the others would be read in vain."""
    every = round(bones.rate / RATE) if np.isfinite(bones.rate) else 1
    even = every > 1 and abs(bones.rate - every * RATE) < 1e-3 * bones.rate and unevenness(bones.times) < UNEVEN
    return bones.frames(slice(None, None, every)) if even else bones


def _runs(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches of two frames or more that were seen: first frame and the one after the last."""
    return [(run.start, run.stop) for run in runs_of(known) if run.stop - run.start >= 2]


def _own_lengths(recordings: list[Recording]) -> list[Recording]:
    """Borrowed bones made as long as their person's legs need to stand on the floor; the same for all of one person."""
    factors: dict[str, list[float]] = {}
    for recording in recordings:
        if recording.source.person and np.isfinite(recording.factor):
            factors.setdefault(recording.source.person, []).append(recording.factor)
    found = []
    for recording in recordings:
        factor = float(np.median(factors.get(recording.source.person, [1.0]))) if recording.source.person else 1.0
        found.append(dataclasses.replace(recording, rest=factor * recording.rest, factor=factor))
    return found
