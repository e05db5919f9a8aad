"""Reading XML from strangers: no entities, no DTD, no network, bounded depth; errors that name file and line."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TypeAlias

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from motorque.errors import FileFormatError

Node: TypeAlias = etree._Element
MAX_BYTES = 200_000_000


def parse_xml(path: str | Path) -> etree._ElementTree:
    """An XML file as a tree.

    A document type declaration is refused, so no entity can be defined or expanded. Files that say UTF-8 but hold
    Windows characters (several OpenSim models do) are read as Windows-1252.

    Raises:
        FileFormatError: The file is missing, empty, too large, declares a document type, or is not well-formed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; check the name")
    if path.stat().st_size > MAX_BYTES:
        raise FileFormatError(
            f"{path}: {path.stat().st_size / 1e6:.0f} MB of XML is more than the {MAX_BYTES / 1e6:.0f} MB limit"
        )
    data = path.read_bytes()
    if not data.strip():
        raise FileFormatError(f"{path}: the file is empty; export it again")
    forbidden = FileFormatError(
        f"{path}: declares a document type or entities, which are refused for safety; remove the <!DOCTYPE …> block"
    )
    # Without the zero bytes the wide encodings look like ASCII.
    if re.search(rb"<!(DOCTYPE|ENTITY)", data.replace(b"\0", b""), re.IGNORECASE):
        raise forbidden
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(_utf_8_if_it_says_so(data), parser)
    except etree.XMLSyntaxError as error:
        reason = " ".join(str(error.msg).split())
        raise FileFormatError(
            f"{path}: not well-formed XML at line {error.lineno}: {reason}; the file may be cut off"
        ) from None
    tree = root.getroottree()
    # Bytes can hide a declaration in encodings such as UTF-7; the parser, which decoded them, knows.
    if tree.docinfo.internalDTD is not None:
        raise forbidden
    return tree


def _utf_8_if_it_says_so(data: bytes) -> bytes:
    """The same bytes, but Windows-1252 turned into the UTF-8 that a file claims to hold or leaves unsaid."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
        return data  # characters of two or four bytes
    declared = re.match(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']*)""", data)
    if declared is not None and declared[1].upper() not in (b"UTF-8", b"UTF8"):
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace").encode("utf-8")
    return data


def where(node: Node) -> str:
    """A short name for an element in an error message: tag, name attribute and line."""
    name = node.get("name")
    return f"<{node.tag}{f' name={name!r}' if name else ''}> (line {node.sourceline})"


def children(node: Node | None, tag: str | None = None) -> list[Node]:
    """Child elements (no comments), those of one tag if it is given; empty if there is no node."""
    if node is None:
        return []
    return [child for child in node if isinstance(child.tag, str) and (tag is None or child.tag == tag)]


def objects(node: Node | None) -> list[Node]:
    """Members of an OpenSim set: the children of its ``objects`` element."""
    return [] if node is None else children(node.find("objects"))


def text(node: Node, tag: str, default: str = "") -> str:
    """Text of a child element without surrounding blanks, or the default if it is missing or empty."""
    return (node.findtext(tag) or "").strip() or default


def boolean(node: Node, tag: str, default: bool) -> bool:
    """Truth value of a child element (``true``/``false``/1/0), or the default if it is missing or empty."""
    value = text(node, tag).lower()
    if value in ("", "true", "1", "false", "0"):
        return {"": default, "true": True, "1": True, "false": False, "0": False}[value]
    raise FileFormatError(f"{where(node)}: <{tag}> must be true or false, got {value!r}")


def numbers(
    node: Node, tag: str, count: int | None = None, default: tuple[float, ...] | None = None
) -> NDArray[np.float64]:
    """Numbers in a child element.

    Args:
        node: The parent element.
        tag: The child's tag.
        count: How many there must be; any number if None.
        default: What a missing or empty element means; an error if None.

    Raises:
        FileFormatError: The element is missing, holds something that is no finite number, or a wrong count.
    """
    words = text(node, tag).replace(",", " ").replace("(", " ").replace(")", " ").split()
    if not words:
        if default is None:
            raise FileFormatError(f"{where(node)}: <{tag}> is missing; add it")
        return np.array(default, dtype=np.float64)
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        raise FileFormatError(f"{where(node)}: <{tag}> must hold numbers, got {' '.join(words)[:60]!r}") from None
    if not np.isfinite(values).all():
        raise FileFormatError(f"{where(node)}: <{tag}> holds a value that is not finite; correct it")
    if count is not None and len(values) != count:
        raise FileFormatError(f"{where(node)}: <{tag}> must hold {count} numbers, got {len(values)}")
    return values
