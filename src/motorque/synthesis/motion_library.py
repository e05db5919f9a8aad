"""Making the library of captured movements from a folder of CMU's motion capture.

``python -m motorque.synthesis.motion_library FOLDER --out motions.npz``; see :mod:`motorque.synthesis.motions`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from motorque.errors import DataError, MotorqueError
from motorque.fitting.retarget import Retargeted, proportions, retarget
from motorque.fitting.retarget_source import SegmentAxes, roles_of, segment_axes
from motorque.journal import Journal
from motorque.series import Motion
from motorque.series.bones import BoneMotion
from motorque.signals.runs import runs_of
from motorque.synthesis.motion_duplicates import duplicates
from motorque.synthesis.motion_sources import Recording, read_folder
from motorque.synthesis.motions import CapturedMotion, save_motions

HELD_BACK = ("35", "49", "13?", "14?", "runner?")
"""Never trained on: walks, runs, jumps, balancing, directing traffic, washing windows, turning. The runner may be 35,
the jumper 13 or 16: whoever may be the same person is in the same split."""

VALIDATION = ("07", "08?", "10?", "signals c?")
"""Watched while training: walks, soccer, basketball signals."""

SHORTEST = 1.0
"""Recordings shorter than this are left out [s]."""

FASTEST_BONE = 60.0
"""Speed of a bone that only the step from or to a rest pose has [rad/s]."""

FASTEST_ANGLE = 40.0
"""Speed of an angle that is a jump between two solutions, or through gimbal lock, not a movement [rad/s]: an ankle
turns by up to 28 when a jumper lands, a thrower's arm by more, but not over a whole thirtieth of a second."""


def split_of(subject: str) -> str:
    """Which split a person is in."""
    return "held-back" if subject in HELD_BACK else "validation" if subject in VALIDATION else "train"


def captured_motions(
    folder: str | Path,
    *,
    rate: float = 30.0,
    journal: Journal,
    report: Callable[[str, Retargeted], None] | None = None,
) -> list[CapturedMotion]:
    """All movements of a folder on the built-in skeleton, each once.

    Args:
        folder: CMU's three encodings, see :func:`motorque.synthesis.motion_sources.read_folder`.
        rate: Frames per second of the result.
        journal: Where duplicates, files without use and what was assumed are recorded.
        report: Called with the source and the result of each recording.

    Raises:
        DataError: There is no recording in the folder that can be used.
    """
    recordings = read_folder(folder, journal=journal)
    again = duplicates(recordings)
    for source, kept in again.items():
        journal.info(f"is {kept} again and was left out", source)
    found: list[CapturedMotion] = []
    axes = _axes(recordings, journal)
    for recording in recordings:
        if recording.source in again or recording.skeleton not in axes:
            continue
        if recording.bones.times[-1] < SHORTEST:
            journal.info(f"lasts {recording.bones.times[-1]:.2f} s and was left out", recording.source)
            continue
        segments, factors = axes[recording.skeleton]
        bones = without_rest_pose(recording.bones)
        if len(bones.times) < len(recording.bones.times):
            journal.repair("a rest pose before or after the recording was left out", recording.source)
        result = retarget(bones, segments, factors, rate=rate, journal=Journal())
        pieces = smooth_pieces(result.motion, least=round(SHORTEST * rate))
        lost = len(result.motion.times) - sum(last - first for first, last in pieces)
        if lost:
            journal.repair(f"{lost} frames around jumps of an angle were left out", recording.source)
        name = Path(recording.source).with_suffix("").as_posix()
        for number, (first, last) in enumerate(pieces, 1):
            found.append(
                CapturedMotion(
                    name if len(pieces) == 1 else f"{name} part {number}",
                    recording.subject,
                    split_of(recording.subject),
                    result.motion.values[first:last].astype(np.float32),
                    result.motion.names,
                    recording.activity,
                    recording.source,
                    dict(factors),
                    rate,
                )
            )
        if report is not None:
            report(recording.source, result)
    if not found:
        raise DataError(f"{folder}: holds no recording that can be used")
    return found


