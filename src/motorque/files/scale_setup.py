"""Setups of OpenSim's Scale tool, of any version, and the sets of measurements and factors that they may name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motorque.errors import FileFormatError
from motorque.files.ik_setup import UNASSIGNED, CoordinateTaskSpec, read_task_set
from motorque.files.xml import Node, boolean, children, numbers, objects, parse_xml, text, where

AXES = {"x": 0, "y": 1, "z": 2}
MEASUREMENTS, MANUAL = "measurements", "manualScale"


@dataclass(frozen=True)
class Measurement:
    """A ratio of measured to model distance, the mean over marker pairs, and what it scales.

    Args:
        name: Its name (``thigh``).
        pairs: Marker pairs.
        bodies: Bodies, each with the axes (0 to 2) that take the ratio.
    """

    name: str
    pairs: tuple[tuple[str, str], ...]
    bodies: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class ScalePlan:
    """How the factors come about.

    Args:
        order: ``measurements`` and ``manualScale`` in the order in which they are applied, later ones overriding.
        measurements: The measurements that apply.
        manual: Bodies and their three factors.
        time_range: Times over which distances are averaged [s], or None for the whole trial.
    """

    order: tuple[str, ...] = (MEASUREMENTS, MANUAL)
    measurements: tuple[Measurement, ...] = ()
    manual: tuple[tuple[str, tuple[float, float, float]], ...] = ()
    time_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class PlacerPlan:
    """How markers are placed.

    Args:
        marker_weights: Weight by marker in the fit of the static pose.
        coordinate_tasks: Coordinates that should stay near a value.
        time_range: Times over which marker positions are averaged [s], or None for the whole trial.
        max_movement: How far a marker may move meanwhile before it is said, in the marker file's unit; negative for
            any distance.
        marker_file: Marker file named, or None.
        coordinate_file: Motion file named for tasks ``from_file``, or None.
    """

    marker_weights: dict[str, float] | None = None
    coordinate_tasks: tuple[CoordinateTaskSpec, ...] = ()
    time_range: tuple[float, float] | None = None
    max_movement: float = -1.0
    marker_file: Path | None = None
    coordinate_file: Path | None = None


@dataclass(frozen=True)
class ScaleSetup:
    """What a setup of the Scale tool asks for.

    Args:
        name: Name of the tool, which the scaled model takes.
        mass: Subject mass [kg], or None.
        height: Height as it stands there (OpenSim does not use it), or None.
        age: Age [years], or None.
        model_file: Generic model named, or None.
        marker_set_file: Markers to put on the generic model first, or None.
        scaling: How to scale; None if the setup leaves that out.
        preserve_mass_distribution: Whether bodies keep their shares of the mass.
        marker_file: Static trial named for measurements, or None.
        placing: How to place markers; None if the setup leaves that out.
    """

    name: str = ""
    mass: float | None = None
    height: float | None = None
    age: float | None = None
    model_file: Path | None = None
    marker_set_file: Path | None = None
    scaling: ScalePlan | None = None
    preserve_mass_distribution: bool = False
    marker_file: Path | None = None
    placing: PlacerPlan | None = None


def read_scale_setup(path: str | Path) -> ScaleSetup:
    """Read a ScaleTool setup, or a bare MeasurementSet or ScaleSet.

    Args:
        path: The XML file; files that it names are looked for in its own folder.

    Raises:
        FileFormatError: It is none of these, or a value in it is malformed.
    """
    path = Path(path)
    root = parse_xml(path).getroot()
    top = {c.tag: c for c in [root, *children(root)]}
    try:
        if "ScaleTool" in top:
            return _tool(top["ScaleTool"], path)
        if "MeasurementSet" in top:
            return ScaleSetup(scaling=ScalePlan((MEASUREMENTS,), _measurements(top["MeasurementSet"], path)))
        if "ScaleSet" in top:
            return ScaleSetup(scaling=ScalePlan((MANUAL,), manual=_factors(top["ScaleSet"], path)))
    except FileFormatError as error:
        raise error if str(path) in str(error) else FileFormatError(f"{path}: {error}") from None
    raise FileFormatError(f"{path}: holds no ScaleTool, MeasurementSet or ScaleSet; give the setup of a Scale tool")


def _tool(tool: Node, path: Path) -> ScaleSetup:
    maker, scaler, placer = (tool.find(tag) for tag in ("GenericModelMaker", "ModelScaler", "MarkerPlacer"))
    scaling = placing = None
    if scaler is not None and boolean(scaler, "apply", True):
        scaling = ScalePlan(
            _order(scaler),
            _measurements(scaler.find("MeasurementSet"), path),
            _factors(scaler.find("ScaleSet"), path),
            _span(scaler),
        )
    if placer is not None and boolean(placer, "apply", True):
        weights, tasks = read_task_set(placer.find("IKTaskSet"), path)
        movement = float(numbers(placer, "max_marker_movement", 1, (-1.0,))[0])
        placing = PlacerPlan(
            weights or None, tasks, _span(placer), movement, _file(placer, path, "marker_file"),
            _file(placer, path, "coordinate_file"),
        )  # fmt: skip
    return ScaleSetup(
        (tool.get("name") or "").strip(),
        _positive(tool, "mass"),
        _positive(tool, "height"),
        _positive(tool, "age"),
        None if maker is None else _file(maker, path, "model_file"),
        None if maker is None else _file(maker, path, "marker_set_file"),
        scaling,
        scaler is not None and boolean(scaler, "preserve_mass_distribution", False),
        None if scaler is None else _file(scaler, path, "marker_file"),
        placing,
    )


def _positive(node: Node, tag: str) -> float | None:
    """A number, None where OpenSim's "not given" (zero or below) stands."""
    value = float(numbers(node, tag, 1, (-1.0,))[0])
    return value if value > 0 else None


