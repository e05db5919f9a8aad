"""`sensors`: from tracks of a few worn sensors to the poses of a whole body, its spread, and on to torques."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import motorque
from motorque.errors import DataError
from motorque.estimators.inpose.bodies import Bodies
from motorque.estimators.inpose.drawing import USUAL, SamplingSettings, refit
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.sensor_units import Units
from motorque.estimators.inpose.sensors import Convention
from motorque.estimators.inpose.tree import JOINTS, RATE
from motorque.files.output import OutputFolder
from motorque.files.smpl_bones import Bones, told_bones
from motorque.files.smpl_poses import write_poses
from motorque.files.tracks import read_tracks
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series.markers import within
from motorque.series.poses import Up
from motorque.series.tracks import Tracks
from motorque.skeleton.anthropometry import Sex
from motorque.workflows.torques import torques_step

Array = NDArray[np.float64]
MISSED = 5.0
"""How far from a sensor a body may be without a word [cm], beside three standard deviations of noise."""


def sensors_step(
    path: str | Path,
    out: str | Path,
    *,
    height: float | None = None,
    bones: str | Path | None = None,
    sex: Sex | None = None,
    mass: float | None = None,
    weights: str | Path | None = None,
    samples: int = 8,
    seed: int = 0,
    settings: SamplingSettings = USUAL,
    up: Up | None = None,
    convention: Convention = "smpl",
    t_pose: float | None = None,
    units: Units | None = None,
    floor: float | None = 0.0,
    bones_error: float | None = None,
    fit_bones: bool | None = None,
    offsets: Mapping[str, Sequence[float]] | None = None,
    offset_error: float = 0.0,
    delays: Mapping[str, float] | None = None,
    start: float | None = None,
    end: float | None = None,
    analyze: bool = False,
    journal: Journal | None = None,
    progress: Progress = silent,
    command: str = "",
) -> Path:
    """`motorque sensors`: a file of tracks in, poses and how sure they are out.

    Args:
        path: The tracks, as :func:`motorque.files.tracks.read_tracks` reads them.
        out: Folder for ``poses.npz`` (the mean of the samples, AMASS's layout), ``std.csv`` (standard deviations of its
            errors by joint and frame, of rotations [deg] and places [cm]), ``summary.json`` and, with ``analyze``,
            ``torques/``.
        height: Stature [m].
        bones: The person's bones, as :func:`motorque.files.smpl_bones.told_bones` reads them; those that it does not
            tell are found as where a height alone is told.
        sex: Whose proportions.
        mass: Body mass [kg], for torques.
        weights: The prior's weights; those that come with motorque if not given.
        samples: How many.
        seed: Of the first.
        settings: How they are drawn.
        up: What is up in the tracks' world; y if None. If it is told, somebody may lie.
        convention: What their rotations are.
        t_pose: A time at which the person stands in the T-pose [s].
        units: Of places; found if not given.
        floor: Height of the floor [m]; None if it is not known.
        bones_error: Standard deviation of each told length [m].
        fit_bones: Whether bones are found from the recording; by default where they are not told, or with an error.
        offsets: Where sensors are in their joints' axes [m], by joint; before those in ``bones``.
        offset_error: How far off that is in each direction [m]; found from the recording if above zero.
        delays: By how much sensors' rows are later than what they show [s], by joint.
        start: First time [s].
        end: Last time [s].
        analyze: Whether `motorque torques` goes on with the poses.
        journal: Every repair, assumption and warning.
        progress: Told how far it is.
        command: The command that repeats it.

    Returns:
        The poses' file, or the report with ``analyze``.

    Raises:
        MotorqueError: An input is wrong; nothing is written then.
    """
    path, out = Path(path), Path(out)
    journal = Journal() if journal is None else journal
    prior = InPose.load(weights)
    tracks = read_tracks(path, journal=journal)
    tracks = _between(tracks, start, end)
    own: Bones | float | None = height
    if bones is not None:
        own = told_bones(bones, height=height, sex=sex, journal=journal)
        offsets = {**own.offsets, **(offsets or {})}
    share = 0.5 if analyze else 1.0
    with OutputFolder(out) as folder:
        drawn = prior.sample(
            tracks,
            own,
            samples,
            seed=seed,
            settings=settings,
            sex=sex or "unknown",
            up=up,
            convention=convention,
            t_pose=t_pose,
            units=units,
            floor=floor,
            bones_error=bones_error,
            fit_bones=fit_bones,
            offsets=offsets,
            offset_error=offset_error,
            delays=delays,
            journal=journal,
            progress=lambda what, done: progress(what, 0.95 * share * done),
        )
        mean = refit(drawn)
        misses = _misses(drawn, mean)
        say_misses(misses, settings, path.name, journal)
        if len(mean.times) < 2:
            raise DataError(f"{path}: lasts less than two frames at 60 Hz; give a longer recording")
        write_poses(folder.path / "poses.npz", mean.poses(mass=mass))
        _write_std(folder.path / "std.csv", drawn)
        about = {
            "motorque": motorque.__version__,
            "command": command,
            "tracks": {"file": path.name, "joints": list(tracks.names), "rows": len(tracks.times)},
            "frames": len(mean.times),
            "rate": RATE,
            "samples": samples,
            "seed": seed,
            "settings": asdict(settings),
            "weights": {key: prior.about[key] for key in ("motorque", "step", "data") if key in prior.about},
            "offsets_m": {name: list(place) for name, place in (offsets or {}).items()},
            "rest_joints_m": np.round(mean.rest, 5).tolist(),
            "rest_std_cm": None if mean.rest_std is None else np.round(100.0 * mean.rest_std, 3).tolist(),
            "std_deg": _by_joint(np.degrees(drawn.standard_deviation)),
            "std_cm": _by_joint(100.0 * drawn.place_standard_deviation),
            "spread_deg": _by_joint(np.degrees(drawn.spread)),
            "spread_cm": _by_joint(100.0 * drawn.place_spread),
            "off_sensors_cm": misses,
            "notices": [asdict(notice) for notice in journal.notices],
        }
        (folder.path / "summary.json").write_text(json.dumps(about, indent=1) + "\n")
    if not analyze:
        return out / "poses.npz"
    journal.info(
        "error bars of torques are of the poses' noise alone; that most of the body is the prior's guess, as std.csv "
        "has it, is not in them",
        path.name,
    )
    return torques_step(
        out / "poses.npz",
        out / "torques",
        mass=mass,
        sex=sex,
        up="y",
        journal=journal,
        progress=lambda what, done: progress(what, share + (1 - share) * done),
        command=command,
    )


def _between(tracks: Tracks, start: float | None, end: float | None) -> Tracks:
    if start is None and end is None:
        return tracks
    kept = within(tracks.times, start, end, tracks.source)
    return Tracks(tracks.times[kept], tracks.names, tracks.positions[kept], tracks.rotations[kept], tracks.source)


def _write_std(path: Path, drawn: Bodies) -> None:
    """A row a frame: time, then for each joint the standard deviation of its rotation [deg] and of its place [cm]."""
    names = [f"{name}_deg" for name in JOINTS] + [f"{name}_cm" for name in JOINTS]
    std = np.degrees(drawn.standard_deviation), 100.0 * drawn.place_standard_deviation
    table = np.column_stack([drawn.times, *std])
    np.savetxt(path, table, fmt="%.5g", delimiter=",", header=",".join(["time", *names]), comments="")


def _by_joint(values: Array) -> dict[str, float | None]:
    """Mean over the times at which it is known, by joint; None where it never is, as in a single sample."""
    found: dict[str, float | None] = {}
    for name, column in zip(JOINTS, values.T, strict=True):
        known = column[np.isfinite(column)]
        found[name] = round(float(known.mean()), 4) if len(known) else None
    return found


def _misses(drawn: Bodies, mean: Bodies) -> dict[str, Any]:
    """How far the result is from where sensors were: mean and 95th percentile by joint [cm]."""
    measured = drawn.measured
    if measured is None:
        return {}
    points, there = measured.points.numpy().astype(np.float64), measured.there.numpy()
    found = {}
    for joint in np.flatnonzero(there.any(axis=0)):
        rows = there[:, joint]
        miss = 100.0 * np.linalg.norm(mean.positions[0, rows, joint] - points[rows, joint], axis=-1)
        found[JOINTS[joint]] = {"mean": round(float(miss.mean()), 4), "p95": round(float(np.percentile(miss, 95)), 4)}
    return found


def say_misses(misses: dict[str, Any], settings: SamplingSettings, source: str, journal: Journal) -> None:
    """Warn where the body is not where a sensor was, beyond what noise explains."""
    joint = max(misses, key=lambda name: float(misses[name]["p95"]), default=None)
    if joint is None or not settings.close or misses[joint]["p95"] < MISSED + 300.0 * settings.noise:
        return
    journal.warn(
        f"the body is {misses[joint]['p95']:.0f} cm off the {joint}'s sensor in a twentieth of the frames or more: "
        "nobody with these bones moves so; check the height or the bones, sensors' clocks, and which is which",
        source,
    )
