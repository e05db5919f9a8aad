"""Pickles of arrays, read without running anything: body models as their makers hand them out.

A pickle is a program for a small machine that may call any function it can name. Here it can name only the inert
stand-ins of this file, which hold what they are given; numpy's own functions are among what it can't reach, since
crafted arguments make even them write where they should not. Arrays are then put together from plain bytes.

What such files hold: numpy arrays, scipy's sparse matrices, and chumpy's arrays (an abandoned package of 2014), of
which plain ones (``Ch``: ``x``) and selections (``Select``: elements ``idxs`` of ``a``, of shape ``preferred_shape``)
are understood.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError

LARGEST = 2**30
"""Bytes of a file: SMPL-X's take half of that."""


class _Inert:
    """Something that was named in a pickle: it takes arguments and a state and does nothing with them."""

    module = ""
    name = ""

    def __new__(cls, *arguments: Any, **named: Any) -> _Inert:
        self = object.__new__(cls)
        self.__dict__["arguments"] = arguments
        self.__dict__["state"] = None
        return self

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __reduce__(self) -> Any:
        raise TypeError("is not pickled again")


class _DType(_Inert):
    """``numpy.dtype``: its name, and the byte order that its state gives."""


class _Array(_Inert):
    """``numpy.ndarray``, made by ``_reconstruct`` and filled by its state."""


class _Buffered(_Inert):
    """``numpy.core.numeric._frombuffer``, as protocol 5 has it: bytes, dtype, shape and order."""


class _Scalar(_Inert):
    """``numpy.core.multiarray.scalar``: a dtype and bytes."""


class _Sparse(_Inert):
    """A matrix of ``scipy.sparse`` in compressed columns or rows."""


class _Chumpy(_Inert):
    """Anything of chumpy's."""


class _Made(_Inert):
    """``_reconstruct`` and ``_reconstructor``: an empty thing of the class that is their first argument."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        if arguments and isinstance(arguments[0], type) and issubclass(arguments[0], _Inert):
            return arguments[0]()
        return super().__new__(cls, *arguments)


class _Encoded(_Inert):
    """``_codecs.encode``: bytes written as text by Python 3 for protocol 2."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        if len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] in ("latin1", "latin-1"):
            return arguments[0].encode("latin-1")
        return super().__new__(cls, *arguments)


class _Ordered(dict[Any, Any]):
    """``collections.OrderedDict`` without its extras."""

    def __setstate__(self, state: Any) -> None:
        """Nothing of it is needed; without this, a file could set attributes of the class."""


_NAMES: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("copy_reg", "_reconstructor"): _Made,
    ("copyreg", "_reconstructor"): _Made,
    ("__builtin__", "object"): _Inert,
    ("builtins", "object"): _Inert,
    ("_codecs", "encode"): _Encoded,
    ("collections", "OrderedDict"): _Ordered,
}


class _ArrayUnpickler(pickle._Unpickler):
    """Python's own unpickler, whose memo is a dict: the fast one's grows to whatever index a file names."""

    path: Path

    def find_class(self, module: str, name: str) -> type:
        found = _NAMES.get((module, name))
        if found is not None:
            return found
        if name == "_frombuffer" and module in ("numpy.core.numeric", "numpy._core.numeric"):
            return _Buffered
        if name in ("_reconstruct", "scalar") and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _Made if name == "_reconstruct" else _Scalar
        if (
            module.startswith("scipy.sparse")
            and name.split("_")[0] in ("csc", "csr")
            and name[4:] in ("matrix", "array")
        ):
            return type("_Sparse", (_Sparse,), {"name": name[:3]})
        if module == "chumpy" or module.startswith("chumpy."):
            return type("_Chumpy", (_Chumpy,), {"name": name})
        raise FileFormatError(
            f"{self.path}: asks for {module[:60]}.{name[:60]}, which no body model needs, so it is not opened: a "
            "pickle can run any program; give a model file from its makers, or a .npz"
        )


