"""The ForceSet of an OpenSim model as inverse dynamics needs it: which forces act, and their laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from motorque.errors import DataError, FileFormatError, ModelError
from motorque.files.osim import FrameFinder, OsimModel
from motorque.files.osim_functions import read_child_function
from motorque.files.osim_paths import read_path
from motorque.files.xml import Node, boolean, children, numbers, objects, text, where
from motorque.journal import Journal
from motorque.mechanics.body_forces import (
    DEFLECTIONS,
    BodyForce,
    BodyFrame,
    Bushing,
    LinearStiffness,
    SphereOnFloor,
    WrittenStiffness,
)
from motorque.mechanics.contact_laws import SmoothHuntCrossley
from motorque.mechanics.expressions import Expression
from motorque.mechanics.model_forces import Constant, CoordinateForce, Formula, Law, Limit, Spring
from motorque.mechanics.passive import ModelForces
from motorque.mechanics.path_forces import LigamentCurve, PathForce, PointSpring, SlackSpring, Tension
from motorque.skeleton.builder import Frame, euler_xyz
from motorque.skeleton.functions import simm_spline

MUSCLES = "muscles"
CONTACT = "contact"
_CONTACT_TAGS = {"SmoothSphereHalfSpaceForce", "HuntCrossleyForce", "ElasticFoundationForce", "ExponentialContactForce"}
# Actuators that give no force as long as nothing controls them.
_IDLE_TAGS = {"CoordinateActuator", "TorqueActuator", "PointActuator", "BodyActuator", "PointToPointActuator"}
_ACTUATOR_TAGS = _IDLE_TAGS | {"ActivationCoordinateActuator", "McKibbenActuator", "ClutchedPathSpring", "PathActuator"}
_DEFAULT_ACTIVATION = 0.5
"""OpenSim's own default of an ActivationCoordinateActuator's ``default_activation``."""

_POINT_SPRING = (("stiffness", 1, (1.0,)), ("rest_length", 1, (0.0,)))
_LIGAMENT_CURVE = (
    (-5, 0.998, 0.999, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.601, 1.602, 5),
    (0, 0, 0, 0, 0.035, 0.12, 0.26, 0.55, 1.17, 2, 2, 2, 2),
)
"""OpenSim's own default of a Ligament's curve: force over length as a share of the resting length."""


def is_muscle(node: Node) -> bool:
    """Whether a force is a muscle, by its class name."""
    return "Muscle" in node.tag


def read_model_forces(model: OsimModel, exclude: Sequence[str], *, journal: Journal) -> ModelForces:
    """The forces of a model less those that are excluded.

    Args:
        model: The model.
        exclude: Names of forces, of groups in the model's ForceSet, or of classes: ``muscles``, ``contact``,
            ``actuators``, ``all`` (in any case).
        journal: What acts and what was left out is recorded, and names that fit nothing.

    Raises:
        DataError: What is given is no model that was read, or one name and not several.
        ModelError: A force that is not excluded is of a type that is not supported, or is inconsistent.
    """
    if not isinstance(model, OsimModel):
        raise DataError(f"forces are read from a model that was read, read_osim(path), got {type(model).__name__}")
    if isinstance(exclude, str):
        raise DataError(f"what to exclude must be a sequence of names, got {exclude!r}")
    force_set = model.model.find("ForceSet")
    nodes = objects(force_set)
    wanted = {name.strip() for name in exclude if name.strip()}
    lower = {name.lower() for name in wanted}
    grouped = _group_members(force_set, wanted)
    _report_unknown(wanted, nodes, force_set, journal)

    def excluded(node: Node) -> bool:
        name = (node.get("name") or "").strip()
        return (
            "all" in lower
            or name in wanted
            or name in grouped
            or (MUSCLES in lower and is_muscle(node))
            or (CONTACT in lower and node.tag in _CONTACT_TAGS)
            or ("actuators" in lower and (is_muscle(node) or node.tag in _ACTUATOR_TAGS))
        )

    reader = _ForceReader(model)
    coordinate_forces: list[CoordinateForce] = []
    body_forces: list[BodyForce] = []
    left: list[str] = []
    for node in nodes:
        name = (node.get("name") or node.tag).strip()
        if not boolean(node, "appliesForce", True) or boolean(node, "isDisabled", False):
            continue
        if excluded(node):
            left.append(name)
        elif is_muscle(node):
            raise ModelError(
                f"{model.path}: {where(node)}: muscle forces are not part of inverse dynamics; exclude 'muscles'"
            )
        elif node.tag in _IDLE_TAGS:
            continue
        elif (law := reader.law(node)) is not None:
            coordinate_forces.append(CoordinateForce(name, reader.coordinate(node), law))
        elif (force := reader.body_force(node, name)) is not None:
            body_forces.append(force)
        else:
            raise ModelError(
                f"{model.path}: {where(node)}: forces of type {node.tag} are not supported in inverse dynamics; leave "
                f"it out with --exclude-forces {name}"
            )
    acting = [f.name for f in coordinate_forces] + [f.name for f in body_forces]
    if left:
        journal.info(f"{len(left)} forces of the model are left out: {_some(left)}", str(model.path))
    if acting:
        journal.info(
            f"{len(acting)} forces of the model act and are not part of the joint moments: {_some(acting)}",
            str(model.path),
        )
    return ModelForces(tuple(coordinate_forces), tuple(body_forces))


def has_contact_forces(model: OsimModel) -> bool:
    """Whether the model has contact forces that are switched on."""
    nodes = objects(model.model.find("ForceSet"))
    return any(node.tag in _CONTACT_TAGS and boolean(node, "appliesForce", True) for node in nodes)


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _group_members(force_set: Node | None, wanted: set[str]) -> set[str]:
    groups = [] if force_set is None else children(force_set.find("groups"))
    return {m for g in groups if (g.get("name") or "").strip() in wanted for m in text(g, "members").split()}


def _report_unknown(wanted: set[str], nodes: list[Node], force_set: Node | None, journal: Journal) -> None:
    groups = [] if force_set is None else children(force_set.find("groups"))
    known = {(n.get("name") or "").strip() for n in (*nodes, *groups)}
    for name in sorted(wanted - known):
        if name.lower() not in (MUSCLES, CONTACT, "actuators", "all"):
            journal.warn(f"no force or group named {name!r} to leave out is in the model", name)


class _ForceReader:
    """Builds the laws of one model's forces."""

    def __init__(self, model: OsimModel) -> None:
        self.model = model
        self.skeleton = model.skeleton
        self.frames = FrameFinder(model.model, list(model.skeleton.body_names))

    def coordinate(self, node: Node) -> int:
        """Index of the coordinate that a force acts on."""
        return self.skeleton.coordinate(text(node, "coordinate"))

    def law(self, node: Node) -> Law | None:
        """The law of a force on one coordinate, or None if it is no such force."""

        def number(tag: str, default: float) -> float:
            return float(numbers(node, tag, 1, (default,))[0])

        if node.tag == "SpringGeneralizedForce":
            return Spring(number("stiffness", 0.0), number("rest_length", 0.0), number("viscosity", 0.0))
        if node.tag == "ExpressionBasedCoordinateForce":
            return Formula(self._expression(node, "expression", ("q", "qdot")))
        if node.tag == "ActivationCoordinateActuator":
            return Constant(number("optimal_force", 1.0) * number("default_activation", _DEFAULT_ACTIVATION))
        if node.tag == "CoordinateLimitForce":
            # Angles are in degrees in the file, stiffness and damping per degree.
            turns = self.skeleton.coordinates[self.coordinate(node)].rotational
            unit = math.radians(1.0) if turns else 1.0
            transition = number("transition", 0.1) * unit
            if transition <= 0:
                raise ModelError(f"{self.model.path}: {where(node)}: <transition> must be positive")
            return Limit(
                number("upper_limit", 0.0) * unit,
                number("upper_stiffness", 1.0) / unit,
                number("lower_limit", 0.0) * unit,
                number("lower_stiffness", 1.0) / unit,
                number("damping", 0.001) / unit,
                transition,
            )
        return None

    def body_force(self, node: Node, name: str) -> BodyForce | None:
        """A force between bodies, or None if it is none that is known."""
        if node.tag in ("BushingForce", "ExpressionBasedBushingForce"):
            return self._bushing(node, name)
        if node.tag == "SmoothSphereHalfSpaceForce":
            return self._sphere(node, name)
        if node.tag == "PointToPointSpring":
            return self._point_spring(node, name)
        if node.tag in ("Ligament", "PathSpring"):
            return self._path(node, name)
        return None

    def _point_spring(self, node: Node, name: str) -> PathForce:
        frames = [self._frame(self._spring_end(node, i)) for i in (1, 2)]
        tension = PointSpring(*(float(numbers(node, *tag)[0]) for tag in _POINT_SPRING))
        return PathForce(name, [f.body for f in frames], torch.stack([f.position for f in frames]), tension)

    def _spring_end(self, node: Node, number: int) -> Frame:
        at = numbers(node, f"point{number}", 3, (0.0,) * 3)
        body = text(node, f"body{number}")  # before 4.0
        frame = self.frames.find(body, node) if body else self.frames.socket(node, f"body{number}")
        return frame.then(at, np.eye(3))

    def _path(self, node: Node, name: str) -> PathForce:
        path = read_path(self.model, node)
        if path.wraps or any(p.coordinate is not None or p.motion is not None for p in path.points):
            raise ModelError(
                f"{self.model.path}: {where(node)}: its path wraps over surfaces or has points that move or come and "
                f"go, which is not supported for forces; leave it out with --exclude-forces {name}"
            )
        if len(path.points) < 2:
            raise ModelError(f"{self.model.path}: {where(node)}: a path needs at least two points")
        points = torch.as_tensor(np.array([p.location for p in path.points]))
        return PathForce(name, [p.body for p in path.points], points, self._tension(node))

    def _tension(self, node: Node) -> Tension:
        rest = float(numbers(node, "resting_length", 1)[0])
        if node.tag == "PathSpring":
            return SlackSpring(float(numbers(node, "stiffness", 1)[0]), rest, float(numbers(node, "dissipation", 1)[0]))
        if rest <= 0:
            raise ModelError(f"{self.model.path}: {where(node)}: <resting_length> must be positive")
        curve = read_child_function(node, "force_length_curve") or simm_spline(*_LIGAMENT_CURVE)
        return LigamentCurve(rest, float(numbers(node, "pcsa_force", 1, (0.0,))[0]), curve)

    def _expression(self, node: Node, tag: str, variables: tuple[str, ...]) -> Expression:
        try:
            return Expression(text(node, tag, "0"), variables)
        except ModelError as error:
            raise ModelError(
                f"{self.model.path}: {where(node)}: {error}; leave the force out with --exclude-forces"
            ) from None

    def _frame(self, frame: Frame) -> BodyFrame:
        body = self.skeleton.body(frame.body)
        return BodyFrame(body, torch.as_tensor(frame.rotation), torch.as_tensor(frame.position))

    def _bushing(self, node: Node, name: str) -> Bushing:
        if node.find("socket_frame1") is None and node.find("body_1") is not None:
            ends = [
                Frame(text(node, f"body_{i}"), numbers(node, f"location_body_{i}", 3, (0.0,) * 3),
                      euler_xyz(numbers(node, f"orientation_body_{i}", 3, (0.0,) * 3)))
                for i in (1, 2)
            ]  # fmt: skip
        else:
            ends = [self.frames.socket(node, f"frame{i}") for i in (1, 2)]
        zero = (0.0, 0.0, 0.0)
        kinds = ("rotational", "translational")
        damping = np.concatenate([numbers(node, f"{kind}_damping", 3, zero) for kind in kinds])
        stiffness: LinearStiffness | WrittenStiffness
        if node.tag == "BushingForce":
            values = [numbers(node, f"{kind}_stiffness", 3, zero) for kind in kinds]
            stiffness = LinearStiffness(tuple(np.concatenate(values).tolist()))
        else:
            tags = [f"{kind}{axis}_expression" for kind in "MF" for axis in "xyz"]
            stiffness = WrittenStiffness(tuple(self._expression(node, tag, DEFLECTIONS) for tag in tags))
        return Bushing(name, self._frame(ends[0]), self._frame(ends[1]), stiffness, tuple(damping.tolist()))

    def _geometry(self, node: Node, socket: str) -> Node:
        path = text(node, f"socket_{socket}")
        name = path.rstrip("/").split("/")[-1]
        for candidate in objects(self.model.model.find("ContactGeometrySet")):
            if (candidate.get("name") or "").strip() == name:
                return candidate
        raise ModelError(f"{self.model.path}: {where(node)}: touches with {path!r}, which the model does not have")

    def _sphere(self, node: Node, name: str) -> SphereOnFloor:
        def number(tag: str, default: float) -> float:
            return float(numbers(node, tag, 1, (default,))[0])

        sphere, floor = self._geometry(node, "sphere"), self._geometry(node, "half_space")
        zero = (0.0, 0.0, 0.0)
        at = self.frames.socket(sphere, "frame").then(numbers(sphere, "location", 3, zero), np.eye(3))
        turn = euler_xyz(numbers(floor, "orientation", 3, zero))
        plane = self.frames.socket(floor, "frame").then(numbers(floor, "location", 3, zero), turn)
        radius = float(numbers(sphere, "radius", 1)[0])
        if radius <= 0:
            raise FileFormatError(f"{self.model.path}: {where(sphere)}: <radius> must be positive")
        return SphereOnFloor(
            name,
            self.skeleton.body(at.body),
            torch.as_tensor(at.position),
            radius,
            self._frame(plane),
            self._contact_law(node, number),
        )

    def _contact_law(self, node: Node, number: Callable[[str, float], float]) -> SmoothHuntCrossley:
        try:
            return SmoothHuntCrossley(
                stiffness=number("stiffness", 1.0),
                dissipation=number("dissipation", 0.0),
                static_friction=number("static_friction", 0.0),
                dynamic_friction=number("dynamic_friction", 0.0),
                viscous_friction=number("viscous_friction", 0.0),
                transition_velocity=number("transition_velocity", 0.01),
                hertz_smoothing=number("hertz_smoothing", 300.0),
                hunt_crossley_smoothing=number("hunt_crossley_smoothing", 50.0),
                constant_contact_force=number("constant_contact_force", 1e-5),
            )
        except ModelError as error:
            raise ModelError(f"{self.model.path}: {where(node)}: {error}") from None
