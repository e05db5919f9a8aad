"""The fit to keypoints as one least-squares problem: what is unknown, what is asked of it.

Unknown in every frame are the pelvis' pose and the joint angles; for the whole recording how long the segments are,
where on them the detector sees its keypoints, how high the floor is, and what is not known of the cameras. Asked is

- that the keypoints lie where the cameras saw them,
- that accelerations stay within what joints do,
- that feet which touch the ground stay where they are, on the floor,
- that angles stay within limits, and where the picture leaves them open near a prior,
- that lengths, attachments and cameras stay near what is known of them.

Detectors err alike in neighbouring frames: what lies within `CORRELATED` seconds counts as one observation. Errors in
lengths, attachments and cameras act on all frames alike, so a recording counts about as one observation of them,
however long it is (`SHARED_OBSERVATIONS`): weighted by its frames the camera would bend to the detector's bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from motorque.fitting.keypoint_attachments import GROUPS, SOLE_POINTS
from motorque.fitting.keypoint_body import KeypointBody
from motorque.fitting.keypoint_normal import NormalEquations
from motorque.fitting.keypoint_views import FREE, View, see
from motorque.fitting.motion_prior import PoseGuess
from motorque.fitting.pose_habits import LIVELINESS, PELVIS_HABITS, by_name, habits, limits

Array = NDArray[np.float64]

CORRELATED = 0.1
"""Time over which a detector's errors are alike [s]."""
SHARED_OBSERVATIONS = 1.0
ACCELERATION, PELVIS_TURNS, PELVIS_SHIFTS = 25.0, 12.5, 2.5
"""Standard deviation of joint [rad/s²] and pelvis accelerations [rad/s², m/s²]."""
LIMIT_STD = np.radians(2.0)
CONTACT_SPEED, CONTACT_HEIGHT = 0.12, 0.015
"""How fast a touching point of a sole moves [m/s], and how far from the floor it is [m]."""
GUESS_LOSS = 2.0
"""A motion prior is doubted beyond this many of its standard deviations (Cauchy's loss): it has not seen everything."""
BLOCK = 512
"""Frames whose derivatives are held in memory together."""


@dataclass(frozen=True)
class State:
    """A guess of everything that is unknown.

    Args:
        position: Of the pelvis in ground [m], shape [T, 3].
        rotation: Pelvis to ground, shape [T, 3, 3].
        angles: Joint angles [rad], shape [T, N].
        shared: What all frames share, shape [G]; `Shared` says what is where.
    """

    position: Array
    rotation: Array
    angles: Array
    shared: Array

    def moved(self, local: Array, shared: Array) -> State:
        """The state after a step, shapes [T, 6 + N] and [G]."""
        turn = Rotation.from_rotvec(local[:, 3:6]).as_matrix()
        return State(
            self.position + local[:, :3], turn @ self.rotation, self.angles + local[:, 6:], self.shared + shared
        )

    def at(self, times: Array, wanted: Array) -> State:
        """The state of frames at ``times`` [s] at other times, interpolated, shape [T']."""
        if len(times) == 1:
            every = np.zeros(len(wanted), dtype=np.int64)
            return State(self.position[every], self.rotation[every], self.angles[every], self.shared)
        between = np.clip(wanted, times[0], times[-1])
        return State(
            CubicSpline(times, self.position)(between),
            RotationSpline(times, Rotation.from_matrix(self.rotation))(between).as_matrix(),
            CubicSpline(times, self.angles)(between),
            self.shared,
        )


@dataclass(frozen=True, eq=False)
class Shared:
    """Where in the shared unknowns is what.

    Args:
        kinds: Kinds of attachments whose offsets are unknown.
        views: Number of views.
    """

    kinds: tuple[str, ...]
    views: int
    whole: int = 0

    @property
    def groups(self) -> slice:
        """Logarithms of the segments' proportions."""
        return slice(1, 1 + len(GROUPS))

    @property
    def offsets(self) -> slice:
        """Offsets of the attachments [m], three for each kind."""
        return slice(self.groups.stop, self.groups.stop + 3 * len(self.kinds))

    @property
    def floor(self) -> int:
        """Height of the floor [m]."""
        return self.offsets.stop

    def camera(self, view: int) -> slice:
        """Pitch, roll and logarithm of the focal length of a view's camera."""
        return slice(self.floor + 1 + FREE * view, self.floor + 1 + FREE * (view + 1))

    @property
    def count(self) -> int:
        """Number of shared unknowns."""
        return self.floor + 1 + FREE * self.views


