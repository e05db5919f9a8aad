"""Qualisys' camera calibrations: the XML that QTM exports as ``.qca.txt`` or ``.xml``.

A ``<transform>`` says where the camera stands (x, y, z [mm]) and how it is turned: the rows r1* to r3* of M are the
camera's right, its up and its back in the world, so x_file = M (X - c), and OpenCV's camera is that with y and z turned
round. An ``<intrinsic>`` counts in 64ths of a pixel on the sensor, of which ``<fov_video>`` is the part that is filmed.
So Pose2Sim reads it too, and keypoints of the four cameras of its demo meet within a dozen pixels. Distortion is
OpenCV's, without a unit. Pose2Sim divides it by 64, but straight edges in that demo's pictures are straightest when 0.8
to 1.0 of the file's numbers is taken out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError
from motorque.files.calibration_camera import make_camera
from motorque.files.xml import Node, children, parse_xml
from motorque.journal import Journal
from motorque.series import Camera

Array = NDArray[np.float64]

SUBPIXELS = 64.0
"""Parts of a pixel that intrinsic numbers count."""

TURNS = (0, 90, 180, 270)


def read_qualisys(path: Path, journal: Journal) -> list[Camera]:
    """The cameras of a Qualisys file, in its own world.

    Cameras that were off are left out, and so are those that only see markers, where the file tells.

    Raises:
        FileFormatError: The file is no such XML, or a camera's number is missing or none.
    """
    root = parse_xml(path).getroot()
    found = children(root.find("cameras"), "camera")
    if root.tag != "calibration" or not found:
        raise FileFormatError(f"{path}: no <camera> in <calibration><cameras>; not a camera calibration of Qualisys")
    active = [camera for camera in found if camera.get("active", "1").strip() not in ("0", "false")]
    video = [camera for camera in active if "video" in camera.get("model", "").lower()]
    kept = video or active
    if len(kept) < len(found):
        left = [_name(path, camera) for camera in found if camera not in kept]
        journal.info(f"{len(left)} cameras that were off or film no video are left out: {', '.join(left)}", str(path))
    return [_camera(path, camera, journal) for camera in kept]


def _name(path: Path, camera: Node) -> str:
    name = camera.get("serial", "").strip()
    if not name:
        raise FileFormatError(f"{path}: <camera> in line {camera.sourceline} has no serial; add it")
    return name


def _camera(path: Path, camera: Node, journal: Journal) -> Camera:
    name = _name(path, camera)
    transform, intrinsic = (_child(path, name, camera, tag) for tag in ("transform", "intrinsic"))
    rows = np.array([[_number(path, name, transform, f"r{i}{j}") for j in (1, 2, 3)] for i in (1, 2, 3)])
    center = np.array([_number(path, name, transform, axis) for axis in "xyz"]) / 1000
    rotation = np.diag([1.0, -1.0, -1.0]) @ rows

    def sensor(key: str) -> float:
        return _number(path, name, intrinsic, key)

    sensor_size = np.array([sensor("sensorMaxU") - sensor("sensorMinU"), sensor("sensorMaxV") - sensor("sensorMinV")])
    field = camera.find("fov_video")
    if field is not None:
        left, top, right, bottom = (_number(path, name, field, side) for side in ("left", "top", "right", "bottom"))
        size = np.array([right - left + 1, bottom - top + 1])
    else:
        left = top = 0.0
        size = np.floor(sensor_size / SUBPIXELS) + 1
    if (sensor_size < 8 * size).any():
        raise FileFormatError(
            f"{path}: camera {name!r}: a sensor of {sensor_size[0]:g} by {sensor_size[1]:g} 64ths of a pixel does not "
            f"hold a picture of {size[0]:g}x{size[1]:g}; not written by Qualisys' QTM"
        )
    matrix = np.array(
        [
            [sensor("focalLengthU") / SUBPIXELS, sensor("skew") / SUBPIXELS, sensor("centerPointU") / SUBPIXELS - left],
            [0.0, sensor("focalLengthV") / SUBPIXELS, sensor("centerPointV") / SUBPIXELS - top],
            [0.0, 0.0, 1.0],
        ]
    )
    keys = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")
    distortion = np.array([*(sensor(key) for key in keys), sensor("radialDistortion3")])
    turn = camera.get("viewrotation", "0").strip()
    if turn not in [str(t) for t in TURNS]:
        raise FileFormatError(f"{path}: camera {name!r}: viewrotation must be 0, 90, 180 or 270, got {turn!r}")
    if turn == "180":
        journal.assume(
            "shown upside down in QTM (viewrotation 180); its video is taken to be as the sensor saw it",
            f"camera {name}",
        )
    return make_camera(path, name, size, matrix, rotation, -rotation @ center, distortion)


def _child(path: Path, name: str, camera: Node, tag: str) -> Node:
    node = camera.find(tag)
    if node is None:
        raise FileFormatError(f"{path}: camera {name!r} has no <{tag}>; it is not calibrated")
    return node


def _number(path: Path, name: str, node: Node, key: str) -> float:
    text = node.get(key)
    if text is None and key == "skew":
        return 0.0
    if text is None and key.startswith("tangental"):
        text = node.get(key.replace("tangental", "tangential"))
    if text is None:
        raise FileFormatError(f"{path}: camera {name!r}: <{node.tag}> in line {node.sourceline} has no {key}; add it")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise FileFormatError(
            f"{path}: camera {name!r}: {key} in line {node.sourceline} must be a number, got {text[:40]!r}"
        )
    return value
