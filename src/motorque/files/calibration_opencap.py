"""OpenCap's calibrations: one ``cameraIntrinsicsExtrinsics.pickle`` per camera, in ``Videos/Cam0``, ``Videos/Cam1``…

Each is a dictionary of numpy arrays: ``intrinsicMat`` [3, 3] and ``distortion`` [1, 5] in OpenCV's convention,
``imageSize`` (height, width), ``rotation`` [3, 3] and ``translation`` [3, 1] in millimetres from the axes of the
checkerboard to the camera (opencap-core, ``utilsChecker.py``; Pose2Sim reads it alike). The board hangs on a wall or
lies on the ground, either way up, so which of its axes points up is found out from the cameras.

A pickle is a program. This one is run by an interpreter that knows nothing but plain containers, numbers and numpy's
own way to put an array of numbers together, with bounds on size; anything else is refused before it happens.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError
from motorque.files.calibration_camera import finite, make_camera
from motorque.journal import Journal
from motorque.series import Camera

Array = NDArray[np.float64]

FILE_NAME = "cameraIntrinsicsExtrinsics.pickle"

LARGEST = 1_000_000
"""Bytes; real ones have two thousand."""

MOST_MEMO = 10_000
"""Entries of a pickle's memory; real ones need fifty. A single huge index would ask for gigabytes."""

NEEDED = ("imageSize", "intrinsicMat", "rotation", "translation", "distortion")


def is_opencap_folder(path: Path) -> bool:
    """Whether a folder is an OpenCap session, its folder of videos, or one camera's."""
    return bool(_pickles(path))


def read_opencap(path: Path, journal: Journal) -> list[Camera]:
    """The cameras of an OpenCap session, in the checkerboard's axes.

    Args:
        path: The session, its ``Videos``, or one camera's file, whose sisters are read too.
        journal: Where it is recorded that they are.

    Raises:
        FileFormatError: A file is no pickle of plain numbers, or an entry is missing.
    """
    if path.is_dir():
        files = _pickles(path)
    elif path.name == FILE_NAME:
        files = _pickles(path.parent.parent) or [path]
        if len(files) > 1:
            names = ", ".join(file.parent.name for file in files)
            journal.info(f"the calibrations beside it belong to the same session: {names}", str(path))
    else:
        files = sorted(path.parent.glob(f"*{path.suffix}"), key=_natural)
        if len(files) > 1:
            journal.info(f"read with the calibrations beside it: {', '.join(f.name for f in files)}", str(path))
    return [_camera(file) for file in files]


def _pickles(folder: Path) -> list[Path]:
    for pattern in (FILE_NAME, f"*/{FILE_NAME}", f"Videos/*/{FILE_NAME}", f"*/*/{FILE_NAME}"):
        found = sorted(folder.glob(pattern), key=_natural)
        if found:
            return found
    return []


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """A key that sorts Cam2 before Cam10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", str(path)) if part]


def _camera(path: Path) -> Camera:
    content = _load(path)
    if not isinstance(content, dict):
        raise FileFormatError(f"{path}: holds no dictionary of camera parameters; not a calibration of OpenCap")
    missing = [key for key in NEEDED if key not in content]
    if missing:
        hint = "; cameraIntrinsics.pickle alone does not tell where the camera stood" if "rotation" in missing else ""
        raise FileFormatError(f"{path}: {missing[0]} is missing{hint}; give OpenCap's {FILE_NAME}")

    def entry(key: str, shape: tuple[int, ...] | None) -> Array:
        return finite(content[key], shape, f"{path}: {key}")

    return make_camera(
        path,
        path.parent.name if path.name == FILE_NAME else path.stem,
        entry("imageSize", (2,))[::-1],
        entry("intrinsicMat", (3, 3)),
        entry("rotation", (3, 3)),
        entry("translation", (3,)) / 1000,
        entry("distortion", None),
    )


def _load(path: Path) -> Any:
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; check the name")
    size = path.stat().st_size
    if not 0 < size <= LARGEST:
        raise FileFormatError(f"{path}: {size} bytes are no calibration of OpenCap; give its {FILE_NAME}")
    data = path.read_bytes()
    try:
        for operation, argument, _ in pickletools.genops(data):
            memory = operation.name in ("PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET")
            if memory and int(argument or 0) > MOST_MEMO:
                raise FileFormatError(f"{path}: asks for more memory than a calibration needs; not opened")
        return _Plain(io.BytesIO(data), encoding="latin1").load()
    except FileFormatError:
        raise
    except _Forbidden as error:
        raise FileFormatError(f"{path}: would run {error}, which a calibration has no need of; not opened") from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise FileFormatError(f"{path}: not a readable pickle ({reason}); export the calibration again") from None


class _Forbidden(Exception):
    """Something that a calibration has no need of."""


class _Call:
    """A function that a pickle may call and cannot change."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise _Forbidden(f"a change of {name[:40]}")


class _Plain(pickle.Unpickler):
    """An unpickler that can make containers, numbers, text and arrays of numbers."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        allowed = _ALLOWED.get((module.replace("numpy._core", "numpy.core"), name))
        if allowed is None:
            raise _Forbidden(re.sub(r"[^\w.]", "?", f"{module}.{name}"[:60]))
        return allowed

    def persistent_load(self, pid: object) -> Any:
        raise _Forbidden("a reference to something outside of it")


class _Array:
    """An array while it is put together: a plain class, so that no memory is taken before its size is checked."""

    value: NDArray[Any] | np.dtype[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _from_bytes(data, dtype, shape, bool(fortran))

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        if not isinstance(self.value, np.ndarray):
            raise ValueError("an array without content")
        return self.value.astype(dtype) if dtype is not None else self.value


class _Type:
    """A type of numbers; its state, which can only say the order of bytes, is taken from its own text."""

    def __init__(self, text: Any, *_: Any) -> None:
        text = text.decode("ascii") if isinstance(text, bytes) else text
        if not (isinstance(text, str) and re.fullmatch(r"[<>|=]?[biuf][1248]", text)):
            raise _Forbidden(f"numpy.dtype({str(text)[:20]!r})")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


def _from_bytes(data: Any, dtype: Any, shape: Any, fortran: bool) -> NDArray[Any]:
    """An array from its bytes, checked before anything is made."""
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray) or not isinstance(dtype, _Type) or not isinstance(shape, tuple):
        raise ValueError("an array of something else than numbers")
    if not all(isinstance(n, int) and 0 <= n <= LARGEST for n in shape) or len(shape) > 4:
        raise ValueError("an array of no size")
    values = np.frombuffer(bytes(data), dtype.dtype)
    return values.reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _scalar(dtype: Any, data: Any = b"") -> NDArray[Any]:
    return _from_bytes(data, dtype, (), False)


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any = "C") -> NDArray[Any]:
    return _from_bytes(data, dtype, shape, order == "F")


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """How old pickles carry bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _Forbidden("_codecs.encode of something else than bytes")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Call(_reconstruct),
    ("numpy.core.multiarray", "scalar"): _Call(_scalar),
    ("numpy.core.numeric", "_frombuffer"): _Call(_frombuffer),
    ("numpy", "ndarray"): _Call(_reconstruct),  # only named, as an argument of the first
    ("numpy", "dtype"): _Call(_Type),
    ("_codecs", "encode"): _Call(_encode),
    ("collections", "OrderedDict"): _Call(dict),
}
"""What a pickle may call, and what that is replaced by."""
