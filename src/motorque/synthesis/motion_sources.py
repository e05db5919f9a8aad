"""Reading a folder of CMU's motion capture: whose recording each file is, what is done, how tall the person was."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, MotorqueError
from motorque.files.acclaim import read_amc, read_asf
from motorque.files.bvh import read_bvh
from motorque.files.expmap import read_expmap
from motorque.fitting.retarget_source import roles_of, upright
from motorque.journal import Journal
from motorque.series.bones import BoneMotion

Array = NDArray[np.float64]

BALL_HEIGHT = 0.025
"""Height of the ball of a foot that stands, in CMU's recordings [m]: 12 to 38 mm with the persons' own skeletons."""

STRANGER = "walker?"
"""What walkers are called who can't be told apart; each recording has a skeleton of its own."""

# Whose the recordings without a subject's number are, by file (the last pattern that fits counts). Found by matching
# with the numbered ones, from CMU's index of subjects (who plays soccer or basketball, directs traffic, washes windows)
# and from the length of the legs, which the height of a standing person's pelvis gives to half a percent: 13 and 14
# differ by 5 %, and two recordings of jumping are those of 49, whose own skeleton makes them stand on the floor. A mark
# of interrogation stands after what was only inferred; walkers who can't be told apart share a name.
_PERSONS: tuple[tuple[str, str], ...] = (
    (r"walking_extra", STRANGER),
    (r"basketball/", "06"),
    (r"basketball_signal_[12]\.", "signals a?"),
    (r"basketball_signal_[34]\.", "signals b?"),
    (r"basketball_signal_5\.", "signals c?"),
    (r"soccer/", "10?"),
    (r"running/", "runner?"),
    (r"directing_traffic_1\.|jumping/", "13?"),
    (r"directing_traffic_4\.|washwindow/", "14?"),
    (r"test/jumping/jumping_1\.|train/jumping/jumping_2\.", "49"),
    (r"test/walking", "35"),
    (r"train/walking/walking_1\.", "02"),
    (r"train/walking/walking_2\.", "05"),
    (r"train/walking/walking_3\.", "06"),
    (r"train/walking/walking_[45]\.", "07"),
    (r"train/walking_extra/walking_1[3-7]\.", "08?"),
    (r"train/walking_extra/walking_(19|20|21)\.", "12?"),
    (r"train/walking_extra/walking_(2[789]|3[0-4])\.", "walker a?"),
    (r"train/walking_extra/walking_(3[7-9]|4[0-6])\.", "39?"),
    (r"train/walking_extra/walking_48\.", "13?"),
    (r"train/walking_extra/walking_23\.", "14?"),
)

# What is done, by file (the first pattern that fits counts), after CMU's index.
_ACTIVITIES: tuple[tuple[str, str], ...] = (
    (r"walking_(2[2-6]|4[89]|50)\.", "walk and turn"),
    (r"expmap/[^/]+/walking", "walk"),
    (r"expmap/[^/]+/(\w+)/", r"\1"),
    (r"/01_", "playground"),
    (r"/02_0[12]\.|/35_01\.|00[56]_01\.|/007_", "walk"),
    (r"/02_03\.", "run"),
    (r"/02_04\.", "jump"),
    (r"/02_05\.", "punch"),
    (r"/02_06\.", "bend and lift"),
    (r"/02_0[789]\.", "swordplay"),
    (r"/02_10\.", "wash self"),
    (r"/03_", "uneven ground"),
    (r"/49_", "balance on one leg"),
    (r"/005_", "dance"),
    (r"/006_", "basketball"),
    (r"/131_", "other"),
)

# Which encoding of the same recording is kept: the person's own skeleton before a borrowed one before a character's.
_PREFERENCE = ("asfamc", "expmap", "bvh")


@dataclass(frozen=True)
class Recording:
    """One file of the folder.

    Args:
        source: The file within the folder.
        subject: Who was recorded; persons who are not known for sure have a mark of interrogation.
        activity: What is done.
        skeleton: Recordings with the same skeleton share this name.
        bones: The recording.
        borrowed: Whether the bones are somebody else's, stretched as a whole.
    """

    source: str
    subject: str
    activity: str
    skeleton: str
    bones: BoneMotion
    borrowed: bool = False

    @property
    def rank(self) -> int:
        """Lower where the encoding is nearer to the recording."""
        return _PREFERENCE.index(self.source.split("/")[0])


