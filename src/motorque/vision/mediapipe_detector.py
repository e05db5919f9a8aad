"""MediaPipe's pose model (BlazePose, complexity 1), from its wheel, on the CPU.

MediaPipe's ready-made solution finds one person and says nothing about others. Here its two stages are run one by
one: the first finds everybody whose face or upper body it sees, the second takes a region and returns 33 points. Who is
followed is then decided in :mod:`motorque.vision.person`. Given the same regions the points are those of the solution.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from motorque.errors import MissingExtraError
from motorque.vision.detector import Person, Region
from motorque.vision.picture import Picture

POINTS = {
    0: "nose",
    2: "eye_l",
    5: "eye_r",
    7: "ear_l",
    8: "ear_r",
    11: "shoulder_l",
    12: "shoulder_r",
    13: "elbow_l",
    14: "elbow_r",
    15: "wrist_l",
    16: "wrist_r",
    17: "pinky_l",
    18: "pinky_r",
    19: "index_l",
    20: "index_r",
    21: "thumb_l",
    22: "thumb_r",
    23: "hip_l",
    24: "hip_r",
    25: "knee_l",
    26: "knee_r",
    27: "ankle_l",
    28: "ankle_r",
    29: "heel_l",
    30: "heel_r",
    31: "toe_l",
    32: "toe_r",
}
"""MediaPipe's numbers of the points that are kept (its documentation of pose landmarks); inner and outer corners of the
eyes and the mouth are left out."""

PICK = np.array(list(POINTS))

REGION_SCALE = 1.25
"""Side of the region over twice the distance from the hips to the circle's point (``pose_detection_to_roi.pbtxt``)."""

TILE_EVERY = 3
"""Every how many pictures without anybody smaller parts are searched too: that takes four times as long."""

CONFIRMED = 0.4
"""Mean visibility of the points of somebody who is counted as a person; trees and furniture that the first stage takes
for people stay below."""

FIND = """
input_stream: "IMAGE:image"
output_stream: "DETECTIONS:detections"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""

# The second half of MediaPipe's pose_landmark_cpu graph: points by region, then the region for the next picture from
# the auxiliary points, which its filter steadies (the points themselves are not filtered: ENABLE is false).
FOLLOW = """
input_stream: "IMAGE:image"
input_stream: "ROI:region"
output_stream: "LANDMARKS:points"
output_stream: "WORLD_LANDMARKS:world"
output_stream: "NEXT:next"
input_side_packet: "complexity"
input_side_packet: "no"
node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGE_CPU:image" output_stream: "SIZE:size" }
node {
  calculator: "PoseLandmarkByRoiCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:region"
  input_side_packet: "MODEL_COMPLEXITY:complexity"
  input_side_packet: "ENABLE_SEGMENTATION:no"
  output_stream: "LANDMARKS:raw_points"
  output_stream: "AUXILIARY_LANDMARKS:raw_auxiliary"
  output_stream: "WORLD_LANDMARKS:raw_world"
}
node {
  calculator: "PoseLandmarkFiltering"
  input_side_packet: "ENABLE:no"
  input_stream: "IMAGE_SIZE:size"
  input_stream: "NORM_LANDMARKS:raw_points"
  input_stream: "AUX_NORM_LANDMARKS:raw_auxiliary"
  input_stream: "WORLD_LANDMARKS:raw_world"
  output_stream: "FILTERED_NORM_LANDMARKS:points"
  output_stream: "FILTERED_AUX_NORM_LANDMARKS:auxiliary"
  output_stream: "FILTERED_WORLD_LANDMARKS:world"
}
node {
  calculator: "PoseLandmarksToRoi"
  input_stream: "LANDMARKS:auxiliary"
  input_stream: "IMAGE_SIZE:size"
  output_stream: "ROI:next"
}
"""

INSTALL = 'pip install "motorque[video]"'


class MediaPipeDetector:
    """MediaPipe's pose model as a :class:`~motorque.vision.detector.Detector`.

    Raises:
        MissingExtraError: MediaPipe is not installed, or cannot be loaded.
    """

    label = "mediapipe 0.10.14, complexity 1, unfiltered"
    names = tuple(POINTS.values())

    def __init__(self) -> None:
        self._empty = 0
        with _quiet():
            try:
                from mediapipe.framework.formats import rect_pb2
                from mediapipe.python import solution_base
                from mediapipe.python.solutions import pose  # noqa: F401 (registers what the graphs are made of)
            except ImportError as error:
                raise MissingExtraError(_missing(error)) from error
            self._rectangle = rect_pb2.NormalizedRect
            self._find = solution_base.SolutionBase(graph_config=FIND)
            sides = {"complexity": 1, "no": False}
            self._follow = solution_base.SolutionBase(graph_config=FOLLOW, side_inputs=sides)
            self._glance = solution_base.SolutionBase(graph_config=FOLLOW, side_inputs=sides)
            # The models are loaded with the first picture; only then do they say all that they have to say.
            blank = np.zeros((64, 64, 3), dtype=np.uint8)
            self._regions(blank, np.zeros(2))
            for graph in (self._follow, self._glance):
                self._points(graph, blank, Region(np.array([32.0, 32.0]), 64.0))

    def everybody(self, picture: Picture) -> list[Person]:
        """Everybody that is found, the largest first; where nobody is, in parts of it now and then."""
        found = self._confirmed(picture, self._regions(picture, np.zeros(2)))
        if len(found) == 1:  # the first stage sees little beside somebody large: look again without him
            rest = self._regions(_without(picture, found[0]), np.zeros(2))
            others = [other for other in self._confirmed(picture, rest) if not other.same_as(found[0])]
            found = sorted([*found, *others], key=lambda person: -person.extent)
        if found:
            self._empty = 0
            return found
        self._empty += 1
        if self._empty % TILE_EVERY != 1:
            return []
        return self._confirmed(
            picture, [region for corner, tile in _tiles(picture) for region in self._regions(tile, corner)]
        )

    def follow(self, picture: Picture, region: Region) -> Person | None:
        """The points of the person in this region, or None if nobody is there."""
        return self._points(self._follow, picture, region)

    def restart(self) -> None:
        """Forget the filtered region of earlier pictures, as a picture without anybody makes the graph do."""
        self._empty = 0
        blank = np.zeros((64, 64, 3), dtype=np.uint8)
        self.follow(blank, Region(np.array([32.0, 32.0]), 64.0))

    def _points(self, graph: Any, picture: Picture, region: Region) -> Person | None:
        height, width = picture.shape[:2]
        scale = np.array([width, height], dtype=np.float64)
        rectangle = self._rectangle(
            x_center=region.center[0] / width,
            y_center=region.center[1] / height,
            width=region.side / width,
            height=region.side / height,
            rotation=region.turn,
        )
        result = _process(graph, {"image": picture, "region": rectangle})
        if result.points is None or result.next is None:
            return None
        found = np.array([(p.x, p.y, p.visibility) for p in result.points.landmark])[PICK]
        world = np.array([(p.x, p.y, p.z) for p in result.world.landmark])[PICK]
        after = result.next
        center = np.array([after.x_center, after.y_center]) * scale
        following = Region(center, after.width * width, after.rotation)
        return Person(found[:, :2] * scale, np.clip(found[:, 2], 0.0, 1.0), following, world)

    def close(self) -> None:
        """Stop all graphs."""
        for graph in (self._find, self._follow, self._glance):
            graph.close()

    def _confirmed(self, picture: Picture, regions: list[Region]) -> list[Person]:
        """Who really has a body there, each once, the largest first."""
        people: list[Person] = []
        for region in _distinct(regions):
            person = self._points(self._glance, picture, region)
            if person is None or person.confidence.mean() < CONFIRMED:
                continue
            if not any(person.same_as(other) for other in people):
                people.append(Person(person.points, person.confidence, region, person.world))
        return sorted(people, key=lambda person: -person.extent)

    def _regions(self, picture: Picture, corner: np.ndarray) -> list[Region]:
        height, width = picture.shape[:2]
        scale = np.array([width, height], dtype=np.float64)
        regions = []
        for detection in _process(self._find, {"image": picture}).detections or []:
            marks = detection.location_data.relative_keypoints
            hips = np.array([marks[0].x, marks[0].y]) * scale
            # The second point lies above the head, on the circle about the hips that holds the whole body.
            x, y = np.array([marks[1].x, marks[1].y]) * scale - hips
            turn = (math.pi / 2 - math.atan2(-y, x) + math.pi) % (2 * math.pi) - math.pi
            side = 2 * math.hypot(x, y) * REGION_SCALE
            regions.append(Region(hips + corner, side, turn, float(detection.score[0])))
        return regions


def _process(graph: Any, inputs: dict[str, Any]) -> Any:
    """A graph's answer; without the warning that MediaPipe's own use of protobuf brings at every call."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="SymbolDatabase.GetPrototype", category=UserWarning)
        return graph.process(inputs)


