"""Feet on the ground: legs and trunk of samples moved so that a foot that stands stays where it is, on the floor.

The head's way is measured, so forward kinematics put a sample's feet into the world. Nobody's feet are deep under the
floor, one that stands is not over it, and it does not slip; which one stands is only likely
(:mod:`motorque.estimators.inpose.contact_chance`), and what does not look like standing counts for little. The most
likely movement near a sample is found for all frames at once with Gauss and Newton's steps; its turns change slowly, so
that the equations are banded and a frame costs the same in any recording.

Turns are those that move feet: of trunk and pelvis, of each thigh, shank and foot about the axis of the knees, and of
whole legs about the vertical and about the way ahead. What the trunk is off by is rather the same for seconds, what
legs are off by is not: that a foot slips tells of legs alone. That one which stands hovers tells of the trunk too. That
one sinks is mostly a crouch that the sample makes too little of: legs bend toward 3 cm under the floor, the trunk
stays. Of what is shallower nobody knows the cause, and on people whom the prior does not know mending it was worse than
leaving it.

The higher the head is over where it is when it stands, the less feet are pulled down, 4 cm higher by two fifths: people
climb, jump, or walk on what is higher.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.contact_chance import Sample, chances, from_head, head_height, sole_heights, unit_length
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import HEAD, JOINTS, RATE

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FeetSettings:
    """How feet are put on the ground; lengths are those of an adult of 1.70 m and grow with the person.

    Args:
        slip: Standard deviation of the speed of a standing point from frame to frame, in each direction [m/s].
        fast: Speed about which a point rather does not stand [m/s].
        floor: Standard deviation of how far a standing point is over the floor in a frame [m].
        level: The same of what all heights of a recording are off by for about a second: floor, shoes, bones [m].
        step: Height over the floor from which on a point rather goes through the air than that it does not slip [m].
        high: By how much the head is higher than when it stands, where feet are rather not on the floor [m].
        under: Standard deviation of how far any point is under the floor [m], from 3 cm on.
        rounds: Gauss and Newton's steps.

    Raises:
        DataError: A number that can't be.
    """

    slip: float = 0.5
    fast: float = 0.8
    floor: float = 0.03
    level: float = 0.02
    step: float = 0.1
    high: float = 0.04
    under: float = 0.1
    rounds: int = 4

    def __post_init__(self) -> None:
        sizes = (self.slip, self.fast, self.floor, self.level, self.step, self.high, self.under)
        if not all(size > 0 for size in sizes) or self.rounds < 1:
            raise DataError("feet: speeds and lengths must be above zero, and one round be done at least")


@dataclass(frozen=True)
class _Turn:
    """A turn that is looked for: of these joints, all alike, about an axis (0 to the left, 1 up, 2 ahead)."""

    joints: tuple[int, ...]
    axis: int
    spread: float  # standard deviation [rad]: of samples' errors on watched people
    frames: float  # over which it changes
    trunk: bool = False
    crouch: float = 0.0  # what a straight leg is bent by to see how it shortens [rad]: straight it does not at first


def _turns() -> tuple[_Turn, ...]:
    def of(*names: str) -> tuple[int, ...]:
        return tuple(JOINTS.index(name) for name in names)

    found = [_Turn(of("spine1", "spine2", "spine3"), axis, 0.15, 30.0, True) for axis in range(3)]
    found += [_Turn(of("pelvis"), axis, 0.05, 30.0, True) for axis in range(3)]
    for side in ("left", "right"):
        leg = of(f"{side}_hip", f"{side}_knee", f"{side}_ankle", f"{side}_foot")
        found += [_Turn(leg[:1], 0, 0.22, 6.0, crouch=-_BEND), _Turn(leg[1:], 0, 0.22, 6.0, crouch=_BEND)]
        found += [_Turn(leg[2:], 0, 0.15, 6.0, crouch=-_BEND)]
        found += [_Turn(leg, 1, 0.2, 6.0), _Turn(leg, 2, 0.13, 6.0)]
    return tuple(found)


_BEND = 0.2  # rad; 0.1 to 0.4 do as well
TURNS = _turns()
_LEVEL = 60.0  # frames over which what heights are off by changes
_SURE = 0.01  # rad: by how much a turn may move a joint whose rotation is measured
_ELSEWHERE = 0.1  # how likely a point that seems to stand high over the floor does: on stairs, not in the air
_DEEP = 0.03  # how far under the floor a point may be for nothing [unit lengths]
_HEIGHT = 30.0  # frames: so long before and after a head that is too high feet may be elsewhere too


def planted(
    turns: Tensor,
    measured: Measured,
    settings: FeetSettings = FeetSettings(),
    *,
    stands: Array | None = None,
) -> Tensor:
    """Samples with their feet on the ground.

    Args:
        turns: Samples' global rotations, shape [n, T, 22, 3, 3].
        measured: What sensors say; the head over a floor at y = 0, or there is nothing to go by.
        settings: How.
        stands: The chance that points stand, shape [T - 1, 4], or of each sample, [n, T - 1, 4]; from how each moves if
            not given.

    Returns:
        Rotations of the same shape; those given, if :func:`can_stand` says no.
    """
    if not can_stand(measured):
        return turns
    person = _Person(measured)
    own = _stances(turns, person) if stands is None else stands
    each = np.broadcast_to(own, (len(turns), *own.shape[-2:]))
    seen = measured.seen.numpy()
    found = [
        _Planting(sample, person, seen, chance, settings).result()
        for sample, chance in zip(turns.double().numpy(), each, strict=True)
    ]
    return torch.tensor(np.stack(found), dtype=turns.dtype)


def stances(turns: Tensor, measured: Measured) -> Array | None:
    """How likely each ankle and ball stands between two frames, by how samples [n, T, 22, 3, 3] move.

    Returns:
        Shape [n, T - 1, 4], points as in :data:`motorque.estimators.inpose.contact_chance.SOLES`; None, if
        :func:`can_stand` says no.
    """
    return _stances(turns, _Person(measured)) if can_stand(measured) else None


def can_stand(measured: Measured) -> bool:
    """Whether it is known where the head is over the floor, and in more frames than one."""
    return measured.placed and int(measured.there[:, HEAD].sum()) > 1


class _Person:
    """Who is sampled, and where the head is; lengths in unit lengths."""

    def __init__(self, measured: Measured) -> None:
        rest = measured.rest.double().numpy()
        unit = unit_length(rest)
        rest = rest / unit
        self.bones, self.heights = from_head(rest), sole_heights(rest)
        self.there = measured.there[:, HEAD].numpy()
        known = measured.points[self.there, HEAD].double().numpy() / unit
        frames = np.arange(len(self.there))
        # Straight through gaps
        way = [np.interp(frames, frames[self.there], known[:, axis]) for axis in range(3)]
        self.head = np.stack(way, axis=-1)
        height = self.head[:, 1]
        self.high = np.maximum(height, gaussian_filter1d(height, _HEIGHT, mode="nearest")) - head_height(rest)

    def points(self, turns: Array) -> Array:
        """Where the soles are with rotations [T, 22, 3, 3], shape [T, 4, 3]."""
        return self.head[:, None] + np.einsum("pjc,tjxc->tpx", self.bones, turns)


def _stances(turns: Tensor, person: _Person) -> Array:
    """How likely points stand in each sample, shape [n, T - 1, 4]; not where the head is not measured."""
    known = (person.there[1:] & person.there[:-1])[:, None]
    found = []
    for sample in turns.double().numpy():
        found.append(chances(Sample(person.points(sample), person.head, sample[:, 0], person.heights)) * known)
    return np.stack(found)


class _Planting:
    """One sample's feet; lengths in unit lengths."""

    def __init__(
        self,
        turns: Array,
        person: _Person,
        seen: NDArray[np.bool_],
        stands: Array,
        settings: FeetSettings,
    ) -> None:
        self.given, self.settings, self.person = turns, settings, person
        self.chance = stands
        over = person.points(turns)[..., 1] - person.heights
        self.hovers, self.sunk = over > 0, over < -_DEEP
        self.reach = np.exp(-0.5 * np.square(np.maximum(person.high, 0) / settings.high))
        self.axes = _axes(turns[:, 0])
        own = [*TURNS, _Turn((), 1, settings.level, _LEVEL, True)]
        self.spread = np.array([turn.spread for turn in own])
        self.slow = np.array([turn.frames for turn in own])
        self.trunk = np.array([turn.trunk for turn in own])
        held = np.stack([seen[:, list(turn.joints)].any(axis=1) for turn in own], axis=-1)
        self.prior = _prior(self.spread, self.slow, held / _SURE**2)
        self.crouch = np.broadcast_to([*(turn.crouch for turn in TURNS), 0.0], held.shape)
        legs = np.flatnonzero(~self.trunk)  # one after the other
        self.legs = slice(int(legs[0]), int(legs[-1]) + 1)

    def turned(self, angles: Array, turns: Array | None = None) -> Array:
        """The sample's rotations, or others, turned by angles, [T, N] → [T, 22, 3, 3]."""
        found = (self.given if turns is None else turns).copy()
        for number, turn in enumerate(TURNS):
            by = Rotation.from_rotvec(angles[:, number, None] * self.axes[:, turn.axis]).as_matrix()
            found[:, list(turn.joints)] = by[:, None] @ found[:, list(turn.joints)]
        return found

    def slopes(self, turns: Array) -> Array:
        """How the soles move with each turn, and how their heights count with the floor's, shape [T, 4, 3, N]."""
        arms = np.einsum("pjc,tjxc->tpjx", self.person.bones, turns)
        found = np.zeros((*arms.shape[:2], 3, len(self.spread)))
        for number, turn in enumerate(TURNS):
            found[..., number] = np.cross(self.axes[:, None, turn.axis], arms[:, :, list(turn.joints)].sum(axis=2))
        found[:, :, 1, -1] = -1.0
        return found

    def counted(self, points: Array, level: Array) -> tuple[Array, Array]:
        """How much slips and heights count, shape [T - 1, 4] and [T, 4].

        It is one over variances, times how likely it is that the point stands at all, which falls as a normal
        density with its speed (Welsch's weights); of slips also with its height, down to a tenth, of heights with how
        much higher the head is than when it stands.
        """
        own = self.settings
        square = RATE**2 * np.square(np.diff(points, axis=0)).sum(axis=-1)
        # One wrongly held is worse than one let go
        stands = self.chance**2 * np.exp(-0.5 * square / own.fast**2)
        each = np.zeros(points.shape[:2])
        each[1:] += 0.5 * stands
        each[:-1] += 0.5 * stands
        floor = each * self.reach[:, None] * self.hovers / own.floor**2
        floor = floor + (self.sunk & self.person.there[:, None]) / own.under**2
        over = points[..., 1] - self.person.heights - level[:, None]
        near = np.exp(-0.5 * np.square(np.maximum(over, 0) / own.step))
        stands = stands * (_ELSEWHERE + (1 - _ELSEWHERE) * np.minimum(near[1:], near[:-1]))
        return stands * (RATE / own.slip) ** 2, floor

    def result(self) -> Array:
        """The rotations, shape [T, 22, 3, 3]."""
        angles = np.zeros((len(self.given), len(self.spread)))
        turns = self.given
        for _ in range(self.settings.rounds):
            angles = self.step(turns, angles)
            turns = self.turned(angles)
        return turns

    def step(self, turns: Array, angles: Array) -> Array:
        """The most likely angles where the soles move straight with them, shape [T, N]."""
        points, slopes = self.person.points(turns), self.slopes(turns)
        slip, floor = self.counted(points, angles[:, -1])
        # Heights: over the floor of all turns and the floor's own, deep under it of legs that bend
        upward = slopes[:, :, 1:2]
        if self.sunk.any():
            crouched = self.slopes(self.turned(self.crouch, turns))[:, :, 1:2] * ~self.trunk
            upward = np.where(self.sunk[..., None, None], crouched, upward)
        over = points[..., 1] - self.person.heights + _DEEP * self.sunk
        aim = np.einsum("tpn,tn->tp", upward[:, :, 0, :-1], angles[:, :-1]) - over
        square = _products(upward, upward, floor[..., None])
        linear = np.einsum("tpn,tp->tn", upward[:, :, 0], aim * floor)
        # Slips: of legs alone
        own = self.legs
        legs = slopes[..., own]
        from_here = points - np.einsum("tpxn,tn->tpx", legs, angles[:, own])
        gap = np.diff(from_here, axis=0) * slip[..., None]
        before, after = legs[:-1], legs[1:]
        square[1:, own, own] += _products(after, after, slip[..., None])
        square[:-1, own, own] += _products(before, before, slip[..., None])
        linear[1:, own] -= np.einsum("tpxn,tpx->tn", after, gap)
        linear[:-1, own] += np.einsum("tpxn,tpx->tn", before, gap)
        return _solved(self.prior, square, -_products(after, before, slip[..., None]), own, linear)


