"""Where the fitted skeleton and the keypoints are in a video's pictures, at each picture's own time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.report.analysis import Analysis
from motorque.report.labels import split_side
from motorque.report.scene import figure, packed, packed_points
from motorque.report.video import VideoView
from motorque.vision.projection import project

Array = NDArray[np.float64]

OUTSIDE = 2.0
"""Points farther outside the picture than this many of its long sides are not drawn: no screen shows them."""

GAP = 0.15
"""Keypoints are not guessed between frames that are farther apart than this [s]."""

HEAD = 0.17
"""Radius about the middle of a head that holds it with its hair and an error of the fit of 4 cm [m].

From chin to crown are 0.130 of the body height (Winter, Biomechanics and Motor Control of Human Movement, 4th ed.,
figure 4.1, after Drillis and Contini): 25 cm at 1.95 m."""

HEAD_UNSEEN = 0.3
"""The same where no point of the face was found, so that only the fit says where the head is [m]: necks bend."""

FACE = ("nose", "head_top", "eye_r", "eye_l", "ear_r", "ear_l")


@dataclass(frozen=True, eq=False)
class Overlay:
    """What is drawn over one view's pictures.

    Args:
        analysis: Whose motion it is.
        view: The view.
    """

    analysis: Analysis
    view: VideoView

    def nodes(self, times: Array) -> Array:
        """Joint centres in ground at times of the motion's clock, linear between frames [m], shape [N, nodes, 3]."""
        frames = self.analysis.times
        right = np.clip(np.searchsorted(frames, times), min(1, len(frames) - 1), len(frames) - 1)
        left = np.maximum(right - 1, 0)
        span = np.where(right > left, frames[right] - frames[left], 1.0)
        weight = np.clip((times - frames[left]) / span, 0.0, 1.0)[:, None, None]
        a = self.analysis
        low, high = (figure(a.skeleton, a.body_rotation[k], a.body_position[k])[0] for k in (left, right))
        return np.asarray((1 - weight) * low + weight * high)

    def lines(self) -> tuple[list[tuple[int, int, str]], dict[str, int]]:
        """Pairs of nodes to join, with their side, and the named nodes of trunk and head."""
        a = self.analysis
        _, bones, named = figure(a.skeleton, a.body_rotation[:1], a.body_position[:1])
        lines = [(int(str(b["a"])), int(str(b["b"])), str(b["side"])) for b in bones]
        if "hip_r" in named:
            right, left, top = named["hip_r"], named["hip_l"], named["lumbar"]
            lines += [(right, left, ""), (right, top, "r"), (left, top, "l")]
        return lines, named

    def keypoints(self, values: Array, times: Array) -> Array:
        """Values of the keypoints' frames, shape [F, K, …], at other times of the motion's clock, shape [N, K, …].

        Linear between frames; NaN outside, where a neighbour is NaN, and in gaps longer than :data:`GAP`.
        """
        frames = self.view.times
        if len(frames) == 1:
            near = np.abs(times - frames[0]) < 1e-6
            return np.where(near.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan)
        right = np.clip(np.searchsorted(frames, times), 1, len(frames) - 1)
        span = frames[right] - frames[right - 1]
        share = (times - frames[right - 1]) / span
        # Times in files are rounded: a picture that is a frame's own takes that frame alone.
        share = np.where(np.abs(share) * span < 1e-5, 0.0, np.where(np.abs(share - 1) * span < 1e-5, 1.0, share))
        whole = (share == 0) | (share == 1)
        known = whole | ((share > 0) & (share < 1) & (span <= GAP))
        weight, usable = (v.reshape(-1, *[1] * (values.ndim - 1)) for v in (share, known))
        low, high = values[right - 1], values[right]
        between = np.where(weight <= 0, low, np.where(weight >= 1, high, (1 - weight) * low + weight * high))
        return np.where(usable, between, np.nan)

    def heads(self, time: float) -> list[tuple[float, float, float]]:
        """Circles that hold the head of the person followed at a time: x, y, radius [px]; empty if it is nowhere."""
        _, named = self.lines()
        if "head" not in named:
            return []
        head = self.nodes(np.array([time]))[:, [named["head"]]]
        camera, view = self.view.camera, self.view
        depth = float((head[0, 0] @ camera.rotation.T + camera.translation)[2])
        if depth <= 0:
            return []
        scale = float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1])) / depth
        face = [k for k, name in enumerate(view.keypoints.names) if name in FACE]
        # The frame's own points and those beside it: what is blurred must be so even where the fit is off.
        near = np.abs(view.times - time) <= GAP
        seen = [p for p in view.keypoints.points[near][:, face].reshape(-1, 2) if np.isfinite(p).all()]
        middle = project(camera, head)[0, 0]
        found = [(*middle, (HEAD if seen else HEAD_UNSEEN) * scale)] if np.isfinite(middle).all() else []
        return [(float(x), float(y), float(r)) for x, y, r in [*found, *((*p, HEAD * scale) for p in seen)]]

    def packed(self, times: Array) -> dict[str, object]:
        """Everything that is drawn at these times of the motion's clock, ready for JSON."""
        view, keypoints = self.view, self.view.keypoints
        lines, named = self.lines()
        found = self.keypoints(keypoints.points, times)
        result: dict[str, object] = {
            "name": view.name,
            "size": list(keypoints.size),
            "times": packed(times - self.analysis.times[0]),
            "lines": lines,
            "head": [named["neck"], named["head"]] if "head" in named else None,
            "nodes": packed_points(within(project(view.camera, self.nodes(times)), keypoints.size)),
            "keypoints": packed_points(within(found, keypoints.size)),
            "confidence": packed(np.nan_to_num(self.keypoints(keypoints.confidence, times))),
            "names": list(keypoints.names),
            "sides": [split_side(name)[1] for name in keypoints.names],
        }
        if view.reprojected is not None:
            model = self.keypoints(view.reprojected, times)
            result["model"] = packed_points(within(model, keypoints.size))
        return result


def within(points: Array, size: tuple[int, int]) -> Array:
    """Points with NaN for those far outside a picture of this size [px], shape [..., 2]."""
    middle, reach = 0.5 * np.array(size), (0.5 + OUTSIDE) * max(size)
    inside = (np.abs(np.nan_to_num(points - middle, nan=np.inf)) <= reach).all(-1, keepdims=True)
    return np.where(inside, points, np.nan)
