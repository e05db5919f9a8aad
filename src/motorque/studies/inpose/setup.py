"""What an evaluation is of: weights, the people whom they never saw, and recordings of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from motorque.errors import DataError, OutputError
from motorque.estimators.inpose.drawing import FAST, USUAL
from motorque.estimators.inpose.library import FILES, Library, fingerprint, load_library, make_library
from motorque.estimators.inpose.sources import sources_in
from motorque.estimators.inpose.weights import load_weights, weights_file
from motorque.files.output import write_text
from motorque.journal import Journal
from motorque.progress import Progress
from motorque.studies.inpose import cast
from motorque.studies.inpose.results import FILE

IDENTITY = "evaluation.json"
"""What the results in a folder are of."""


@dataclass(frozen=True)
class Tested:
    """Weights and those on whom they are tested.

    Args:
        weights: The prior's.
        subjects: Who is tested: people whom it never saw.
        baselines: Files of trained baselines by name.
    """

    weights: Path
    subjects: tuple[str, ...]
    baselines: Mapping[str, Path]


@dataclass(frozen=True)
class Setup:
    """What is evaluated.

    Args:
        library: Folder of the recordings.
        tested: Weights and their people; several for leave-subject-out.
        seconds: How long the stretches of recordings are at most [s]; whole recordings if None.
        seed: Of what is random.
        most: How many recordings of each person at most; all if None.
    """

    library: Path
    tested: tuple[Tested, ...]
    seconds: float | None
    seed: int = 0
    most: int | None = None


def library_of(folders: Sequence[Path], own: Path, *, workers: int, journal: Journal, progress: Progress) -> Library:
    """The library that is given, or the one of the recordings, made once in a folder of its own.

    Raises:
        DataError: No recording can be used, or a library is not given alone.
        OutputError: The library can't be written.
    """
    if any((folder / FILES[2]).is_file() for folder in folders):
        if len(folders) > 1:
            raise DataError(f"{folders[0]}: a library of movements goes alone; make one of all folders")
        return load_library(folders[0])
    if (own / FILES[2]).is_file() and load_library(own).fingerprint == fingerprint(sources_in(folders)):
        return load_library(own)
    return make_library(folders, own, workers=workers, journal=journal, progress=progress)


def whom_to_test(
    path: Path,
    library: Library,
    *,
    subjects: Sequence[str] | None = None,
    baselines: Mapping[str, Path] | None = None,
    journal: Journal,
) -> Tested:
    """Weights with those on whom they may be tested.

    Args:
        path: A file of weights or a training's folder.
        library: The recordings.
        subjects: Who is tested; those whom the weights' own split keeps for tests if None.
        baselines: Files of trained baselines by name; they must have the same split.
        journal: Where doubts are recorded.

    Raises:
        DataError: The weights learned from one of them, do not say from whom, or nobody is there.
        FileFormatError: A file is not what it should be.
    """
    weights = weights_file(path)
    kept, watched = _split(weights, load_weights(weights)[1])
    there = {movement.subject for movement in library.movements}
    if subjects is None:
        wanted = [name for name in kept if name in there]
        missing = [name for name in kept if name not in there]
        if not wanted:
            raise DataError(
                f"{weights}: is tested on {', '.join(kept) or 'nobody'}, of whom the data have no recording; "
                "check --data, or name people with --subjects"
            )
        if missing:
            journal.warn(f"there is no recording of {', '.join(missing)}, who belong to the test", str(weights))
    else:
        wanted = list(subjects)
    for name in wanted:
        if name not in kept and name not in watched:
            raise DataError(
                f"{weights}: learned from {name!r}, or does not say that it did not; it may be tested on "
                f"{', '.join([*kept, *watched]) or 'nobody'}"
            )
    seen = [name for name in wanted if name in watched and name not in kept]
    if seen:
        journal.warn(
            f"{', '.join(seen)} were watched while the weights and settings were chosen: this is no test of them",
            str(weights),
        )
    found = dict(baselines or {})
    for name, file in found.items():
        own = cast.baseline_split(name, file)
        unfit = [subject for subject in wanted if subject not in own]
        if unfit:
            raise DataError(f"{file}: {name} learned from {', '.join(unfit)}; train it with the prior's own split")
    return Tested(weights, tuple(wanted), found)


def _split(weights: Path, about: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    try:
        data = about["data"]
        return [str(name) for name in data["test"]], [str(name) for name in data["validation"]]
    except (KeyError, TypeError):
        raise DataError(
            f"{weights}: do not say from whom they learned, so nobody can be tested; train with motorque train inpose"
        ) from None


def begin(out: Path, setup: Setup, library: Library, *, resume: bool) -> None:
    """Make sure that rows in the folder are of this evaluation, and say so there for the next time.

    Raises:
        OutputError: The folder holds an evaluation and ``resume`` is not set, or can't be written to.
        DataError: What is there is of something else.
    """
    mine = identity(setup, library)
    path = out / IDENTITY
    if path.is_file() or (out / FILE).is_file():
        if not resume:
            raise OutputError(f"{out}: holds an evaluation; go on with --resume, or choose another folder with --out")
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            other = next((k for k in mine if k != "baselines" and before.get(k) != mine[k]), None)
            old = before["baselines"]
            changed = [name for name in old if name in mine["baselines"] and old[name] != mine["baselines"][name]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{path}: says not what was evaluated; choose another folder with --out") from None
        if other or changed:
            what = other or changed[0]
            raise DataError(f"{out}: holds an evaluation with other {what}; choose another folder with --out")
        mine["baselines"] = {**old, **mine["baselines"]}
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(mine, indent=1) + "\n")


def identity(setup: Setup, library: Library) -> dict[str, Any]:
    """What results depend on: weights and data by their contents, people, settings."""
    return {
        "weights": [_digest(part.weights) for part in setup.tested],
        "subjects": [list(part.subjects) for part in setup.tested],
        "data": library.fingerprint,
        "seconds": setup.seconds,
        "seed": setup.seed,
        "most": setup.most,
        "settings": json.loads(json.dumps([asdict(FAST), asdict(USUAL)])),
        "baselines": {f"{k} {n}": _digest(f) for k, part in enumerate(setup.tested) for n, f in part.baselines.items()},
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
