"""What the 3D viewer draws: joint centres and the bones between them, markers, forces and the centre of mass."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from motorque.report.analysis import Analysis
from motorque.report.events import SIDES
from motorque.report.labels import split_side
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]
MAX_RATE = 125.0  # [Hz]; no screen shows more
MAX_POINTS = 600_000  # points times frames: 5 MB on the page
# Width of a bone relative to its length would make thick forearms: typical shaft radii instead [m].
_RADII = (
    ("femur", 0.026), ("tibia", 0.022), ("humerus", 0.019), ("ulna", 0.014), ("radius", 0.014), ("hand", 0.013),
    ("talus", 0.016), ("calcn", 0.016), ("foot", 0.016), ("toes", 0.013), ("torso", 0.024), ("pelvis", 0.022),
)  # fmt: skip


def viewer_frames(times: Array, points: int) -> NDArray[np.int64]:
    """Indices of the frames that the viewer plays: at most :data:`MAX_RATE`, and :data:`MAX_POINTS` points in all.

    Args:
        times: Frames [s], shape [T].
        points: Points that are stored per frame.
    """
    duration = float(times[-1] - times[0])
    count = (
        int(min(len(times), max(2.0, duration * MAX_RATE + 1), MAX_POINTS // max(points, 1))) if len(times) > 1 else 1
    )
    return np.unique(np.round(np.linspace(0, len(times) - 1, count)).astype(np.int64))


def played(analysis: Analysis) -> NDArray[np.int64]:
    """Indices of the frames of an analysis that the viewer plays."""
    stored = len(analysis.skeleton.body_names) + len(analysis.marker_names)
    stored += 0 if analysis.markers is None else len(analysis.markers.names)
    return viewer_frames(analysis.times, stored)


def packed(values: Array) -> dict[str, object]:
    """A float array as base64 of little-endian float32 with its shape; what is not finite becomes NaN."""
    array = np.ascontiguousarray(np.where(np.isfinite(values), values, np.nan), dtype="<f4")
    return {"shape": list(array.shape), "f32": base64.b64encode(array.tobytes()).decode("ascii")}


def packed_points(values: Array) -> dict[str, object]:
    """Points as base64 of little-endian int16 on a grid per axis (a 10 m path: 0.15 mm); -32768 is missing.

    Args:
        values: Points [m, or px in a picture], shape [T, N, 3 or 2].
    """
    axes = values.shape[-1]
    finite = np.isfinite(values).all(-1, keepdims=True)
    seen = values.reshape(-1, axes)[finite.reshape(-1)]
    low = seen.min(0) if len(seen) else np.zeros(axes)
    high = seen.max(0) if len(seen) else np.ones(axes)
    step = np.maximum((high - low) / 65534.0, 1e-9)
    grid = np.round((np.where(finite, values, low) - low) / step) - 32767
    array = np.ascontiguousarray(np.where(finite, grid, -32768), dtype="<i2")
    return {
        "shape": list(array.shape),
        "i16": base64.b64encode(array.tobytes()).decode("ascii"),
        "offset": (low + 32767 * step).tolist(),
        "step": step.tolist(),
    }


def scene(analysis: Analysis) -> dict[str, object]:
    """The viewer's data, ready for JSON: times, points on a grid, what connects them."""
    frames = played(analysis)
    nodes, bones, named = figure(analysis.skeleton, analysis.body_rotation[frames], analysis.body_position[frames])
    result: dict[str, object] = {
        "times": packed(analysis.times[frames] - analysis.times[0]),
        "start": float(analysis.times[0]),
        "nodes": packed_points(nodes),
        "bones": bones,
        "figure": named,
        "com": packed_points(analysis.center_of_mass[frames, None]),
        "weight": analysis.weight,
    }
    if analysis.markers is not None and analysis.markers.names:
        positions = analysis.markers.positions
        at = np.clip(np.searchsorted(analysis.markers.times, analysis.times[frames] - 1e-6), 0, len(positions) - 1)
        result["measured"] = {"names": list(analysis.markers.names), **packed_points(positions[at])}
    if analysis.model_markers is not None and len(analysis.marker_names):
        result["model"] = {"names": list(analysis.marker_names), **packed_points(analysis.model_markers[frames])}
    if analysis.loads is not None and analysis.loads.loads:
        result["loads"] = [
            {
                "name": load.name,
                "side": split_side(load.body)[1],
                "point": packed_points(_sampled(analysis.loads.times, load.point, analysis.times[frames])[:, None]),
                "force": packed(_sampled(analysis.loads.times, load.force, analysis.times[frames])),
            }
            for load in analysis.loads.loads
        ]
    return result


