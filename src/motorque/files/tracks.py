"""Tracks of worn sensors: a table (``tracks.csv``) or a numpy archive with the same names.

Columns, all of a joint's or only its place or only its rotation; joints are SMPL's (``head``, ``left_wrist`` …):

=====================================  ============================================================================
``time``                               [s]
``<joint>_px``, ``_py``, ``_pz``       place
``<joint>_qw``, ``_qx``, ``_qy``, ``_qz``  rotation as a quaternion, the real part first by name
``<joint>_r00`` … ``_r22``             rotation as a matrix: row, then column
``<joint>_d0`` … ``_d5``               rotation as six numbers: the matrix' first column, then its second
=====================================  ============================================================================

An empty cell or NaN is what was not measured. An archive has ``time`` [T] and either these names or ``<joint>_p``
[T, 3], ``<joint>_q`` [T, 4] (w, x, y, z: the real part first), ``<joint>_r`` [T, 3, 3], ``<joint>_d`` [T, 6].
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.files.npz import Archive
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.skeleton.smpl import SMPL_JOINTS

Array = NDArray[np.float64]

TRACKED = SMPL_JOINTS[:22]
"""Joints that can be tracked: SMPL's without hands."""
PARTS = {
    "p": ("px", "py", "pz"),
    "q": ("qw", "qx", "qy", "qz"),
    "r": tuple(f"r{i}{j}" for i in range(3) for j in range(3)),
    "d": tuple(f"d{i}" for i in range(6)),
}
"""Ends of columns by what they hold."""
MOST_BYTES = 2**30
DEVICES = {
    **dict.fromkeys(("hand", "controller", "palm", "watch"), "wrist"),
    **dict.fromkeys(("hmd", "headset", "glasses", "camera"), "head"),
    **dict.fromkeys(("hips", "waist", "root"), "pelvis"),
    "chest": "spine3",
}
"""What devices call sensors, and the joints that they are on."""
OFF_UNIT = 0.05
"""How far the size of a quaternion or of a column may be from 1."""

_COLUMN = re.compile(r"^(?P<joint>.+)_(?P<part>p[xyz]|q[wxyz]|r[0-2][0-2]|d[0-5]|[pqrd])$")


