"""Editing a model file instead of regenerating it: what is not touched keeps its very bytes.

Edits are made on the lxml tree. :func:`render` then walks the edited tree beside the original bytes and copies every
element that is unchanged, so that comments, indentation, number formats and everything unknown survive.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
from lxml import etree

from motorque.errors import FileFormatError
from motorque.files.output import write_bytes
from motorque.files.xml import Node, children, numbers, parse_xml, text


def number_text(values: Sequence[float] | np.ndarray | float) -> str:
    """Numbers as OpenSim writes them in a list; each reads back as the same double."""
    return " ".join(repr(float(v)) for v in np.atleast_1d(np.asarray(values, dtype=float)))


def set_numbers(node: Node, tag: str, values: Sequence[float] | np.ndarray | float) -> None:
    """Write numbers into a child element, which is made at the end of the node if it is missing."""
    child = node.find(tag)
    if child is None:
        child = append(node, tag)
    for inner in list(child):
        child.remove(inner)
    child.text = number_text(values)


def append(node: Node, tag: str, name: str | None = None) -> Node:
    """A new last child, indented as its siblings are."""
    before = children(node)
    child = etree.SubElement(node, tag)
    if name is not None:
        child.set("name", name)
    if before:
        child.tail, before[-1].tail = before[-1].tail, node.text
    return child


def multiply(node: Node, tag: str, factor: float | np.ndarray, *, default: Sequence[float] | None = None) -> None:
    """Multiply the numbers of a child element; a missing one stays missing unless its default is given.

    Raises:
        FileFormatError: The element holds something other than numbers, or not as many as the factors.
    """
    if np.all(np.asarray(factor) == 1.0):
        return
    if not text(node, tag):
        if default is None:
            return
        set_numbers(node, tag, np.asarray(default, dtype=float) * factor)
        return
    count = None if np.ndim(factor) == 0 else len(np.asarray(factor))
    set_numbers(node, tag, numbers(node, tag, count) * factor)


def multiply_function(node: Node, factor: float) -> None:
    """Multiply a function by a constant: its ``MultiplierFunction``'s scale, or a new one put around it."""
    if factor == 1.0:
        return
    if node.tag == "MultiplierFunction":
        multiply(node, "scale", factor, default=(1.0,))
        return
    parent = node.getparent()
    assert parent is not None  # a function always stands inside the property that holds it
    wrapper = etree.Element("MultiplierFunction")
    if node.get("name") is not None:
        wrapper.set("name", node.get("name") or "")
    wrapper.tail, node.tail = node.tail, None
    parent.replace(node, wrapper)
    etree.SubElement(wrapper, "function").append(node)
    etree.SubElement(wrapper, "scale").text = number_text(factor)


def write_edited(path: Path | str, tree: etree._ElementTree, source: Path | str) -> None:
    """Write an edited model, copying what is unchanged from the file that it came from.

    Raises:
        OutputError: It can't be written; what was there stays.
        FileFormatError: The source can't be read any more.
    """
    write_bytes(path, render(tree, source))


def render(tree: etree._ElementTree, source: Path | str) -> bytes:
    """The bytes of an edited document, unchanged elements copied from the file that it came from."""
    original = parse_xml(source)
    data = Path(source).read_bytes()
    root = tree.getroot()
    try:
        spans = _spans(data)
    except expat.ExpatError as error:
        raise FileFormatError(f"{source}: not well-formed XML: {error}; the file may have changed meanwhile") from None
    out: list[bytes] = [data[: spans.start]]
    _emit(root, original.getroot(), spans, data, out)
    out.append(data[spans.end :])
    rendered = b"".join(out)
    if _reads_back(rendered, root):
        return rendered
    # Encodings that expat can't walk byte by byte, or markup outside the root that depends on it.
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8")


def _reads_back(data: bytes, root: Node) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        data = data.decode("cp1252", errors="replace").encode("utf-8")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return bool(
            etree.tostring(etree.fromstring(data, parser), method="c14n") == etree.tostring(root, method="c14n")
        )
    except etree.XMLSyntaxError:
        return False


@dataclass
class _Span:
    """Where an element, comment or instruction stands in the bytes: all of it, and what lies between its tags."""

    start: int
    end: int = -1
    inner_start: int = -1
    inner_end: int = -1
    children: list[_Span] = field(default_factory=list)


