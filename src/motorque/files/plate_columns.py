"""Which columns of a ground reaction file belong together, and which foot their names speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.files.storage import Table
from motorque.journal import Journal
from motorque.series import Load, Loads

Array = NDArray[np.float64]
Side = Literal["r", "l"]
Kind = Literal["force", "point", "moment"]

_AXIS = re.compile(r"^(?P<stem>.*?)(?P<axis>[xyz])$", re.IGNORECASE)
_SAID = {"ground", "force", "forces", "torque", "moment", "grf", "grm", "cop", "reaction", "plate"}
_SAID |= {"v", "p", "m", "f", ""}
_SIDES: dict[str, Side] = {"r": "r", "right": "r", "l": "l", "left": "l"}


def side_of(name: str) -> Side | None:
    """The side that a name speaks of (``ground_force_r``, ``L_plate``, ``calcn_l``), or None."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    found = {_SIDES[token] for token in re.split(r"[_\W]+", spaced) if token in _SIDES}
    return found.pop() if len(found) == 1 else None


def _classify(column: str) -> tuple[str, Kind, int] | None:
    """Plate key, kind and axis of a column name, or None for a column that is no part of a plate."""
    match = _AXIS.match(column.strip())
    if match is None:
        return None
    tokens = re.split(r"[_.\s]+", match["stem"].lower())
    last = next((t for t in reversed(tokens) if t), "")
    kind: Kind
    if "torque" in tokens or "moment" in tokens or "grm" in tokens or last == "m":
        kind = "moment"
    elif last == "p" or "cop" in tokens:
        kind = "point"
    elif last == "v" or "force" in tokens or "grf" in tokens:
        kind = "force"
    else:
        return None
    key = "_".join(t for t in tokens if t not in _SAID)
    return key, kind, "xyz".index(match["axis"].lower())


def plates_from_table(table: Table, path: Path, *, journal: Journal) -> Loads:
    """Collect the plates of a table; see `read_plates` for what counts as one.

    Raises:
        DataError: There are no plates, one lacks columns, or a value is not a number.
    """
    found: dict[str, dict[tuple[Kind, int], int]] = {}
    for index, column in enumerate(table.columns):
        part = _classify(column)
        if part is None:
            continue
        key, kind, axis = part
        if (kind, axis) in found.setdefault(key, {}):
            twin = table.columns[found[key][kind, axis]]
            raise DataError(f"{path}: the columns {twin} and {column} look like the same part of one plate; rename one")
        found[key][kind, axis] = index
    plates = {key: parts for key, parts in found.items() if any(kind == "force" for kind, _ in parts)}
    if not plates:
        raise DataError(
            f"{path}: no ground force columns; they are named like ground_force_1_vx, ground_force_1_px, "
            f"ground_torque_1_x, the file has {', '.join(table.columns[:8])}"
        )
    loads = []
    for key, parts in plates.items():
        title = f"ground_force_{key}" if key else "ground_force"
        force, point = (_triple(table, path, title, parts, kind) for kind in ("force", "point"))
        if any(kind == "moment" for kind, _ in parts):
            moment = _triple(table, path, title, parts, "moment")
        else:
            moment = np.zeros_like(force)
            journal.assume(f"{path.name} has no moment columns for {title}; the free moment is taken as zero", title)
        _check_numbers(table, path, title, force, moment)
        gone: NDArray[np.bool_] = np.asarray(~np.isfinite(point).all(axis=1))
        point = np.where(gone[:, None], np.nan, point)
        if (gone & (np.abs(force).max(axis=1) > 0)).any():
            journal.assume(
                f"{path.name}: {title} has no centre of pressure in {int(gone.sum())} frames; its moment columns are "
                "taken about the ground origin there",
                title,
            )
        loads.append(Load(title, "", force, point, moment))
    return Loads(table.times, tuple(loads))


def _triple(table: Table, path: Path, title: str, parts: dict[tuple[Kind, int], int], kind: Kind) -> Array:
    missing = [axis for axis in range(3) if (kind, axis) not in parts]
    if missing:
        what = {"force": "v", "point": "p", "moment": "m"}[kind]
        names = ", ".join(f"{title}_{what}{'xyz'[axis]}" for axis in missing)
        meaning = {"force": "force", "point": "centre of pressure", "moment": "moment"}[kind]
        raise DataError(f"{path}: the {meaning} of {title} is incomplete; add the columns {names}")
    return table.data[:, [parts[kind, axis] for axis in range(3)]]


def _check_numbers(table: Table, path: Path, title: str, *columns: Array) -> None:
    for values in columns:
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0][0])
            raise DataError(
                f"{path}: {title} is not a number at {table.times[row]:g} s; write 0 where the plate is unloaded"
            )


def name_columns(loads: Loads) -> list[str]:
    """A label per load for its columns: the side where one load alone has it, else side and number, or the body."""
    sides = [side_of(load.body or load.name) for load in loads.loads]
    labels: list[str] = []
    for index, (load, side) in enumerate(zip(loads.loads, sides, strict=True)):
        if side is None:
            label = load.body or str(index + 1)
        else:
            same = [i for i, other in enumerate(sides) if other == side]
            label = side if len(same) == 1 else f"{side}_{same.index(index) + 1}"
        # A digit without an underscore: OpenSim finds columns by how they begin, "a_" must not begin "a_2_".
        taken = sum(re.fullmatch(rf"{re.escape(label)}\d*", other) is not None for other in labels)
        labels.append(f"{label}{taken + 1}" if taken else label)
    return labels


def split_sides(names: Sequence[str]) -> list[Side | None]:
    """The side of each plate name; where exactly one of two plates names a side, the other one is the other side's.

    The files of OpenSim's gait2354 examples name ``ground_force_v`` (right) and ``l_ground_force_v``.
    """
    sides = [side_of(name) for name in names]
    if len(names) == 2 and (sides[0] is None) != (sides[1] is None):
        known = sides[0] or sides[1]
        other: Side = "l" if known == "r" else "r"
        sides = [side or other for side in sides]
    return sides
