"""A library of movements on disk: ``python -m motorque.estimators.inpose.library FOLDER… --out LIBRARY`` makes it.

A folder of three files that are read in place, so that a library may be larger than memory:

==================  ================================================================================================
``rotations.npy``   global rotations as six numbers, all movements one after the other, float32, [F, 22, 6]
``pelvis.npy``      the pelvis [m], y up, the floor at 0, float32, [F, 3]
``index.json``      format, rate, joints, a fingerprint of what it was made from, and for each movement its name,
                    subject (empty where nobody knows), who it may be, activity, source, first frame, number of frames,
                    rest joints [m], and files that are the same recording
==================  ================================================================================================

Mirrored copies are not stored: they are made when a window is drawn, and cost nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError, MotorqueError
from motorque.estimators.inpose.recordings import Recording, Source, read_recordings
from motorque.estimators.inpose.sources import sources_in
from motorque.estimators.inpose.straight_heads import with_straight_heads
from motorque.estimators.inpose.tree import JOINTS, RATE, WINDOW
from motorque.estimators.inpose.twins import Twin, find_twins
from motorque.files.output import OutputFolder
from motorque.journal import Journal
from motorque.progress import Progress, silent

FORMAT = 1
MAKING = 2
"""Counted up when the same files make other movements, so that a training makes its library again."""
CONTENTS = "contents:"
"""How fingerprints of files' contents begin; older libraries have one of their paths and times, without it."""
FILES = ("rotations.npy", "pelvis.npy", "index.json")


@dataclass(frozen=True)
class Movement:
    """One movement of a library.

    Args:
        name: Its name, unique.
        subject: Who moves; empty where nobody knows.
        likely: Who it may be, where that was only inferred.
        activity: What is done.
        source: File that it comes from.
        first: Its first frame within the library.
        frames: How many it has.
        rest: Rest joints from the pelvis [m], shape [22, 3] as rows.
        twins: Other files of the same recording, with how alike they are.
        off: How far the limbs' joints are from the source's own hierarchy [m]; None for SMPL poses, which are theirs.
    """

    name: str
    subject: str
    likely: str
    activity: str
    source: str
    first: int
    frames: int
    rest: tuple[tuple[float, float, float], ...]
    twins: tuple[tuple[str, float], ...] = ()
    off: float | None = None

    @property
    def minutes(self) -> float:
        """How long it lasts [min]."""
        return self.frames / RATE / 60