def _without(picture: Picture, person: Person) -> Picture:
    """The picture with its mean colour in the box about a person."""
    margin = 0.08 * person.extent
    low = np.maximum(person.points.min(0) - margin, 0).astype(int)
    high = np.maximum(person.points.max(0) + margin, 0).astype(int)
    rest = picture.copy()
    rest[low[1] : high[1], low[0] : high[0]] = picture.mean((0, 1)).astype(np.uint8)
    return rest


def _tiles(picture: Picture) -> Iterator[tuple[np.ndarray, Picture]]:
    """Overlapping squares of 0.6 of the shorter side, with their corners [px]: small people fill more of those."""
    height, width = picture.shape[:2]
    side = round(0.6 * min(height, width))
    for y in np.linspace(0, height - side, max(2, math.ceil(1.4 * height / side))).astype(int):
        for x in np.linspace(0, width - side, max(2, math.ceil(1.4 * width / side))).astype(int):
            yield np.array([x, y], dtype=np.float64), np.ascontiguousarray(picture[y : y + side, x : x + side])


def _distinct(regions: list[Region]) -> list[Region]:
    """The regions without those that mean the same person, the surest first."""
    kept: list[Region] = []
    for region in sorted(regions, key=lambda region: -region.score):
        if all(region.overlap(other) < 0.3 for other in kept):
            kept.append(region)
    return kept


def _missing(error: ImportError) -> str:
    if "libGL" in str(error):
        return (
            "mediapipe's OpenCV needs libGL, which is not here: apt-get install libgl1, or take the OpenCV without "
            "windows: pip install --force-reinstall --no-deps opencv-contrib-python-headless==4.11.0.86"
        )
    if (error.name or "").split(".")[0] == "mediapipe":
        return f"keypoints from video need mediapipe: {INSTALL}, or give keypoints with --detector"
    return f"mediapipe cannot be loaded ({error}); motorque doctor says more"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what MediaPipe's C++ code prints while it starts off the terminal; shown if it fails."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings(), tempfile.TemporaryFile() as said:
        warnings.simplefilter("ignore")
        sys.stderr.flush()
        kept = os.dup(2)
        try:
            os.dup2(said.fileno(), 2)
            yield
        except RuntimeError:  # from the graph, which prints what it knows of it
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
