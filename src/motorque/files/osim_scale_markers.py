"""Markers of a model file: put a marker set on it, move markers to new places, drop those that nothing measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from motorque.errors import FileFormatError, ModelError
from motorque.files.osim import FrameFinder
from motorque.files.osim_edit import append, number_text, set_numbers
from motorque.files.xml import Node, boolean, children, numbers, objects, parse_xml, text, where
from motorque.journal import Journal

Array = NDArray[np.float64]


def merge_marker_set(model: Node, path: Path, bodies: Collection[str], *, journal: Journal) -> None:
    """Put the markers of a marker set file on a model, in place; namesakes are replaced, as OpenSim does.

    Args:
        model: The ``Model`` element.
        path: A file with a ``MarkerSet``, of any version.
        bodies: Names of the model's bodies.
        journal: Where the number of markers is recorded.

    Raises:
        FileFormatError: The file can't be read or holds no MarkerSet.
        ModelError: A marker is on a body that the model does not have.
    """
    root = parse_xml(path).getroot()
    found = root if root.tag == "MarkerSet" else root.find("MarkerSet")
    if found is None:
        raise FileFormatError(f"{path}: holds no MarkerSet; give the marker set of the model")
    sockets = model.find("JointSet") is not None
    listed = _listed(model)
    markers = [m for m in objects(found) if m.tag == "Marker"]
    for marker in markers:
        name = (marker.get("name") or "").strip()
        frame = (
            text(marker, "socket_parent_frame")
            or text(marker, "socket_parent_frame_connectee_name")
            or text(marker, "body")
        )
        body = frame.rstrip("/").split("/")[-1]
        if body not in bodies and body != "ground":
            raise ModelError(
                f"{path}: {where(marker)} is on {body!r}, which the model does not have; its bodies are "
                f"{', '.join(bodies)}"
            )
        for old in [m for m in children(listed, "Marker") if (m.get("name") or "").strip() == name]:
            _remove(old)
        new = append(listed, "Marker", name)
        if sockets:
            etree.SubElement(new, "socket_parent_frame").text = "/ground" if body == "ground" else f"/bodyset/{body}"
        else:
            etree.SubElement(new, "body").text = body
        etree.SubElement(new, "location").text = number_text(numbers(marker, "location", 3))
        etree.SubElement(new, "fixed").text = "true" if boolean(marker, "fixed", False) else "false"
    journal.info(f"{len(markers)} markers of {path.name} put on the model", "scale")


def move_markers(model: Node, frames: FrameFinder, positions: Mapping[str, tuple[str, Array]]) -> None:
    """Give markers new places, in place.

    Args:
        model: The ``Model`` element.
        frames: Finds the frames of that model.
        positions: For each marker its body and its position there [m], shape [3].
    """
    for node in objects(model.find("MarkerSet")):
        name = (node.get("name") or "").strip()
        if name not in positions:
            continue
        frame = frames.find(text(node, "body"), node) if text(node, "body") else frames.socket(node, "parent_frame")
        set_numbers(node, "location", frame.rotation.T @ (positions[name][1] - frame.position))


def drop_markers(model: Node, names: Collection[str]) -> None:
    """Remove the named markers, in place."""
    for node in objects(model.find("MarkerSet")):
        if (node.get("name") or "").strip() in names:
            _remove(node)


def _listed(model: Node) -> Node:
    holder = model.find("MarkerSet")
    if holder is None:
        holder = append(model, "MarkerSet", "markerset")
    listed = holder.find("objects")
    return append(holder, "objects") if listed is None else listed


def _remove(node: Node) -> None:
    """Take an element out, and with it the indentation before it."""
    parent = node.getparent()
    assert parent is not None  # markers stand inside their set
    before = node.getprevious()
    if node.getnext() is None and before is not None:
        before.tail = node.tail
    parent.remove(node)
