"""SMPL poses in numpy archives: AMASS's layout, and what pose estimators' users save.

AMASS (Mahmood et al. 2019) has ``poses`` [T, 3 J] as rotation vectors, ``trans`` [T, 3], ``mocap_framerate`` or
``mocap_frame_rate``, ``gender`` and ``betas``; its world has z up. Body models' users have the same numbers in pieces:
``global_orient`` or ``root_orient`` [T, 3], ``body_pose`` or ``pose_body``, ``transl``. Rotations may be matrices too.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.files.npz import Archive
from motorque.files.output import replacing
from motorque.files.smpl_layouts import MODELS, known_layouts, layout_of, to_tree
from motorque.files.smpl_model import SMPLModel
from motorque.journal import Journal
from motorque.series.poses import Poses, Up, matrices

Array = NDArray[np.float64]

WHOLE = ("poses", "pose", "fullpose", "full_pose", "smpl_poses", "pose_world")
ROOT = ("root_orient", "global_orient", "global_orientation", "poses_root")
BODY = ("pose_body", "body_pose", "poses_body")
TRANSLATION = ("trans", "transl", "translation", "smpl_trans", "trans_world", "root_trans")
RATE = ("mocap_framerate", "mocap_frame_rate", "framerate", "frame_rate", "fps")
SHAPE = ("betas", "shape", "smpl_betas")
AMASS_RATE = ("mocap_framerate", "mocap_frame_rate")

BODY_SIZES = (21, 22, 23, 24, 51, 52, 54, 55)
"""Numbers of joints of SMPL's family, with and without the root."""

RATES = (1.0, 10_000.0)
"""Frames per second that a recording of a person can have."""

LEAP = 0.15
"""Mean angle of all joints from frame to frame beyond which a recording leaps [rad]: at 30 Hz walkers have 0.03, in
degrees read as radians they have 0.7 (0.3 at 120 Hz)."""

MOST_TURNS = 8 * np.pi
"""Rotation vectors longer than this on average are degrees [rad]; estimators that unwrap them go a few turns far."""

BEYOND_TURNS = 0.5
"""Share of frames with a joint beyond two whole turns from which on a recording of several such joints is degrees.
The root does not count: it turns on and on where somebody walks in circles."""

UPRIGHT = 0.7
"""Mean of the trunk's direction from which on it tells what is up: the cosine of 45 degrees."""

FASTEST = 15.0
"""A root that usually moves faster is not in metres [m/s]: nobody runs faster than 12.4."""

FARTHEST = 200.0
"""A root that is usually farther from the origin is not in metres [m]: rooms are smaller, and a pelvis 0.9 m above the
floor is 900 mm from it."""

Sex = Literal["f", "m", "unknown"]
_SEXES: dict[str, Sex] = {
    "female": "f", "f": "f", "male": "m", "m": "m", "neutral": "unknown", "n": "unknown", "unknown": "unknown",
}  # fmt: skip


