"""What a container tells of the camera: its field of view, and the rate at which a slow-motion file was taken."""

from __future__ import annotations

import math
from collections.abc import Mapping

FULL_FRAME_DIAGONAL = math.hypot(36.0, 24.0)
"""Diagonal of the film that 35 mm equivalent focal lengths speak of [mm] (CIPA DCG-001-2018, 4.2)."""

FOCAL_LENGTHS = (8.0, 600.0)
"""Equivalent focal lengths that a camera may have [mm]; anything else is a tag that means something else."""

SLOW_MOTION = 3.0
"""A file that plays this many times slower than it was taken is slow motion. A camera in a dark room takes up to
half of the frames that its tag promises, which is no slow motion."""


def equivalent_focal_length(tags: Mapping[str, str]) -> float | None:
    """The 35 mm equivalent focal length [mm] that a container's tags tell, or None.

    Phones write it as ``com.apple.quicktime.camera.focal_length.35mm_equivalent``; converters keep EXIF's
    ``FocalLengthIn35mmFilm`` or ``FocalLengthIn35mmFormat``.
    """
    for key, text in tags.items():
        name = key.lower().replace("_", "").replace(" ", "")
        if "35mm" in name and "focal" in name:
            value = _number(text)
            if value is not None and FOCAL_LENGTHS[0] <= value <= FOCAL_LENGTHS[1]:
                return value
    return None


def focal_length_in_pixels(equivalent: float, size: tuple[int, int]) -> float:
    """The focal length [px] of a 35 mm equivalent one [mm] for a picture of this width and height.

    Equivalent means the same angle across the diagonal. Recording video may crop the sensor, for stabilisation above
    all, so that the true value can be 10 to 30 % larger: it is a start, not a calibration.
    """
    return equivalent / FULL_FRAME_DIAGONAL * math.hypot(*size)


def capture_rate(tags: Mapping[str, str]) -> float | None:
    """How many frames a second the camera took [Hz], where the container says it (Android's recorders do)."""
    for key, text in tags.items():
        if key.lower() in ("com.android.capture.fps", "capturefps", "capture_fps"):
            value = _number(text)
            if value is not None and 0 < value <= 100_000:
                return value
    return None


def _number(text: str) -> float | None:
    words = text.replace("mm", " ").split()
    try:
        value = float(words[0])
    except (IndexError, ValueError):
        return None
    return value if math.isfinite(value) else None
