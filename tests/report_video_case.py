"""Analyses of a video with a known answer: pictures whose brightness is their number, cameras that see by pinhole."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from motorque.journal import Journal
from motorque.report import Analysis, VideoEvidence, VideoView
from motorque.series import Camera, Keypoints, Motion
from motorque.vision.video import Video
from report_case import busy_case

SIZE = (180, 320)  # width, height [px]
POINTS = {"hip_r": "femur_r", "knee_r": "tibia_r", "hip_l": "femur_l", "knee_l": "tibia_l", "nose": "torso"}
ERROR = np.array([3.0, -4.0])  # of every keypoint [px]: 5 px


def gray(frame: int) -> int:
    """Brightness of a frame's picture; 16 numbers repeat."""
    return 30 + 13 * (frame % 16)


def write_video(path: Path, times: np.ndarray, *, noise: bool = False, size: tuple[int, int] = SIZE) -> Path:
    """A video with a frame at each of these times [s], to the millisecond, evenly spaced or not."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=60)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.qmin = stream.codec_context.qmax = 4
        for k, time in enumerate(times):
            picture = np.full((size[1], size[0], 3), gray(k), dtype=np.uint8)
            if noise:
                picture = rng.integers(0, 255, picture.shape, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def side_camera(
    name: str = "side", *, azimuth: float = 90.0, distance: float = 6.0, size: tuple[int, int] = SIZE
) -> Camera:
    """A level camera 1 m above ground, so far from X = 1.2 m, as seen from there clockwise from ahead [deg]."""
    a = np.radians(azimuth)
    place = np.array([1.2 + distance * np.cos(a), 1.0, distance * np.sin(a)])
    ahead = -np.array([np.cos(a), 0.0, np.sin(a)])
    down = np.array([0.0, -1.0, 0.0])
    rotation = np.stack([np.cross(down, ahead), down, ahead])
    focal = 0.9 * max(size)
    matrix = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    return Camera(name, size, matrix, rotation, -rotation @ place)


def pinhole(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Points in ground seen without distortion [px], written out for comparison."""
    x, y, z = np.moveaxis(points @ camera.rotation.T + camera.translation, -1, 0)
    (fx, _, cx), (_, fy, cy), _ = camera.matrix
    return np.stack([fx * x / z + cx, fy * y / z + cy], axis=-1)


def view_of(
    analysis: Analysis, camera: Camera, times: np.ndarray, video: Video | None, *, offset: float = 0.0
) -> VideoView:
    """A view whose keypoints miss the model's by :data:`ERROR`; the nose is seen but not fitted."""
    bodies = [analysis.skeleton.body_names.index(body) for body in POINTS.values()]
    points = np.stack(
        [
            [[np.interp(t + offset, analysis.times, analysis.body_position[:, b, k]) for k in range(3)] for b in bodies]
            for t in times
        ]
    )
    model = pinhole(camera, points)
    found = model + ERROR
    model[:, -1] = np.nan
    keypoints = Keypoints(times, found, np.full(found.shape[:2], 0.8), tuple(POINTS), camera.size, "detector 1.0")
    return VideoView(
        camera.name, f"{camera.name}.mkv", keypoints, camera, reprojected=model, video=video, offset=offset,
        person="the largest of 2", camera_source="estimated with the motion",
    )  # fmt: skip


def video_case(
    folder: Path,
    times: np.ndarray,
    *,
    duration: float = 2.0,
    azimuths: tuple[float, ...] = (90.0,),
    offset: float = 0.0,
    **options: object,
) -> Analysis:
    """A walk seen by one or several cameras at these times of their own clocks [s]."""
    analysis = busy_case(duration)
    assert analysis.motion.std is not None
    motion = Motion(analysis.times, analysis.motion.values, analysis.motion.names)
    views = []
    for azimuth in azimuths:
        name = f"cam{azimuth:g}"
        video = Video(write_video(folder / f"{name}.mkv", times), journal=Journal())
        views.append(view_of(analysis, side_camera(name, azimuth=azimuth), times, video, offset=offset))
    std = {"knee_angle_r": np.radians(1.5), "hip_flexion_l": np.radians(4.0), "hip_rotation_r": np.radians(12.0)}
    std |= {"pelvis_tz": 0.08, "subtalar_angle_r": 0.0}
    evidence = VideoEvidence(tuple(views), std, "detector 1.0", ("the camera moves at 1.2 s",), **options)  # type: ignore[arg-type]
    return dataclasses.replace(analysis, motion=motion, video=evidence)
