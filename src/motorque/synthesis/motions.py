"""A library of captured movements on the built-in skeleton, in one file.

``python -m motorque.synthesis.motion_library CMU_FOLDER --out motions.npz`` makes it;
:func:`load_motions` reads it. The file is a numpy archive without pickled
objects:

=================  =================================================================================================
``format``         1
``rate``           frames per second
``coordinates``    names of the coordinates, ``[nq]``
``parts``          names of the parts of the body that have factors, ``[P]``
``names``          name of each motion, unique, ``[N]``
``subjects``       who was recorded, ``[N]``; nobody is in two splits
``activities``     what is done, as far as the source says, ``[N]``
``sources``        file within the folder it was made from, ``[N]``
``splits``         ``train``, ``validation`` or ``held-back``, ``[N]``
``factors``        what the built-in skeleton's parts were multiplied by, ``[N, P]``
``lengths``        number of frames, ``[N]``
``q``              coordinates [rad or m], all motions one after the other, float32, ``[sum of lengths, nq]``
=================  =================================================================================================

The floor is at Y = 0. Mirrored copies are not stored.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError
from motorque.files.output import replacing

FORMAT = 1
SPLITS = ("train", "validation", "held-back")


class CapturedMotion(NamedTuple):
    """One movement on the built-in skeleton.

    Args:
        name: Its name, unique in the library.
        subject: Who moves.
        split: ``train``, ``validation`` or ``held-back``; nobody is in two of them.
        q: Coordinates [rad or m], float32, shape [T, nq].
        coordinates: Their names.
        activity: What is done.
        source: File that it comes from.
        factors: What the lengths of the skeleton's parts were multiplied by, by part.
        rate: Frames per second.
    """

    name: str
    subject: str
    split: str
    q: NDArray[np.float32]
    coordinates: tuple[str, ...]
    activity: str = ""
    source: str = ""
    factors: dict[str, float] = {}
    rate: float = 30.0


def load_motions(path: str | Path) -> list[CapturedMotion]:
    """Read a library of movements.

    Args:
        path: The ``.npz`` file.

    Raises:
        FileFormatError: The file is missing, no library of this format, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; make it with python -m motorque.synthesis.motion_library")
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = {name: archive[name] for name in archive.files}
        if int(data["format"]) != FORMAT:
            raise FileFormatError(f"{path}: is a library of format {data['format']}, {FORMAT} is needed; make it again")
        ends = np.cumsum(data["lengths"])
        q, names = data["q"], tuple(str(name) for name in data["coordinates"])
        if q.ndim != 2 or q.shape != (ends[-1], len(names)) or not np.isfinite(q).all():
            raise FileFormatError(f"{path}: its motions do not have the shape that it says; make it again")
        parts = [str(part) for part in data["parts"]]
        return [
            CapturedMotion(
                str(data["names"][i]),
                str(data["subjects"][i]),
                str(data["splits"][i]),
                np.ascontiguousarray(q[end - length : end], dtype=np.float32),
                names,
                str(data["activities"][i]),
                str(data["sources"][i]),
                dict(zip(parts, data["factors"][i].tolist(), strict=True)),
                float(data["rate"]),
            )
            for i, (end, length) in enumerate(zip(ends, data["lengths"], strict=True))
        ]
    except (KeyError, IndexError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path}: is no library of movements ({error}); make it again") from None


def save_motions(path: str | Path, motions: Sequence[CapturedMotion]) -> None:
    """Write a library of movements; the file appears whole or not at all.

    Raises:
        OutputError: It can't be written.
    """
    first = motions[0]
    with replacing(path) as scratch:
        np.savez(
            scratch,
            format=np.array(FORMAT),
            rate=np.array(first.rate),
            coordinates=np.array(first.coordinates),
            parts=np.array(list(first.factors)),
            names=np.array([m.name for m in motions]),
            subjects=np.array([m.subject for m in motions]),
            activities=np.array([m.activity for m in motions]),
            sources=np.array([m.source for m in motions]),
            splits=np.array([m.split for m in motions]),
            factors=np.array([list(m.factors.values()) for m in motions]),
            lengths=np.array([len(m.q) for m in motions]),
            q=np.concatenate([m.q for m in motions]).astype(np.float32),
        )
