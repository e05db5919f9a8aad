"""OpenSim models (.osim), versions 1.9 to 4.5, as a `Skeleton` beside the untouched XML tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from motorque.errors import FileFormatError, ModelError
from motorque.files.osim_functions import read_child_function, read_function
from motorque.files.osim_joints import read_joint
from motorque.files.xml import Node, boolean, children, numbers, objects, parse_xml, text, where
from motorque.journal import Journal
from motorque.skeleton.builder import Attachments, Body, Frame, JointSpec, build_skeleton, euler_xyz
from motorque.skeleton.functions import Function
from motorque.skeleton.skeleton import STANDARD_GRAVITY, Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OsimModel:
    """A model file: what motorque understands of it, and the whole of it.

    Args:
        path: Where it was read from.
        tree: The XML tree as it stands in the file.
        version: The document's version number (``40000``).
        skeleton: The skeleton in it.
    """

    path: Path
    tree: etree._ElementTree
    version: int
    skeleton: Skeleton

    @property
    def model(self) -> Node:
        """The ``Model`` element."""
        return model_node(self.tree, self.path)


def load_skeleton(path: str | Path, *, journal: Journal | None = None) -> Skeleton:
    """The skeleton in an OpenSim model file; see :func:`read_osim` for what is supported and raised."""
    return read_osim(path, journal=journal).skeleton


def read_osim(path: str | Path, *, journal: Journal | None = None) -> OsimModel:
    """Read an OpenSim model of any version.

    Args:
        path: The ``.osim`` file.
        journal: Where things that matter to the user are recorded.

    Raises:
        FileFormatError: The file can't be read, is no OpenSim model, or a value in it is malformed.
        ModelError: The model is inconsistent (loop, missing parent, massless end) or uses an unsupported joint,
            function or constraint.
    """
    path = Path(path)
    return osim_from_tree(parse_xml(path), path, journal=journal)


def osim_from_tree(tree: etree._ElementTree, path: str | Path, *, journal: Journal | None = None) -> OsimModel:
    """The model in an XML tree, such as one that was edited; raises as :func:`read_osim` does.

    Args:
        tree: The document.
        path: Where it came from, for messages.
        journal: Where things that matter to the user are recorded.
    """
    path = Path(path)
    journal = journal if journal is not None else Journal()
    model = model_node(tree, path)
    try:
        return OsimModel(path, tree, _version(tree.getroot()), _skeleton(model, path, journal))
    except (FileFormatError, ModelError) as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from None


def model_node(tree: etree._ElementTree, path: str | Path) -> Node:
    """The ``Model`` element of a document; raises :class:`FileFormatError` if there is none."""
    root = tree.getroot()
    model = root if root.tag == "Model" else root.find("Model")
    if model is None:
        raise FileFormatError(f"{path}: no <Model> in it (the file is a <{root.tag}>); give an OpenSim model")
    return model


def _version(root: Node) -> int:
    value = root.get("Version", "0")
    return int(value) if value.isdigit() else 0


def _skeleton(model: Node, path: Path, journal: Journal) -> Skeleton:
    name = (model.get("name") or path.stem).strip()
    bodies, joints = [], []
    for node in objects(model.find("BodySet")):
        if node.tag != "Body":
            raise ModelError(f"{where(node)}: bodies of type {node.tag} are not supported")
        label = (node.get("name") or "").strip()
        if label != "ground":
            bodies.append(_body(node, label))
        joints += _nested_joints(node, label)
    frames = FrameFinder(model, [b.name for b in bodies])
    for node in objects(model.find("JointSet")):
        parent = frames.socket(node, "parent_frame")
        child = frames.socket(node, "child_frame")
        joints.append((node, parent, child))
    specs: list[JointSpec] = []
    for node, parent, child in joints:
        if boolean(node, "reverse", False):
            parent, child = child, parent
        found, extra = read_joint(node, parent, child)
        specs += found
        bodies += extra
    if not bodies:
        raise ModelError("the model has no body; give a complete model")
    gravity = numbers(model, "gravity", 3, STANDARD_GRAVITY)
    couplers, points = _constraints(model, frames, journal)
    return build_skeleton(
        name,
        bodies,
        specs,
        Attachments(list(_markers(model, frames)), couplers, points, list(_contact_spheres(model, frames))),
        gravity=gravity.tolist(),
    )


def _body(node: Node, name: str) -> Body:
    mass = float(numbers(node, "mass", 1, (0.0,))[0])
    if node.find("inertia") is not None:
        xx, yy, zz, xy, xz, yz = numbers(node, "inertia", 6)
    else:
        xx, yy, zz, xy, xz, yz = (
            float(numbers(node, f"inertia_{axis}", 1, (0.0,))[0]) for axis in ("xx", "yy", "zz", "xy", "xz", "yz")
        )
    inertia = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return Body(name, mass, numbers(node, "mass_center", 3, (0.0, 0.0, 0.0)), inertia)


def _nested_joints(body: Node, name: str) -> list[tuple[Node, Frame, Frame]]:
    """Joints of versions before 4.0, which stand inside the body that they carry."""
    found = []
    for node in children(body.find("Joint")):
        parent = text(node, "parent_body")
        if not parent:
            raise ModelError(f"{where(node)}: names no parent body; add <parent_body>")
        at = Frame(
            parent,
            numbers(node, "location_in_parent", 3, (0.0,) * 3),
            euler_xyz(numbers(node, "orientation_in_parent", 3, (0.0,) * 3)),
        )
        child = Frame(
            name, numbers(node, "location", 3, (0.0,) * 3), euler_xyz(numbers(node, "orientation", 3, (0.0,) * 3))
        )
        found.append((node, at, child))
    return found


class FrameFinder:
    """Resolves the names and paths by which parts of a model say which frame they are fixed to."""

    def __init__(self, model: Node, bodies: list[str]) -> None:
        self._bodies = {"ground", *bodies}
        self._offsets: dict[str, list[Node]] = {}
        for node in model.iter("PhysicalOffsetFrame"):
            self._offsets.setdefault((node.get("name") or "").strip(), []).append(node)

    def socket(self, node: Node, socket: str) -> Frame:
        """The frame that a socket of a component names.

        Raises:
            ModelError: It names none, one that does not exist, or frames that hang on each other in a circle.
        """
        path = text(node, f"socket_{socket}") or text(node, f"socket_{socket}_connectee_name")
        if not path:
            raise ModelError(f"{where(node)}: does not name its {socket.replace('_', ' ')}; add <socket_{socket}>")
        return self.find(path, node, 0)

    def find(self, path: str, node: Node, depth: int = 0) -> Frame:
        """The frame at a path, seen from a component."""
        if depth > 50:
            raise ModelError(f"{where(node)}: its offset frames hang on each other in a circle")
        name = path.rstrip("/").split("/")[-1]
        if name == "..":
            owner = node.getparent()
            while owner is not None and owner.tag not in ("Body", "Ground", "PhysicalOffsetFrame"):
                owner = owner.getparent()
            if owner is None:
                raise ModelError(f"{where(node)}: can't resolve the frame {path!r}")
            if owner.tag != "PhysicalOffsetFrame":
                return Frame("ground" if owner.tag == "Ground" else (owner.get("name") or ""))
            return self._offset(owner, depth)
        candidates = self._offsets.get(name, [])
        own = [c for c in candidates if node in c.iterancestors()]
        named = [c for c in candidates if any(a.get("name") in path.split("/")[:-1] for a in c.iterancestors())]
        chosen = own or named or (candidates if "/" not in path or name not in self._bodies else [])
        if chosen:
            return self._offset(chosen[0], depth)
        if name in self._bodies:
            return Frame(name)
        raise ModelError(f"{where(node)}: hangs on the frame {path!r}, which the model does not have; correct its path")

    def _offset(self, node: Node, depth: int) -> Frame:
        path = text(node, "socket_parent") or text(node, "socket_parent_connectee_name")
        holder = next((a for a in node.iterancestors() if a.tag not in ("frames", "objects")), node)
        base = self.find(path or "..", node if (path or "..").endswith("..") else holder, depth + 1)
        return base.then(
            numbers(node, "translation", 3, (0.0,) * 3), euler_xyz(numbers(node, "orientation", 3, (0.0,) * 3))
        )


def _markers(model: Node, frames: FrameFinder) -> Iterator[tuple[str, Frame, bool]]:
    for node in objects(model.find("MarkerSet")):
        if node.tag != "Marker":
            continue
        path = (
            text(node, "socket_parent_frame") or text(node, "socket_parent_frame_connectee_name") or text(node, "body")
        )
        if not path:
            raise ModelError(f"{where(node)}: does not say which body it is on")
        frame = frames.find(path, node).then(numbers(node, "location", 3), np.eye(3))
        yield (node.get("name") or "").strip(), frame, boolean(node, "fixed", False)


def _constraints(
    model: Node, frames: FrameFinder, journal: Journal
) -> tuple[list[tuple[str, str, str, Function, float]], list[tuple[str, str, Array, str, Array]]]:
    couplers: list[tuple[str, str, str, Function, float]] = []
    points: list[tuple[str, str, Array, str, Array]] = []
    for node in objects(model.find("ConstraintSet")):
        name = (node.get("name") or node.tag).strip()
        if boolean(node, "isDisabled", False) or not boolean(node, "isEnforced", True):
            journal.info(f"constraint {name} is switched off in the model and stays off", name)
            continue
        if node.tag == "CoordinateCouplerConstraint":
            independent = text(node, "independent_coordinate_names").split()
            function = read_child_function(node, "coupled_coordinates_function")
            if function is None or len(independent) != 1:
                raise ModelError(
                    f"{where(node)}: a coupler of exactly one independent coordinate and a function is needed"
                )
            scale = float(numbers(node, "scale_factor", 1, (1.0,))[0])
            couplers.append((name, text(node, "dependent_coordinate_name"), independent[0], function, scale))
        elif node.tag == "PointConstraint":
            ends = []
            for number in ("1", "2"):
                path = text(node, f"socket_body_{number}") or text(node, f"body_{number}")
                frame = frames.find(path, node).then(numbers(node, f"location_body_{number}", 3), np.eye(3))
                ends.append((frame.body, frame.position))
            (body_1, point_1), (body_2, point_2) = ends
            points.append((name, body_1, point_1, body_2, point_2))
        else:
            raise ModelError(
                f"{where(node)}: constraints of type {node.tag} are not supported (CoordinateCouplerConstraint and "
                "PointConstraint are); switch it off in the model if the result does not depend on it"
            )
    return couplers, points


def _contact_spheres(model: Node, frames: FrameFinder) -> Iterator[tuple[str, str, np.ndarray, float]]:
    for node in objects(model.find("ContactGeometrySet")):
        if node.tag != "ContactSphere":
            continue
        path = text(node, "socket_frame") or text(node, "body_name")
        frame = frames.find(path, node).then(numbers(node, "location", 3, (0.0,) * 3), np.eye(3))
        yield (node.get("name") or "").strip(), frame.body, frame.position, float(numbers(node, "radius", 1)[0])


__all__ = ["FrameFinder", "OsimModel", "load_skeleton", "model_node", "osim_from_tree", "read_function", "read_osim"]
