"""A walk generated from published normative curves: the feet stay where they are put down and the body obeys gravity.

Normative curves are means over many people whose feet, measured apart from each other, would slide and sink if they
were simply played on one skeleton. So one stride is fitted: leg angles and the pelvis' path as Fourier series that stay
close to the curves while the feet roll over the ground without slipping, the swinging foot clears it, and the centre of
mass accelerates as the normative ground forces ask. Left and right are each other's mirror image half a stride apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.series.normative_gait import normative
from motorque.skeleton import Skeleton

Array = NDArray[np.float64]

HARMONICS = 8
SAMPLES = 64  # over one stride; twice what the highest harmonic needs for velocities

# Leg coordinates that are fitted, and how far they may go from their curve [deg]: a third to a half of the spread
# between people; subtalar and toe angles have no curve and stay near 0.
LEG: dict[str, float] = {
    "hip_flexion": 2.5,
    "hip_adduction": 1.5,
    "hip_rotation": 3.0,
    "knee_angle": 2.5,
    "ankle_angle": 2.5,
    "subtalar_angle": 3.0,
    "mtp_angle": 9.0,
}
STRIDE = 0.79  # of the stature: the natural stride of adults, Winter 1991; may be off by 2 cm

# When each sphere of the foot carries load: from, to [fraction of the stride]. After Perry and Burnfield 2010, chapter
# 4: heel contact to heel rise at 31 %, foot flat from 8 %, forefoot until 55 %, toes until toe-off at 62 %.
LOADED: dict[str, tuple[float, float]] = {
    "s1": (0.00, 0.33),
    "s4": (0.07, 0.38),
    "s2": (0.09, 0.53),
    "s3": (0.08, 0.50),
    "s5": (0.13, 0.60),
    "s6": (0.12, 0.57),
}
SWING = (0.66, 0.96)
LEG_SHARE = 0.8096 / 1.70  # thigh and shank of the stature, in the generic skeleton
CLEARANCE = 0.012  # least height of a sphere over the ground in swing [m]; Winter 1992: 13 mm under the toe
PRESSED = 0.002  # how far a loaded sphere sinks in [m]

# Trunk and arms against the stride of the right foot: mean, and cosine amplitude and phase of the first or second
# harmonic. Arms after Murray, Sepic, Barnard 1967 (Phys Ther 47: 272-284): shoulder 24 degrees back to 8 forward, elbow
# 20 to 40; thorax after Crosbie, Vachalathiti, Smith 1997 (Gait Posture 5: 6-12): it leans over the standing leg by 2
# degrees and turns against the pelvis.
ARM = {  # coordinate: mean, amplitude [deg], the share of the stride by which it is late
    "arm_flex": (-8.0, -16.0, 0.0),
    "arm_add": (-9.0, -1.0, 0.0),
    "arm_rot": (0.0, 3.0, 0.0),
    "elbow_flex": (28.0, -10.0, 0.05),
    "pro_sup": (65.0, 0.0, 0.0),
}
THORAX_LEAN = -3.0  # forward [deg]
THORAX_SWAY = 2.0  # over the standing leg [deg]
THORAX_TURN = -0.6  # of the pelvis' own rotation


@dataclass(frozen=True, eq=False)
class Stride:
    """One periodic stride of a skeleton, from a right initial contact to the next.

    Args:
        values: Coordinates at ``SAMPLES`` equal steps; the forward one without the steady advance, shape [SAMPLES, nq].
        length: How far the body gets in one stride [m].
        duration: How long it takes [s].
    """

    values: Array
    length: float
    duration: float

    def at(self, skeleton: Skeleton, phase: Array) -> Array:
        """Coordinates [rad, m] at phases counted in strides, which may exceed 1; shape [T, nq]."""
        spectrum = np.fft.rfft(self.values, axis=0) / SAMPLES
        order = np.arange(len(spectrum))
        weight = np.where((order == 0) | (order == SAMPLES // 2), 1.0, 2.0)
        waves = np.exp(2j * np.pi * np.outer(phase, order)) * weight
        q = np.real(waves @ spectrum)
        q[:, skeleton.coordinate("pelvis_tx")] += self.length * phase
        return q


def fit_stride(skeleton: Skeleton, *, duration: float = 1.04, iterations: int = 10) -> Stride:
    """Fit one stride to a skeleton.

    Args:
        skeleton: The built-in skeleton, of any size but alike on both sides.
        duration: Stride time [s]; 1.04 s are 115 steps a minute, a free cadence of adults.
        iterations: Gauss-Newton steps at most; it stops when one gains less than a thousandth.
    """
    problem = _Problem(skeleton, duration)
    x = problem.start()
    damping = 1e-3
    residual = problem.residuals(x[None])[0]
    for _ in range(iterations):
        jacobian = problem.jacobian(x, residual)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ residual
        before = residual @ residual
        for _ in range(6):  # Levenberg-Marquardt: shorter steps until one helps
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), -gradient)
            trial = problem.residuals((x + step)[None])[0]
            if trial @ trial < residual @ residual:
                x, residual, damping = x + step, trial, damping / 4
                break
            damping *= 6
        if residual @ residual > 0.999 * before:
            break
    q, length = problem.coordinates(x[None])
    return Stride(q[0], float(length[0]), duration)


class _Problem:
    """Unknowns are Fourier coefficients: the right leg's seven angles, then the pelvis' forward, up and sideward
    path.
    """

    def __init__(self, skeleton: Skeleton, duration: float) -> None:
        self.skeleton, self.duration = skeleton, duration
        self.phase = np.arange(SAMPLES) / SAMPLES
        self.base = self._base_motion()
        angle = 2 * np.pi * np.outer(self.phase, np.arange(1, HARMONICS + 1))
        cosine, sine = np.cos(angle), np.sin(angle)
        self.leg_basis = np.hstack([np.ones((SAMPLES, 1)), cosine, sine])
        even, odd = np.arange(1, HARMONICS, 2), np.arange(0, HARMONICS, 2)  # columns of even and odd harmonics
        self.forward_basis = np.hstack([cosine[:, even], sine[:, even]])
        self.up_basis = np.hstack([np.ones((SAMPLES, 1)), cosine[:, even], sine[:, even]])
        self.side_basis = np.hstack([cosine[:, odd], sine[:, odd]])
        self.sizes = [self.leg_basis.shape[1]] * len(LEG) + [
            b.shape[1] for b in (self.forward_basis, self.up_basis, self.side_basis)
        ]
        self.spheres = [s for s in skeleton.contact_spheres if s.name.endswith("_r")]
        self.force = self._wanted_acceleration()
        legs = -float(
            skeleton.parent_position[skeleton.body("tibia_r"), 1]
            + skeleton.parent_position[skeleton.body("talus_r"), 1]
        )
        self.length = STRIDE * legs / LEG_SHARE

    def _base_motion(self) -> Array:
        """Pelvis rotation, trunk and arms [rad], and the legs' curves, shape [SAMPLES, nq]."""
        q = np.tile(self.skeleton.default_pose.numpy(), (SAMPLES, 1))
        half = SAMPLES // 2

        def curve(name: str) -> Array:
            mean = np.radians(normative(name).mean)
            mean = mean - np.linspace(0, 1, 101) * (mean[-1] - mean[0])  # the two contacts of a stride are alike
            return np.interp(self.phase * 100, np.arange(101), mean)

        def put(name: str, values: Array | float) -> None:
            q[:, self.skeleton.coordinate(name)] = values

        tilt, tilted, turned = curve("pelvis_tilt"), curve("pelvis_list"), curve("pelvis_rotation")
        tilt = 0.5 * (tilt + np.roll(tilt, half))
        tilted, turned = (0.5 * (c - np.roll(c, half)) for c in (tilted, turned))
        put("pelvis_tilt", tilt)
        put("pelvis_list", tilted)
        put("pelvis_rotation", turned)
        put("lumbar_extension", np.radians(THORAX_LEAN) - tilt)
        put("lumbar_bending", np.radians(THORAX_SWAY) * np.sin(2 * np.pi * (self.phase - 0.05)) - tilted)
        put("lumbar_rotation", (THORAX_TURN - 1) * turned)
        for side, shift in (("r", 0.0), ("l", 0.5)):
            for name, (mean, amplitude, late) in ARM.items():
                wave = np.cos(2 * np.pi * (self.phase + shift - late))
                put(f"{name}_{side}", np.radians(mean + amplitude * wave))
        self.curves = {n: curve(n) if n not in ("subtalar_angle", "mtp_angle") else np.zeros(SAMPLES) for n in LEG}
        return q

    def _wanted_acceleration(self) -> Array:
        """Acceleration of the centre of mass that the normative ground forces of both feet give [m/s²], shape [SAMPLES,
        3].
        """
        share = []
        for name, mirrored in (("anterior", 1), ("vertical", 1), ("medial", -1)):
            one = np.interp(self.phase * 100, np.arange(101), normative(f"ground_force_{name}").mean) / 100
            share.append(one + mirrored * np.roll(one, SAMPLES // 2))
        total = np.stack(share, axis=1) * 9.80665
        # The right foot's medial direction is -Z. Over a whole stride nothing accelerates on the mean.
        total[:, 2] *= -1
        total -= total.mean(axis=0)
        spectrum = np.fft.rfft(total, axis=0)
        spectrum[HARMONICS + 1 :] = 0
        return np.fft.irfft(spectrum, SAMPLES, axis=0)

    def start(self) -> Array:
        """The curves themselves, the pelvis central at an even height, a natural stride."""
        parts = [np.linalg.lstsq(self.leg_basis, self.curves[n], rcond=None)[0] for n in LEG]
        parts += [np.zeros(size) for size in self.sizes[len(LEG) :]]
        parts[-2][0] = float(self.skeleton.default_pose[self.skeleton.coordinate("pelvis_ty")]) - 0.02
        return np.concatenate([*parts, [self.length]])

    def coordinates(self, x: Array) -> tuple[Array, Array]:
        """Coordinates [P, SAMPLES, nq] without the steady advance, and stride lengths [P], for P sets of unknowns."""
        q = np.tile(self.base, (len(x), 1, 1))
        pieces = np.split(x[:, :-1], np.cumsum(self.sizes)[:-1], axis=1)
        for name, piece in zip(LEG, pieces, strict=False):
            right = piece @ self.leg_basis.T
            q[:, :, self.skeleton.coordinate(f"{name}_r")] = right
            q[:, :, self.skeleton.coordinate(f"{name}_l")] = np.roll(right, SAMPLES // 2, axis=1)
        for name, basis, piece in zip(
            ("pelvis_tx", "pelvis_ty", "pelvis_tz"),
            (self.forward_basis, self.up_basis, self.side_basis),
            pieces[len(LEG) :],
            strict=True,
        ):
            q[:, :, self.skeleton.coordinate(name)] = piece @ basis.T
        return self.skeleton.couple(torch.from_numpy(q)).numpy(), x[:, -1]

    def residuals(self, x: Array) -> Array:
        """Everything that should be zero, in units of how much it may be off; shape [P, R]."""
        q, length = self.coordinates(x)
        poses = forward_kinematics(self.skeleton, torch.from_numpy(q))
        found = []
        for name, spread in LEG.items():
            off = q[:, :, self.skeleton.coordinate(f"{name}_r")] - self.curves[name]
            found.append(off / np.radians(spread))
        advance = length[:, None] * self.phase
        for sphere in self.spheres:
            rotation = poses.rotation[:, :, sphere.body].numpy()
            origin = poses.position[:, :, sphere.body].numpy().copy()
            origin[..., 0] += advance
            found += self._contact(sphere.name[:2], rotation, origin, np.array(sphere.center), sphere.radius, length)
        center = center_of_mass(self.skeleton, poses).numpy()
        step = self.duration / SAMPLES
        acceleration = (np.roll(center, 1, axis=1) - 2 * center + np.roll(center, -1, axis=1)) / step**2
        found += list(np.moveaxis((acceleration - self.force) / (0.8, 0.8, 0.5), -1, 0))
        found.append((length[:, None] - self.length) / 0.02 * np.ones(SAMPLES) / 4)
        return np.concatenate(found, axis=1)

    def _contact(
        self, name: str, rotation: Array, origin: Array, center: Array, radius: float, length: Array
    ) -> list[Array]:
        """Height and slip of one sphere: on the ground and at rest while it is loaded, over it otherwise."""
        place = origin + rotation @ center
        height = place[..., 1] - radius
        start, end = LOADED[name]
        loaded = _window(self.phase, start, end)
        swinging = _window(self.phase, *SWING)
        # The material point that touches the ground, seen one sample earlier and later.
        touching = center - radius * rotation[..., 1, :]

        def around(shift: int) -> Array:
            r, o = (np.roll(v, shift, axis=1) for v in (rotation, origin.copy()))
            wrapped = slice(0, shift) if shift > 0 else slice(shift, None)
            o[:, wrapped, 0] -= np.sign(shift) * length[:, None]
            return o + (r @ touching[..., None])[..., 0]

        slip = (around(-1) - around(1)) * SAMPLES / (2 * self.duration)
        sunk = np.minimum(height + PRESSED, 0.0)
        low = np.minimum(height - CLEARANCE, 0.0)
        return [
            loaded * (height + PRESSED) / 0.0015,
            loaded * slip[..., 0] / 0.03,
            loaded * slip[..., 2] / 0.03,
            (1 - loaded) * sunk / 0.002,
            swinging * low / 0.004,
        ]

    def jacobian(self, x: Array, residual: Array) -> Array:
        """By differences, all unknowns at once; shape [R, unknowns]."""
        step = 1e-6
        return ((self.residuals(x + step * np.eye(len(x))) - residual) / step).T


def _window(phase: Array, start: float, end: float) -> Array:
    """1 from start to end of the stride, 0 elsewhere, with edges 2 % wide."""
    centered = (phase - 0.5 * (start + end) + 0.5) % 1.0 - 0.5
    return 1 / (1 + np.exp((np.abs(centered) - 0.5 * (end - start)) / 0.006))
