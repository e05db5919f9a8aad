"""Motions and kinetics in OpenSim's tables: which column is which coordinate, degrees, couplers, names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.files.storage import Table, read_storage, write_storage
from motorque.journal import Journal
from motorque.series import Kinetics, Motion
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]

ANGLE_SLACK, LENGTH_SLACK = np.radians(0.1), 1e-4
"""How far a coupled column may be from its coupler before it is reported [rad, m]."""


def coordinate_of_column(column: str, skeleton: Skeleton) -> str | None:
    """The coordinate that a column holds, or None: plain names, and state paths of 3.x and 4.x (``…/value``)."""
    if column in skeleton.coordinate_names:
        return column
    parts = column.strip("/").split("/")
    if len(parts) > 1 and parts[-1] == "value" and parts[-2] in skeleton.coordinate_names:
        return parts[-2]
    if len(parts) > 1 and parts[-1] in skeleton.coordinate_names:
        return parts[-1]
    return None


def read_motion(path: str | Path, skeleton: Skeleton, *, journal: Journal | None = None) -> Motion:
    """Read the coordinates of a skeleton from a ``.mot`` or ``.sto`` file.

    Coupled coordinates are computed from the ones that they follow, whatever the file says. Coordinates that the file
    lacks take the skeleton's default; locked ones are taken from the file if they are there, as OpenSim does it.

    Args:
        path: The file; angles in degrees if its header says so.
        skeleton: The skeleton that moves.
        journal: Where contradictions and missing coordinates are recorded.

    Raises:
        FileFormatError: The file can't be read.
        DataError: No column is a coordinate of the skeleton, or a value is not a number.
    """
    path = Path(path)
    journal = journal if journal is not None else Journal()
    table = read_storage(path, journal=journal)
    named = [c for column in table.columns if (c := coordinate_of_column(column, skeleton)) is not None]
    if len(set(named)) < len(named):
        twice = next(n for n in named if named.count(n) > 1)
        raise DataError(f"{path}: the coordinate {twice} has {named.count(twice)} columns; remove all but one")
    found = {
        c: i for i, column in enumerate(table.columns) if (c := coordinate_of_column(column, skeleton)) is not None
    }
    if not found:
        raise DataError(
            f"{path}: none of its columns ({', '.join(table.columns[:4])}…) is a coordinate of {skeleton.name} "
            f"({', '.join(skeleton.coordinate_names[:4])}…); give a motion of this model"
        )
    q = skeleton.default_pose.detach().cpu().double().numpy()[None].repeat(len(table.times), axis=0)
    for name, column in found.items():
        index = skeleton.coordinate(name)
        values = table.data[:, column]
        if not np.isfinite(values).all():
            raise DataError(
                f"{path}: {name} is not a number at {table.times[~np.isfinite(values)][0]:g} s; fill the gap"
            )
        q[:, index] = np.radians(values) if table.in_degrees and skeleton.coordinates[index].rotational else values
    _report_absent(path, table, skeleton, set(found), journal)
    _warn_if_degrees(path, table, skeleton, q, found, journal)
    coupled = skeleton.couple(torch.as_tensor(q, dtype=skeleton.mass.dtype)).detach().cpu().double().numpy()
    for coupler in skeleton.couplers:
        index = coupler.dependent
        if skeleton.coordinate_names[index] in found:
            _report_contradiction(path, skeleton, index, q[:, index], coupled[:, index], journal)
    return Motion(table.times, coupled, skeleton.coordinate_names)


def _report_absent(path: Path, table: Table, skeleton: Skeleton, found: set[str], journal: Journal) -> None:
    """Say which coordinates the file lacks, and which of its columns are none (speeds and other states apart)."""
    free = [skeleton.coordinate_names[i] for i in skeleton.free_coordinates]
    if missing := [name for name in free if name not in found]:
        journal.assume(
            f"{path.name} lacks {len(missing)} coordinates, which stay at the model's default: {', '.join(missing)}",
            str(path),
        )
    unused = [c for c in table.columns if coordinate_of_column(c, skeleton) is None and "/" not in c]
    if unused:
        listed = ", ".join(unused[:8]) + (", …" if len(unused) > 8 else "")
        journal.info(f"{len(unused)} columns of {path.name} are no coordinates of {skeleton.name}: {listed}", str(path))


def _report_contradiction(
    path: Path, skeleton: Skeleton, index: int, given: Array, coupled: Array, journal: Journal
) -> None:
    """Say when a coupled coordinate is not what its coupler gives, or is so only in the other unit of angles.

    Coordinates that OpenSim calls coupled have no unit of their own: files hold them in degrees now and then.
    """
    name = skeleton.coordinate_names[index]
    slack = ANGLE_SLACK if _is_angle(skeleton, index) else LENGTH_SLACK
    apart = float(np.abs(given - coupled).max())
    if apart <= slack:
        return
    for other, unit in ((np.radians(given), "degrees"), (np.degrees(given), "radians")):
        # Near zero any unit fits: the values themselves must be told apart.
        if _is_angle(skeleton, index) and np.abs(other - coupled).max() <= slack:
            journal.repair(
                f"{name} is in {unit} in {path.name}, against its header; it is computed from its coupler", str(path)
            )
            return
    size = f"{np.degrees(apart):.3g}°" if _is_angle(skeleton, index) else f"{1000 * apart:.3g} mm"
    journal.repair(
        f"{name} in {path.name} contradicts its coupler by up to {size}; it is computed from its coupler", str(path)
    )


def _is_angle(skeleton: Skeleton, index: int) -> bool:
    """Whether a coordinate turns something: coupled ones count by the joint that they drive, not by OpenSim's type."""
    if skeleton.coordinates[index].rotational:
        return True
    return any(element.coordinate == index for joint in skeleton.joints for element in joint.elements[:3])


