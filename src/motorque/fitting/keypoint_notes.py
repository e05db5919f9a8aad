"""What the fit to keypoints took for granted, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.keypoint_attachments import GROUPS
from motorque.fitting.keypoint_problem import GUESS_LOSS
from motorque.fitting.keypoint_setup import FOCAL, FOCAL_STD, PITCH_STD, ROLL_STD, TILTED, Known
from motorque.fitting.motion_prior import PoseGuess
from motorque.journal import Journal
from motorque.series import Camera, Motion

Array = NDArray[np.float64]

ABOUT = "camera"


def note_camera(camera: Camera, known: Known, guess: PoseGuess | None, journal: Journal) -> None:
    """Record what was assumed of a camera that is not calibrated, and what was found.

    Args:
        camera: As fitted, in ground.
        known: What was known of it beforehand.
        guess: What the motion prior says, also of the vertical.
        journal: Where it is recorded.
    """
    longer, focal = max(camera.size), float(camera.matrix[0, 0])
    wide = np.degrees(2 * np.arctan(0.5 * longer / focal))
    found = f"fitted: {focal:.0f} px, {wide:.0f}° along the longer side"
    if known.fov is None:
        journal.assume(
            f"the focal length is not known and taken as {FOCAL:g} of the picture's longer side, as phones have it, "
            f"give or take {100 * FOCAL_STD:.0f} % ({found}); distance and depth rest on it (give --fov)",
            ABOUT,
        )
    else:
        journal.info(
            f"the angle of view of {np.degrees(known.fov):.0f}° is held to {100 * known.fov_std:.0f} % ({found})", ABOUT
        )
    level, askew = np.degrees([PITCH_STD, ROLL_STD])
    held = f"held level, give or take {level:.0f}° up or down and {askew:.0f}° askew"
    if guess is not None:
        angles = _tilt(guess.up / np.linalg.norm(guess.up))
        spread = np.hypot([PITCH_STD, ROLL_STD], guess.up_std)
        if (np.abs(angles) > TILTED * spread).any():
            held = f"tilted as the person's pose tells, {_attitude(*angles)}"
    journal.assume(
        f"the camera is taken to be {held}, fitted: {_attitude(*_tilt(camera.rotation[:, 1]))}; its lens to have no "
        "distortion and its axis to go through the picture's middle",
        ABOUT,
    )


def note_body(guess: PoseGuess | None, motion: Motion, views: int, journal: Journal) -> None:
    """Record what was assumed of the person, and how far the motion is from what the prior said.

    Args:
        guess: What the motion prior says in each of the motion's frames, or None if there is none.
        motion: As fitted.
        views: How many videos there are.
        journal: Where it is recorded.
    """
    spread = ", ".join(dict.fromkeys(f"{100 * group.std:.0f} %" for group in GROUPS))
    journal.assume(
        f"segments are taken to be equally long on both sides, and in proportion as usual, give or take {spread}",
        "segment scales",
    )
    if guess is None:
        if views == 1:
            journal.assume("what one camera leaves open rests on weak general habits, no motion prior", "motion")
        return
    columns = [motion.names.index(name) for name in guess.names if name in motion.names]
    picked = [k for k, name in enumerate(guess.names) if name in motion.names]
    off = np.abs(motion.values[:, columns] - guess.mean[:, picked]) / guess.std[:, picked]
    journal.info(
        f"what one camera leaves open rests on the motion prior; {100 * (off > GUESS_LOSS).mean():.0f} % of the angles "
        f"are further from it than {GUESS_LOSS:g} of its standard deviations, where it is doubted",
        "motion",
    )


def _tilt(up: Array) -> tuple[float, float]:
    """How far a camera looks down and is turned about its axis [rad], for a unit vector up in its axes, shape [3]."""
    x, y, z = up
    return -float(np.arcsin(np.clip(z, -1.0, 1.0))), float(np.arctan2(x, -y))


def _attitude(pitch: float, roll: float) -> str:
    """Angles [rad] in words."""
    way = "up" if pitch < 0 else "down"
    return f"looking {way} by {np.degrees(abs(pitch)):.1f}°, askew by {np.degrees(abs(roll)):.1f}°"
