"""Generated movements: between random poses, to and fro, and walks, with feet that stay where they stand."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from motorque.series.normative_gait import normative
from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.key_poses import SPREAD, mirrored, pose_table, stem
from motorque.synthesis.people import LANDMARK_NAMES, generic_people
from motorque.synthesis.smooth_noise import smooth_noise

WALKS = 0.25
"""Share of generated movements that are walks."""


def random_movements(count: int, frames: int, generator: torch.Generator, *, rate: float = 30.0) -> Tensor:
    """Movements of the generic skeleton [rad or m], shape [N, T, nq], standing or walking on the floor Y = 0.

    Most go between random poses of :mod:`motorque.synthesis.key_poses` (squats, lunges, sitting down, kicks, bends,
    turns of the hips and of the trunk, balancing), once each or to and fro; the rest walk. Facing is +X at first.

    Args:
        count: How many, N.
        frames: Their length T.
        generator: Where the randomness comes from.
        rate: Frames per second.
    """
    walks = torch.rand(count, generator=generator) < WALKS
    poses = _between_poses(count, frames, generator, rate)
    gait = _walking(count, frames, generator, rate)
    angles = torch.where(walks[:, None, None], gait, poses)
    angles = angles + _restlessness(angles, generator)
    flip = torch.rand(count, generator=generator) < 0.5
    angles = torch.where(flip[:, None, None], mirrored(angles), angles)
    low, high = _ranges()
    return on_the_floor(torch.minimum(torch.maximum(angles, low), high), generator)


@cache
def _ranges() -> tuple[Tensor, Tensor]:
    """Smallest and largest value of each coordinate [rad or m], shape [nq], a little beyond the skeleton's own."""
    coordinates = fullbody().coordinates
    low = torch.tensor([max(c.range[0], -1e3) for c in coordinates])
    high = torch.tensor([min(c.range[1], 1e3) for c in coordinates])
    slack = torch.tensor([0.1 if stem(c.name) in ("hip_flexion", "hip_rotation") else 0.0 for c in coordinates])
    return low - slack, high + slack


@cache
def _spreads() -> Tensor:
    """Spread of poses, what both sides share and each side's own [rad], shape [2, nq]."""
    both = [SPREAD.get(stem(name), (0.0, 0.0)) for name in fullbody().coordinate_names]
    return torch.deg2rad(torch.tensor(both).T)


def _scatter(count: int, generator: torch.Generator) -> Tensor:
    """Random differences from a template [rad], shape [N, nq]."""
    names = fullbody().coordinate_names
    shared = torch.randn(count, len(names), generator=generator)
    for index, name in enumerate(names):
        if name.endswith("_l"):
            shared[:, index] = shared[:, names.index(f"{name[:-2]}_r")]
    own = torch.randn(count, len(names), generator=generator)
    return _spreads()[0] * shared + _spreads()[1] * own


def _between_poses(count: int, frames: int, generator: torch.Generator, rate: float) -> Tensor:
    """Movements through random poses: a different one each time, or two in turn; shape [N, T, nq]."""
    knots = 2 + frames // int(0.3 * rate)

    def draw(kind: str) -> Tensor:
        table = pose_table(kind)
        chosen = table[torch.randint(len(table), (count, knots), generator=generator)]
        flip = torch.rand(count, knots, 1, generator=generator) < 0.5
        # Part of the way from standing: half a lunge is a pose too.
        share = (0.3 + 0.8 * torch.rand(count, knots, 1, generator=generator)).clamp(max=1.0)
        return torch.lerp(table[:1], torch.where(flip, mirrored(chosen), chosen), share)

    legs, arms = draw("legs"), draw("arms")
    wander = _scatter(count * knots, generator).reshape(legs.shape)
    person = _scatter(count, generator)[:, None]
    in_turn = torch.arange(knots) % 2
    repeats = torch.rand(count, generator=generator) < 0.5
    again = torch.where(repeats[:, None], in_turn, torch.arange(knots))
    # Who repeats a movement mostly starts it from standing.
    standing = (repeats & (torch.rand(count, generator=generator) < 0.6))[:, None, None]
    legs = torch.where(standing & (in_turn == 0)[:, None], pose_table("legs")[0], _pick(legs, again))
    same_arms = (torch.rand(count, generator=generator) < 0.4)[:, None]
    arms = _pick(arms, torch.where(same_arms, 0, again))
    small = torch.where(repeats[:, None, None], 0.35 * wander + 0.65 * _pick(wander, again), wander)
    poses = legs + arms + 0.7 * small + 0.7 * person
    pace = 0.35 + 1.6 * torch.rand(count, 1, generator=generator)
    seconds = pace * (0.7 + 0.6 * torch.rand(count, knots, generator=generator))
    dwell = 0.5 * torch.rand(count, knots, generator=generator).square()
    return _eased(poses, seconds * rate, dwell, frames)


