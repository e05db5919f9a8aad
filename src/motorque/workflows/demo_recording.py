"""The built-in recording: a person made of numbers walks through a laboratory, so that the demo needs no file.

Everything is generated: a skeleton of its own proportions, a walk after published normative curves, markers put on by a
human hand, cameras with noise that sometimes lose a marker. What is true is known, so a test can compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.files.trc import write_trc
from motorque.mechanics.kinematics import forward_kinematics, marker_positions
from motorque.series import Markers, Motion, Scales
from motorque.skeleton import Skeleton
from motorque.skeleton.anthropometry import with_segment_masses
from motorque.skeleton.fullbody import Sex, fullbody
from motorque.skeleton.marker_sets import match_markers, skeleton_with_markers
from motorque.skeleton.scaling import apply_scales
from motorque.synthesis.stride import Stride, fit_stride

Array = NDArray[np.float64]

MASS = 66.0  # [kg]
SEX: Sex = "f"
# Against the generic skeleton: a broad pelvis, long shanks, narrow shoulders. Left and right are alike.
PROPORTIONS: dict[str, tuple[float, float, float]] = {
    "pelvis": (1.03, 0.99, 1.09),
    "femur": (1.00, 1.02, 1.00),
    "patella": (1.00, 1.02, 1.00),
    "tibia": (1.02, 1.05, 1.02),
    "talus": (0.97, 0.97, 0.97),
    "calcn": (0.97, 0.97, 0.97),
    "toes": (0.97, 0.97, 0.97),
    "torso": (0.95, 0.97, 0.92),
    "humerus": (0.98, 0.98, 0.98),
    "ulna": (1.01, 1.01, 1.01),
    "radius": (1.01, 1.01, 1.01),
    "hand": (0.96, 0.96, 0.96),
}

# Conventional Gait Model: Plug-in Gait for the whole body with more markers on thighs, shanks and great toes
SIDES = ("R", "L")
PAIRED = (
    "ASI", "PSI", "THI", "THAP", "THAD", "KNE", "TIB", "TIAP", "TIAD", "ANK", "HEE", "TOE", "VMH", "HLX",
    "SHO", "UPA", "ELB", "FRM", "WRA", "WRB", "FIN", "FHD", "BHD",
)  # fmt: skip
MIDDLE = ("C7", "T10", "CLAV", "STRN")
STATIC_ONLY = ("KNM", "MED")  # medial knee and ankle come off before the walk
PLACEMENT = {"bony": 0.005, "joint": 0.005, "technical": 0.025}  # how far a hand puts a marker off its place [m]

START = 0.35  # of a stride: the recording begins in mid-stance, as recordings do
RESTLESS = 0.008  # strides; people are no clocks


@dataclass(frozen=True, eq=False)
class DemoTruth:
    """What the recording was made from.

    Args:
        skeleton: The person, with the recording's markers where they really are.
        motion: The true coordinates, at the recording's times.
        mass: Body mass [kg].
        sex: ``f`` or ``m``.
        height: Stature, soles to vertex [m].
        speed: Walking speed [m/s]; 0 for the static trial.
        stride_time: Mean duration of a stride [s]; 0 for the static trial.
        right_contacts: Times at which the right foot is put down [s].
        left_contacts: The same of the left foot.
    """

    skeleton: Skeleton
    motion: Motion
    mass: float
    sex: str
    height: float
    speed: float
    stride_time: float
    right_contacts: tuple[float, ...]
    left_contacts: tuple[float, ...]


def demo_recording(
    *, seed: int = 0, duration: float = 8.0, rate: float = 100.0, noise: float = 0.0012, gaps: int = 14
) -> tuple[Markers, DemoTruth]:
    """The walk.

    Args:
        seed: Of all chance in it: placement of the markers, noise, gaps.
        duration: How long [s].
        rate: Frames per second [Hz].
        noise: Standard deviation of the cameras' noise on every axis [m].
        gaps: How many times a marker is lost, for 0.05 to 0.35 s each.

    Returns:
        Markers in ground (X forward, Y up, the floor at 0), and the truth.
    """
    rng = np.random.default_rng(seed)
    person, stride, placed = _person(), _stride(), _placed(seed)
    times = np.arange(round(duration * rate) + 1) / rate
    # A slow waver of the cadence; all coordinates follow the phase, so that the feet still do not slide.
    waver = RESTLESS * (np.sin(2 * np.pi * 0.21 * times + 1.0) + 0.6 * np.sin(2 * np.pi * 0.47 * times))
    phase = START + times / stride.duration + waver
    q = stride.at(person, phase)
    keep = [name not in {f"{s}{n}" for s in SIDES for n in STATIC_ONLY} for name in placed.marker_names]
    worn = placed.with_markers(
        [m for m, k in zip(placed.markers, keep, strict=True) if k], placed.marker_position[torch.tensor(keep)]
    )
    positions = marker_positions(worn, torch.from_numpy(q)).numpy()
    positions = positions + rng.normal(0.0, noise, positions.shape)
    _lose(positions, rng, rate, gaps)
    truth = DemoTruth(
        worn,
        Motion(times, q, person.coordinate_names),
        MASS,
        SEX,
        _stature(),
        stride.length / stride.duration,
        stride.duration,
        _contacts(times, phase),
        _contacts(times, phase + 0.5),
    )
    return Markers(times, positions, worn.marker_names), truth


def demo_static(
    *, seed: int = 0, duration: float = 2.0, rate: float = 100.0, noise: float = 0.0012
) -> tuple[Markers, DemoTruth]:
    """The same person with the same markers, and the medial ones, standing; see :func:`demo_recording`."""
    rng = np.random.default_rng([seed, 1])
    placed = _placed(seed)
    times = np.arange(round(duration * rate) + 1) / rate
    q = np.tile(_standing().numpy(), (len(times), 1))
    # Nobody stands still: the body sways about the ankles by a few tenths of a degree.
    sway = np.radians(0.25) * np.sin(2 * np.pi * 0.3 * times)
    for side in "rl":
        q[:, placed.coordinate(f"ankle_angle_{side}")] += sway
    q[:, placed.coordinate("pelvis_tilt")] -= sway
    q = _feet_on_floor(placed, torch.from_numpy(q)).numpy()
    positions = marker_positions(placed, torch.from_numpy(q)).numpy()
    positions = positions + rng.normal(0.0, noise, positions.shape)
    truth = DemoTruth(placed, Motion(times, q, placed.coordinate_names), MASS, SEX, _stature(), 0.0, 0.0, (), ())
    return Markers(times, positions, placed.marker_names), truth


def write_demo(folder: str | Path, *, seed: int = 0) -> dict[str, Path]:
    """Write the walk and the static trial into an existing folder.

    Returns:
        The paths of ``walk`` (walk.trc) and ``static`` (static.trc).
    """
    paths = {"walk": Path(folder) / "walk.trc", "static": Path(folder) / "static.trc"}
    write_trc(paths["walk"], demo_recording(seed=seed)[0])
    write_trc(paths["static"], demo_static(seed=seed)[0])
    return paths


@lru_cache(maxsize=1)
def _person() -> Skeleton:
    generic = fullbody()
    factors = [PROPORTIONS[b[:-2] if b.endswith(("_r", "_l")) else b] for b in generic.body_names]
    return with_segment_masses(apply_scales(generic, Scales(generic.body_names, np.array(factors))), mass=MASS, sex=SEX)


@lru_cache(maxsize=1)
def _stride() -> Stride:
    return fit_stride(_person())


@lru_cache(maxsize=4)
def _placed(seed: int) -> Skeleton:
    """The person with the recording's markers, each a little off its landmark as a hand puts it."""
    names = [f"{s}{n}" for n in (*PAIRED, *STATIC_ONLY) for s in SIDES] + list(MIDDLE)
    match = match_markers(names)
    skeleton = skeleton_with_markers(_person(), match)
    rng = np.random.default_rng([seed, 2])
    spread = np.array([PLACEMENT[mark.kind] for mark in match.landmarks])[:, None]
    off = torch.from_numpy(rng.normal(0.0, 1.0, (len(names), 3)) * spread)
    return skeleton.with_markers(skeleton.markers, skeleton.marker_position + off)


