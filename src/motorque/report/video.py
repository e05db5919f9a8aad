"""What a report knows of the videos that a motion was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.series import Camera, Keypoints

if TYPE_CHECKING:
    from concurrent.futures import Future

    from motorque.report.film import Takes
    from motorque.vision.video import Video

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VideoView:
    """One camera's video and what was made of it: F frames, K keypoints.

    Args:
        name: What the view is called; every view of a report has another name.
        file: Path of the video as the user gave it.
        keypoints: What the detector found in the frames that the motion was fitted to, at the video's own times, with
            lens distortion; also points that the fit did not use (``blur_faces`` looks for the nose, eyes and ears).
        camera: The camera in the motion's ground.
        reprojected: Where the fitted skeleton's keypoints are in the picture, with lens distortion [px], shape
            [F, K, 2]; NaN where unknown or not fitted. None if only their distances are known.
        reprojection: Distances between keypoints and the skeleton's [px], shape [F, K]; NaN where a keypoint was not
            found. Computed where ``reprojected`` is given.
        video: Where the pictures come from; None shows the keypoints without pictures.
        turned: By how many degrees, counter-clockwise, pictures are turned before they fit keypoints and camera: 0, 90,
            180 or 270, for a video that is not shown upright.
        offset: Time of the motion when the video is at zero [s].
        person: Which of the people in the picture was followed, in words.
        camera_source: Where the camera comes from, in words (``calibration file``, ``estimated with the motion``).

    Raises:
        DataError: Shapes do not match, or the camera is for pictures of another size.
    """

    name: str
    file: str
    keypoints: Keypoints
    camera: Camera
    reprojected: Array | None = None
    reprojection: Array | None = None
    video: Video | None = None
    turned: int = 0
    offset: float = 0.0
    person: str = ""
    camera_source: str = ""

    def __post_init__(self) -> None:
        shape = self.keypoints.points.shape[:2]
        if tuple(self.camera.size) != tuple(self.keypoints.size):
            wide, tall = self.camera.size
            raise DataError(
                f"view {self.name}: the camera is for pictures of {wide} by {tall} pixels, the keypoints are in "
                f"pictures of {self.keypoints.size[0]} by {self.keypoints.size[1]}"
            )
        if self.reprojected is not None:
            model = np.asarray(self.reprojected, dtype=np.float64)
            if model.shape != (*shape, 2):
                raise DataError(
                    f"view {self.name}: reprojected must have the shape {[*shape, 2]}, got {[*model.shape]}"
                )
            object.__setattr__(self, "reprojected", model)
            if self.reprojection is None:
                object.__setattr__(self, "reprojection", np.linalg.norm(model - self.keypoints.points, axis=-1))
        if self.reprojection is not None:
            error = np.asarray(self.reprojection, dtype=np.float64)
            if error.shape != shape:
                raise DataError(f"view {self.name}: reprojection must have the shape {[*shape]}, got {[*error.shape]}")
            object.__setattr__(self, "reprojection", np.where(self.keypoints.seen, error, np.nan))

    @property
    def times(self) -> Array:
        """Times of the keypoints' frames in the motion's clock [s], shape [F]."""
        return self.keypoints.times + self.offset


@dataclass(frozen=True, eq=False)
class VideoEvidence:
    """The videos that a motion was fitted to, and how much they say about each coordinate.

    Args:
        views: One for each camera, at least one.
        angle_std: Standard deviation of a coordinate, typical over the recording [rad or m], by name; where a
            coordinate is missing, that of the motion is taken, if it has one.
        detector: What found the keypoints, with its version and settings, in words.
        notes: What else a reader should know (a moving camera, people who crossed), in words.
        pictures: Whether pictures of the videos are put into the report. Without them it shows the keypoints and the
            skeleton on an empty ground.
        blur_faces: Whether the head of the person followed is made coarse in the pictures. Off unless asked for: the
            pictures are there to judge the fit, head included, and only that person's head can be found, so that a
            blur by default would promise a privacy that it does not give.
        takes: Pictures of the views that are being made already (:func:`motorque.report.film.film_ahead`); not used
            with ``blur_faces``, which needs the motion.

    Raises:
        DataError: There is no view, or two have the same name.
    """

    views: tuple[VideoView, ...]
    angle_std: Mapping[str, float] = field(default_factory=dict)
    detector: str = ""
    notes: tuple[str, ...] = ()
    pictures: bool = True
    blur_faces: bool = False
    takes: Future[Takes | None] | None = None

    def __post_init__(self) -> None:
        if not self.views:
            raise DataError("report: evidence from video needs at least one view")
        names = [view.name for view in self.views]
        if len(set(names)) < len(names):
            raise DataError(f"report: two views have the same name ({', '.join(names)}); give each its own")