def read_poses(
    path: str | Path,
    *,
    fps: float | None = None,
    up: Up | None = None,
    sex: Sex | None = None,
    height: float | None = None,
    mass: float | None = None,
    model: SMPLModel | None = None,
    journal: Journal | None = None,
) -> Poses:
    """Read poses from a numpy archive.

    Args:
        path: The file.
        fps: Frames per second; the file's own if not given.
        up: What is up in the world of the root; told by how the person stands if not given.
        sex: Whose proportions; the file's if not given.
        height: Stature [m]; the file's, if it has one.
        mass: Body mass [kg]; the file's, if it has one.
        model: The user's own body model, which gives shape parameters their meaning.
        journal: Where what was converted, left out or assumed is recorded.

    Raises:
        FileFormatError: It is missing, damaged, a pickle, or holds no poses; the frame rate is missing or none and not
            given; or the poses are of a number of joints or a kind of rotation whose meaning is not known.
    """
    path = Path(path)
    journal = Journal() if journal is None else journal
    with Archive(path) as archive:
        rotations, joints = _rotations(archive, path, journal)
        kind = archive.text("surface_model_type") if "surface_model_type" in archive else MODELS.get(joints)
        frames = len(rotations)
        translation = _translation(archive, path, frames, journal)
        times = np.arange(frames) / _rate(archive, path, fps, journal)
        name = archive.first(SHAPE)
        betas = None if name is None else _one_shape(archive.numbers(name), journal, path)
        sex = sex or _sex(archive, path, journal)
        mass = _positive(archive, "mass") if mass is None else mass
        height = _positive(archive, "height") if height is None else height
        own_up = archive.text("up") if "up" in archive else None
        amass = archive.first(AMASS_RATE) is not None
        rest = archive.numbers("joint_positions") if "joint_positions" in archive else None
    there = np.asarray(np.isfinite(rotations).all(axis=(2, 3)))
    if not np.any(there.all(axis=1)):
        never = np.flatnonzero(~there.any(axis=0))
        which = f"joint {never[0]} of 24 is never there" if 0 < len(never) < 24 else "the poses are missing"
        raise FileFormatError(f"{path}: no frame has all its rotations; {which}")
    if up is None:
        up = own_up if own_up in ("y", "z", "-y", "-z") else _upward(rotations, amass, path, journal)  # type: ignore[assignment]
    if model is not None:
        if rest is not None:
            journal.info("the file's own rest joints are replaced by the model's", path.name)
        if betas is not None and kind is not None and (kind == "smplx") != (model.name == "smplx"):
            journal.warn(
                f"the poses are of {kind} and the model is {model.name}: their shape parameters differ, so the lengths "
                "are somebody else's; give the model that the poses were made with",
                path.name,
            )
        rest = model.joints(betas, journal=journal)
        _compare_heights(height, model.stature(betas), journal, path)
    elif betas is not None and rest is None:
        journal.assume(
            "shape parameters (betas) say nothing without their body model, and none is given: lengths are those of "
            "published anthropometry for the height and sex; give the model's file with --model to use them",
            path.name,
        )
    try:
        poses = Poses(times, rotations, translation, up or "y", sex, height, mass, rest, betas, str(path.name))
    except DataError as error:
        raise FileFormatError(f"{path}: {error}") from error
    _say_unseen(poses, path, journal)
    return poses


def write_poses(path: str | Path, poses: Poses) -> None:
    """Write poses as a numpy archive in AMASS's layout, with SMPL's 24 joints; :func:`read_poses` reads it back.

    Beside AMASS's arrays it holds ``up`` and, where known, ``height`` [m], ``mass`` [kg] and ``joint_positions`` [m].

    Raises:
        DataError: A single frame has no rate.
        OutputError: It can't be written.
    """
    if not np.isfinite(poses.rate):
        raise DataError("a single pose has no frame rate, so it can't be written as a recording")
    arrays: dict[str, Any] = {
        "poses": poses.rotation_vectors.reshape(len(poses.times), -1),
        "trans": poses.translation,
        "mocap_framerate": np.array(poses.rate),
        "gender": np.array({"f": "female", "m": "male", "unknown": "neutral"}[poses.sex]),
        "up": np.array(poses.up),
    }
    for name in ("betas", "height", "mass", "joint_positions"):
        if getattr(poses, name) is not None:
            arrays[name] = np.asarray(getattr(poses, name))
    with replacing(path) as scratch, open(scratch, "wb") as file:
        np.savez_compressed(file, **arrays)


