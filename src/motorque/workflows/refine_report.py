"""What `refine` tells of its work: torques and error bars before and after, joint by joint, for page and summary."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.pose_chart import vectors_of
from motorque.fitting.pose_smoothing import SmoothedPoses, smooth_poses
from motorque.fitting.refine_motion import RefinedMotion
from motorque.journal import Journal
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.mechanics.twists import coordinate_bodies
from motorque.report.analysis import Analysis, Subject
from motorque.report.refinement import Changed, Refinement, overall, refinement_page
from motorque.series import Kinetics, Loads, Motion, Poses
from motorque.signals.differences import central_differences
from motorque.signals.pose_rates import CentralDifferences
from motorque.skeleton.skeleton import GROUND, Skeleton
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.uncertainty.bands import Bands
from motorque.uncertainty.coordinate_bands import bands_of_refined, forces_of
from motorque.uncertainty.smpl_bands import OWN_WAY, bands_of_poses
from motorque.workflows.clock import Clock, versions
from motorque.workflows.inverse_dynamics import say_loops
from motorque.workflows.recording import input_file
from motorque.workflows.torques import coordinates_of, ground_contact, in_smpls_world, loads_in_world, person_of
from motorque.workflows.trial_loads import wrenches_on_bodies

Array = NDArray[np.float64]

METHODS = {
    "mechanics": "Refined to the most probable poses, given the noise found, torques that bend little and feet that "
    "stay where they stand.",
    "smooth": "Smoothed as the noise and the movement found in the recording ask for, joints together as the body’s "
    "inertia ties them.",
    "adam": "Refined by 200 steps of Adam down SMPL-Dynamics’ loss (smooth torques, limited torques, poses near the "
    "given ones).",
}
MOTION_METHODS = {
    "mechanics": "Smoothed as the noise and the movement found in the recording ask for, with feet that stay where "
    "they stand.",
    "smooth": "Smoothed as the noise and the movement found in the recording ask for.",
}
"""What each method does to poses and to motions of models, in a sentence."""

MECHANICS = "refinement"
"""Source of error bars: how far the method went from what noise and movement alone ask for."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a refinement comes from.

    Args:
        path: The recording.
        files: All that was read, with what it was used as.
        method: One of `refine.METHODS`.
        settings: Everything that was chosen.
        command: The command that repeats it.
        clock: Seconds per step.
    """

    path: Path
    files: Sequence[tuple[str | Path | None, str]]
    method: str
    settings: Mapping[str, object]
    command: str
    clock: Clock


def refined_poses_told(
    given: Poses, refined: Poses, found: SmoothedPoses | None, origin: Origin, journal: Journal
) -> Refinement:
    """Poses before and after, with torques under the ground forces that are found in the refined ones.

    Args:
        given: The noisy poses.
        refined: What became of them, in the same world.
        found: What noise was found, if anything looked for it.
        origin: Where all this comes from.
        journal: What was assumed of the person, and of the ground.
    """
    old, new = in_smpls_world(given), in_smpls_world(refined)
    layer, skeleton = person_of(new, "none", journal)
    motion = Motion(new.times, coordinates_of(new), skeleton.coordinate_names)
    before = Motion(new.times, _beside(coordinates_of(old), motion.values), skeleton.coordinate_names)
    loads = _ground(skeleton, motion, origin.method, journal)
    wrenches = None if loads is None else loads_in_world(wrenches_on_bodies(loads), layer)
    results = [
        layer.from_rates(CentralDifferences()(torch.tensor(x.rotations), torch.tensor(x.translation), x.rate), wrenches)
        for x in (old, new)
    ]
    torques = [Kinetics(motion.times, x.tau.detach().numpy(), motion.names) for x in results]
    bands = _bands_of_poses(skeleton, old, motion, torques[1], loads, origin.method, journal)
    analysis = _analysis(
        skeleton,
        Subject(skeleton.total_mass(), height=given.height, sex=given.sex),
        motion,
        (results[1].motion.v.detach().numpy(), results[1].motion.a.detach().numpy()),
        (torques[1], loads, bands),
        origin,
        journal,
        "Components of each joint’s rotation vector in the axes of its parent, from SMPL poses.",
    )
    turned = vectors_of(refined.rotations @ given.rotations.swapaxes(-1, -2))
    change = np.concatenate([turned, (refined.translation - given.translation)[:, None]], axis=1)
    noise = np.full((25, 3), np.nan)
    if found is not None:
        noise = np.concatenate([found.noise.joints, found.noise.translation[None]])
    # Coordinates: the root's turn, its place, then the joints' turns.
    columns = {joint: range(0, 3) if n == 0 else range(3 * n + 3, 3 * n + 6) for n, joint in enumerate(SMPL_JOINTS)}
    columns["place of the pelvis"] = range(3, 6)
    kinds = [(n < 24, n in (0, 24)) for n in range(25)]
    moved = np.sqrt((change**2).sum(-1).mean(0))
    changed = _changed(columns, kinds, noise, moved, analysis.motion, torques)
    said = "" if found is None else found.noise.sentence()
    return Refinement(analysis, before, torques[0], changed, said, METHODS[origin.method])


def _bands_of_poses(
    skeleton: Skeleton,
    given: Poses,
    motion: Motion,
    torques: Kinetics,
    loads: Loads | None,
    method: str,
    journal: Journal,
) -> Bands | None:
    """What smoothing leaves open, and how far another method went from there."""
    try:
        smoothed = smooth_poses(given)
    except DataError as error:
        journal.warn(f"nothing tells the noise of the poses, so there are no error bars: {error}", "error bars")
        return None
    bands = bands_of_poses(
        skeleton,
        smoothed,
        motion=motion,
        torques=torques.values,
        loads=loads,
        estimated=loads is not None,
        same=method == "smooth",
    )
    if OWN_WAY not in bands.included:
        return bands
    size = float(np.sqrt(np.median(bands.by_source[OWN_WAY]["torques"][6:] ** 2)))
    far = f"how far it took the poses from what noise and movement alone ask for: {size:.2g} N·m of a typical torque"
    named = {(MECHANICS if k == OWN_WAY else k): v for k, v in bands.by_source.items()}
    included = {(MECHANICS if k == OWN_WAY else k): (far if k == OWN_WAY else v) for k, v in bands.included.items()}
    return dataclasses.replace(bands, by_source=named, included=included)


def _beside(vectors: Array, others: Array) -> Array:
    """The same positions [T, 75] by rotation vectors as near as can be to those of others."""
    turns = np.r_[0:3, 6:75]
    own, other = (x[:, turns].reshape(len(x), -1, 3) for x in (vectors, others))
    angle = np.linalg.norm(own, axis=-1, keepdims=True)
    axis = own / np.maximum(angle, 1e-9)
    whole = np.round(((other - own) * axis).sum(-1, keepdims=True) / (2 * np.pi))
    found = vectors.copy()
    found[:, turns] = (own + 2 * np.pi * whole * axis).reshape(len(own), -1)
    return found


def refined_motion_told(
    skeleton: Skeleton, given: Motion, found: RefinedMotion, origin: Origin, journal: Journal
) -> Refinement:
    """A model's motion before and after, likewise.

    Args:
        skeleton: The model.
        given: The noisy motion.
        found: What became of it.
        origin: Where all this comes from.
        journal: What was assumed of the ground.
    """
    motion, values = found.motion, given.values.copy()
    turning = [n for n, c in enumerate(skeleton.coordinates) if c.rotational]
    values[:, turning] += 2 * np.pi * np.round((motion.values - values)[:, turning] / (2 * np.pi))
    before = Motion(given.times, values, given.names)
    say_loops(skeleton, journal)
    loads = _ground(skeleton, motion, origin.method, journal)
    torques = [Kinetics(x.times, forces_of(skeleton, x, loads), motion.names) for x in (before, motion)]
    bands = bands_of_refined(skeleton, found.windows, motion, loads=loads)
    analysis = _analysis(
        skeleton,
        Subject(skeleton.total_mass(), "the model’s"),
        Motion(motion.times, motion.values, motion.names),
        central_differences(motion.values, 1.0 / motion.rate),
        (torques[1], loads, bands),
        origin,
        journal,
        f"The coordinates of {skeleton.name}, as {origin.path.name} has them.",
    )
    free, bodies = list(skeleton.free_coordinates), coordinate_bodies(skeleton)
    changed = _changed(
        {motion.names[c]: [c] for c in free},
        [(skeleton.coordinates[c].rotational, skeleton.parents[bodies[c]] == GROUND) for c in free],
        found.noise[free][:, None],
        np.sqrt(((motion.values - values)[:, free] ** 2).mean(0)),
        analysis.motion,
        torques,
    )
    return Refinement(analysis, before, torques[0], changed, found.sentence(skeleton), MOTION_METHODS[origin.method])


def _ground(skeleton: Skeleton, motion: Motion, method: str, journal: Journal) -> Loads | None:
    """Ground forces found in a motion, or None, said."""
    own = Journal()
    loads = ground_contact(skeleton, motion, False, own)
    for notice in own.notices:
        # Refinement has told of the ground, which it found in the same way for the feet that stand.
        if notice.kind != "assumption" or method != "mechanics":
            journal.add(notice.kind, notice.text, notice.about)
    return loads


def _analysis(
    skeleton: Skeleton,
    subject: Subject,
    motion: Motion,
    rates: tuple[Array, Array],
    results: tuple[Kinetics, Loads | None, Bands | None],
    origin: Origin,
    journal: Journal,
    angles_from: str,
) -> Analysis:
    kinetics, loads, bands = results
    if bands is not None:
        motion, kinetics = bands.on_motion(motion), bands.on_kinetics(kinetics)
        loads = None if loads is None else bands.on_loads(loads)
    body = forward_kinematics(skeleton, torch.as_tensor(motion.values))
    return Analysis(
        title=origin.path.stem,
        skeleton=skeleton,
        subject=subject,
        motion=motion,
        velocity=rates[0],
        acceleration=rates[1],
        body_rotation=body.rotation.numpy(),
        body_position=body.position.numpy(),
        center_of_mass=center_of_mass(skeleton, body).numpy(),
        loads=loads,
        kinetics=kinetics,
        inputs=tuple(input_file(Path(path), role) for path, role in origin.files if path is not None),
        settings={
            "method": origin.method,
            **origin.settings,
            "draws": 0 if bands is None else bands.draws,
            "seed": 0 if bands is None else bands.seed,
            "start_s": float(motion.times[0]),
            "end_s": float(motion.times[-1]),
        },
        versions=versions(),
        command=origin.command,
        journal=journal,
        timings=origin.clock.seconds,
        bands=bands,
        angles_from=angles_from,
    )


def _changed(
    columns: Mapping[str, Sequence[int]],
    kinds: Sequence[tuple[bool, bool]],
    noise: Array,
    change: Array,
    motion: Motion,
    torques: Sequence[Kinetics],
) -> tuple[Changed, ...]:
    """What happened, by name, in whose order are ``kinds`` (angular, of the root), ``noise`` [N, components] and
    ``change`` [N].
    """

    def size(values: Array) -> float:
        return float(np.sqrt((values**2).sum(-1).mean()))

    rows = []
    for n, (name, which) in enumerate(columns.items()):
        own = [x.values[:, list(which)] for x in torques]
        step = 1.0 / motion.rate
        bend = [np.diff(x, n=2, axis=0) / step**2 for x in own]
        rows.append(
            Changed(
                name,
                *kinds[n],
                float(np.sqrt(np.mean(noise[n] ** 2))),
                float(change[n]),
                float("nan") if motion.std is None else float(np.sqrt(np.mean(motion.std[:, list(which)] ** 2))),
                (size(own[0]), size(own[1])),
                (size(bend[0]), size(bend[1])),
            )
        )
    return tuple(rows)


def write_refinement(folder: Path, found: Refinement, summary: Mapping[str, Any]) -> None:
    """Write ``report.html`` and ``summary.json``.

    Args:
        folder: Where to.
        found: The refinement.
        summary: What its own kind has to say, ready for JSON; the rest is added.
    """
    a = found.analysis
    turned = [c for c in found.changed if c.angular and not c.root]
    torque, rough = (overall([getattr(c, name) for c in turned]) for name in ("torque", "roughness"))
    told = {
        **summary,
        "noise_in_words": found.noise,
        "torques": {
            "ground_forces": "none" if a.loads is None else "found in the refined motion",
            "rms_before": torque[0],
            "rms_after": torque[1],
            "roughness_before_per_s2": rough[0],
            "roughness_after_per_s2": rough[1],
            "units": "N·m, of the second derivative N·m/s²; N for what moves along a line",
            "by_joint": {
                c.name: {
                    "rms_before": c.torque[0],
                    "rms_after": c.torque[1],
                    "roughness_before_per_s2": c.roughness[0],
                    "roughness_after_per_s2": c.roughness[1],
                }
                for c in found.changed
            },
        },
        "std_after_rad_or_m": {c.name: c.std for c in found.changed},
        "bands": None
        if a.bands is None
        else {"method": a.bands.method, "included": dict(a.bands.included), "excluded": dict(a.bands.excluded)},
        "settings": dict(a.settings),
        "inputs": [{"path": f.path, "role": f.role, "sha256": f.sha256} for f in a.inputs],
        "versions": dict(a.versions),
        "command": a.command,
        "notices": [{"kind": n.kind, "text": n.text, "about": n.about} for n in a.journal.notices],
    }
    # What is not known is null: JSON knows no NaN.
    text = json.dumps(_known(told), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "summary.json").write_bytes(text.encode("utf-8", errors="backslashreplace"))
    (folder / "report.html").write_bytes(refinement_page(found).encode("utf-8", errors="backslashreplace"))


def _known(value: Any) -> Any:
    """The same with None for numbers that are not known."""
    if isinstance(value, Mapping):
        return {str(k): _known(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_known(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