def _warn_if_degrees(
    path: Path, table: Table, skeleton: Skeleton, q: Array, found: dict[str, int], journal: Journal
) -> None:
    """A file that says radians but whose angles go round and round is probably in degrees."""
    angles = [skeleton.coordinate(n) for n in found if skeleton.coordinates[skeleton.coordinate(n)].rotational]
    if not table.in_degrees and angles and np.median(np.abs(q[:, angles]).max(axis=0)) > 3 * np.pi:
        journal.warn(
            f"{path.name} does not say that its angles are in degrees, but they reach "
            f"{np.abs(q[:, angles]).max():.0f} rad; add inDegrees=yes to its header if they are",
            str(path),
        )


def motion_table(motion: Motion, skeleton: Skeleton, *, name: str = "Coordinates", std: bool = False) -> Table:
    """A motion (or its standard deviations) as a table in degrees."""
    values = (motion.std if std else motion.values).copy()  # type: ignore[union-attr]
    rotational = [skeleton.coordinates[skeleton.coordinate(n)].rotational for n in motion.names]
    values[:, rotational] = np.degrees(values[:, rotational])
    return Table(name, motion.times, motion.names, values, {}, True)


def write_motion(path: str | Path, motion: Motion, skeleton: Skeleton, *, name: str = "Coordinates") -> None:
    """Write coordinates as OpenSim does: angles in degrees, lengths and coupled displacements as they are."""
    write_storage(path, motion_table(motion, skeleton, name=name))


def kinetics_column(coordinate: str, skeleton: Skeleton) -> str:
    """OpenSim's name for a generalized force: ``_moment`` for angles, ``_force`` for all others."""
    rotational = skeleton.coordinates[skeleton.coordinate(coordinate)].rotational
    return f"{coordinate}_{'moment' if rotational else 'force'}"


def write_kinetics(
    path: str | Path, kinetics: Kinetics, skeleton: Skeleton, *, name: str = "Inverse Dynamics Generalized Forces"
) -> None:
    """Write generalized forces [N·m, N] with OpenSim's column names."""
    columns = tuple(kinetics_column(n, skeleton) if n in skeleton.coordinate_names else n for n in kinetics.names)
    write_storage(path, Table(name, kinetics.times, columns, kinetics.values, {}, False))


def read_kinetics(path: str | Path, skeleton: Skeleton) -> Kinetics:
    """Read generalized forces [N·m, N] by coordinate from a file with OpenSim's column names.

    Raises:
        FileFormatError: The file can't be read.
        DataError: No column is a generalized force of the skeleton.
    """
    table = read_storage(path)
    names = {kinetics_column(n, skeleton): n for n in skeleton.coordinate_names}
    chosen = [(i, names[c]) for i, c in enumerate(table.columns) if c in names]
    if not chosen:
        raise DataError(
            f"{path}: none of its columns ({', '.join(table.columns[:4])}…) is a generalized force of {skeleton.name}"
        )
    return Kinetics(table.times, table.data[:, [i for i, _ in chosen]], tuple(n for _, n in chosen))
