"""Keypoints on disk: a numpy archive that says what it was made from, and is checked when it is read."""

from __future__ import annotations

import hashlib
import json
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from motorque.errors import DataError, FileFormatError, OutputError
from motorque.files.output import replacing
from motorque.journal import Notice
from motorque.series import Keypoints

VERSION = 1
"""Of the layout."""

_FIRST = slice(30, 39)
"""Where a zip archive has the name of its first file (PKWARE's APPNOTE, 4.3.7), and how long ``times.npy`` is."""

LARGEST = 2**31
"""Bytes that an archive may unpack to: an hour at 60 Hz with all points takes 130 MB."""


@dataclass(frozen=True)
class VideoKeypoints:
    """What was found in a video.

    Args:
        keypoints: The person's points.
        turned: By how many degrees, counter-clockwise, the shown picture was turned to be upright; the points lie in
            the turned picture.
        focal_length: The lens's focal length as the file tells it, in pixels of that picture; None if it does not.
        moving: When the camera moved [s]; empty for one that stands still.
        notices: What was noticed on the way, to be said again when the file is used again.
        key: What the result depends on: the video's content, the detector and all settings.
    """

    keypoints: Keypoints
    turned: int = 0
    focal_length: float | None = None
    moving: tuple[float, ...] = ()
    notices: tuple[Notice, ...] = ()
    key: dict[str, Any] = field(default_factory=dict)

    def as_shown(self) -> Keypoints:
        """The points in the picture as a player shows it, where :attr:`turned` has been taken back.

        What a calibration of the camera speaks of, and what belongs over the video.
        """
        k = self.keypoints
        (width, height), (x, y) = k.size, np.moveaxis(k.points, -1, 0)
        if self.turned == 180:
            return _moved(k, width - x, height - y, (width, height), (-1.0, -1.0), swap=False)
        if self.turned == 90:  # the shown picture's upper edge became the left one
            return _moved(k, height - y, x, (height, width), (-1.0, 1.0), swap=True)
        if self.turned == 270:
            return _moved(k, y, width - x, (height, width), (1.0, -1.0), swap=True)
        return k


def _moved(
    keypoints: Keypoints, x: Any, y: Any, size: tuple[int, int], signs: tuple[float, float], *, swap: bool
) -> Keypoints:
    world = keypoints.world
    if world is not None:
        world = world[..., [1, 0, 2]] if swap else world
        world = world * np.array([*signs, 1.0])
    points = np.stack([x, y], axis=-1)
    return Keypoints(keypoints.times, points, keypoints.confidence, keypoints.names, size, keypoints.source, world)


def content_hash(path: Path | str) -> str:
    """SHA-256 of a file, read in pieces, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_keypoints(path: Path | str, keypoints: Keypoints | VideoKeypoints) -> None:
    """Write keypoints as a numpy archive (``.npz``); raises :class:`OutputError` if that cannot be done.

    Its arrays: ``times`` [T] s, ``points`` [T, K, 2] px, ``confidence`` [T, K], ``names`` [K], ``size`` [2] px,
    ``world`` [T, K, 3] m where the detector gives it, and ``about``: a JSON text with everything else.
    """
    found = keypoints if isinstance(keypoints, VideoKeypoints) else VideoKeypoints(keypoints)
    k = found.keypoints
    about = {
        "version": VERSION,
        "source": k.source,
        "turned": found.turned,
        "focal_length": found.focal_length,
        "moving": list(found.moving),
        "notices": [[n.kind, n.text, n.about] for n in found.notices],
        "key": found.key,
    }
    arrays = {
        "times": k.times,
        "points": k.points,
        "confidence": k.confidence,
        "names": np.array(k.names),
        "size": np.array(k.size),
        "about": np.array(json.dumps(about)),
    }
    if k.world is not None:
        arrays["world"] = k.world
    with replacing(path) as scratch, open(scratch, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def check_ours(path: Path) -> None:
    """Refuse to write over what is no keypoint file of motorque's.

    Its archives begin with their ``times`` and have an ``about``; a damaged one is still known by its beginning.

    Raises:
        OutputError: A file is there, with something else in it.
    """
    if not path.is_file():
        return
    with open(path, "rb") as file:
        start = file.read(_FIRST.stop)
    ours = not start or (start.startswith(b"PK") and start[_FIRST] == b"times.npy")
    if start and ours:
        with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
            ours = "about.npy" in archive.namelist()
    if not ours:
        raise OutputError(f"{path}: is there already and holds no keypoints of motorque's; choose another name")


def read_video_keypoints(path: Path | str) -> VideoKeypoints:
    """Read what :func:`write_keypoints` wrote.

    Raises:
        FileFormatError: It is something else, is damaged, or holds numbers that cannot be keypoints.
    """
    try:
        if Path(path).is_dir():
            raise FileFormatError(f"{path}: is a folder; give the name of a file")
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > LARGEST:
                raise FileFormatError(f"{path}: would unpack to more than 2 GiB; no keypoints are that large")
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            keypoints = Keypoints(
                arrays["times"],
                arrays["points"],
                arrays["confidence"],
                tuple(str(name) for name in arrays["names"]),
                tuple(int(side) for side in arrays["size"]),  # type: ignore[arg-type]
                str(about["source"]),
                arrays["world"] if "world" in arrays else None,
            )
        if about["version"] != VERSION or about["turned"] not in (0, 90, 180, 270):
            raise FileFormatError(f"{path}: was written by another version of motorque; run `motorque keypoints` again")
        focal = about["focal_length"]
        return VideoKeypoints(
            keypoints,
            about["turned"],
            None if focal is None else float(focal),
            tuple(float(time) for time in about["moving"]),
            tuple(Notice(kind, str(text), str(on)) for kind, text, on in about["notices"]),
            dict(about["key"]),
        )
    except (FileNotFoundError, PermissionError) as error:
        raise FileFormatError(f"{path}: {error.strerror}; check the name and the rights to it") from error
    except DataError as error:
        raise FileFormatError(f"{path}: {error}; run `motorque keypoints` again") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        what = str(error) or type(error).__name__
        raise FileFormatError(
            f"{path}: is no keypoint file, or is damaged ({what}); run `motorque keypoints` again"
        ) from error


def read_keypoints(path: Path | str) -> Keypoints:
    """The keypoints in a file that :func:`write_keypoints` or ``motorque keypoints`` wrote.

    Raises:
        FileFormatError: It is something else, or damaged.
    """
    return read_video_keypoints(path).keypoints