def read_folder(folder: str | Path, *, journal: Journal) -> list[Recording]:
    """All recordings of a folder laid out as CMU's three encodings: ``asfamc/``, ``bvh/``, ``expmap/``.

    Args:
        folder: The folder.
        journal: Where files that can't be read and what was assumed are recorded.

    Raises:
        DataError: There is no recording in it.
    """
    folder = Path(folder)
    own = {path.stem: read_asf(path) for path in sorted(folder.glob("asfamc/*/*.asf"))}
    found: list[Recording] = []

    def add(path: Path, subject: str, skeleton: str, read: Callable[[], BoneMotion], borrowed: bool = False) -> None:
        source = path.relative_to(folder).as_posix()
        try:
            found.append(Recording(source, subject, activity_of(source), skeleton, read(), borrowed))
        except MotorqueError as error:
            journal.warn(str(error), source)

    for path in sorted(folder.glob("asfamc/*/*.amc")):
        name = path.parent.name
        if name in own:
            add(path, name, f"asf {name}", partial(read_amc, path, own[name], journal=journal))
    for path in sorted(folder.glob("expmap/*/*/*.txt")):
        subject = person_of(path.relative_to(folder).as_posix())
        skeleton = own.get(subject)
        read = partial(read_expmap, path, skeleton=skeleton, journal=journal)
        add(path, subject, f"asf {subject}", read, skeleton is None)
    for path in sorted(folder.glob("bvh/**/*.bvh")):
        subject = path.stem.split("_")[0]
        subject = subject[1:] if subject.startswith("0") else subject
        add(path, subject, f"bvh {subject}", partial(read_bvh, path, journal=journal))
    if not found:
        raise DataError(f"{folder}: holds no recording; it needs asfamc/, bvh/ or expmap/ with CMU's files")
    return _same_factor(found)


def person_of(source: str) -> str:
    """Who was recorded in a file of exponential maps."""
    return [person for pattern, person in _PERSONS if re.search(pattern, source)][-1:][0]


def activity_of(source: str) -> str:
    """What is done in a file of CMU's, by its path within the folder; ``other`` where the index does not say."""
    for pattern, activity in _ACTIVITIES:
        match = re.search(pattern, source)
        if match:
            return match.expand(activity).replace("_", " ").replace("washwindow", "wash windows")
    return "other"


def standing_factor(bones: BoneMotion) -> float:
    """How much longer bones must be for the feet of standing legs to reach the floor; NaN if nobody stands."""
    _, roles = roles_of(bones)
    balls = bones.positions[:, [roles["ball_r"], roles["ball_l"]]]
    every, lower = np.arange(len(balls)), balls[..., 1].argmin(1)
    speed = np.linalg.norm(np.gradient(balls, bones.times, axis=0), axis=-1)
    stands = (speed[every, lower] < 0.3) & upright(bones)
    if stands.sum() < 0.15 * bones.rate:
        return float("nan")
    root = bones.positions[stands, 0, 1]
    return float(np.median((root - BALL_HEIGHT) / (root - balls[every, lower, 1][stands])))


def _same_factor(recordings: Sequence[Recording]) -> list[Recording]:
    """Recordings whose bones are borrowed, made as long as their persons' legs need; the same for all of one person."""
    factors: dict[str, list[float]] = {}
    named = [
        dataclasses.replace(r, skeleton=f"{r.skeleton} {r.source}") if r.subject == STRANGER else r for r in recordings
    ]
    for recording in named:
        if recording.borrowed:
            factors.setdefault(recording.skeleton, []).append(standing_factor(recording.bones))
    known = {name: [f for f in some if np.isfinite(f)] for name, some in factors.items()}
    return [
        dataclasses.replace(r, bones=r.bones.stretched(float(np.median(known[r.skeleton]))))
        if known.get(r.skeleton)
        else r
        for r in named
    ]
