"""Setups and task sets of OpenSim's inverse kinematics tool: marker weights, coordinate tasks, files and time range."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from motorque.errors import FileFormatError
from motorque.files.xml import Node, boolean, children, numbers, parse_xml, text, where

ValueType = Literal["default_value", "manual_value", "from_file"]
TOOL_TAGS = ("InverseKinematicsTool", "InverseKinemtaticsTool", "IKTool")  # the second is a slip in OpenSim 1 and 2
UNASSIGNED = {"", "unassigned"}


@dataclass(frozen=True)
class CoordinateTaskSpec:
    """A coordinate that should stay near a value.

    Args:
        name: The coordinate.
        weight: Weight of the squared deviation [1/rad² or 1/m²].
        source: Whether the value is the model's default, the one given here, or one from a motion file.
        value: The manual value, in radians or metres as OpenSim takes it.
    """

    name: str
    weight: float
    source: ValueType
    value: float = 0.0


@dataclass(frozen=True)
class IKSetup:
    """What a setup or task file asks for.

    Args:
        marker_weights: Weight by marker name, of the tasks that apply.
        coordinate_tasks: Coordinate tasks that apply.
        model_file: Model named in the setup, resolved against its folder, or None.
        marker_file: Marker file named in the setup, or None.
        coordinate_file: Motion file for tasks ``from_file``, or None.
        time_range: Start and end [s], or None for all.
        accuracy: OpenSim's accuracy setting, which motorque doesn't need (it solves to the end), or None.
    """

    marker_weights: dict[str, float] = field(default_factory=dict)
    coordinate_tasks: tuple[CoordinateTaskSpec, ...] = ()
    model_file: Path | None = None
    marker_file: Path | None = None
    coordinate_file: Path | None = None
    time_range: tuple[float, float] | None = None
    accuracy: float | None = None


def read_ik_setup(path: str | Path) -> IKSetup:
    """Read an InverseKinematicsTool setup or a bare IKTaskSet, of any OpenSim version.

    Args:
        path: The XML file; files that it names are looked for in its own folder.

    Raises:
        FileFormatError: It is neither, or a value in it is malformed.
    """
    path = Path(path)
    root = parse_xml(path).getroot()
    tool = root if root.tag in TOOL_TAGS else next((c for c in children(root) if c.tag in TOOL_TAGS), None)
    if tool is None:
        tasks = root if root.tag == "IKTaskSet" else root.find("IKTaskSet")
        if tasks is None:
            raise FileFormatError(
                f"{path}: holds neither an InverseKinematicsTool nor an IKTaskSet; give the IK setup or tasks file"
            )
        weights, coordinate_tasks = read_task_set(tasks, path)
        return IKSetup(weights, coordinate_tasks)
    weights, coordinate_tasks = read_task_set(tool.find("IKTaskSet"), path)
    span = numbers(tool, "time_range", default=())
    return IKSetup(
        weights,
        coordinate_tasks,
        _file(tool, path, "model_file"),
        _file(tool, path, "marker_file"),
        _file(tool, path, "coordinate_file"),
        (float(span[0]), float(span[1])) if len(span) == 2 else None,
        float(numbers(tool, "accuracy", 1)[0]) if text(tool, "accuracy") else None,
    )


def _file(tool: Node, setup: Path, tag: str) -> Path | None:
    name = text(tool, tag)
    return None if name.lower() in UNASSIGNED else setup.parent / name.replace("\\", "/")


def read_task_set(node: Node | None, path: Path) -> tuple[dict[str, float], tuple[CoordinateTaskSpec, ...]]:
    """Marker weights and coordinate tasks of an IKTaskSet element that apply, from another file if it names one."""
    if node is None:
        return {}, ()
    if (elsewhere := (node.get("file") or "").strip()) and node.find("objects") is None:
        other = path.parent / elsewhere
        root = parse_xml(other).getroot()
        inner = root if root.tag == "IKTaskSet" else root.find("IKTaskSet")
        if inner is None:
            raise FileFormatError(f"{other}: holds no IKTaskSet, which {path.name} expects there")
        return read_task_set(inner, other)
    weights: dict[str, float] = {}
    coordinates: list[CoordinateTaskSpec] = []
    for task in children(node.find("objects")):
        name = (task.get("name") or "").strip()
        if not boolean(task, "apply", True):
            continue
        weight = float(numbers(task, "weight", 1, (1.0,))[0])
        if weight < 0:
            raise FileFormatError(f"{path}: {where(task)} has a negative weight; use zero to leave it out")
        if task.tag == "IKMarkerTask":
            weights[name] = weight
        elif task.tag == "IKCoordinateTask":
            source = text(task, "value_type", "default_value")
            if source not in ("default_value", "manual_value", "from_file"):
                raise FileFormatError(
                    f"{path}: {where(task)} has the value type {source!r}; use default_value, manual_value or from_file"
                )
            coordinates.append(CoordinateTaskSpec(name, weight, source, float(numbers(task, "value", 1, (0.0,))[0])))  # type: ignore[arg-type]
    return weights, tuple(coordinates)
