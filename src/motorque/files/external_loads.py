"""External loads: OpenSim's ``ExternalLoads`` XML with its data file, and force plate columns in a plain ``.mot``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError, FileFormatError
from motorque.files.output import replacing
from motorque.files.plate_columns import name_columns, plates_from_table
from motorque.files.storage import Table, read_storage, write_storage
from motorque.files.xml import Node, boolean, objects, parse_xml, text, where
from motorque.journal import Journal
from motorque.mechanics.kinematics import BodyPoses
from motorque.series import Load, Loads
from motorque.signals import NaturalSpline
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ExternalForce:
    """One force of an ``ExternalLoads`` file as it stands there.

    Args:
        name: Its name.
        body: The body that it acts on.
        force: Force in ``force_frame`` [N], shape [T, 3], or None for a pure torque.
        point: Point of application in ``point_frame`` [m], shape [T, 3], or None for the body's origin.
        torque: Torque in ``force_frame`` [N·m], shape [T, 3], or None.
        force_frame: Body (or ``ground``) whose axes force and torque are expressed in.
        point_frame: Body (or ``ground``) whose frame the point is measured in.
    """

    name: str
    body: str
    force: Array | None
    point: Array | None
    torque: Array | None
    force_frame: str = "ground"
    point_frame: str = "ground"


@dataclass(frozen=True)
class ExternalLoads:
    """The forces of an ``ExternalLoads`` file on the time base of its data.

    Forces and points may be expressed in moving bodies: :meth:`in_ground` resolves them along a motion.

    Args:
        times: Times of the data [s], shape [T].
        forces: The forces that are switched on.
        path: The file, for messages.
    """

    times: Array
    forces: tuple[ExternalForce, ...]
    path: Path

    def at(self, times: Array) -> ExternalLoads:
        """The loads at other times, interpolated as OpenSim does; see :func:`interpolate`."""

        def resample(values: Array | None) -> Array | None:
            return None if values is None else interpolate(self.times, values, times, what=str(self.path))

        forces = tuple(
            replace(f, force=resample(f.force), point=resample(f.point), torque=resample(f.torque)) for f in self.forces
        )
        return ExternalLoads(np.asarray(times, dtype=np.float64), forces, self.path)

    def in_ground(self, skeleton: Skeleton, poses: BodyPoses) -> Loads:
        """The loads in ground, resolved along a motion.

        Args:
            skeleton: The skeleton whose bodies the file names.
            poses: Its body poses at this object's times.

        Raises:
            DataError: The skeleton has no body of a name that the file uses.
        """
        loads = []
        for f in self.forces:
            for name in (f.body, f.force_frame, f.point_frame):
                if name != "ground" and name not in skeleton.body_names:
                    raise DataError(
                        f"{self.path}: force {f.name} names the body {name!r}, which the model does not have; it has "
                        f"{', '.join(skeleton.body_names)}"
                    )
            rotation, _ = _frame(skeleton, poses, f.force_frame)
            zero = np.zeros((len(self.times), 3))
            force = zero if f.force is None else np.einsum("tij,tj->ti", rotation, f.force)
            torque = zero if f.torque is None else np.einsum("tij,tj->ti", rotation, f.torque)
            # Without a point OpenSim applies the force at the origin of the body.
            turn, origin = _frame(skeleton, poses, f.body if f.point is None else f.point_frame)
            point = origin if f.point is None else origin + np.einsum("tij,tj->ti", turn, f.point)
            loads.append(Load(f.name, f.body, force, point, torque))
        return Loads(self.times, tuple(loads))


def _frame(skeleton: Skeleton, poses: BodyPoses, name: str) -> tuple[Array, Array]:
    """Rotation to ground and origin in ground of a body; shapes [T, 3, 3] and [T, 3]."""
    body = skeleton.body(name)
    frames = poses.position.shape[0]
    if body == GROUND:
        return np.broadcast_to(np.eye(3), (frames, 3, 3)), np.zeros((frames, 3))

    def array(values: Tensor) -> Array:
        return values.detach().cpu().double().numpy()

    return array(poses.rotation[:, body]), array(poses.position[:, body])


def interpolate(times: Array, values: Array, wanted: Array, *, what: str = "loads") -> Array:
    """Load columns at other times as OpenSim takes them: by natural cubic splines, by straight lines if there are fewer
    than four samples. (Files sampled as the motion is are unchanged.)

    Args:
        times: Times of the samples [s], shape [T].
        values: Samples, shape [T, C].
        wanted: Times [s], shape [K].
        what: The loads, for messages.

    Raises:
        DataError: The samples do not cover the wanted times (half a sample of slack), or one is not a number.

    Source: found against the wheel (OpenSim 4.6, ``ExternalForce::getForceAtTime``).
    """
    wanted = np.asarray(wanted, dtype=np.float64)
    check_cover(times, wanted, what=what)
    if len(times) < 4:
        return np.stack([np.interp(wanted, times, column) for column in values.T], axis=1)
    return NaturalSpline(times, values, degree=3, what=what)(wanted)


def check_cover(times: Array, wanted: Array, *, what: str) -> None:
    """Raise :class:`DataError` where loads begin after or end before the motion, half a sample of slack."""
    slack = 0.5 * float(np.median(np.diff(times))) if len(times) > 1 else 1e-6
    if wanted[0] < times[0] - slack or wanted[-1] > times[-1] + slack:
        raise DataError(
            f"{what}: the loads run from {times[0]:g} to {times[-1]:g} s but the motion from {wanted[0]:g} to "
            f"{wanted[-1]:g} s; cut the motion to {max(times[0], wanted[0]):g} to {min(times[-1], wanted[-1]):g} s "
            "with --start and --end"
        )


def interpolate_loads(loads: Loads, times: Array, *, what: str = "loads") -> Loads:
    """Loads in ground at other times, interpolated as OpenSim would; see :func:`interpolate`.

    Where a load's point is undefined somewhere, force and moment about the ground origin are interpolated instead and
    the result has no point at all: a point can't be interpolated towards nothing.
    """
    resampled = []
    for load in loads.loads:
        whole = np.isfinite(load.point).all()
        moment = load.moment if whole else load.moment_about_origin
        columns = np.concatenate((load.force, moment, load.point if whole else np.zeros_like(moment)), axis=1)
        values = interpolate(loads.times, columns, times, what=what)
        point = values[:, 6:] if whole else np.full((len(values), 3), np.nan)
        resampled.append(Load(load.name, load.body, values[:, :3], point, values[:, 3:6]))
    return Loads(np.asarray(times, dtype=np.float64), tuple(resampled))


def read_loads(path: str | Path, *, journal: Journal) -> ExternalLoads | Loads:
    """Loads from an ``ExternalLoads`` XML, or force plates from a ``.mot``/``.sto`` (bodies still ``""``).

    Raises:
        FileFormatError: The file is neither, or malformed.
        DataError: Columns are missing.
    """
    path = Path(path)
    if path.suffix.lower() == ".xml":
        return read_external_loads(path, journal=journal)
    return read_plates(path, journal=journal)


def read_external_loads(path: str | Path, *, journal: Journal) -> ExternalLoads:
    """Read OpenSim's ``ExternalLoads`` XML and the data file that it names.

    Args:
        path: The XML file; its data file is looked for beside it.
        journal: Forces that are switched off are recorded.

    Raises:
        FileFormatError: Not an ``ExternalLoads`` file, its data file is missing or unreadable.
        DataError: Columns that a force names are missing, ambiguous, or hold a value that is not a number.
    """
    path = Path(path)
    root = parse_xml(path).getroot()
    node = root if root.tag == "ExternalLoads" else root.find("ExternalLoads")
    if node is None:
        raise FileFormatError(
            f"{path}: no <ExternalLoads> in it (the file is a <{root.tag}>); give an ExternalLoads file"
        )
    members = objects(node)
    old = [m for m in members if m.tag != "ExternalForce"]
    if old:
        raise FileFormatError(
            f"{path}: {where(old[0])}: loads of type {old[0].tag} are not supported (ExternalForce is); open and save "
            "the file in OpenSim 4"
        )
    if not members:
        raise FileFormatError(f"{path}: there is no <ExternalForce> in it; add one for each force plate")
    tables: dict[Path, Table] = {}
    forces = []
    for member in members:
        name = (member.get("name") or "unnamed").strip()
        if not boolean(member, "appliesForce", True) or boolean(member, "isDisabled", False):
            journal.info(f"external force {name} is switched off in {path.name} and left out", name)
            continue
        source = _data_file(path, text(node, "datafile") or text(member, "data_source_name"), member)
        if source not in tables:
            tables[source] = read_storage(source)
        forces.append(_external_force(member, name, tables[source], path, source))
    if len(tables) > 1:
        raise FileFormatError(f"{path}: its forces come from {len(tables)} data files; put them into one")
    times = next(iter(tables.values())).times if tables else np.zeros(1)
    return ExternalLoads(times, tuple(forces), path)


def _data_file(path: Path, name: str, node: Node) -> Path:
    if not name:
        raise FileFormatError(f"{path}: {where(node)}: no <datafile> is named; add one")
    for candidate in (path.parent / name, Path(name), path.parent / Path(name.replace("\\", "/")).name):
        if candidate.is_file():
            return candidate
    raise FileFormatError(f"{path}: its data file {name!r} is not there; put it into {path.resolve().parent}")


def _external_force(node: Node, name: str, table: Table, path: Path, source: Path) -> ExternalForce:
    def columns(tag: str) -> Array | None:
        identifier = text(node, tag)
        if not identifier:
            return None
        found = [i for i, column in enumerate(table.columns) if column.startswith(identifier)]
        if len(found) != 3:
            which = ", ".join(table.columns[i] for i in found) or f"none (there are {', '.join(table.columns[:12])} …)"
            raise DataError(
                f"{path}: force {name} needs three columns of {source.name} that begin with {identifier!r}, found "
                f"{which}"
            )
        values = table.data[:, found]
        if not np.isfinite(values).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise DataError(
                f"{source}: column {table.columns[found[column]]} is not a number at {table.times[row]:g} s; write 0 "
                "where a plate is unloaded"
            )
        return values

    force, point, torque = (columns(f"{kind}_identifier") for kind in ("force", "point", "torque"))
    if force is None and torque is None:
        raise DataError(f"{path}: {where(node)}: names neither a force nor a torque; add <force_identifier>")
    bodies = [
        text(node, tag, "ground").rstrip("/").split("/")[-1]
        for tag in ("applied_to_body", "force_expressed_in_body", "point_expressed_in_body")
    ]
    if not text(node, "applied_to_body"):
        raise DataError(f"{path}: {where(node)}: names no body; add <applied_to_body>")
    return ExternalForce(name, bodies[0], force, point if force is not None else None, torque, bodies[1], bodies[2])


def read_plates(path: str | Path, *, journal: Journal) -> Loads:
    """Force plates from the columns of a ``.mot`` or ``.sto`` file, in ground.

    A plate is a force (``…_vx``), its point of application (``…_px``) and, if the file has it, a moment about that
    point (``…_mx`` or ``…torque…_x``); names differ only in a number or a side (``1_``, ``_2_``, ``l_``, ``_r_``,
    ``R_``).

    Returns:
        One load per plate, its body ``""`` as long as no foot is known.

    Raises:
        FileFormatError: The file can't be read.
        DataError: There are no such columns, or a plate lacks some of them.
    """
    path = Path(path)
    return plates_from_table(read_storage(path), path, journal=journal)


def write_loads(path: str | Path, loads: Loads) -> None:
    """Write loads as OpenSim's ground reaction files are: ``ground_force_r_vx``, ``…_px``, ``ground_torque_r_x``, and
    so on.

    Where a load has no point, its last known one is written (the next one before the first) with the moment about it,
    so that force and moment are kept exactly and no program meets a NaN.

    Args:
        path: The ``.mot`` file.
        loads: The loads, in ground.

    Raises:
        DataError: There are no loads.
        OutputError: The file can't be written.
    """
    path = Path(path)
    if not loads.loads:
        raise DataError(f"{path}: there are no loads to write")
    held = []
    for load in loads.loads:
        point, moment = held_point(load)
        held.append(replace(load, point=point, moment=moment))
    with replacing(path) as beside:
        write_storage(beside, loads_table(Loads(loads.times, tuple(held)), name=path.stem))


def loads_table(loads: Loads, *, name: str) -> Table:
    """Loads as the columns of OpenSim's ground reaction files, as they stand; see :func:`write_loads`."""
    columns: list[str] = []
    values: list[Array] = [np.zeros((len(loads.times), 0))]
    for label, load in zip(name_columns(loads), loads.loads, strict=True):
        columns += [f"ground_force_{label}_v{axis}" for axis in "xyz"]
        columns += [f"ground_force_{label}_p{axis}" for axis in "xyz"]
        columns += [f"ground_torque_{label}_{axis}" for axis in "xyz"]
        values += [load.force, load.point, load.moment]
    return Table(name, loads.times, tuple(columns), np.concatenate(values, axis=1))