def _prior(spread: Array, slow: Array, held: Array) -> Array:
    """How likely angles are by themselves: the precision's diagonal and what couples two frames, and every other one.

    Each is a process of its spread whose spectrum falls with the fourth power of frequencies above its own: the sum of
    squares of its values and of its second differences.

    Args:
        spread: Standard deviations, shape [N].
        slow: Frames over which angles change, shape [N].
        held: Precision with which each is held besides, shape [T, N].

    Returns:
        Shape [T, N, 3].
    """
    power = 2 * np.sqrt(2) * slow * spread**2
    found = _second_differences(len(held)).T[:, None] * (slow**4 / power)[:, None]
    found[..., 0] += 1 / power + held
    return np.asarray(found)


def _axes(pelvis: Array) -> Array:
    """The person's axes in the world, to the left, up and ahead, shape [T, 3, 3] as rows."""
    left = gaussian_filter1d(pelvis[:, :, 0] * (1.0, 0.0, 1.0), 5.0, axis=0, mode="nearest")
    left = left / np.maximum(np.linalg.norm(left, axis=-1, keepdims=True), 1e-9)
    up = np.broadcast_to((0.0, 1.0, 0.0), left.shape)
    return np.stack([left, up, np.cross(left, up)], axis=1)


def _second_differences(frames: int) -> Array:
    """Their square's diagonal and the two below it, shape [3, T]: what couples frame t with itself and the next two."""
    found = np.zeros((3, frames))
    taps = (1.0, -2.0, 1.0)
    for late in range(3):
        for early in range(late + 1):
            found[late - early, early : early + max(frames - 2, 0)] += taps[late] * taps[early]
    return found


