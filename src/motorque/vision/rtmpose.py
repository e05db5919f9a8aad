"""RTMPose models of the user's, in ONNX files, run by onnxruntime.

RTMPose (Jiang et al. 2023, arXiv:2303.07399) is a top-down model: it finds the points of one person in a part of the
picture. Where people are is asked of MediaPipe if that is installed; else everything starts from the whole picture, and
then only one person can be found.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError, MissingExtraError
from motorque.vision.detector import Detector, Person, Region
from motorque.vision.keypoint_file import content_hash
from motorque.vision.picture import Picture
from motorque.vision.point_orders import order_of

Array = NDArray[np.float64]

MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
"""Of the pictures that the models were trained on, RGB, 0 to 255 (their ``data_preprocessor``: ImageNet's)."""

PADDING = 1.25
"""Size of the part of the picture over that of the box about the person (``GetBBoxCenterScale`` in the models' own
configuration)."""

SPLIT = 2.0
"""Bins of the model's answer to each pixel of its input (``simcc_split_ratio``)."""

SURE = 0.3
"""Confidence from which a point counts for the box about the person in the next picture; the models' own threshold."""

SOMEBODY = 0.3
"""Mean confidence of the points under which nobody is in the part of the picture."""

LOOKS = 3
"""How often the part of the picture is drawn anew about the points found in it where nothing is known of the person."""


class RTMPoseDetector:
    """An RTMPose model with SimCC output as a :class:`~motorque.vision.detector.Detector`.

    Args:
        model: ONNX file: one input [N, 3, height, width], two outputs [N, K, 2 width] and [N, K, 2 height]; K is 17
            (COCO) or 26 (Halpe).
        finder: Finds people; None to start from the whole picture.
        session: A session to use instead of one made from the file.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        FileFormatError: The file is no such model.
    """

    def __init__(self, model: Path | str, *, finder: Detector | None = None, session: Any = None) -> None:
        self._session = _session(Path(model)) if session is None else session
        self._finder = finder
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        if len(shape) != 4 or len(outputs) != 2 or not all(isinstance(side, int) for side in shape[2:]):
            raise FileFormatError(
                f"{model}: is no RTMPose model with SimCC output (one picture in, two tables out); export it so"
            )
        self._input, self._height, self._width = inputs[0].name, int(shape[2]), int(shape[3])
        count = self._run(np.zeros((self._height, self._width, 3)))[1].shape[0]
        order = order_of(count, (17, 26))
        if order is None:
            raise FileFormatError(f"{model}: gives {count} points; known are 17 (COCO) and 26 (Halpe with feet)")
        self._names = tuple(str(name) for name in order)
        self.label = label(model) if session is None else f"rtmpose {Path(model).name}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its points."""
        return self._names

    def everybody(self, picture: Picture) -> list[Person]:
        """Everybody that the finder sees, the largest first; without one, whoever the whole picture shows best."""
        if self._finder is None:
            found = self._whole(picture)
            return [] if found is None else [found]
        people = []
        for other in self._finder.everybody(picture):
            seen = other.points[other.confidence >= SURE]
            person = self.follow(picture, self._about(seen if len(seen) >= 3 else other.points))
            if person is not None:
                people.append(person)
        return sorted(people, key=lambda person: -person.extent)

    def follow(self, picture: Picture, region: Region) -> Person | None:
        """The points of the person in this region, or None if nobody is there."""
        points, confidence = self._points(picture, region)
        if confidence.mean() < SOMEBODY:
            return None
        seen = points[confidence >= SURE]
        return Person(points, confidence, self._about(seen if len(seen) >= 3 else points))

    def restart(self) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        """Close the finder; onnxruntime looks after itself."""
        if self._finder is not None:
            self._finder.close()

    def _whole(self, picture: Picture) -> Person | None:
        height, width = picture.shape[:2]
        person: Person | None = None
        side = max(height, width * self._height / self._width)
        region = Region(np.array([width, height]) / 2, float(side))
        for _ in range(LOOKS):
            person = self.follow(picture, region)
            if person is None:
                return None
            region = person.region
        return person

    def _about(self, points: Array) -> Region:
        """The region about a person with these points [px]: as high as the part of the picture that the model gets."""
        low, high = points.min(0), points.max(0)
        width, height = high - low
        side = PADDING * max(height, width * self._height / self._width, 16.0)
        return Region((low + high) / 2, float(side))

    def _points(self, picture: Picture, region: Region) -> tuple[Array, Array]:
        """Points [px of the picture], shape [K, 2], and their confidence, shape [K], in a region."""
        step = region.side / self._height
        corner = region.center - step * np.array([self._width, self._height]) / 2
        points, confidence = self._run(_sampled(picture, corner, step, (self._height, self._width)))
        # The model speaks of pixels by their number; number 0 has its middle half a pixel from the edge.
        return corner + step * (points + 0.5), confidence

    def _run(self, part: Array) -> tuple[Array, Array]:
        """Points in the model's input [px] and their confidence.

        The answer is one row of scores along x and one along y for each point; the place is the highest bin, the
        confidence the lower of the two scores (``get_simcc_maximum`` of mmpose takes the same).
        """
        batch = ((part - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
        along_x, along_y = (np.asarray(table)[0] for table in self._session.run(None, {self._input: batch}))
        place = np.stack([along_x.argmax(-1), along_y.argmax(-1)], axis=-1) / SPLIT
        score = np.minimum(along_x.max(-1), along_y.max(-1)).astype(np.float64)
        return place, np.clip(score, 0.0, 1.0)


def label(model: Path | str) -> str:
    """The label of a detector with this model file: what is kept on disk is bound to the model's content."""
    path = Path(model)
    if not path.is_file():
        raise FileFormatError(f"{model}: there is no such model file; check the name and the folder")
    finder = "mediapipe" if find_spec("mediapipe") else "nothing"
    return f"rtmpose {path.name} {content_hash(path)[:16]}, people found by {finder}"


def finder_if_any() -> Detector | None:
    """MediaPipe to find people with, or None where it is not installed."""
    from motorque.vision.mediapipe_detector import MediaPipeDetector

    try:
        return MediaPipeDetector()
    except MissingExtraError:
        return None


def _sampled(picture: Picture, corner: Array, step: float, shape: tuple[int, int]) -> Array:
    """A part of a picture, resized bilinearly; black outside. Where the picture shrinks, squares are averaged first.

    Args:
        picture: RGB.
        corner: Upper left corner of the part [px of the picture].
        step: Pixels of the picture to one of the result.
        shape: Height and width of the result.
    """
    shrink = max(1, int(step))
    if shrink > 1:
        height, width = (side // shrink * shrink for side in picture.shape[:2])
        blocks = picture[:height, :width].reshape(height // shrink, shrink, width // shrink, shrink, 3)
        smaller: Array = blocks.mean((1, 3))
    else:
        smaller = picture.astype(np.float64)
    x = (corner[0] + step * (np.arange(shape[1]) + 0.5)) / shrink - 0.5
    y = (corner[1] + step * (np.arange(shape[0]) + 0.5)) / shrink - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[None, :, None], (y - y0)[:, None, None]

    def at(rows: Any, columns: Any) -> Array:
        inside = ((rows >= 0) & (rows < smaller.shape[0]))[:, None] & ((columns >= 0) & (columns < smaller.shape[1]))
        taken = smaller[np.clip(rows, 0, smaller.shape[0] - 1)][:, np.clip(columns, 0, smaller.shape[1] - 1)]
        return np.asarray(taken * inside[..., None])

    upper = (1 - fx) * at(y0, x0) + fx * at(y0, x0 + 1)
    lower = (1 - fx) * at(y0 + 1, x0) + fx * at(y0 + 1, x0 + 1)
    return np.asarray((1 - fy) * upper + fy * lower)


def _session(model: Path) -> Any:
    if not model.is_file():
        raise FileFormatError(f"{model}: there is no such model file; check the name and the folder")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            "RTMPose needs onnxruntime: pip install 'motorque[rtmpose]', or take --detector mediapipe"
        ) from error
    try:
        return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each way in which a file can be wrong
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFormatError(f"{model}: is no ONNX model that can be run ({said})") from error