def read_tracks(path: str | Path, *, journal: Journal | None = None) -> Tracks:
    """Read tracks as the file has them, units and axes included.

    Args:
        path: ``.csv`` or ``.npz``.
        journal: Where columns that are left out are recorded.

    Raises:
        FileFormatError: The file can't be read as tracks: what is wrong, and where.
    """
    path = Path(path)
    journal = Journal() if journal is None else journal
    columns = _archive(path) if path.suffix.lower() == ".npz" else _table(path)
    times = next((columns.pop(name) for name in ("time", "times", "t", "timestamp") if name in columns), None)
    if times is None:
        raise FileFormatError(f"{path}: there is no column 'time' [s]; the columns are {_some(list(columns))}")
    if not np.isfinite(times).all():
        row = int(np.flatnonzero(~np.isfinite(times))[0]) + 1
        raise FileFormatError(f"{path}: row {row} has no time; give the time of every row [s]")
    joints: dict[str, dict[str, Array]] = {}
    for name, values in columns.items():
        found = _COLUMN.match(name)
        if found is None:
            journal.info(f"column {name!r} is none of a sensor and is left out", path.name)
            continue
        joint = found["joint"]
        if joint not in TRACKED:
            near = _called(joint) or difflib.get_close_matches(joint, TRACKED, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"joints are {', '.join(TRACKED)}"
            raise FileFormatError(f"{path}: column {name!r}: there is no joint {joint!r}; {hint}")
        joints.setdefault(joint, {})[found["part"]] = values
    if not joints:
        raise FileFormatError(
            f"{path}: no column is a sensor's; columns are called head_px, head_qw …, and here {_some(list(columns))}"
        )
    names = tuple(name for name in TRACKED if name in joints)
    positions = np.full((len(times), len(names), 3), np.nan)
    rotations = np.full((len(times), len(names), 3, 3), np.nan)
    for number, name in enumerate(names):
        parts = joints[name]
        kinds = [kind for kind in "pqrd" if kind in parts or any(end in parts for end in PARTS[kind])]
        if len([kind for kind in kinds if kind != "p"]) > 1:
            raise FileFormatError(f"{path}: {name} has its rotation twice, as {' and '.join(kinds)}; leave one out")
        for kind in kinds:
            values = _whole(parts, name, kind, path)
            if kind == "p":
                positions[:, number] = values
            else:
                rotations[:, number] = _matrices(values, kind, name, path)
    try:
        return Tracks(times, names, positions, rotations, path.name)
    except DataError as error:
        raise FileFormatError(f"{path}: {error}") from None


def _called(name: str) -> list[str]:
    """The joint that a device's own word for a sensor means, if it is known."""
    words = re.findall(r"left|right|[a-z]+", name.lower())
    side = next((side for side in ("left", "right") if side in words or side[0] in words), None)
    joint = next((DEVICES[word] for word in words if word in DEVICES), None)
    if joint == "wrist":
        return [f"{side}_wrist"] if side else ["left_wrist"]
    return [joint] if joint else []


def _whole(parts: dict[str, Array], name: str, kind: str, path: Path) -> Array:
    """All numbers of a joint's place or rotation, shape [T, n]."""
    ends = PARTS[kind]
    if kind in parts:
        return parts[kind].reshape(len(parts[kind]), -1)
    missing = [f"{name}_{end}" for end in ends if end not in parts]
    if missing:
        raise FileFormatError(f"{path}: {missing[0]} is missing beside {name}'s others; give all {len(ends)} of them")
    return np.stack([parts[end] for end in ends], axis=-1)


def _matrices(values: Array, kind: str, name: str, path: Path) -> Array:
    """Rotation matrices, shape [T, 3, 3]; NaN where a number is missing, or all are zero."""
    there = np.asarray(np.isfinite(values).all(axis=1) & (np.abs(values) > 0).any(axis=1))
    own = values[there]
    found = np.full((len(values), 3, 3), np.nan)
    if kind == "q":
        size = np.linalg.norm(own, axis=1)
        _check_sizes(size, there, "quaternion", name, path)
        w, x, y, z = (own / size[:, None]).T
        rows = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        found[there] = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
        return found
    if kind == "d":
        first, second = own[:, :3], own[:, 3:]
        _check_sizes(np.linalg.norm(first, axis=1), there, "first column", name, path)
        first = first / np.linalg.norm(first, axis=1, keepdims=True)
        second = second - (first * second).sum(1, keepdims=True) * first
        _check_sizes(np.linalg.norm(second, axis=1), there, "second column", name, path)
        second = second / np.linalg.norm(second, axis=1, keepdims=True)
        found[there] = np.stack([first, second, np.cross(first, second)], axis=-1)
        return found
    u, sizes, vt = np.linalg.svd(own.reshape(-1, 3, 3))
    _check_sizes(sizes.max(axis=1), there, "matrix", name, path)
    _check_sizes(sizes.min(axis=1) * np.linalg.det(u @ vt), there, "matrix", name, path)
    found[there] = u @ vt
    return found


def _check_sizes(sizes: Array, there: NDArray[np.bool_], what: str, name: str, path: Path) -> None:
    wrong = np.abs(sizes - 1) > OFF_UNIT
    if wrong.any():
        which = int(np.flatnonzero(wrong)[0])
        raise FileFormatError(
            f"{path}: row {int(np.flatnonzero(there)[which]) + 1}: the {what} of {name} is no rotation (its size is "
            f"{sizes[which]:.3g}, not 1); check the columns' order"
        )


def _archive(path: Path) -> dict[str, Array]:
    with Archive(path) as archive:
        columns = {name: archive.numbers(name) for name in archive.names if archive_has_numbers(archive, name)}
    times = columns.get("time")
    shapes = {"p": (3,), "q": (4,), "r": (3, 3), "d": (6,)}
    for name, values in list(columns.items()):
        found = _COLUMN.match(name)
        if name == "time" and values.ndim != 1:
            raise FileFormatError(f"{path}: 'time' has shape {list(values.shape)}; give one number for each row")
        if found is None or times is None:
            continue
        wanted = (len(times), *shapes.get(found["part"], ()))
        if values.shape != wanted:
            raise FileFormatError(
                f"{path}: {name!r} has shape {list(values.shape)}; {list(wanted)} is needed for {len(times)} times"
            )
    return columns


def archive_has_numbers(archive: Archive, name: str) -> bool:
    """Whether an array of an archive can be a column; words beside them are nobody's business."""
    return name == "time" or _COLUMN.match(name) is not None


def _table(path: Path) -> dict[str, Array]:
    try:
        if path.is_dir():
            raise FileFormatError(f"{path}: is a folder; give the name of a file")
        if path.stat().st_size > MOST_BYTES:
            raise FileFormatError(f"{path}: is larger than {MOST_BYTES / 2**30:g} GiB; cut the recording")
        with open(path, newline="", encoding="utf-8-sig") as stream:
            head = stream.readline()
            separator = max(",;\t", key=head.count)
            names = [name.strip() for name in next(csv.reader([head], delimiter=separator), [])]
            if len(names) < 2 or not head.strip():
                raise FileFormatError(f"{path}: is no table of tracks; the first line names columns: time,head_px,…")
            twice = next((name for name in names if name and names.count(name) > 1), None)
            if twice is not None:
                raise FileFormatError(f"{path}: column {twice!r} is there twice; leave one out")
            rows = [
                _numbers(row, names, line, path)
                for line, row in enumerate(csv.reader(stream, delimiter=separator), 2)
                if row
            ]
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}; check the name and the rights to it") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: is no table of text ({error}); give tracks as .csv or .npz") from None
    if not rows:
        raise FileFormatError(f"{path}: has no rows; export it again")
    table = np.array(rows)
    return {name: table[:, place] for place, name in enumerate(names) if name}


def _numbers(row: Sequence[str], names: Sequence[str], line: int, path: Path) -> list[float]:
    if len(row) != len(names):
        raise FileFormatError(f"{path}: line {line} has {len(row)} cells, the first line has {len(names)}")
    values = []
    for text, name in zip(row, names, strict=True):
        try:
            values.append(float(text) if text.strip() else float("nan"))
        except ValueError:
            if name == "time" or _COLUMN.match(name):
                raise FileFormatError(f"{path}: line {line}, column {name!r}: {text!r} is not a number") from None
            values.append(float("nan"))
    return values


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