def _spans(data: bytes) -> _Span:
    # ISO-8859-1 maps byte to character one to one, whatever the file's own encoding; markup is ASCII in all of them.
    parser = expat.ParserCreate("iso-8859-1")
    top = _Span(0)
    stack = [top]

    def start(_tag: str, _attributes: dict[str, str]) -> None:
        here = parser.CurrentByteIndex
        span = _Span(here, inner_start=_tag_end(data, here))
        stack[-1].children.append(span)
        stack.append(span)

    def end(_tag: str) -> None:
        span = stack.pop()
        if data[span.inner_start - 2 : span.inner_start] == b"/>":
            span.end = span.inner_end = span.inner_start
        else:
            span.inner_end = parser.CurrentByteIndex
            span.end = data.index(b">", span.inner_end) + 1

    def other(close: bytes) -> Any:
        def handler(*_: object) -> None:
            here = parser.CurrentByteIndex
            stack[-1].children.append(_Span(here, data.index(close, here) + len(close)))

        return handler

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CommentHandler = other(b"-->")
    parser.ProcessingInstructionHandler = other(b"?>")
    parser.Parse(data, True)
    return next(span for span in top.children if span.inner_start >= 0)


def _tag_end(data: bytes, start: int) -> int:
    """Index just behind the ``>`` that ends the tag at ``start``, quotes respected."""
    quote = 0
    for index in range(start, len(data)):
        byte = data[index]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == ord(">"):
            return index + 1
    raise ValueError("unclosed tag")


def _emit(node: Node, original: Node, span: _Span, data: bytes, out: list[bytes]) -> None:
    """Append the bytes of an edited element whose original is known."""
    if etree.tostring(node, with_tail=False) == etree.tostring(original, with_tail=False):
        out.append(data[span.start : span.end])
        return
    opening = data[span.start : span.inner_start]
    empty = span.end == span.inner_start
    attributes = _attributes(node)
    if attributes != _attributes(original):
        opening = f"<{node.tag}{attributes}>".encode("ascii", "xmlcharrefreplace")
    elif empty:
        opening = opening[:-2].rstrip() + b">"
    out.append(opening)
    old = list(original)
    matched = _matches(list(node), old)
    at = span.inner_start
    out.append(_gap(node.text, original.text, data[at : _begin(span, 0)]))
    for child in node:
        index = matched.get(child)
        if index is None:
            out.append(etree.tostring(child, with_tail=False, encoding="ascii"))
            out.append(_gap(child.tail, None, b""))
            continue
        if _is_element(child):
            _emit(child, old[index], span.children[index], data, out)
        else:
            out.append(data[span.children[index].start : span.children[index].end])
        out.append(_gap(child.tail, old[index].tail, data[span.children[index].end : _begin(span, index + 1)]))
    out.append(f"</{node.tag}>".encode("ascii", "xmlcharrefreplace") if empty else data[span.inner_end : span.end])


def _attributes(node: Node) -> str:
    return "".join(f' {key!s}="{escape(str(node.get(key)))}"' for key in node.keys())


def _is_element(node: Node) -> bool:
    """Whether a node is an element, no comment or instruction (lxml gives those a function as their tag)."""
    return isinstance(node.tag, str)


def _begin(span: _Span, index: int) -> int:
    """Where the child of that index begins, or the closing tag behind the last one."""
    return span.children[index].start if index < len(span.children) else span.inner_end


def _gap(now: str | None, before: str | None, raw: bytes) -> bytes:
    """The text between two children: the original bytes if it is unchanged."""
    if (now or "") == (before or ""):
        return raw
    return escape(now or "", quote=False).encode("ascii", "xmlcharrefreplace")


def _matches(edited: list[Node], original: list[Node]) -> dict[Node, int]:
    """Which original child each edited child is, by tag and name in order."""

    def key(node: Node) -> tuple[str, str]:
        return (node.tag, node.get("name") or "") if _is_element(node) else (str(node.tag), node.text or "")

    a, b = [key(n) for n in original], [key(n) for n in edited]
    if a == b:
        return {node: index for index, node in enumerate(edited)}
    found: dict[Node, int] = {}
    for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            found[edited[block.b + offset]] = block.a + offset
    return found