def _pick(poses: Tensor, index: Tensor) -> Tensor:
    """Rows of each sequence: poses [N, M, nq], index [N, M] or [M]."""
    index = index.expand(poses.shape[:2])
    return poses.gather(1, index[..., None].expand(poses.shape))


def _eased(poses: Tensor, lengths: Tensor, dwell: Tensor, frames: int) -> Tensor:
    """From pose to pose with no speed and no acceleration at each, after a rest there.

    Args:
        poses: Shape [N, M, nq].
        lengths: Frames from each pose to the next, shape [N, M].
        dwell: Share of them that is rest, shape [N, M].
        frames: Number of frames T.
    """
    begin = lengths.cumsum(1) - lengths - 0.5 * lengths[:, :1]
    now = torch.arange(frames, dtype=poses.dtype).expand(len(poses), -1).contiguous()
    step = (torch.searchsorted(begin.contiguous(), now, right=True) - 1).clamp(0, poses.shape[1] - 2)
    share = (now - begin.gather(1, step)) / lengths.gather(1, step)
    rest = dwell.gather(1, step)
    x = ((share - rest) / (1 - rest)).clamp(0, 1)
    ease = (x**3 * (10 - 15 * x + 6 * x**2))[..., None]  # the minimum-jerk course (Flash and Hogan 1985)
    index = step[..., None].expand(-1, -1, poses.shape[-1])
    return (1 - ease) * poses.gather(1, index) + ease * poses.gather(1, index + 1)


GAIT_TILT = 0.5
"""Mean tilt of the pelvis in walking [deg], as of :data:`motorque.fitting.retarget_source.PELVIS_TILT`."""


@cache
def _gait_curves() -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of one stride in 100 steps from the right foot's contact [rad], shape [100, nq]."""
    names = fullbody().coordinate_names
    mean, spread = torch.zeros(100, len(names)), torch.zeros(100, len(names))
    for name in ("pelvis_tilt", "pelvis_list", "pelvis_rotation", "hip_flexion", "hip_adduction", "hip_rotation",
                 "knee_angle", "ankle_angle"):  # fmt: skip
        curve = normative(name)
        for side, shift in (("", 0), ("_r", 0), ("_l", 50)):
            if name + side in names:
                column = names.index(name + side)
                mean[:, column] = torch.deg2rad(torch.tensor(curve.mean[:100]).float().roll(shift))
                spread[:, column] = torch.deg2rad(torch.tensor(curve.sd[:100]).float().mean())
    # The curves are of pelves measured by their iliac spines; experts' fits of this family of models hold it near zero.
    upright = torch.deg2rad(torch.tensor(GAIT_TILT)) - mean[:, names.index("pelvis_tilt")].mean()
    mean[:, names.index("pelvis_tilt")] += upright
    mean[:, [names.index("hip_flexion_r"), names.index("hip_flexion_l")]] -= upright
    cycle = 2 * torch.pi * torch.arange(100) / 100
    # The trunk turns against the pelvis and the arms swing against the legs: rough courses, varied widely below.
    for name, course in (
        ("lumbar_extension", -6 + 2 * torch.cos(2 * cycle)),
        ("lumbar_bending", -4 * torch.sin(cycle)),
        ("lumbar_rotation", -8 * torch.cos(cycle + 0.3)),
        ("arm_flex_r", -2 - 18 * torch.cos(cycle)),
        ("arm_flex_l", -2 + 18 * torch.cos(cycle)),
        ("elbow_flex_r", 25 - 10 * torch.cos(cycle)),
        ("elbow_flex_l", 25 + 10 * torch.cos(cycle)),
        ("arm_add_r", -10 + 0 * cycle),
        ("arm_add_l", -10 + 0 * cycle),
    ):
        mean[:, names.index(name)] = torch.deg2rad(course)
    return mean, spread


def _walking(count: int, frames: int, generator: torch.Generator, rate: float) -> Tensor:
    """Walks: the published stride with everybody's own offsets and amplitudes, now slow, now fast; shape [N, T, nq]."""
    curve, _ = _gait_curves()
    names = fullbody().coordinate_names
    stride = 0.85 + 0.7 * torch.rand(count, 1, generator=generator)  # seconds
    drift = 0.02 * smooth_noise((count, frames), torch.full((count,), rate), generator)
    phase = 100 * (torch.rand(count, 1, generator=generator) + torch.arange(frames) / rate / stride + drift)
    lower = phase.floor()
    share = (phase - lower)[..., None]
    lower = lower.long() % 100
    walk = (1 - share) * curve[lower] + share * curve[(lower + 1) % 100]
    middle = curve.mean(0)
    size = torch.exp(0.25 * torch.randn(count, 1, len(names), generator=generator))
    size = size * (1.3 - 0.45 * (stride - 0.6))[..., None].clamp(0.6, 1.3)
    for index, name in enumerate(names):  # one amplitude for both sides, or the person goes in circles
        if name.endswith("_l"):
            size[..., index] = size[..., names.index(f"{name[:-2]}_r")]
    return middle + size * (walk - middle) + 0.7 * _scatter(count, generator)[:, None]


