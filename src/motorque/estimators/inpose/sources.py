"""What there is to read in a folder, and whose it is: CMU's three encodings, AMASS's archives, or any such files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from motorque.errors import DataError
from motorque.estimators.inpose.recordings import Source
from motorque.synthesis.motion_sources import STRANGER, activity_of, person_of

_CMU = ("asfamc", "expmap", "bvh")
"""CMU's encodings, nearest to what was measured first: own skeletons, borrowed ones, characters'."""


def sources_in(folders: Sequence[str | Path]) -> list[Source]:
    """All recordings of some folders, in an order that depends on their names alone.

    A folder with ``asfamc/``, ``expmap/`` or ``bvh/`` is taken as CMU's. Of any other one all ``.npz``, ``.bvh`` and
    ``.amc`` files are taken, wherever they lie in it; the folder that a file lies in is its subject, as in AMASS.

    Raises:
        DataError: A folder is not there, is none, or holds no such file.
    """
    found: list[Source] = []
    for name in folders:
        folder = Path(name)
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder of recordings; check the name")
        own = list(_cmu(folder) if any((folder / part).is_dir() for part in _CMU) else _any(folder))
        if not own:
            raise DataError(f"{folder}: holds no recording; it needs .npz, .bvh or .amc files, or CMU's folders")
        found += [dataclasses.replace(one, inside=one.path.relative_to(folder).as_posix()) for one in own]
    names = [source.name for source in found]
    again = next((name for name in names if names.count(name) > 1), None)
    if again is not None:
        raise DataError(f"{again}: is in two of the folders; give each recording once")
    return found


def _cmu(folder: Path) -> Iterator[Source]:
    skeletons = {path.stem: path for path in sorted(folder.glob("asfamc/*/*.asf"))}
    for path in sorted(folder.glob("asfamc/*/*.amc")):
        subject, name = path.parent.name, path.relative_to(folder).as_posix()
        yield Source(path, name, subject, activity_of(name), "asfamc", 0, skeletons.get(subject))
    for path in sorted(folder.glob("expmap/*/*/*.txt")):
        # Whose it is will be known if it has a twin; until then it is nobody's, and the guess only keeps it away from
        # tests of the person that it may be.
        name = path.relative_to(folder).as_posix()
        likely = person_of(name)
        own = skeletons.get(likely)
        lengths = "" if own is not None else f"{likely} {name}" if likely == STRANGER else likely
        yield Source(path, name, "", activity_of(name), "expmap", 1, own, likely, lengths)
    for path in sorted(folder.glob("bvh/**/*.bvh")):
        subject = path.stem.split("_")[0]
        name = path.relative_to(folder).as_posix()
        # Characters' floors lie up to a hand's breadth off the file's
        yield Source(path, name, _number(subject), activity_of(name), "bvh", 2, level=True)


def _any(folder: Path) -> Iterator[Source]:
    own = Path(Path(os.path.abspath(folder)).name)  # the same, however the folder is spelled: "." has no name
    for path in sorted(folder.rglob("*")):
        kind = path.suffix.lower()
        if not path.is_file() or kind not in (".npz", ".bvh", ".amc") or path.stem in ("shape", "neutral_stagei"):
            continue  # AMASS keeps a person's shape beside the recordings
        inside = own / path.relative_to(folder)
        subject = inside.parent.as_posix()
        asf = None
        if kind == ".amc":
            beside = sorted(path.parent.glob("*.asf"))
            named = [p for p in beside if p.stem in (path.stem, path.stem.split("_")[0])]
            asf = next(iter(named or beside), None)
        yield Source(path, inside.as_posix(), subject, "", kind.removeprefix("."), 0, asf)


def _number(subject: str) -> str:
    """CMU's number of a subject as its own files have it: ``005`` is ``05``."""
    return subject[1:] if len(subject) == 3 and subject.startswith("0") else subject
