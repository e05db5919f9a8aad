"""Do 90 % bands behind SMPL poses hold 90 % of the truth? Prints a table and writes JSON.

    python benchmarks/pose_coverage.py [--data FOLDER] [--draws 10] [--frames 240] [--only NAME ...] [--json FILE]

Noise that the program is not told is added to poses whose truth is known, and the chain of `torques` runs on them
(automatic smoothing with a low-pass of 6 Hz over it, differences, contact found in the motion, inverse dynamics),
bands included. A sample is one frame of one curve in one draw; it counts as covered if the truth lies within 1.645
standard deviations. Every frame counts, the first and the last too. Truth: the same chain on the clean poses, not
smoothed.

The generated walk has no noise of its own. CMU's recordings (every fourth frame: 30 Hz) do, markers' noise twice
differentiated: their torques are compared a second time with the truth's own standard deviation, as the program finds
it for the clean recording, added in squares.

Noise: white, 0.01 and 0.05 rad per component with 2 and 5 mm of the root's place; lasting (first-order, 0.1 s,
0.05 rad); realistic (`studies.noise.models.Realistic`: more at the ends, along the camera's axis, half of it lasting
0.1 s, with 1 cm of the root's place). No number was set by CMU's recordings; that the sharing between the feet is in
the band was decided after a first look at all of them, in which forces of the feet were held in 36 to 92 %.

Torques: all but the root's, where loads found in the motion leave nothing. Loads: force of each foot where either the
truth or the result has more than 20 N. Intervals: 90 %, of the mean over draws.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch

from motorque.errors import MotorqueError
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.load_poses import load_poses
from motorque.fitting.pose_ceiling import under_ceiling
from motorque.fitting.pose_smoothing import smooth_poses
from motorque.journal import Journal
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.series import Loads, Motion, Poses
from motorque.signals.rotation_vectors import without_leaps
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import SMPL_JOINTS, smpl, smpl_positions
from motorque.skeleton.smpl_names import anatomical_name, with_anatomical_names
from motorque.studies.noise.models import AR1, NoiseModel, Realistic, White, noisy_rotations
from motorque.synthesis.smpl_walk import smpl_walk
from motorque.uncertainty.bands import Bands
from motorque.uncertainty.smpl_bands import bands_of_poses
from motorque.workflows.torques import in_smpls_world
from motorque.workflows.trial_loads import wrenches_on_bodies

WITHIN = 1.6449
CARRYING = 20.0
RATE = 30.0
WALKS = ("35/35_01", "02/02_01", "01/01_01")
NOISES: dict[str, NoiseModel] = {
    "white 0.01": White(0.01, translation=0.002),
    "white 0.05": White(0.05, translation=0.005),
    "lasting": AR1(0.05, lasts=0.1),
    "realistic": Realistic(translation=0.01),
}


@dataclasses.dataclass(frozen=True)
class Result:
    """What the chain makes of poses."""

    motion: Motion
    torques: np.ndarray
    loads: Loads | None


@dataclasses.dataclass(frozen=True)
class Body:
    """A person at one frame rate."""

    layer: SMPLDynamics
    skeleton: Skeleton

    @staticmethod
    def of(poses: Poses) -> Body:
        joints = None if poses.joint_positions is None else torch.tensor(poses.joint_positions)
        size = {
            "mass": poses.mass or 70.0,
            "height": poses.height if joints is None else None,
            "joint_positions": joints,
        }
        layer = SMPLDynamics(fps=poses.rate, sex=poses.sex, **size)
        return Body(layer, with_anatomical_names(smpl(sex=poses.sex, rotations="axis-angle", **size)))

    def result(self, poses: Poses, *, contact: bool) -> Result:
        moving = self.layer.rates(torch.as_tensor(poses.rotations), torch.as_tensor(poses.translation), poses.rate)
        vectors = without_leaps(poses.rotation_vectors)
        q = smpl_positions(torch.as_tensor(vectors), torch.as_tensor(poses.translation)).numpy()
        motion = Motion(poses.times, q, self.skeleton.coordinate_names)
        loads = estimate_ground_loads(self.skeleton, motion, cutoff=None, journal=Journal()) if contact else None
        wrenches = None
        if loads is not None:
            turn = self.layer.skeleton().parent_rotation[0]
            names = {anatomical_name(joint): joint for joint in SMPL_JOINTS}
            wrenches = {names[n]: (f @ turn, m @ turn) for n, (f, m) in wrenches_on_bodies(loads).items()}
        return Result(motion, self.layer.from_rates(moving, wrenches).tau.numpy(), loads)


def bands_of(body: Body, poses: Poses, *, contact: bool) -> tuple[Result, Bands]:
    smoothed = under_ceiling(smooth_poses(poses))
    result = body.result(smoothed.poses, contact=contact)
    bands = bands_of_poses(
        body.skeleton, smoothed, motion=result.motion, torques=result.torques, loads=result.loads, estimated=contact,
        same=True,
    )  # fmt: skip
    return result, bands


def covered(body: Body, clean: Poses, noise: NoiseModel, draws: int, contact: bool) -> dict[str, object]:
    truth = body.result(clean, contact=contact)
    own = bands_of(body, clean, contact=contact)[1] if clean.source != "generated walk" else None
    drawn = noise.draw(clean, draws, seed=11)
    rotations, places = (np.asarray(x) for x in noisy_rotations(clean, drawn))
    held: dict[str, list[np.ndarray]] = {"angles": [], "torques": [], "torques, truth's own": [], "loads": []}
    rows = slice(6, None) if contact else slice(None)
    for k in range(draws):
        noisy = dataclasses.replace(clean, rotations=rotations[k], translation=places[k])
        result, bands = bands_of(body, noisy, contact=contact)
        error = np.abs(result.motion.values - truth.motion.values)
        held["angles"].append((error < WITHIN * bands.angles).mean(0))
        error = np.abs(result.torques - truth.torques)[:, rows]
        held["torques"].append((error < WITHIN * bands.torques[:, rows]).mean(0))
        if own is not None:
            both = np.hypot(bands.torques, own.torques)[:, rows]
            held["torques, truth's own"].append((error < WITHIN * both).mean(0))
        if result.loads is not None and truth.loads is not None:
            feet = []
            for load in result.loads.loads:
                other = next(x for x in truth.loads.loads if x.name == load.name)
                on = (load.force[:, 1] > CARRYING) | (other.force[:, 1] > CARRYING)
                feet.append((np.abs(load.force - other.force) < WITHIN * bands.loads[load.name].force)[on].mean(0))
            held["loads"].append(np.mean(feet, axis=0))
    found: dict[str, object] = {}
    for name, rates in held.items():
        if rates:
            each = np.array([x.mean() for x in rates])
            half = WITHIN * each.std(ddof=1) / np.sqrt(draws) if draws > 1 else np.nan
            found[name] = {"mean": float(each.mean()), "half": float(half), "by curve": np.mean(rates, axis=0).tolist()}
    return found


def recordings(data: Path | None, frames: int) -> list[Poses]:
    found = [smpl_walk(frames=frames, rate=RATE)]
    for name in WALKS if data is not None else ():
        assert data is not None
        path = data / "cmu" / "asfamc" / f"{name}.amc"
        if not path.is_file():
            continue
        poses = load_poses(path, skeleton=path.parent / f"{path.parent.name}.asf", journal=Journal())
        poses = poses.frames(slice(0, None, round(poses.rate / RATE)))
        found.append(dataclasses.replace(in_smpls_world(poses.frames(slice(0, frames))), source=path.stem))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--only", nargs="*", help="names of recordings")
    parser.add_argument("--contact", choices=("found", "none"), nargs="*", default=("found", "none"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print(
        f"{'recording':16}{'contact':9}{'noise':12}{'angles':>14}{'torques':>14}{'with own':>14}{'loads':>14}{'s':>6}"
    )
    for clean in recordings(options.data, options.frames):
        if options.only and clean.source not in options.only:
            continue
        body = Body.of(clean)
        for contact in (way == "found" for way in options.contact):
            for name, noise in NOISES.items():
                start = time.perf_counter()
                try:
                    found = covered(body, clean, noise, options.draws, contact)
                except MotorqueError as error:
                    print(f"{clean.source:16}{'found' if contact else 'none':9}{name:12}  {error}")
                    continue
                cells = [found.get(k) for k in ("angles", "torques", "torques, truth's own", "loads")]
                text = "".join(
                    f"{'–':>14}" if c is None else f"{100 * c['mean']:7.1f} ± {100 * c['half']:3.1f} " for c in cells
                )  # type: ignore[index]
                took = time.perf_counter() - start
                print(f"{clean.source:16}{'found' if contact else 'none':9}{name:12}{text}{took:6.0f}", flush=True)
                rows.append({"recording": clean.source, "contact": contact, "noise": name, **found})
    if options.json:
        options.json.write_text(json.dumps({"draws": options.draws, "frames": options.frames, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