def _restlessness(angles: Tensor, generator: torch.Generator) -> Tensor:
    """Small slow changes of everything [rad], shape [N, T, nq]."""
    count, frames, width = angles.shape
    tau = 4 + 12 * torch.rand(count, generator=generator)
    size = 0.1 + 0.4 * torch.rand(count, 1, 1, generator=generator)
    return size * _spreads().square().sum(0).sqrt() * smooth_noise((count, frames, width), tau, generator)


def on_the_floor(angles: Tensor, generator: torch.Generator) -> Tensor:
    """The same movements with the root moved such that the lower foot stays where it stands, and touches Y = 0.

    Args:
        angles: Coordinates [rad], shape [N, T, nq]; the root's path in them is replaced, its turning added to.
        generator: Where the randomness comes from: some turn on the spot.
    """
    count, frames, _ = angles.shape
    names = fullbody().coordinate_names
    q = angles.clone()
    root = [names.index(f"pelvis_t{axis}") for axis in "xyz"]
    q[..., root] = 0.0
    people = generic_people(count)
    poses = people.poses(q)
    feet = [LANDMARK_NAMES.index(f"{part}_{side}") for side in "rl" for part in ("heel", "toe")]
    ends = people.landmarks(q, poses=poses)[..., feet, :]
    weight = torch.softmax(-ends[..., 1] / 0.015, -1)
    weight = 0.5 * (weight[:, 1:] + weight[:, :-1])
    along = ends[..., (1, 3), :] - ends[..., (0, 2), :]
    turned = _wrapped(torch.atan2(-along[..., 2], along[..., 0]).diff(dim=1)).clamp(-0.2, 0.2)
    back = -(turned * weight.unflatten(-1, (2, 2)).sum(-1)).sum(-1).cumsum(1)
    spins = torch.rand(count, 1, generator=generator) < 0.2
    spin = 0.7 * smooth_noise((count, frames), torch.full((count,), 40.0), generator)
    yaw = torch.cat([torch.zeros(count, 1), back], 1) + torch.where(spins, spin - spin[:, :1], 0.0)
    q = turned_about_vertical(q, yaw, poses.rotation[..., people.skeleton.body("pelvis"), :, :])
    c, s = yaw.cos()[..., None], yaw.sin()[..., None]
    x, y, z = ends.unbind(-1)
    ends = torch.stack((c * x + s * z, y, c * z - s * x), -1)
    path = -(ends.diff(dim=1) * weight[..., None]).sum(-2).cumsum(1)
    q[..., root[0]] = torch.cat([torch.zeros(count, 1), path[..., 0]], 1)
    q[..., root[2]] = torch.cat([torch.zeros(count, 1), path[..., 2]], 1)
    q[..., root[1]] = -y.amin(-1)
    return q


def turned_about_vertical(q: Tensor, yaw: Tensor, pelvis: Tensor) -> Tensor:
    """Coordinates after turning the pelvis on the spot; the root's place stays.

    The pelvis tilts, lists and then rotates about axes of its own, so a turn of the whole person changes all three.

    Args:
        q: Coordinates [rad or m], shape [N, T, nq].
        yaw: Angle about ground's Y [rad], shape [N, T].
        pelvis: Rotation of the pelvis in ground before, shape [N, T, 3, 3].
    """
    columns = [fullbody().coordinate(f"pelvis_{name}") for name in ("tilt", "list", "rotation")]
    c, s = yaw.cos(), yaw.sin()
    o, one = torch.zeros_like(c), torch.ones_like(c)
    turn = torch.stack((c, o, s, o, one, o, -s, o, c), -1).unflatten(-1, (3, 3))
    q = q.clone()
    q[..., columns] = pelvis_angles(turn @ pelvis)
    return q


def pelvis_angles(rotation: Tensor) -> Tensor:
    """Tilt, list and rotation [rad] of the pelvis from its rotation in ground, shape [..., 3, 3] to [..., 3].

    The pelvis turns about z, then about its own x, then its own y: R = Rz(tilt) Rx(list) Ry(rotation).
    """
    tilt = torch.atan2(-rotation[..., 0, 1], rotation[..., 1, 1])
    side = torch.asin(rotation[..., 2, 1].clamp(-1, 1))
    return torch.stack((tilt, side, torch.atan2(-rotation[..., 2, 0], rotation[..., 2, 2])), -1)


def _wrapped(angle: Tensor) -> Tensor:
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi
