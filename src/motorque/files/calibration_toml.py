"""Calibrations in TOML, as Pose2Sim, Anipose, Caliscope and FreeMoCap write them: one table per camera.

Each holds ``name``, ``size`` (width, height), ``matrix``, ``distortions``, ``rotation`` (Rodrigues' vector, world to
camera), ``translation`` and perhaps ``fisheye``, all in OpenCV's convention (Pose2Sim's documentation and example
``Calib_qualisys.toml``; Anipose's documentation, "calibration.toml"). Pose2Sim's lengths are metres and its world has Z
up; Anipose's are the unit of the calibration board, usually millimetres, in the board's or the first camera's axes.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import FileFormatError
from motorque.files.calibration_camera import finite, make_camera
from motorque.journal import Journal
from motorque.series import Camera

Array = NDArray[np.float64]

FARTHEST = 60.0
"""Cameras further apart than this are none of a recording in metres [m]; their lengths are taken to be millimetres."""

NEEDED = ("size", "matrix", "rotation", "translation")


def read_toml(path: Path, journal: Journal) -> list[Camera]:
    """The cameras of a TOML file, in its own world.

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
    if apart > FARTHEST:
        journal.assume(
            f"the cameras would stand {apart:.0f} m apart; their positions are taken to be in millimetres", str(path)
        )
        cameras = [
            Camera(c.name, c.size, c.matrix, c.rotation, c.translation / 1000, c.distortion, c.fisheye) for c in cameras
        ]
    return cameras


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
