"""Numpy archives (.npz) of unknown origin: plain arrays only, of bounded size, each read when it is asked for."""

from __future__ import annotations

import contextlib
import math
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from motorque.errors import FileFormatError

LARGEST = 2**31
"""Bytes that one array may take: an hour of SMPL-H poses at 120 Hz takes a quarter of it."""

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth")
"""Endings of pickles, whose oldest kind begins like any text."""

_DAMAGES = (OSError, ValueError, EOFError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class Archive:
    """An open archive; a context manager.

    Args:
        path: The file; what it is is told by its content, not by its name.

    Raises:
        FileFormatError: It is missing or is no numpy archive; the message says what it is instead where that is known.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise FileFormatError(f"{path}: is a folder; give the name of a file")
        try:
            with open(self.path, "rb") as file:
                start = file.read(512)
        except OSError as error:
            raise FileFormatError(f"{path}: {error.strerror}; check the name and the rights to it") from error
        if not start:
            raise FileFormatError(f"{path}: the file is empty; export it again")
        if is_pickle(start) or self.path.suffix.lower() in PICKLES:
            raise FileFormatError(f"{path}: {pickled('it', self.path.name)}")
        try:
            self._zip = zipfile.ZipFile(self.path)
        except _DAMAGES as error:
            kind = "a single array (.npy); save it by name with numpy.savez" if start[:6] == b"\x93NUMPY" else "damaged"
            raise FileFormatError(f"{path}: is no numpy archive (.npz), or is {kind}") from error
        inside = [info for info in self._zip.infolist() if not info.is_dir()]
        self._members = {info.filename.removesuffix(".npy"): info for info in inside if info.filename.endswith(".npy")}
        if not self._members:
            self._zip.close()
            if any(Path(info.filename).name == "data.pkl" for info in inside):  # torch's own archives
                raise FileFormatError(f"{path}: {pickled('it', self.path.name)}")
            raise FileFormatError(f"{path}: holds no numpy array; save the arrays with numpy.savez")

    @property
    def names(self) -> tuple[str, ...]:
        """What its arrays are called."""
        return tuple(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def first(self, names: tuple[str, ...]) -> str | None:
        """Whichever of some names is there, or None."""
        return next((name for name in names if name in self._members), None)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """An array of numbers; raises :class:`FileFormatError` if it is none, is damaged or is too large."""
        array = self._read(name)
        if array.dtype.kind not in "fiub":
            raise FileFormatError(f"{self.path}: {name!r} holds {array.dtype} and no numbers; save plain numbers there")
        return array.astype(np.float64)

    def text(self, name: str) -> str | None:
        """A word, whether saved as text or as bytes; None where something else is saved."""
        try:
            array = self._read(name)
        except FileFormatError:
            return None
        if array.size != 1 or array.dtype.kind not in "US":
            return None
        value = array.reshape(()).item()
        return value.decode("latin-1") if isinstance(value, bytes) else str(value)

    def _read(self, name: str) -> NDArray[Any]:
        info = self._members[name]
        try:
            with contextlib.closing(self._zip.open(info)) as file:
                version = npy.read_magic(file)
                header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, _, dtype = header(file)
                if dtype.hasobject:
                    raise FileFormatError(f"{self.path}: {pickled(repr(name), self.path.name)}")
                size = math.prod(shape) * dtype.itemsize
                if size > LARGEST:
                    raise FileFormatError(
                        f"{self.path}: {name!r} of shape {list(shape)} takes more than {LARGEST / 2**30:.0f} GiB; "
                        "cut the recording"
                    )
                if not 0 <= info.file_size - size <= 2**16 + 12:  # headers are shorter
                    raise FileFormatError(f"{self.path}: {name!r} is cut off or damaged; save it again")
            with contextlib.closing(self._zip.open(info)) as file:
                return np.asarray(npy.read_array(file, allow_pickle=False))
        except _DAMAGES as error:
            raise FileFormatError(
                f"{self.path}: {name!r} is damaged ({error or type(error).__name__}); save it again"
            ) from error


def is_pickle(start: bytes) -> bool:
    """Whether a file that begins like this is a pickle of protocol 2 or later, packed by zlib or not, or of joblib."""
    return start[:1] == b"\x80" or start[:2] in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def pickled(what: str, name: str) -> str:
    """Why a pickle is not read and how to convert one, for an error's one line; ``what`` is its subject."""
    archive = name.lower().endswith((".npz", ".npy"))
    load = f"numpy.load({name!r}, allow_pickle=True)" if archive else f"pickle.load(open({name!r}, 'rb'))"
    return (
        f"{what} is a Python pickle, which can run any program when it is opened, so it is not read; if you trust it, "
        f"convert it in Python, for example: d = {load}; numpy.savez('poses.npz', "
        "poses=d['pose'], trans=d['trans'], betas=d['betas'], mocap_framerate=30)"
    )