def _products(one: Array, other: Array, counted: Array) -> Array:
    """Sums over points and directions of slopes times slopes, [T, P, X, N] twice, [T, P, 1] → [T, N, N]."""
    count = one.shape[-1]
    left = (one * counted[..., None]).reshape(len(one), -1, count)
    return np.asarray(left.swapaxes(-1, -2) @ other.reshape(len(other), -1, count))


def _solved(prior: Array, square: Array, couples: Array, own: slice, linear: Array) -> Array:
    """Banded equations solved.

    Args:
        prior: The diagonal of a frame's block, of the block beside it, and of the next one, shape [T, N, 3].
        square: What is added to the blocks of frames, shape [T, N, N].
        couples: What is added to blocks of a frame (rows) and the one before it (columns), shape [T - 1, n, n].
        own: The n of N turns that this is of.
        linear: Right sides, shape [T, N].

    Returns:
        Shape [T, N].
    """
    frames, count = linear.shape
    bands = np.zeros((frames, count, 2 * count + 1))  # of each column: from the diagonal downward
    for column in range(count):
        bands[:, column, : count - column] = square[:, column:, column]
    for number in range(couples.shape[-1]):
        first = count - number
        bands[:-1, own.start + number, first : first + couples.shape[-1]] = couples[:, :, number]
    bands[..., ::count] += prior
    flat = bands.reshape(frames * count, -1).T
    found = solveh_banded(flat, linear.reshape(-1), lower=True, check_finite=False, overwrite_ab=True)
    return np.asarray(found).reshape(frames, count)