def read_array_pickle(path: str | Path) -> dict[str, NDArray[Any] | Any]:
    """The entries of a pickled dict that are arrays, numbers or texts; others are left out.

    Raises:
        FileFormatError: It is missing, too large, damaged, no dict, or asks for anything but arrays.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise FileFormatError(f"{path}: {size / 2**30:.1f} GiB is more than a body model takes; check the file")
        data = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}; check the name and the rights to it") from error
    unpickler = _ArrayUnpickler(io.BytesIO(data), encoding="latin1")
    unpickler.path = path
    try:
        held = unpickler.load()
    except FileFormatError:
        raise
    except (Exception, RecursionError) as error:  # a damaged pickle fails in whatever way it likes
        what = str(error) or type(error).__name__
        raise FileFormatError(f"{path}: is no pickled body model, or is damaged ({what[:80]})") from error
    if not isinstance(held, dict):
        raise FileFormatError(f"{path}: holds no table of arrays, as body models do, but something else")
    found = {}
    for name, value in held.items():
        try:
            found[str(name)] = _plain(value)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
            found[str(name)] = Unreadable(str(error) or type(error).__name__)
    return found


class Unreadable:
    """An entry that is no array; ``why`` says what is wrong with it."""

    def __init__(self, why: str) -> None:
        self.why = why


def _plain(value: Any, depth: int = 0) -> Any:
    """The array that a stand-in stands for; raises :class:`ValueError` if it is none."""
    if depth > 8:
        raise ValueError("is nested too deeply")
    if isinstance(value, _Array):
        return _array(value)
    if isinstance(value, _Buffered):
        raw, kind, shape, order = value.__dict__["arguments"]
        return _filled(shape, _dtype(kind), _bytes(raw), order == "F")
    if isinstance(value, _Scalar):
        kind = _dtype(value.__dict__["arguments"][0])
        return np.frombuffer(_bytes(value.__dict__["arguments"][1]), kind)[0]
    if isinstance(value, _Sparse):
        return _sparse(value, depth)
    if isinstance(value, _Chumpy):
        state = value.__dict__["state"]
        if value.name == "Select" and isinstance(state, dict):
            elements = np.asarray(_plain(state["a"], depth + 1)).ravel()
            chosen = elements[np.asarray(_plain(state["idxs"], depth + 1)).ravel().astype(np.int64)]
            shape = state.get("preferred_shape")
            return chosen if shape is None else chosen.reshape([int(n) for n in _plain(shape, depth + 1)])
        if value.name == "Ch" and isinstance(state, dict) and "x" in state:
            return _plain(state["x"], depth + 1)
        raise ValueError(f"is a chumpy {value.name[:40]}, which is not understood; save it as a plain array")
    if isinstance(value, _Inert):
        raise ValueError("is no array")
    return value


def _dtype(value: Any) -> np.dtype[Any]:
    if not isinstance(value, _DType):
        raise ValueError("has no type of numbers")
    name, state = str(value.__dict__["arguments"][0]), value.__dict__["state"]
    big = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"
    kind = name.lstrip("<>|=")
    if kind not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
        raise ValueError(f"holds {kind[:10]!r} and no numbers")
    return np.dtype(kind).newbyteorder(">" if big else "<")


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):  # Python 2's strings, read as latin-1
        return value.encode("latin-1")
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise ValueError("has no bytes")


def _array(value: _Array) -> NDArray[Any]:
    state = value.__dict__["state"]
    if not isinstance(state, tuple) or len(state) not in (4, 5):
        raise ValueError("is an array that was never filled")
    shape, kind, fortran, raw = state[-4:]
    return _filled(shape, _dtype(kind), _bytes(raw), bool(fortran))


def _filled(size: Any, dtype: np.dtype[Any], content: bytes, fortran: bool) -> NDArray[Any]:
    shape = tuple(int(n) for n in size)
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"has shape {list(shape)[:6]} but {len(content)} bytes")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


def _sparse(value: _Sparse, depth: int) -> NDArray[Any]:
    """A sparse matrix as a dense one; regressors of joints are small enough."""
    state = value.__dict__["state"]
    parts = [np.asarray(_plain(state[key], depth + 1)) for key in ("data", "indices", "indptr")]
    values, indices, starts = parts[0], parts[1].astype(np.int64), parts[2].astype(np.int64)
    shape = state.get("_shape", state.get("shape"))
    rows, columns = (int(_plain(n, depth + 1)) for n in shape)
    lines = columns if value.name == "csc" else rows
    if (
        min(rows, columns) < 1
        or rows * columns * 8 > LARGEST
        or len(starts) != lines + 1
        or len(values) != len(indices)
    ):
        raise ValueError("is a sparse matrix that does not fit together")
    counts = np.diff(starts)
    if (counts < 0).any() or starts[0] != 0 or starts[-1] != len(values):
        raise ValueError("is a sparse matrix that does not fit together")
    line = np.repeat(np.arange(lines), counts)
    dense = np.zeros((rows, columns))
    place = (indices, line) if value.name == "csc" else (line, indices)
    if len(values) and (indices.min() < 0 or indices.max() >= (rows if value.name == "csc" else columns)):
        raise ValueError("is a sparse matrix that does not fit together")
    np.add.at(dense, place, values)
    return dense
