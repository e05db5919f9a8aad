"""Models for the scaling tests: one with everything that scaling touches, and what the `opensim` wheel makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from motorque.files.xml import parse_xml

Array = NDArray[np.float64]
HEAD = '<?xml version="1.0" encoding="UTF-8" ?>\n<OpenSimDocument Version="40600">'
FRAMES = {"a": "/bodyset/a", "o": "/bodyset/b/off/off2", "g": "/ground"}
POSE = "<xyz_body_rotation>0.1 0.2 0.3</xyz_body_rotation><translation>0.01 0.02 0.03</translation>"
SHAPES = {
    "Mesh": "<mesh_file>x.vtp</mesh_file>",
    "Sphere": "<radius>0.1</radius>",
    "Cylinder": "<radius>0.1</radius><half_height>0.2</half_height>",
    "Ellipsoid": "<radii>0.1 0.2 0.3</radii>",
    "Brick": "<half_lengths>0.1 0.2 0.3</half_lengths>",
    "LineGeometry": "<start_point>0 0 0</start_point><end_point>0.1 0.1 0.1</end_point>",
}
CONTACTS = {
    "ContactSphere": "<radius>0.02</radius>",
    "ContactHalfSpace": "",
    "ContactEllipsoid": "<radii>0.1 0.2 0.3</radii>",
    "ContactCylinder": "<radius>0.1</radius>",
    "ContactTorus": "<torus_radius>0.2</torus_radius><tube_radius>0.1</tube_radius>",
}
MUSCLES = (
    "Thelen2003Muscle", "Millard2012EquilibriumMuscle", "DeGrooteFregly2016Muscle", "RigidTendonMuscle",
    "Millard2012AccelerationMuscle", "Schutte1993Muscle_Deprecated", "Delp1990Muscle_Deprecated",
    "Thelen2003Muscle_Deprecated",
)  # fmt: skip


def element(tag: str, name: str = "", inside: str = "") -> str:
    return f'<{tag} name="{name}">{inside}</{tag}>' if name else f"<{tag}>{inside}</{tag}>"


def constant(value: float) -> str:
    return f'<Constant name="function"><value>{value}</value></Constant>'


def linear(slope: float, intercept: float) -> str:
    return f'<LinearFunction name="function"><coefficients>{slope} {intercept}</coefficients></LinearFunction>'


def geometry() -> str:
    shapes = "".join(
        element(kind, f"g{n}", f"<socket_frame>..</socket_frame><scale_factors>1.1 1.2 1.3</scale_factors>{inside}")
        for n, (kind, inside) in enumerate(SHAPES.items())
    )
    return element("attached_geometry", inside=shapes)


def wraps(prefix: str) -> str:
    inside = (
        element("WrapSphere", f"{prefix}s", f"{POSE}<radius>0.02</radius>")
        + element("WrapCylinder", f"{prefix}c", f"{POSE}<radius>0.02</radius><length>0.3</length>")
        + element("WrapEllipsoid", f"{prefix}e", f"{POSE}<dimensions>0.03 0.05 0.04</dimensions>")
        + element(
            "WrapTorus", f"{prefix}t", f"{POSE}<inner_radius>0.01</inner_radius><outer_radius>0.05</outer_radius>"
        )
    )
    return element("WrapObjectSet", inside=element("objects", inside=inside))


def frame(name: str, parent: str, translation: str, orientation: str, extra: str = "") -> str:
    return element(
        "PhysicalOffsetFrame",
        name,
        f"<socket_parent>{parent}</socket_parent><translation>{translation}</translation>"
        f"<orientation>{orientation}</orientation>{extra}",
    )


def body(name: str, extra: str = "") -> str:
    return element(
        "Body",
        name,
        "<mass>2</mass><mass_center>0.01 -0.1 0.02</mass_center>"
        f"<inertia>0.02 0.005 0.021 0.0001 0.0002 -0.0003</inertia>{extra}",
    )


def joint(kind: str, name: str, parent: str, child: str, coordinates: dict[str, float], extra: str = "") -> str:
    at = parent.split("/")[-1]
    listed = "".join(
        element("Coordinate", q, f"<default_value>{value}</default_value>") for q, value in coordinates.items()
    )
    frames = frame(f"{at}_offset", parent, "0.1 -0.4 0.05", "0.2 0 0") + frame(
        f"{child}_offset", f"/bodyset/{child}", "0.01 0.3 0.02", "0 0 0.1"
    )
    return element(
        kind,
        name,
        f"<socket_parent_frame>{at}_offset</socket_parent_frame><socket_child_frame>{child}_offset</socket_child_frame>"
        + element("coordinates", inside=listed)
        + element("frames", inside=frames)
        + extra,
    )


def spatial(axes: dict[str, tuple[str, str, str]]) -> str:
    unit = {
        f"{kind}{n + 1}": a for kind in ("rotation", "translation") for n, a in enumerate(("1 0 0", "0 1 0", "0 0 1"))
    }
    inside = ""
    for name, default in unit.items():
        coordinate, axis, function = axes.get(name, ("", default, constant(0)))
        inside += element(
            "TransformAxis", name, f"<coordinates>{coordinate}</coordinates><axis>{axis or default}</axis>{function}"
        )
    return element("SpatialTransform", inside=inside)


def path_points() -> str:
    spline = "<SimmSpline><x>-2 0 2</x><y>0.02 0.05 0.03</y></SimmSpline>"
    inner = "<function><Constant><value>0.04</value></Constant></function><scale>1.2</scale>"
    multiplied = element("MultiplierFunction", inside=inner)
    moving = "".join(f"<socket_{axis}_coordinate>/jointset/jb/q1</socket_{axis}_coordinate>" for axis in "xyz")
    moving += f"<x_location>{spline}</x_location><y_location>{multiplied}</y_location>"
    moving += "<z_location><LinearFunction><coefficients>0.02 0.01</coefficients></LinearFunction></z_location>"

    def point(kind: str, name: str, where: str, inside: str) -> str:
        return element(kind, name, f"<socket_parent_frame>{where}</socket_parent_frame>{inside}")

    return (
        point("PathPoint", "p1", "/bodyset/a", "<location>0.05 0.3 0.02</location>")
        + point("PathPoint", "p2", "/bodyset/b/off", "<location>0.05 0.1 0.02</location>")
        + point("ConditionalPathPoint", "p3", "/bodyset/b", "<location>0.05 0.05 0.02</location>"
                "<socket_coordinate>/jointset/jb/q1</socket_coordinate><range>-1 1</range>")
        + point("MovingPathPoint", "p4", "/bodyset/b", moving)
        + point("PathPoint", "p5", "/bodyset/c", "<location>0.03 -0.1 0.02</location>")
    )  # fmt: skip


def path(wrapped: str = "") -> str:
    wrap = element("PathWrap", "pw", f"<wrap_object>{wrapped}</wrap_object>") if wrapped else ""
    return element(
        "GeometryPath",
        "path",
        element("PathPointSet", inside=element("objects", inside=path_points()))
        + element("PathWrapSet", inside=element("objects", inside=wrap)),
    )


def forces() -> str:
    lengths = "<optimal_fiber_length>0.1</optimal_fiber_length><tendon_slack_length>0.2</tendon_slack_length>"
    inside = "".join(
        element(
            kind, f"mu{n}", path("as" if n == 0 else "oe") + lengths + "<max_isometric_force>100</max_isometric_force>"
        )
        for n, kind in enumerate(MUSCLES)
    )
    spring = "<stiffness>10</stiffness><dissipation>0.1</dissipation>"
    inside += element("PathSpring", "spring", f"{path('ac')}<resting_length>0.3</resting_length>{spring}")
    inside += element("Ligament", "lig", f"{path()}<resting_length>0.3</resting_length><pcsa_force>10</pcsa_force>")
    inside += element(
        "Blankevoort1991Ligament", "bl",
        f"{path()}<slack_length>0.3</slack_length><linear_stiffness>10</linear_stiffness>",
    )  # fmt: skip
    inside += element("PathActuator", "pact", path())
    inside += element(
        "ExpressionBasedPathForce", "ebpf", f"{path()}<resting_length>0.3</resting_length><expression>s</expression>"
    )
    ends = "<socket_frame1>/bodyset/a</socket_frame1><socket_frame2>/bodyset/b/off</socket_frame2>"
    inside += element("BushingForce", "bush", ends)
    bodies = "<socket_body1>/bodyset/a</socket_body1><socket_body2>/bodyset/b</socket_body2>"
    points = "<point1>0.1 0.2 0.3</point1><point2>0.3 0.2 0.1</point2>"
    inside += element(
        "PointToPointSpring", "pps", f"{bodies}{points}<rest_length>0.2</rest_length><stiffness>10</stiffness>"
    )
    inside += element("PointActuator", "pa", "<body>a</body><point>0.1 0.2 0.3</point>")
    return inside


def constraints(coupler: bool) -> str:
    off = "<isEnforced>false</isEnforced>"
    ends = "<socket_body_1>/bodyset/a</socket_body_1><socket_body_2>/bodyset/b</socket_body_2>"
    places = "<location_body_1>0.1 0.2 0.3</location_body_1><location_body_2>0.1 0.2 0.3</location_body_2>"
    inside = element("PointConstraint", "pc", off + ends + places)
    inside += element(
        "ConstantDistanceConstraint", "cdc", f"{off}{ends}{places}<constant_distance>0.4</constant_distance>"
    )
    if coupler:
        function = "<LinearFunction><coefficients>0.1 0.02</coefficients></LinearFunction>"
        inside += element(
            "CoordinateCouplerConstraint", "cc",
            f"<coupled_coordinates_function>{function}</coupled_coordinates_function>"
            "<independent_coordinate_names>q1</independent_coordinate_names>"
            "<dependent_coordinate_name>t1</dependent_coordinate_name>",
        )  # fmt: skip
    return inside


def everything(*, coupler: bool = False) -> bytes:
    """A model with every joint, function, surface, muscle and point that scaling treats in its own way."""
    simm = "<SimmSpline><x>-2 0 1 2</x><y>0.1 0.05 -0.03 0.2</y></SimmSpline>"
    multiplied = (
        f'<MultiplierFunction name="function"><function>{simm}</function><scale>1.1</scale></MultiplierFunction>'
    )
    first = spatial({
        "rotation1": ("q1", "0 0 1", linear(1, 0)), "rotation2": ("", "1 0 0", constant(0)),
        "rotation3": ("", "0 1 0", constant(0)), "translation1": ("", "", constant(0.05)),
        "translation2": ("q2", "0 0.8 0.6", linear(2, 0.1)), "translation3": ("q1", "0 -0.6 0.8", multiplied),
    })  # fmt: skip
    polynomial = '<PolynomialFunction name="function"><coefficients>1 2 0.1</coefficients></PolynomialFunction>'
    second = spatial({"translation1": ("t1", "", linear(1, 0)), "translation3": ("t1", "", polynomial)})
    radii = "<radii_x_y_z>0.1 0.2 0.3</radii_x_y_z>"
    scapula = (
        "<thoracic_ellipsoid_radii_x_y_z>0.08 0.2 0.09</thoracic_ellipsoid_radii_x_y_z>"
        "<scapula_winging_axis_origin>0.01 0.02</scapula_winging_axis_origin>"
        "<scapula_winging_axis_direction>0.3</scapula_winging_axis_direction>"
    )
    inner = frame("off2", "..", "0.04 0.05 0.06", "0 0.3 0", geometry())
    outer = frame(
        "off", "..", "0.01 0.02 0.03", "0.3 0 0", element("components", inside=inner) + geometry() + wraps("o")
    )
    bodies = body("a", geometry() + wraps("a")) + body("b", element("components", inside=outer))
    bodies += "".join(body(name) for name in "cdefhk")
    joints = (
        joint("FreeJoint", "ja", "/ground", "a", {f"f{n}": 0.1 * n for n in range(6)})
        + joint("CustomJoint", "jb", "/bodyset/a", "b", {"q1": 0.3, "q2": 0.05}, first)
        + joint("PinJoint", "jc", "/bodyset/b", "c", {"q3": 0.2})
        + joint("EllipsoidJoint", "jd", "/bodyset/c", "d", {"e1": 0.1, "e2": 0.2, "e3": 0.3}, radii)
        + joint("SliderJoint", "je", "/bodyset/a", "e", {"s1": 0.1})
        + joint("ScapulothoracicJoint", "jf", "/bodyset/a", "f", {"k1": 0.1, "k2": 0.2, "k3": 0.1, "k4": 0.2}, scapula)
        + joint("WeldJoint", "jh", "/bodyset/b/off/off2", "h", {})
        + joint("CustomJoint", "jk", "/bodyset/a", "k", {"t1": 0.1}, second)
    )  # fmt: skip

    def placed(kind: str, prefix: str, inside: str = "<location>0.1 0.2 0.3</location>") -> str:
        return "".join(
            element(kind, prefix + n, f"<socket_parent_frame>{f}</socket_parent_frame>{inside}")
            for n, f in FRAMES.items()
        )

    turned = "<orientation>0 0.1 0.2</orientation>"
    contacts = "".join(
        element(kind, n + kind, f"<socket_frame>{f}</socket_frame><location>0.1 -0.2 0.3</location>{turned}{x}")
        for n, f in FRAMES.items() for kind, x in CONTACTS.items()
    )  # fmt: skip
    sets = {
        "BodySet": bodies, "JointSet": joints, "ForceSet": forces(), "ConstraintSet": constraints(coupler),
        "MarkerSet": placed("Marker", "m"), "ContactGeometrySet": contacts, "ComponentSet": placed("Station", "st"),
    }  # fmt: skip
    inside = element("Ground", "ground", geometry() + wraps("g"))
    inside += "".join(element(tag, inside=element("objects", inside=members)) for tag, members in sets.items())
    text = f'{HEAD}<!-- kept & untouched --><Model name="everything">{inside}</Model></OpenSimDocument>'.replace(
        "kept & u", "kept, u"
    )
    return text.encode()


def for_the_wheel(source: Path, target: Path) -> int:
    """Copy a model so that the wheel opens it without changing numbers; returns its file version.

    OpenSim reads inertias and joint places of files before version 3.5 with six digits: they are rounded here first, so
    that both sides start from the same numbers. It also refuses Thelen2003Muscles that allow activations under 0.01.
    """
    tree = parse_xml(source)
    root = tree.getroot()
    version = int(root.get("Version") or 0)
    if version < 30500:
        for node in root.iter("inertia_xx", "inertia_yy", "inertia_zz", "inertia_xy", "inertia_xz", "inertia_yz"):
            node.text = f"{float(node.text or 0):g}"
        for holder in root.iter("Joint"):
            for node in holder.iter("location_in_parent", "location", "orientation_in_parent", "orientation"):
                node.text = " ".join(f"{float(word):g}" for word in (node.text or "").split())
    if version == 30000:
        for muscle in root.iter("Thelen2003Muscle"):
            for tag in ("minimum_activation", "min_control"):
                if muscle.find(tag) is None:
                    etree.SubElement(muscle, tag)
                muscle.find(tag).text = "0.01"  # type: ignore[union-attr]
    tree.write(str(target), encoding="UTF-8", xml_declaration=True)
    return version


def random_factors(bodies: tuple[str, ...], seed: int, *, uniform: bool = False) -> dict[str, Array]:
    """Factors between 0.8 and 1.25 for every body."""
    rng = np.random.default_rng(seed)
    drawn = {name: rng.uniform(0.8, 1.25, 3) for name in bodies}
    return {name: np.full(3, f[0]) for name, f in drawn.items()} if uniform else drawn


def wheel_scaled(opensim: Any, path: Path, factors: dict[str, Array], *, preserve: bool, mass: float) -> Any:
    """The model of a file as the wheel scales it."""
    model = opensim.Model(str(path))
    state = model.initSystem()
    scales = opensim.ScaleSet()
    for name, values in factors.items():
        scale = opensim.Scale()
        scale.setSegmentName(name)
        scale.setScaleFactors(opensim.Vec3(*map(float, values)))
        scale.setApply(True)
        scales.cloneAndAppend(scale)
    model.scale(state, scales, preserve, mass)
    return model


def properties(path: Path) -> dict[str, str]:
    """Every leaf of a model file by its path of tags and names (function names left out: OpenSim makes them up)."""
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode("cp1252", errors="replace").encode()
    found: dict[str, str] = {}

    def walk(node: etree._Element, here: str) -> None:
        inside = [child for child in node if isinstance(child.tag, str)]
        if not inside:
            found[here] = (node.text or "").strip()
        count: dict[str, int] = {}
        for child in inside:
            key = f"{child.tag}[{child.get('name')}]" if child.get("name") else str(child.tag)
            key = re.sub(r"\[function\]", "", key)
            count[key] = count.get(key, 0) + 1
            walk(child, f"{here}/{key}#{count[key]}")

    walk(etree.fromstring(data), "")
    return found
