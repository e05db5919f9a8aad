"""Whether a .c3d file is whole, found before ezc3d reads it.

ezc3d trusts the lengths that a file states: on a damaged parameter section it reads beyond its memory and takes the
program with it, or reads for minutes; of a file that is cut off it returns the frames that are left. So the lengths are
checked first. Layout after the C3D format's user guide (Motion Lab Systems 2008).
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path

from motorque.errors import FileFormatError

BLOCK = 512
_KEY = 0x50
"""Second byte of the file, by which a C3D is known."""
_INTEL, _DEC, _MIPS = 84, 85, 86
"""Processors whose byte order and floats a file may hold."""
_ELEMENT_SIZES = {-1: 1, 1: 1, 2: 2, 4: 4}
"""Bytes of an element by the type of its parameter: text, bytes, integers, floats."""
_TEXT = -1
_MOST_DIMENSIONS = 7
_MOST_RECORDS = 20_000
"""Groups and parameters that a file may have: newer ones have a few hundred, and 127 groups are the format's limit."""
_MOST_BYTES = 4_000_000_000
_NUMBERS = {
    "POINT": ("USED", "RATE", "FRAMES"),
    "ANALOG": ("USED", "RATE", "SCALE", "OFFSET", "GEN_SCALE"),
    "FORCE_PLATFORM": ("USED", "TYPE", "CORNERS", "ORIGIN", "CHANNEL", "CAL_MATRIX", "ZERO"),
    "EVENT": ("USED", "TIMES"),
}
"""Parameters that must not be text, by group."""


def check_structure(path: Path) -> None:
    """Refuse a file that is no ``.c3d``, is cut off, or whose parameter section is damaged.

    Raises:
        FileFormatError: It is; the message says where.
    """
    content = _content(path)
    parameters_at = BLOCK * max(content[0] - 1, 0)
    processor = content[parameters_at + 3] if len(content) > parameters_at + 3 else 0
    if processor not in (_INTEL, _DEC, _MIPS):
        raise FileFormatError(
            f"{path}: its parameters name no known processor type (84, 85 or 86 at byte {parameters_at + 3}); "
            "it is cut off or damaged, export it again"
        )
    order = ">" if processor == _MIPS else "<"
    points, analogs, first, last = struct.unpack_from(f"{order}4H", content, 2)
    data_block = struct.unpack_from(f"{order}H", content, 16)[0]
    # The scale is negative where numbers are floats; its sign is in another byte on each processor.
    sign = content[{_MIPS: 12, _DEC: 13}.get(processor, 15)]
    frames = max(last - first + 1, 0)
    needed = BLOCK * max(data_block - 1, 0) + frames * (4 * points + analogs) * (4 if sign & 0x80 else 2)
    if len(content) < needed:
        raise FileFormatError(
            f"{path}: has {len(content)} bytes where its header promises at least {needed} ({frames} frames of "
            f"{points} points); it is cut off, copy it again"
        )
    found = _check_parameters(path, content, parameters_at + 4, order)
    for name in ("SCALE", "OFFSET"):
        if analogs and ("ANALOG", name) not in found:  # ezc3d 1.7.2 crashes without them
            raise FileFormatError(f"{path}: its analog channels have no ANALOG:{name}; it is damaged, export it again")
    for group, names in _NUMBERS.items():
        for name in names:
            if found.get((group, name)) == _TEXT:
                raise FileFormatError(f"{path}: {group}:{name} holds text, not numbers; export the file again")


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise FileFormatError(
                f"{path}: {size / 1e9:.1f} GB is more than the {_MOST_BYTES / 1e9:.0f} GB limit; cut the recording"
            )
        content = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: can't be read ({error.strerror or error}); check the name") from None
    if not content:
        raise FileFormatError(f"{path}: the file is empty; export it again")
    if len(content) < BLOCK or content[1] != _KEY:
        raise FileFormatError(f"{path}: no C3D file (its second byte must be 50 hex); give a .c3d file")
    return content


def _check_parameters(path: Path, content: bytes, at: int, order: str) -> dict[tuple[str, str], int]:
    """Follow the chain of groups and parameters: each must end before the next one begins.

    A record is: length of its name (negative if locked, 0 after the last one), number of its group (negative for the
    group itself), name, distance to the next record (0 in the last one); a group then has its description, a parameter
    its type, its dimensions, its elements and its description.

    Returns:
        Type of every parameter by the names of its group and itself, in capitals.
    """
    groups: dict[int, str] = {}
    kinds: dict[tuple[int, str], int] = {}
    for _ in range(_MOST_RECORDS):
        begin = at
        try:
            length, group = struct.unpack_from("2b", content, at)
            if length == 0:
                break
            name = content[at + 2 : at + 2 + abs(length)].decode("ascii", errors="replace").upper()
            at += 2 + abs(length)
            distance = struct.unpack_from(f"{order}H", content, at)[0]
            if group < 0:
                groups[-group] = name
                end = at + 3 + content[at + 2]
            else:
                kinds[group, name], end = _type_and_end(content, at + 2)
        except (struct.error, IndexError):
            raise FileFormatError(
                f"{path}: its parameters run beyond its end (from byte {begin}); it is cut off, copy it again"
            ) from None
        except ValueError as error:
            raise _damaged(path, name, begin, str(error)) from None
        if distance and end > at + distance:
            raise _damaged(path, name, begin, "it is longer than its place")
        if end > len(content):
            raise _damaged(path, name, begin, "it runs beyond the end of the file")
        if distance == 0:
            break
        at += distance
    else:
        raise FileFormatError(f"{path}: has more than {_MOST_RECORDS} parameters; it is damaged, export it again")
    return {(groups.get(group, ""), name): kind for (group, name), kind in kinds.items()}


def _type_and_end(content: bytes, at: int) -> tuple[int, int]:
    """A parameter's type and the position after its last byte; raises ValueError for what there can't be."""
    kind = struct.unpack_from("b", content, at)[0]
    dimensions = content[at + 1]
    if kind not in _ELEMENT_SIZES:
        raise ValueError(f"it is of type {kind}")
    if dimensions > _MOST_DIMENSIONS:
        raise ValueError(f"it has {dimensions} dimensions")
    if kind == _TEXT and dimensions == 0:  # a single letter, were the format taken at its word; ezc3d 1.7.2 crashes
        raise ValueError("it is a text without a length")
    sizes = content[at + 2 : at + 2 + dimensions]
    if len(sizes) < dimensions:
        raise IndexError
    at += 2 + dimensions + prod(sizes) * _ELEMENT_SIZES[kind]
    return kind, at + 1 + content[at]


def _damaged(path: Path, name: str, at: int, why: str) -> FileFormatError:
    plain = "".join(c if c.isprintable() else "?" for c in name[:30])
    return FileFormatError(
        f"{path}: its parameter {plain!r} (byte {at}) is damaged: {why}; export or copy the file again"
    )