def _standing() -> torch.Tensor:
    """Relaxed upright stance, arms a little away from the body, soles flat [rad, m], shape [nq]."""
    person = _person()
    q = person.default_pose.clone()
    for name, degrees in (
        ("pelvis_tilt", -6.0), ("lumbar_extension", 4.0), ("hip_flexion", 8.0), ("hip_adduction", -2.0),
        ("knee_angle", 4.0), ("ankle_angle", 2.0), ("arm_flex", 5.0), ("arm_add", -20.0), ("elbow_flex", 25.0),
        ("pro_sup", 60.0),
    ):  # fmt: skip
        for full in (name, f"{name}_r", f"{name}_l"):
            if full in person.coordinate_names:
                q[person.coordinate(full)] = np.radians(degrees)
    return _feet_on_floor(person, person.couple(q)[None])[0]


def _feet_on_floor(skeleton: Skeleton, q: torch.Tensor) -> torch.Tensor:
    """The poses moved up or down until the lowest sphere touches the floor; shape [T, nq]."""
    up = skeleton.coordinate("pelvis_ty")
    q = q.clone()
    q[:, up] -= _lowest(skeleton, q)
    return q


def _lowest(skeleton: Skeleton, q: torch.Tensor) -> torch.Tensor:
    poses = forward_kinematics(skeleton, q)
    heights = [
        poses.point(s.body, torch.tensor(s.center, dtype=q.dtype))[:, 1] - s.radius for s in skeleton.contact_spheres
    ]
    return torch.stack(heights).min(dim=0).values


def _stature() -> float:
    person = _person()
    q = _feet_on_floor(person, person.default_pose[None])
    top = marker_positions(person, q)[0, person.marker_names.index("head_top"), 1]
    return round(float(top), 3)


def _contacts(times: Array, phase: Array) -> tuple[float, ...]:
    """When a phase passes whole numbers [s]."""
    whole = np.arange(np.ceil(phase[0]), np.floor(phase[-1]) + 1)
    return tuple(float(t) for t in np.interp(whole, phase, times))


def _lose(positions: Array, rng: np.random.Generator, rate: float, gaps: int) -> None:
    """Take markers out for a while, in place."""
    frames, markers = positions.shape[:2]
    for _ in range(gaps):
        length = min(frames, max(1, round(rng.uniform(0.05, 0.35) * rate)))
        start = int(rng.integers(0, frames - length + 1))
        positions[start : start + length, int(rng.integers(markers))] = np.nan
