"""Where cameras stood and how they see: calibration files of Pose2Sim, Anipose, OpenCap and Qualisys.

Every format is turned into :class:`~motorque.series.Camera`: metres, pixels from the upper left corner of the picture,
and a world whose Y points up (:mod:`motorque.files.calibration_world` says how that is found out).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from motorque.errors import FileFormatError
from motorque.files.calibration_opencap import is_opencap_folder, read_opencap
from motorque.files.calibration_qualisys import read_qualisys
from motorque.files.calibration_toml import read_toml
from motorque.files.calibration_videos import cameras_for_videos as cameras_for_videos
from motorque.files.calibration_world import stand_upright
from motorque.journal import Journal
from motorque.series import Camera

FORMATS = "Pose2Sim's or Anipose's .toml, OpenCap's camera folders (.pickle), Qualisys' .qca.txt or .xml"

LARGEST = 20_000_000
"""Bytes of a calibration file; real ones have some thousand."""


def read_cameras(path: str | Path, *, journal: Journal) -> tuple[Camera, ...]:
    """Read a calibration of one or more cameras.

    Args:
        path: A ``.toml`` of Pose2Sim, Anipose or their kin; a ``.qca.txt`` or ``.xml`` of Qualisys; an OpenCap session
            folder, or one of its ``cameraIntrinsicsExtrinsics.pickle``.
        journal: Where assumptions about axes and units are recorded.

    Returns:
        The cameras in the file's order, in a world with Y up. Its origin and heading are the file's, so the floor need
        not be at zero.

    Raises:
        FileFormatError: The file is missing, is none of these, is damaged, or holds no camera.
    """
    path = Path(path)
    if path.is_dir():
        if not is_opencap_folder(path):
            raise FileFormatError(
                f"{path}: a folder without OpenCap's cameraIntrinsicsExtrinsics.pickle; give the calibration file: "
                f"{FORMATS}"
            )
        cameras, up, certain = read_opencap(path, journal), "", False
    else:
        if not path.is_file():
            raise FileFormatError(f"{path}: no such file; check the name")
        if path.stat().st_size == 0:
            raise FileFormatError(f"{path}: the file is empty; export the calibration again")
        if path.stat().st_size > LARGEST:
            raise FileFormatError(f"{path}: {path.stat().st_size / 1e6:.0f} MB are no calibration; give {FORMATS}")
        cameras, up, certain = _by_kind(path, journal)
    if not cameras:
        raise FileFormatError(f"{path}: holds no camera; export the calibration again")
    _check_names(path, cameras)
    return stand_upright(cameras, expected=up, certain=certain, about=str(path), journal=journal)


def _by_kind(path: Path, journal: Journal) -> tuple[list[Camera], str, bool]:
    """The cameras in the file's own world, which of its axes should point up ("" if that is not fixed), and whether the
    file itself says so.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").replace(b"\0", b"")
    if suffix in (".pickle", ".pkl"):
        return read_opencap(path, journal), "", False
    if start.startswith(b"<"):
        return read_qualisys(path, journal), "Z", False
    if suffix == ".toml":
        cameras, certain = read_toml(path, journal)
        return cameras, "Z", certain
    if start.startswith(b"\x80"):
        return read_opencap(path, journal), "", False
    raise FileFormatError(f"{path}: not a calibration that motorque reads; give {FORMATS}")


def _check_names(path: Path, cameras: Sequence[Camera]) -> None:
    repeated = [name for name, count in Counter(camera.name for camera in cameras).items() if count > 1]
    if repeated:
        raise FileFormatError(f"{path}: two cameras are called {repeated[0]!r}; rename one of them")
