"""`keypoints`: from a video to a file of the points of one person's body."""

from __future__ import annotations

from pathlib import Path

from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.vision.keypoint_file import VideoKeypoints
from motorque.vision.keypoints import FPS, find_keypoints


def keypoints_step(
    video: Path,
    *,
    detector: str = "mediapipe",
    model: Path | None = None,
    fps: float = FPS,
    start: float | None = None,
    end: float | None = None,
    person: int | None = None,
    turn: int | None = None,
    out: Path,
    journal: Journal,
    progress: Progress = silent,
) -> VideoKeypoints:
    """Keypoints from file to file; what is at ``out`` is kept if it was made in the same way from the same video.

    Args:
        video: The video.
        detector: ``mediapipe``, ``rtmpose``, or a folder of OpenPose's JSON files made from the video.
        model: RTMPose's ONNX file.
        fps: Frames a second to look at, at most [Hz].
        start: First time [s]; the video's own if None.
        end: Last time [s]; the video's own if None.
        person: Which one to follow, 0 for the largest.
        turn: Quarter turn of the picture, counter-clockwise [degrees]; found if None.
        out: Keypoint file to write (``.npz``).
        journal: Where repairs and assumptions are recorded.
        progress: Told how far it is.

    Raises:
        MotorqueError: An input is wrong; nothing is written.
    """
    return find_keypoints(
        video,
        detector=detector,
        model=model,
        fps=fps,
        start=start,
        end=end,
        person=person,
        turn=turn,
        cache=out,
        journal=journal,
        progress=progress,
    )