def _sampled(times: Array, values: Array, at: Array) -> Array:
    """Values at other times by linear interpolation; NaN outside and next to NaN; shape [len(at), 3]."""
    return np.stack([np.interp(at, times, values[:, k], left=np.nan, right=np.nan) for k in range(3)], axis=1)


def figure(
    skeleton: Skeleton, rotation: Array, position: Array
) -> tuple[Array, list[dict[str, object]], dict[str, int]]:
    """Joint centres over time [m], shape [T, N, 3], the bones between them, and the nodes that shape trunk and head.

    A bone runs from a body's own joint to its child's. The pelvis becomes the triangle of hips and lumbar joint; the
    trunk a spine to the middle of the shoulders. A body at the end of a chain (toes, hand) is drawn through its
    centre of mass, for orientation only.
    """
    count = len(skeleton.body_names)
    own = _own_joint(skeleton)
    nodes = list(np.moveaxis(position + np.einsum("tbij,bj->tbi", rotation, own), 1, 0))
    children: dict[int, list[int]] = {b: [] for b in range(count)}
    for b, parent in enumerate(skeleton.parents):
        if parent != GROUND and "patella" not in skeleton.body_names[b].lower():
            children[parent].append(b)
    centers = skeleton.mass_center.detach().cpu().numpy()
    bones: list[dict[str, object]] = []
    named: dict[str, int] = {}

    def bone(a: int, b: int, body: int, kind: str = "bone") -> None:
        name = skeleton.body_names[body].lower()
        radius = next((r for key, r in _RADII if key in name), 0.018)
        bones.append({"a": a, "b": b, "side": split_side(name)[1], "r": radius, "kind": kind})

    def point(values: Array) -> int:
        nodes.append(values)
        return len(nodes) - 1

    for body, name in enumerate(skeleton.body_names):
        below = children[body]
        sides = {split_side(skeleton.body_names[c])[1]: c for c in below}
        if "patella" in name.lower():
            continue
        at_root = skeleton.parents[body] == GROUND
        if set(SIDES) <= set(sides) and len(below) >= 3 and at_root:  # a pelvis
            third = next(c for c in below if c not in (sides["r"], sides["l"]))
            named |= {"hip_r": sides["r"], "hip_l": sides["l"], "lumbar": third}
            for c in below:
                if c not in (sides["r"], sides["l"], third):
                    bone(body, c, body)
        elif set(SIDES) <= set(sides):  # a trunk with arms
            for side in SIDES:  # an arm that hangs on a clavicle of its own
                if "clavicle" in skeleton.body_names[sides[side]].lower() and children[sides[side]]:
                    sides[side] = children[sides[side]][0]
            middle = 0.5 * (nodes[sides["r"]] + nodes[sides["l"]])
            low = named.get("lumbar", body)  # a spine of several bodies begins at the pelvis
            spine = middle - nodes[low]
            neck = point(middle + 0.10 * spine)
            top = _end_of_neck(children, sides[""]) if "" in sides else body
            head = point(neck_to_head(nodes[neck], rotation[:, top, :, 1], spine))
            named |= {"trunk": low, "neck": neck, "head": head, "shoulder_r": sides["r"], "shoulder_l": sides["l"]}
            bone(body, neck, body, "spine")
            for side in SIDES:
                bones.append({"a": neck, "b": sides[side], "side": side, "r": 0.011, "kind": "bone"})
        elif below:
            for c in below:
                bone(body, c, body)
        else:
            reach = 1.8 * (centers[body] - own[body])
            if np.linalg.norm(reach) > 0.02:
                tip = point(nodes[body] + np.einsum("tij,j->ti", rotation[:, body], reach))
                bone(body, tip, body, "spine" if "torso" in name.lower() else "bone")
    return np.stack(nodes, axis=1), bones, named


def _end_of_neck(children: dict[int, list[int]], neck: int) -> int:
    """The last body of a chain that begins with the neck: the head."""
    while children[neck]:
        neck = children[neck][0]
    return neck


def neck_to_head(neck: Array, up: Array, spine: Array) -> Array:
    """Centre of a head for orientation: a third of the spine's length above the neck; shape [T, 3]."""
    return neck + 0.36 * np.linalg.norm(spine, axis=-1, keepdims=True) * up


def _own_joint(skeleton: Skeleton) -> Array:
    """Origin of each body's own joint frame in the body [m], shape [B, 3]."""
    child = skeleton.child_position.detach().cpu().numpy()
    parent = skeleton.parent_position.detach().cpu().numpy()
    flipped = np.array([j.reversed for j in skeleton.joints])
    return np.where(flipped[:, None], parent, child)