def _span(node: Node) -> tuple[float, float] | None:
    if not text(node, "time_range"):
        return None
    start, end = numbers(node, "time_range", 2)
    if start > end:
        raise FileFormatError(f"{where(node)}: <time_range> ends before it starts ({start:g} to {end:g} s)")
    return float(start), float(end)


def _file(node: Node, setup: Path, tag: str) -> Path | None:
    name = text(node, tag)
    return None if name.lower() in UNASSIGNED else setup.parent / name.replace("\\", "/")


def _order(scaler: Node) -> tuple[str, ...]:
    words = tuple(text(scaler, "scaling_order").split())
    for word in words:
        if word not in (MEASUREMENTS, MANUAL):
            raise FileFormatError(
                f"{where(scaler)}: <scaling_order> has {word!r}; it takes 'measurements' and 'manualScale'"
            )
    return words


def _members(node: Node | None, tag: str, path: Path) -> list[Node]:
    """Members of a set, from another file if it says so."""
    if node is None:
        return []
    elsewhere = (node.get("file") or "").strip()
    if elsewhere and node.find("objects") is None:
        other = path.parent / elsewhere
        root = parse_xml(other).getroot()
        found = root if root.tag == tag else root.find(tag)
        if found is None:
            raise FileFormatError(f"{other}: holds no {tag}, which {path.name} expects there")
        return objects(found)
    return objects(node)


def _measurements(node: Node | None, path: Path) -> tuple[Measurement, ...]:
    found = []
    for entry in _members(node, "MeasurementSet", path):
        if not boolean(entry, "apply", True):
            continue
        name = (entry.get("name") or "").strip()
        pairs = tuple(_pair(p, name) for p in objects(entry.find("MarkerPairSet")))
        bodies = tuple(_body(b, name) for b in objects(entry.find("BodyScaleSet")))
        if pairs and bodies:
            found.append(Measurement(name, pairs, bodies))
    return tuple(found)


def _pair(node: Node, measurement: str) -> tuple[str, str]:
    names = text(node, "markers").split()
    if len(names) != 2:
        raise FileFormatError(
            f"{where(node)} of measurement {measurement!r}: <markers> must name two markers, got {names}"
        )
    return names[0], names[1]


def _body(node: Node, measurement: str) -> tuple[str, tuple[int, ...]]:
    words = text(node, "axes", "X Y Z").split()
    if any(word.lower() not in AXES for word in words):
        raise FileFormatError(
            f"{where(node)} of measurement {measurement!r}: <axes> takes X, Y and Z, got {' '.join(words)!r}"
        )
    return (node.get("name") or "").strip(), tuple(AXES[word.lower()] for word in words)


def _factors(node: Node | None, path: Path) -> tuple[tuple[str, tuple[float, float, float]], ...]:
    found = []
    for entry in _members(node, "ScaleSet", path):
        if not boolean(entry, "apply", True):
            continue
        body = text(entry, "segment") or (entry.get("name") or "").strip()
        factors = numbers(entry, "scales", 3)
        if not (np.isfinite(factors).all() and (factors > 0).all()):
            raise FileFormatError(
                f"{where(entry)}: the scale factors of {body} must be positive, got {factors.tolist()}"
            )
        found.append((body, (float(factors[0]), float(factors[1]), float(factors[2]))))
    return tuple(found)