@dataclass(frozen=True, eq=False)
class KeypointProblem:
    """Everything that does not change while the fit runs.

    Args:
        body: The skeleton with its keypoints.
        times: Time of each frame [s], shape [T].
        views: What the cameras saw.
        shared_mean: Prior mean of the shared unknowns, shape [G].
        shared_std: Their standard deviations, shape [G].
        guess: What a motion prior says, and of which view; the habits of `pose_habits` where it is None.
        guess_view: The view that it was made from.
        guess_share: How many independent observations a second of the motion prior is worth, per `CORRELATED`.
    """

    body: KeypointBody
    times: Array
    views: Sequence[View]
    shared_mean: Array
    shared_std: Array
    guess: PoseGuess | None = None
    guess_view: int = 0
    guess_share: float = 1.0
    layout: Shared = field(init=False)
    worth: Array = field(init=False)  # [T] observations that a frame counts for

    def __post_init__(self) -> None:
        kinds = tuple(dict.fromkeys(a.kind for a in self.body.attachments))
        object.__setattr__(self, "layout", Shared(kinds, len(self.views)))
        steps = np.gradient(self.times) if len(self.times) > 1 else np.full(1, CORRELATED)
        object.__setattr__(self, "worth", np.minimum(1.0, steps / CORRELATED))

    # -- what the unknowns mean ------------------------------------------------------------------------------------

    def factors(self, shared: Array) -> Array:
        """Scale factor of each group, shape [G]."""
        return np.asarray(np.exp(shared[self.layout.whole] + shared[self.layout.groups]))

    def offsets(self, shared: Array) -> Array:
        """Offset of every point in its body [m], shape [K + S, 3]."""
        by_kind = dict(zip(self.layout.kinds, shared[self.layout.offsets].reshape(-1, 3), strict=True))
        own = [by_kind[a.kind] * a.mirror for a in self.body.attachments]
        return np.array(own + [np.zeros(3)] * len(SOLE_POINTS))

    def points(self, state: State) -> Array:
        """Keypoints and sole points in ground [m], shape [T, K + S, 3]."""
        found = [
            self.body.points(state.angles[at], self.factors(state.shared), self.offsets(state.shared)).position
            for at in self._blocks()
        ]
        return state.position[:, None] + np.concatenate(found) @ state.rotation.swapaxes(-1, -2)

    def _blocks(self) -> list[slice]:
        frames = len(self.times)
        return [slice(k, min(k + BLOCK, frames)) for k in range(0, frames, BLOCK)]

    # -- what is asked ---------------------------------------------------------------------------------------------

    def equations(self, state: State, contact: Array) -> tuple[NormalEquations, Array, list[Array]]:
        """Normal equations at a state.

        Args:
            state: The state.
            contact: How surely each sole point touches the ground, shape [T, S].

        Returns:
            The equations, with the cost; the sole points in ground [m], shape [T, S, 3]; and for each view the
            distance of the keypoints from where they were seen [px], shape [T, K].
        """
        frames, n = len(self.times), 6 + state.angles.shape[1]
        system = NormalEquations(frames, n, self.layout.count)
        soles = np.empty((frames, len(SOLE_POINTS), 3))
        pixels = [np.empty((frames, len(self.body.attachments))) for _ in self.views]
        carried: tuple[Array, Array, Array] | None = None
        for at in self._blocks():
            position, by_local, by_shared = self._ground_points(state, at)
            keypoints = len(self.body.attachments)
            for number, view in enumerate(self.views):
                sight = see(view, position[:, :keypoints], state.shared[self.layout.camera(number)], at)
                count = len(position)
                local = (sight.by_point @ by_local[:, :keypoints]).reshape(count, -1, n)
                shared = (sight.by_point @ by_shared[:, :keypoints]).reshape(count, -1, self.layout.count)
                if sight.by_camera is not None:
                    shared[..., self.layout.camera(number)] = sight.by_camera
                weight = sight.weight * self.worth[at, None]
                system.add(sight.residual, weight, local, shared, at)
                system.cost += float((sight.cost * self.worth[at]).sum())
                pixels[number][at] = sight.pixels
            sole = position[:, keypoints:], by_local[:, keypoints:], by_shared[:, keypoints:]
            soles[at] = sole[0]
            if contact.any():
                self._stand(system, sole, carried, contact, at, state)
            carried = tuple(part[-1:] for part in sole)  # type: ignore[assignment]
        self._smooth(system, state)
        self._hold_angles(system, state)
        self._hold_shared(system, state)
        return system, soles, pixels

    def _ground_points(self, state: State, at: slice) -> tuple[Array, Array, Array]:
        """Points in ground and their derivatives by the frame's and by the shared unknowns."""
        factors = self.factors(state.shared)
        found = self.body.points(state.angles[at], factors, self.offsets(state.shared))
        rotation = state.rotation[at][:, None]
        arm = (rotation @ found.position[..., None])[..., 0]
        frames, count = arm.shape[:2]
        n = 6 + state.angles.shape[1]
        by_local = np.zeros((frames, count, 3, n))
        by_local[..., :3] = np.eye(3)
        x, y, z = (arm[..., k] for k in range(3))
        by_local[..., 0, 4], by_local[..., 0, 5] = z, -y
        by_local[..., 1, 3], by_local[..., 1, 5] = -z, x
        by_local[..., 2, 3], by_local[..., 2, 4] = y, -x
        by_local[..., 6:] = rotation @ found.by_angle
        by_shared = np.zeros((frames, count, 3, self.layout.count))
        by_log = rotation @ (found.by_factor * factors)
        by_shared[..., self.layout.groups] = by_log
        by_shared[..., self.layout.whole] = by_log.sum(-1)
        by_offset = rotation @ found.by_offset
        for k, attachment in enumerate(self.body.attachments):
            first = self.layout.offsets.start + 3 * self.layout.kinds.index(attachment.kind)
            by_shared[:, k, :, first : first + 3] = by_offset[:, k] * attachment.mirror
        return state.position[at][:, None] + arm, by_local, by_shared

    def _stand(
        self,
        system: NormalEquations,
        sole: tuple[Array, Array, Array],
        carried: tuple[Array, Array, Array] | None,
        contact: Array,
        at: slice,
        state: State,
    ) -> None:
        """Touching points are on the floor, and stay where they were in the frame before."""
        position, by_local, by_shared = sole
        height = position[..., 1] - state.shared[self.layout.floor]
        below = height < 0
        weight = (contact[at] ** 2 + (below & (contact[at] == 0))) / CONTACT_HEIGHT**2 * self.worth[at, None]
        shared = by_shared[:, :, 1].copy()
        shared[..., self.layout.floor] = -1.0
        system.add(height, weight, by_local[:, :, 1], shared, at)
        system.cost += float((weight * height**2).sum())
        start = at.start
        if carried is not None:
            position, by_local, by_shared = (np.concatenate(pair) for pair in zip(carried, sole, strict=True))
            start -= 1
        if len(position) < 2:
            return
        pairs = slice(start, start + len(position) - 1)
        elapsed = np.diff(self.times)[pairs]
        both = np.minimum(contact[pairs], contact[pairs.start + 1 : pairs.stop + 1]) ** 2
        weight = both / (CONTACT_SPEED * elapsed[:, None]) ** 2 * np.minimum(1.0, elapsed / CORRELATED)[:, None]
        count, n = len(elapsed), by_local.shape[-1]
        system.add_step(
            np.diff(position, axis=0).reshape(count, -1),
            np.repeat(weight, 3, axis=-1),
            -by_local[:-1].reshape(count, -1, n),
            by_local[1:].reshape(count, -1, n),
            np.diff(by_shared, axis=0).reshape(count, -1, self.layout.count),
            pairs,
        )

    def _smooth(self, system: NormalEquations, state: State) -> None:
        if len(self.times) < 3:
            return
        steps, worth = acceleration_steps(self.times)
        turn = Rotation.from_matrix(state.rotation[1:] @ state.rotation[:-1].swapaxes(-1, -2)).as_rotvec()
        a, c = steps[:, :1], steps[:, 2:]
        straight = np.concatenate([state.position, state.angles], axis=1)
        linear = a * (straight[:-2] - straight[1:-1]) + c * (straight[2:] - straight[1:-1])
        angular = c * turn[1:] - a * turn[:-1]
        residual = np.concatenate([linear[:, :3], angular, linear[:, 3:]], axis=1)
        weight = worth[:, None] / acceleration_std(self.body.names) ** 2
        system.add_acceleration(residual, weight, steps)

    def _hold_angles(self, system: NormalEquations, state: State) -> None:
        """Limits, and habits or the motion prior."""
        frames = len(self.times)
        low, high = limits(self.body.names)
        beyond = np.minimum(state.angles - low, 0) + np.maximum(state.angles - high, 0)
        none = np.zeros((frames, 6))
        worth = self.worth[:, None]
        system.add_diagonal(np.hstack([none, beyond]), np.hstack([none, (beyond != 0) * worth / LIMIT_STD**2]))
        mean, weight = habits(self.body.names)
        mean, weight = np.broadcast_to(mean, state.angles.shape), np.broadcast_to(weight * worth, state.angles.shape)
        residual = state.angles - mean
        if self.guess is not None:
            residual, weight = residual.copy(), weight.copy()
            for k, name in enumerate(self.guess.names):
                if name in self.body.names:
                    column = self.body.names.index(name)
                    residual[:, column] = state.angles[:, column] - self.guess.mean[:, k]
                    weight[:, column], loss = self._doubted(residual[:, column], self.guess.std[:, k], self.worth)
                    system.cost += float((loss - weight[:, column] * residual[:, column] ** 2).sum())
        system.add_diagonal(np.hstack([none, residual]), np.hstack([none, weight]))
        if self.guess is None:
            self._hold_upright(system, state)
        else:
            self._hold_pelvis(system, state, self.guess)

    def _hold_upright(self, system: NormalEquations, state: State) -> None:
        """Habits of tilt and list, whatever the heading: the vertical in the pelvis' axes, R^T y, tells both."""
        frames = len(self.times)
        up = state.rotation[:, 1]
        (tilt, tilt_std), (sideways, list_std) = np.radians(PELVIS_HABITS)
        residual = np.stack([up[:, 0] - np.sin(tilt), up[:, 2] + np.sin(sideways)], axis=1)
        weight = self.worth[:, None] / np.array([tilt_std, list_std]) ** 2
        turned = state.rotation.swapaxes(-1, -2) @ -np.cross(np.eye(3), [0.0, 1.0, 0.0]).T  # R^T (y × δ)
        local = np.zeros((frames, 2, system.local))
        local[:, :, 3:6] = turned[:, [0, 2]]
        system.add(residual, weight, local, None, slice(0, frames))
        system.cost += float((weight * residual**2).sum())

    def _hold_pelvis(self, system: NormalEquations, state: State, guess: PoseGuess) -> None:
        """The pelvis is turned to the camera as the motion prior says."""
        view = self.views[self.guess_view]
        camera = view.rotation(state.shared[self.layout.camera(self.guess_view)])
        wanted = camera.T @ guess.pelvis
        off = Rotation.from_matrix(state.rotation @ wanted.swapaxes(-1, -2)).as_rotvec()
        # In the camera's axes, where its standard deviations are told.
        residual = off @ camera.T
        weight, loss = self._doubted(residual, guess.pelvis_std, self.worth[:, None])
        local = np.zeros((len(off), 3, system.local))
        local[:, :, 3:6] = camera
        system.add(residual, weight, local, None, slice(0, len(off)))
        system.cost += float(loss.sum())

    def _doubted(self, residual: Array, std: Array, worth: Array) -> tuple[Array, Array]:
        """Weight and loss of what a motion prior says: it counts less and less the more the video contradicts it."""
        squared = (residual / std) ** 2
        weight = self.guess_share * worth / std**2 / (1 + squared / GUESS_LOSS**2)
        return weight, self.guess_share * worth * GUESS_LOSS**2 * np.log1p(squared / GUESS_LOSS**2)

    def _hold_shared(self, system: NormalEquations, state: State) -> None:
        system.add_shared(state.shared - self.shared_mean, self.observations / self.shared_std**2)

    @property
    def observations(self) -> float:
        """How often the prior of the shared unknowns is weighed."""
        return max(1.0, float(self.worth.sum()) / SHARED_OBSERVATIONS)


def acceleration_steps(times: Array) -> tuple[Array, Array]:
    """Factors of three frames that follow each other in a second difference [1/s²], shape [T - 2, 3], and how many
    observations each counts for, shape [T - 2].
    """
    h = np.diff(times)
    first, second = 2 / (h[:-1] * (h[:-1] + h[1:])), 2 / (h[1:] * (h[:-1] + h[1:]))
    return np.stack([first, -first - second, second], axis=-1), np.minimum(1.0, 0.5 * (h[:-1] + h[1:]) / CORRELATED)


def acceleration_std(names: tuple[str, ...]) -> Array:
    """Standard deviation of each local unknown's acceleration: pelvis shift, pelvis turn, fitted coordinates."""
    return np.concatenate(
        [np.full(3, PELVIS_SHIFTS), np.full(3, PELVIS_TURNS), ACCELERATION * by_name(names, LIVELINESS, 1.0)]
    )
