"""Opening a video file: which kinds may be opened, and what is wrong with one that can't be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from motorque.errors import FileFormatError

CONTAINERS = (
    "3gp",
    "aac",
    "asf",
    "avi",
    "bmp_pipe",
    "flac",
    "flv",
    "gif",
    "h264",
    "hevc",
    "image2",
    "ivf",
    "jpeg_pipe",
    "m4v",
    "matroska",
    "mov",
    "mp3",
    "mp4",
    "mpeg",
    "mpegts",
    "mpegvideo",
    "obu",
    "ogg",
    "png_pipe",
    "tiff_pipe",
    "wav",
    "webm",
    "webp_pipe",
)
"""FFmpeg's readers that may open a file. Playlists are not among them: they name other files and network addresses."""

PICTURES = ("image2", "_pipe")
"""Readers of single pictures."""

OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}


def check_file(path: Path) -> None:
    """Raise a :class:`FileFormatError` for what is no file, or an empty one."""
    try:
        if path.is_dir():
            raise FileFormatError(f"{path}: is a folder; give the name of a video file")
        if not path.is_file():
            raise FileFormatError(f"{path}: there is no such file; check the name and the folder")
        if path.stat().st_size == 0:
            raise FileFormatError(f"{path}: is empty; copy or record it again")
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}; check the name and the rights to it") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its video stream, decoding on as many threads as FFmpeg sees fit.

    Neither may be asked anything once the block has ended.
    """
    try:
        container = av.open(str(path.resolve()), "r", options=OPTIONS, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError, OSError) as error:
        said = (getattr(error, "strerror", None) or str(error)).lower()
        raise FileFormatError(
            f"{path}: cannot be read as a video ({said}); it is damaged, was cut off before its index was written, or "
            "is another kind of file"
        ) from error
    with container:
        moving = [
            stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic
        ]
        if any(word in container.format.name for word in PICTURES):
            raise FileFormatError(f"{path}: is a picture; a motion needs a video")
        if not moving:
            what = "sound only" if container.streams.audio else "no moving picture"
            raise FileFormatError(f"{path}: holds {what}; give a video")
        stream = moving[0]
        stream.thread_type = "AUTO"
        try:
            yield container, stream
        except av.error.DecoderNotFoundError as error:
            raise FileFormatError(f"{path}: no decoder for its pictures; convert it to H.264") from error


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets as far as they can be read, and the empty one that draws the last frames."""
    found = container.demux(stream)
    while True:
        try:
            packet = next(found)
        except (StopIteration, av.error.FFmpegError, ValueError):
            return
        yield packet


def seek(container: Any, stream: Any, stamp: float) -> None:
    """Go to the last frame at or before a time stamp [s] that can be decoded alone; stay where that fails."""
    with contextlib.suppress(av.error.FFmpegError, ValueError):  # what cannot be sought is read from its start
        container.seek(int(stamp / stream.time_base), stream=stream, backward=True)
