"""Calibrations in TOML, as Pose2Sim, Anipose, Caliscope and FreeMoCap write them: one table per camera.

Each holds ``name``, ``size`` (width, height), ``matrix``, ``distortions``, ``rotation`` (Rodrigues' vector, world to
camera), ``translation`` and perhaps ``fisheye``, all in OpenCV's convention (Pose2Sim's documentation and example
``Calib_qualisys.toml``; Anipose's documentation, "calibration.toml"). Pose2Sim's lengths are metres and its world has Z
up; Anipose's are the unit of the calibration board, usually millimetres, in the board's or the first camera's axes.
What motorque writes is Pose2Sim's, and says so in the table ``metadata``: ``up = "Z"`` and ``units = "m"``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import FileFormatError
from motorque.files.calibration_camera import PIXEL_CENTER, finite, make_camera
from motorque.files.output import write_text
from motorque.journal import Journal
from motorque.series import Camera

Array = NDArray[np.float64]

FARTHEST = 60.0
"""Cameras further apart than this are none of a recording in metres [m]; their lengths are taken to be millimetres."""

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Rotation from the file's world (X forward, Y left, Z up) to ground (X forward, Y up, Z right)."""

NEEDED = ("size", "matrix", "rotation", "translation")


def read_toml(path: Path, journal: Journal) -> tuple[list[Camera], bool]:
    """The cameras of a TOML file, in its own world, and whether the file says that Z points up there.

    Raises:
        FileFormatError: The file is no TOML, or a camera's entry is missing or no number.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: is not a text file; check that it is the right one") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise FileFormatError(f"{path}: not well-formed TOML: {reason}; correct it or export it again") from None
    tables = [
        (key, table)
        for key, table in content.items()
        if isinstance(table, dict) and key != "metadata" and any(entry in table for entry in NEEDED)
    ]
    if not tables:
        raise FileFormatError(
            f"{path}: holds no camera (tables with {', '.join(NEEDED)}); a Config.toml is not the calibration"
        )
    cameras = [_camera(path, key, table, journal) for key, table in tables]
    centers = np.array([camera.center for camera in cameras])
    apart = float(np.linalg.norm(centers[:, None] - centers, axis=-1).max())
    about = content.get("metadata")
    about = about if isinstance(about, dict) else {}
    if apart > FARTHEST and about.get("units") != "m":
        journal.assume(
            f"the cameras would stand {apart:.0f} m apart; their positions are taken to be in millimetres", str(path)
        )
        cameras = [
            Camera(c.name, c.size, c.matrix, c.rotation, c.translation / 1000, c.distortion, c.fisheye) for c in cameras
        ]
    return cameras, about.get("up") == "Z"


def write_cameras(path: str | Path, cameras: Sequence[Camera]) -> None:
    """Write cameras as Pose2Sim's TOML, which Anipose's tools and :func:`motorque.read_cameras` read as well.

    The file's conventions are OpenCV's: the middle of the upper left pixel is 0, 0, and a table holds ``matrix`` [px],
    ``distortions``, ``rotation`` (Rodrigues' vector) and ``translation`` [m], which take a point of the file's world to
    the camera's axes (x right, y down, z ahead). That world is ground turned so that Z is up: its x, y, z are ground's
    X, -Z, Y.

    Args:
        path: Where to write.
        cameras: In ground (X forward, Y up, Z right).

    Raises:
        OutputError: The file cannot be written.
    """
    tables = []
    for number, camera in enumerate(cameras, 1):
        matrix = camera.matrix.copy()
        matrix[:2, 2] -= PIXEL_CENTER
        lens = camera.distortion if len(camera.distortion) else np.zeros(4 if camera.fisheye else 5)
        turn = Rotation.from_matrix(camera.rotation @ Z_UP).as_rotvec()
        tables.append(
            f"[cam_{number:02d}]\nname = {_quoted(camera.name)}\nsize = {[float(side) for side in camera.size]}\n"
            f"matrix = {matrix.tolist()}\ndistortions = {lens.tolist()}\nrotation = {turn.tolist()}\n"
            f"translation = {camera.translation.tolist()}\nfisheye = {str(camera.fisheye).lower()}\n"
        )
    tables.append('[metadata]\nadjusted = false\nerror = 0.0\nup = "Z"\nunits = "m"\n')
    write_text(path, "\n".join(tables))


def _quoted(text: str) -> str:
    r"""A TOML string; bytes of a file's name that are no text stand as ``\udcff`` in it."""
    plain = text.encode("utf-8", errors="backslashreplace").decode("utf-8")
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")


def _camera(path: Path, key: str, table: dict[str, Any], journal: Journal) -> Camera:
    name = table.get("name", key)
    name = name if isinstance(name, str) and name.strip() else key
    where = f"{path}: camera {name!r}:"
    missing = [entry for entry in NEEDED if entry not in table]
    if missing:
        hint = "; only its lens was calibrated, not where it stood" if missing[0] in ("rotation", "translation") else ""
        raise FileFormatError(f"{where} {missing[0]} is missing{hint}; complete the calibration")
    rotation = finite(table["rotation"], None, f"{where} rotation")
    if len(rotation) == 3:
        turned = Rotation.from_rotvec(rotation).as_matrix()
    elif len(rotation) == 9:
        turned = rotation.reshape(3, 3)
    else:
        raise FileFormatError(f"{where} rotation must hold 3 numbers (Rodrigues' vector), got {len(rotation)}")
    translation = finite(table["translation"], (3,), f"{where} translation")
    if not rotation[:3].any() and not translation.any() and len(rotation) == 3:
        journal.info("its axes are those of the world: the calibration is relative to this camera", f"camera {name}")
    fisheye = table.get("fisheye", False)
    if not isinstance(fisheye, bool):
        raise FileFormatError(f"{where} fisheye must be true or false, got {fisheye!r}")
    return make_camera(
        path,
        name.strip(),
        finite(table["size"], (2,), f"{where} size"),
        finite(table["matrix"], (3, 3), f"{where} matrix"),
        turned,
        translation,
        finite(table.get("distortions", table.get("distortion", [])) or [0.0], None, f"{where} distortions"),
        fisheye=fisheye,
    )