def _rotations(archive: Archive, path: Path, journal: Journal) -> tuple[Array, int]:
    """Local rotations of the 24 joints, shape [T, 24, 3, 3], and how many joints the file has."""
    whole, root, body = (archive.first(names) for names in (WHOLE, ROOT, BODY))
    if whole is not None:
        name, turns = whole, _as_matrices(archive.numbers(whole), whole, path)
        if turns.shape[1] in (21, 23) and root is not None:
            turns = np.concatenate([_root(archive, root, len(turns), path), turns], axis=1)
    elif body is not None:
        name, turns = body, _as_matrices(archive.numbers(body), body, path)
        if turns.shape[1] in (21, 23):
            if root is None:
                raise FileFormatError(f"{path}: {_rootless(body, turns.shape[1])}")
            turns = np.concatenate([_root(archive, root, len(turns), path), turns], axis=1)
    elif "v_template" in archive:
        raise FileFormatError(f"{path}: is a body model, not poses; give it behind --model and the poses before")
    else:
        raise FileFormatError(
            f"{path}: holds no poses; they are looked for as {', '.join(WHOLE[:3])} or as {BODY[0]}/{BODY[1]}, and the "
            f"file has {', '.join(archive.names[:8])}"
        )
    joints = turns.shape[1]
    layout = layout_of(joints)
    if layout is None:
        if joints in (21, 23, 51, 54):
            raise FileFormatError(f"{path}: {_rootless(name, joints)}")
        raise FileFormatError(
            f"{path}: {name!r} has {joints} joints, of an order that is not known; known are {known_layouts()}"
        )
    together = "a hand's fingers turn as one, as the middle finger does at its base"
    said = {
        22: "the poses are of 22 joints, SMPL's without hands: the fingers are taken as straight with the palm",
        52: f"the poses are SMPL-H's, of 52 joints: {together}",
        55: f"the poses are SMPL-X's, of 55 joints: {together}; jaw and eyes are left out",
    }
    if joints in said:
        journal.assume(said[joints], path.name)
    return to_tree(turns), joints


def _rootless(name: str, joints: int) -> str:
    return (
        f"{name!r} has {joints} joints, a body without its root, and without the root's orientation gravity has no "
        f"direction; add it as {ROOT[0]!r} [frames, 3]"
    )


def _root(archive: Archive, name: str, frames: int, path: Path) -> Array:
    turn = _as_matrices(archive.numbers(name), name, path, joints=1)
    if len(turn) != frames:
        raise FileFormatError(f"{path}: {name!r} has {len(turn)} frames and the body's rotations {frames}")
    return turn