@dataclass(frozen=True)
class Library:
    """A library as it lies on disk; frames are read when they are asked for.

    Args:
        folder: Where it is.
        movements: What is in it.
        fingerprint: Of what it was made from.
    """

    folder: Path
    movements: tuple[Movement, ...]
    fingerprint: str

    @cached_property
    def rotations(self) -> NDArray[np.float32]:
        """Global rotations, shape [F, 22, 6], mapped from disk."""
        return np.asarray(np.load(self.folder / FILES[0], mmap_mode="r"))

    @cached_property
    def pelvis(self) -> NDArray[np.float32]:
        """The pelvis [m], shape [F, 3], mapped from disk."""
        return np.asarray(np.load(self.folder / FILES[1], mmap_mode="r"))

    def __getstate__(self) -> dict[str, Any]:
        # Other processes map the files themselves
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def make_library(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    workers: int = 1,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> Library:
    """Read all recordings of some folders and write them as a library, each recording once.

    Args:
        folders: What to read, see :func:`motorque.estimators.inpose.sources.sources_in`.
        out: The library's folder.
        workers: Processes that read.
        journal: Where skipped files, cuts and twins are recorded.
        progress: Told how far it is.

    Raises:
        DataError: There is no recording that can be used.
        OutputError: The library can't be written.
    """
    journal = Journal() if journal is None else journal
    sources = sources_in(folders)
    recordings = read_recordings(sources, workers=workers, journal=journal, progress=progress)
    twins = find_twins(recordings)
    for again, twin in twins.items():
        journal.info(f"is {twin.other} again ({twin.alike:.4f} alike) and was left out", again)
    kept = with_straight_heads([r for r in recordings if r.source.name not in twins])
    with OutputFolder(out) as folder:
        count = sum(len(r.rotations) for r in kept)
        rotations = np.lib.format.open_memmap(folder.path / FILES[0], "w+", np.float32, (count, len(JOINTS), 6))
        pelvis = np.lib.format.open_memmap(folder.path / FILES[1], "w+", np.float32, (count, 3))
        movements, first = [], 0
        whose = _subjects(recordings, twins)
        for recording in kept:
            frames = len(recording.rotations)
            rotations[first : first + frames] = recording.rotations
            pelvis[first : first + frames] = recording.pelvis
            movements.append(_movement(recording, whose, twins, first))
            first += frames
        rotations.flush()
        pelvis.flush()
        del rotations, pelvis
        index = {
            "format": FORMAT,
            "rate": RATE,
            "joints": list(JOINTS),
            "fingerprint": fingerprint(sources),
            "movements": [dataclasses.asdict(m) for m in movements],
        }
        (folder.path / FILES[2]).write_text(json.dumps(index))
    return load_library(out)


def load_library(folder: str | Path) -> Library:
    """Open a library.

    Raises:
        FileFormatError: There is none, it is of another format, or its files do not belong together.
    """
    folder = Path(folder)
    if not (folder / FILES[2]).is_file():
        raise FileFormatError(f"{folder}: is no library of movements ({FILES[2]} is not there)")
    try:
        index = json.loads((folder / FILES[2]).read_text())
        if index["format"] != FORMAT or index["joints"] != list(JOINTS) or index["rate"] != RATE:
            raise FileFormatError(f"{folder}: is a library of another format; make it again")
        movements = tuple(
            Movement(**{**m, "rest": tuple(tuple(row) for row in m["rest"]), "twins": tuple(map(tuple, m["twins"]))})
            for m in index["movements"]
        )
        library = Library(folder, movements, str(index["fingerprint"]))
        frames = sum(m.frames for m in movements)
        if library.rotations.shape != (frames, len(JOINTS), 6) or library.pelvis.shape != (frames, 3):
            raise FileFormatError(f"{folder}: its files do not belong together; make it again")
        return library
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise FileFormatError(f"{folder}: is no library of movements ({error}); make it again") from None


def fingerprint(sources: Sequence[Source]) -> str:
    """What tells one set of recordings from another: their bytes, and their names below the data's folder.

    It is the same wherever the folder lies, however it is spelled, and whenever its files were written.
    """
    digest = hashlib.sha256(f"{FORMAT} {WINDOW} {MAKING}".encode())
    known: dict[Path, str] = {}  # many recordings share a skeleton
    for source in sources:
        for path in (source.path, source.skeleton):
            if path is not None and path not in known:
                known[path] = _digest(path)
        skeleton = "" if source.skeleton is None else known[source.skeleton]
        digest.update(f"{source.encoding}\0{source.inside}\0{known[source.path]}\0{skeleton}\n".encode())
    return CONTENTS + digest.hexdigest()[:16]


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""  # skipped when it is read, and said there


def _subjects(recordings: Sequence[Recording], twins: dict[str, Twin]) -> dict[str, str]:
    """Subject of each kept file: its own, or that of a twin that has one."""
    own = {r.source.name: r.source.subject for r in recordings}
    for again, twin in twins.items():
        own[twin.other] = own[twin.other] or own[again]
    return own


def _movement(recording: Recording, whose: dict[str, str], twins: dict[str, Twin], first: int) -> Movement:
    source = recording.source
    return Movement(
        recording.name,
        whose[source.name],
        source.likely,
        source.activity,
        source.name,
        first,
        len(recording.rotations),
        tuple((float(x), float(y), float(z)) for x, y, z in recording.rest),
        tuple((again, round(twin.alike, 5)) for again, twin in twins.items() if twin.other == source.name),
        None if np.isnan(recording.off) else recording.off,
    )


def minutes_table(movements: Sequence[Movement]) -> str:
    """Minutes by subject and activity, for people; who is not known stands last."""
    rows: dict[tuple[str, str], list[float]] = {}
    for m in movements:
        who = m.subject or (f"unknown, {m.likely}" if m.likely else "unknown")
        rows.setdefault((who, m.activity), []).append(m.minutes)
    lines = [f"{'subject':22s} {'activity':22s} {'movements':>9s} {'minutes':>8s}"]
    for (who, activity), some in sorted(rows.items(), key=lambda row: (row[0][0].startswith("unknown"), row[0])):
        lines.append(f"{who:22s} {activity:22s} {len(some):9d} {sum(some):8.2f}")
    lines.append(f"{'all':22s} {'':22s} {len(movements):9d} {sum(m.minutes for m in movements):8.2f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Make a library from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m motorque.estimators.inpose.library", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("folders", nargs="+", type=Path, help="CMU's motion capture, AMASS, or other recordings")
    parser.add_argument("--out", type=Path, required=True, help="the library's folder")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 8), help="processes that read")
    options = parser.parse_args(arguments)
    journal, began = Journal(), time.monotonic()
    try:
        library = make_library(options.folders, options.out, workers=options.workers, journal=journal)
    except MotorqueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for notice in journal.notices:
        print(f"{notice.about}: {notice.text}")
    print(minutes_table(library.movements))
    worst = max((m.off for m in library.movements if m.off is not None), default=0.0)
    print(f"joints of the limbs are at most {1000 * worst:.4f} mm from the sources' own, on average of a movement")
    print(f"made in {time.monotonic() - began:.0f} s: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