def without_rest_pose(bones: BoneMotion) -> BoneMotion:
    """The recording without a first or last frame from which some bone turns faster than :data:`FASTEST_BONE`."""
    first, last = 0, len(bones.times)
    if last > 3:
        for one, other, ends in ((0, 1, "first"), (-1, -2, "last")):
            cosine = (np.einsum("jab,jab->j", bones.rotations[one], bones.rotations[other]) - 1.0) / 2.0
            if np.arccos(np.clip(cosine, -1.0, 1.0)).max() * bones.rate > FASTEST_BONE:
                first, last = (1, last) if ends == "first" else (first, last - 1)
    cut = bones.frames(slice(first, last))
    return dataclasses.replace(cut, times=cut.times - cut.times[0])


def smooth_pieces(motion: Motion, *, least: int) -> list[tuple[int, int]]:
    """Stretches of a motion without a jump of an angle: first frame and the one after the last, of ``least`` or more.

    The pelvis' heading and the arms' turns may jump by a whole turn, never by less: those are mended before.
    """
    angles = [i for i, name in enumerate(motion.names) if name not in ("pelvis_tx", "pelvis_ty", "pelvis_tz")]
    step = np.abs(np.diff(motion.values[:, angles], axis=0)).max(1) * motion.rate
    good = np.ones(len(motion.times), dtype=bool)
    for jump in np.flatnonzero(step > FASTEST_ANGLE):
        good[max(0, jump) : jump + 2] = False
    return [(run.start, run.stop) for run in runs_of(good) if run.stop - run.start >= least]


def _axes(recordings: Sequence[Recording], journal: Journal) -> dict[str, tuple[SegmentAxes, dict[str, float]]]:
    """The segments' axes and the proportions of each skeleton; those that can't be told are left out and said."""
    family = {r.source: roles_of(r.bones)[0] for r in recordings}
    level = {name: [r.bones for r in recordings if family[r.source] == name and _level(r)] for name in family.values()}
    found: dict[str, tuple[SegmentAxes, dict[str, float]]] = {}
    for name in dict.fromkeys(r.skeleton for r in recordings):
        own = [r for r in recordings if r.skeleton == name]
        walks = [r.bones for r in own if r.activity == "walk"]
        bones = [r.bones for r in own]
        try:
            segments = segment_axes(bones, family=level[family[own[0].source]] or None, walks=walks)
            found[name] = (segments, proportions(bones, journal=journal))
        except DataError as error:
            journal.warn(f"{error}; left out", ", ".join(r.source for r in own))
    return found


def _level(recording: Recording) -> bool:
    """Whether feet stand on a level floor for most of the time."""
    return recording.activity not in ("playground", "uneven ground", "dance")


def main(arguments: list[str] | None = None) -> int:
    """Make the library from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m motorque.synthesis.motion_library", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, help="CMU's motion capture: a folder with asfamc/, bvh/ and expmap/")
    parser.add_argument("--out", type=Path, required=True, help="the library (.npz)")
    parser.add_argument("--rate", type=float, default=30.0, help="frames per second")
    options = parser.parse_args(arguments)
    journal, began = Journal(), time.monotonic()
    worst: dict[str, float] = {}

    def report(source: str, result: Retargeted) -> None:
        ankle = float(np.mean([result.errors["ankle_r"], result.errors["ankle_l"]]))
        worst[source] = ankle
        print(f"{source:44s} {len(result.motion.times):5d} frames  ankles {1000 * ankle:4.0f} mm", flush=True)

    try:
        motions = captured_motions(options.folder, rate=options.rate, journal=journal, report=report)
        save_motions(options.out, motions)
    except MotorqueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for notice in journal.notices:
        if notice.kind in ("warning", "info", "repair") and "frame 1 is the rest pose" not in notice.text:
            print(f"{notice.about}: {notice.text}")
    minutes: dict[tuple[str, str], float] = {}
    for motion in motions:
        kind = (motion.split, motion.activity)
        minutes[kind] = minutes.get(kind, 0.0) + len(motion.q) / motion.rate / 60
    for (split, activity), length in sorted(minutes.items()):
        print(f"{split:11s} {activity:22s} {length:6.2f} min")
    print(
        f"{len(motions)} motions, {sum(minutes.values()):.1f} min, in {time.monotonic() - began:.0f} s: {options.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