def _as_matrices(values: Array, name: str, path: Path, *, joints: int | None = None) -> Array:
    """Rotations as matrices, shape [T, J, 3, 3]; raises :class:`FileFormatError` where their kind is not known."""
    shape = list(values.shape)
    if values.size == 0:
        raise FileFormatError(f"{path}: {name!r} has shape {shape}, which is no frame at all; export it again")
    if values.ndim == 0:
        raise FileFormatError(f"{path}: {name!r} is a single number; rotation vectors of all frames are needed")
    if values.ndim == 4 and values.shape[2:] == (3, 3) or (values.ndim == 3 and joints == 1 and shape[1:] == [3, 3]):
        return _checked(values.reshape(shape[0], -1, 3, 3), name, path)
    if values.ndim in (3, 4) and shape[0] == 1 and shape[1] > 1 and shape[-1] in (3, *(3 * n for n in BODY_SIZES)):
        if joints == 1 or shape[1] not in BODY_SIZES or values.ndim == 4:
            values = values[0]  # a batch of one recording
    if joints is None and values.ndim == 1:
        values = values[None]
    if joints is None and values.ndim == 2 and values.shape[1] == 3 and layout_of(len(values)):
        values = values[None]
    if values.ndim == 3 and values.shape[2] in (4, 6):
        raise FileFormatError(f"{path}: {_two_ways(name, values.shape[2])}")
    if values.ndim == 3 and values.shape[2] in (3, 9):
        values = values.reshape(len(values), -1) if values.shape[2] == 3 else values.reshape(len(values), -1, 3, 3)
    if values.ndim == 4:
        return _checked(values, name, path)
    width = values.shape[-1]
    if values.ndim == 2 and joints is None and width // 3 not in BODY_SIZES:
        if width % 9 == 0 and layout_of(width // 9):
            return _checked(values.reshape(len(values), -1, 3, 3), name, path)
        if width % 6 == 0 and layout_of(width // 6):
            raise FileFormatError(f"{path}: {_two_ways(name, 6)}")
    if values.ndim == 2 and width % 3 == 0 and (joints is None or width == 3 * joints):
        return matrices(_radians(values.reshape(len(values), -1, 3), name, path))
    raise FileFormatError(
        f"{path}: {name!r} has shape {shape}; rotations are needed as rotation vectors, [frames, 3 x joints] or "
        "[frames, joints, 3], or as matrices, [frames, joints, 3, 3]"
    )


def _two_ways(name: str, numbers: int) -> str:
    what = "quaternions, with the real part first or last" if numbers == 4 else "6D rotations, of columns or of rows"
    return f"{name!r} has {numbers} numbers a joint: {what}, which the file does not say; save rotation vectors"


def _radians(vectors: Array, name: str, path: Path) -> Array:
    size = np.linalg.norm(vectors, axis=-1)
    # Beyond half a turn as such is no fault: a path without leaps goes there. Degrees leap where they are read as
    # radians, and are smooth as what they are.
    if np.isfinite(size).any() and np.nanmedian(size) > np.pi:
        leap, smooth = _mean_step(matrices(vectors)), _mean_step(matrices(np.radians(vectors)))
        if leap > LEAP and smooth < LEAP / 2:
            raise FileFormatError(
                f"{path}: {name!r} holds rotations by {np.nanmedian(size):.2g} (median), which leap from frame to "
                "frame if they are radians; give radians, not degrees (numpy.radians)"
            )
    # Most joints of somebody who walks are bent by a few degrees: the others tell.
    beyond = np.nan_to_num(size[:, 1:]) > 4 * np.pi
    often = beyond.any(axis=1).mean() > BEYOND_TURNS and beyond.any(axis=0).sum() > 2
    if often and _mean_step(matrices(vectors)) > LEAP:
        raise FileFormatError(
            f"{path}: {name!r} has {beyond.any(axis=0).sum()} joints turned by more than two whole turns, one of "
            f"them in {beyond.any(axis=1).mean():.0%} of the frames; give radians, not degrees (numpy.radians)"
        )
    if np.isfinite(size).any() and np.nanmean(np.where(np.isfinite(size), size, np.nan)) > MOST_TURNS:
        raise FileFormatError(f"{path}: {name!r} holds rotations of whole turns on average; give radians, not degrees")
    return vectors


def _mean_step(turns: Array) -> float:
    """Mean angle between a joint's rotations in neighbouring frames [rad]."""
    cosine = 0.5 * (np.einsum("tjab,tjab->tj", turns[1:], turns[:-1]) - 1)
    seen = np.isfinite(cosine)
    return float(np.arccos(np.clip(cosine[seen], -1, 1)).mean()) if seen.any() else 0.0


def _checked(turns: Array, name: str, path: Path) -> Array:
    """Matrices that are rotations but for the digits of a float32, set straight."""
    seen = np.asarray(np.isfinite(turns).all(axis=(-1, -2)))
    own = np.where(seen[..., None, None], turns, np.eye(3))
    u, size, vt = np.linalg.svd(own)
    wrong = (np.abs(size - 1).max(-1) > 1e-3) | (np.linalg.det(own) < 0)
    if wrong.any():
        frame, joint = (int(i) for i in np.argwhere(wrong)[0])
        raise FileFormatError(
            f"{path}: {name!r}: the matrix of joint {joint} in frame {frame} is no rotation; check the file"
        )
    return np.asarray(np.where(seen[..., None, None], u @ vt, np.nan))


def _translation(archive: Archive, path: Path, frames: int, journal: Journal) -> Array:
    name = archive.first(TRANSLATION)
    if name is None:
        journal.warn(
            "the file says nothing about where the person is (trans): the pelvis is taken as held in place, so forces "
            "at the root are wrong wherever it moves",
            path.name,
        )
        return np.zeros((frames, 3))
    values = archive.numbers(name)
    if values.size != 3 * frames or values.shape[-1] != 3:
        raise FileFormatError(
            f"{path}: {name!r} has shape {list(values.shape)}, and the poses have {frames} frames; it needs "
            f"[{frames}, 3]"
        )
    places = values.reshape(frames, 3)
    far = np.linalg.norm(places, axis=1)
    if np.isfinite(far).any() and np.nanmedian(far) > FARTHEST:
        raise FileFormatError(
            f"{path}: {name!r} is {np.nanmedian(far):.0f} from the origin (median), too far for metres; give metres, "
            "not millimetres, and begin near the origin"
        )
    return places


def _rate(archive: Archive, path: Path, fps: float | None, journal: Journal) -> float:
    name = archive.first(RATE)
    own = archive.numbers(name) if name is not None else None
    said = float(own.reshape(-1)[0]) if own is not None and own.size == 1 else None
    if fps is not None:
        if not np.isfinite(fps) or not RATES[0] <= fps <= RATES[1]:
            raise FileFormatError(f"{path}: {fps:g} frames per second are no recording's; give the true rate (--fps)")
        if said is not None and said > 0 and abs(said - fps) > 0.01 * fps:
            journal.assume(f"the file says {said:g} frames per second; the given {fps:g} are used", path.name)
        return fps
    if said is None:
        raise FileFormatError(f"{path}: does not say how many frames per second it has; give them with --fps")
    if not np.isfinite(said) or not RATES[0] <= said <= RATES[1]:
        raise FileFormatError(
            f"{path}: says {said:g} frames per second, which is no rate; give the true one with --fps"
        )
    return said


def _one_shape(betas: Array, journal: Journal, path: Path) -> Array:
    """One person's shape parameters where a file has them by frame: their median."""
    if betas.ndim < 2 or betas.shape[0] == 1:
        return betas.reshape(-1)
    rows = betas.reshape(len(betas), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nanmedian(rows, axis=0)
    if np.nanmax(np.abs(rows - middle), initial=0.0) > 1e-6:
        journal.assume("the shape parameters differ from frame to frame; their medians are used", path.name)
    return np.asarray(middle)


def _sex(archive: Archive, path: Path, journal: Journal) -> Sex:
    name = archive.first(("gender", "sex"))
    if name is None:
        return "unknown"
    word = archive.text(name)
    found = _SEXES.get((word or "").strip().lower())
    if found is None:
        journal.assume(f"its {name} is given as {word!r}; the mean of women and men is used", path.name)
        return "unknown"
    return found


def _positive(archive: Archive, name: str) -> float | None:
    if name not in archive:
        return None
    values = archive.numbers(name)
    return float(values.reshape(-1)[0]) if values.size == 1 and np.isfinite(values).all() else None


def _compare_heights(given: float | None, own: float, journal: Journal, path: Path) -> None:
    if given is not None and abs(given - own) > 0.02 * own:
        journal.warn(f"the model stands {own:.2f} m tall, not {given:.2f} m; its own lengths are used", path.name)
    elif given is None:
        journal.info(f"the model with these shape parameters stands {own:.2f} m tall", path.name)


def _upward(rotations: Array, amass: bool, path: Path, journal: Journal) -> Up:
    """What is up, told by the mean direction of the pelvis's own upward axis in the world."""
    seen = np.asarray(np.isfinite(rotations[:, 0]).all(axis=(1, 2)))
    mean = np.mean(rotations[seen, 0, :, 1], axis=0)
    axis = int(np.abs(mean).argmax())
    own: Up = "z" if amass else "y"
    layout = "AMASS, whose layout this is" if amass else "SMPL itself"
    # A camera's axes have y down, but z is down nowhere: that is somebody upside down.
    if abs(mean[axis]) < UPRIGHT or axis == 0 or (axis == 2 and mean[axis] < 0):
        journal.warn(
            f"the person is hardly ever upright, so that {own} is up is taken from {layout}; say it with --up if it is "
            "not, since gravity depends on it",
            path.name,
        )
        return own
    found: Up = ("-y" if mean[axis] < 0 else "y") if axis == 1 else "z"
    journal.assume(f"{found} is up in the poses' world, as the person stands upright along it", path.name)
    return found


def _say_unseen(poses: Poses, path: Path, journal: Journal) -> None:
    missing = np.flatnonzero(~poses.known)
    if len(missing):
        journal.warn(
            f"{len(missing)} of {len(poses.times)} frames, from frame {missing[0]} at {poses.times[missing[0]]:.2f} s "
            "on, lack numbers; they are kept as missing",
            path.name,
        )
    if len(poses.times) > 1:
        speed = np.linalg.norm(np.diff(poses.translation, axis=0), axis=1) * poses.rate
        if np.isfinite(speed).any() and np.nanmedian(speed) > FASTEST:
            journal.warn(
                f"the root usually moves at {np.nanmedian(speed):.0f} m/s, which nobody does; check that the "
                "translation is in metres and the frame rate right",
                path.name,
            )