def held_point(load: Load) -> tuple[Array, Array]:
    """A point for every frame, the nearest earlier one where there is none, and the moment about it; each [T, 3]."""
    known: NDArray[np.bool_] = np.asarray(np.isfinite(load.point).all(axis=1))
    if known.all():
        return load.point, load.moment
    frames = np.where(known, np.arange(len(known)), -1)
    held = np.maximum.accumulate(frames)
    first = int(np.argmax(known)) if known.any() else -1
    held[held < 0] = first
    point = load.point[held] if known.any() else np.zeros_like(load.force)
    return point, load.moment_about_origin - np.cross(point, load.force)


def write_external_loads(path: str | Path, loads: Loads, data_file: str | Path) -> None:
    """Write an ``ExternalLoads`` XML for a file of :func:`write_loads`, for OpenSim's tools.

    Args:
        path: The ``.xml`` file.
        loads: The loads that are in the data file; each needs a body.
        data_file: The ``.mot`` file; its bare name is written if it lies beside the XML.

    Raises:
        DataError: A load has no body.
        OutputError: The file can't be written.
    """
    path, data_file = Path(path), Path(data_file)
    document = etree.Element("OpenSimDocument", Version="40000")
    root = etree.SubElement(document, "ExternalLoads", name=path.stem)
    members = etree.SubElement(root, "objects")
    for label, load in zip(name_columns(loads), loads.loads, strict=True):
        if not load.body:
            raise DataError(f"load {load.name}: no body is known for it yet; assign the plates to feet first")
        member = etree.SubElement(members, "ExternalForce", name=load.name)
        for tag, value in (
            ("applied_to_body", load.body),
            ("force_expressed_in_body", "ground"),
            ("point_expressed_in_body", "ground"),
            ("force_identifier", f"ground_force_{label}_v"),
            ("point_identifier", f"ground_force_{label}_p"),
            ("torque_identifier", f"ground_torque_{label}_"),
        ):
            etree.SubElement(member, tag).text = value
    beside = data_file.resolve().parent == path.resolve().parent
    etree.SubElement(root, "datafile").text = data_file.name if beside else str(data_file.resolve())
    with replacing(path) as hidden:
        etree.ElementTree(document).write(str(hidden), xml_declaration=True, encoding="UTF-8", pretty_print=True)


__all__ = [
    "ExternalForce",
    "ExternalLoads",
    "check_cover",
    "held_point",
    "interpolate",
    "interpolate_loads",
    "read_external_loads",
    "read_loads",
    "read_plates",
    "write_external_loads",
    "write_loads",
]
