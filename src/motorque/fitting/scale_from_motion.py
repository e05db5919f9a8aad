"""Segment scales and marker offsets found together with the poses, where there is no static trial to measure.

Unknown are a few scale factors (shared by left and right), where each marker sits on its segment, and the pose in
about a dozen frames. Minimized are the distances between model and measured markers, weighted by how well they are
measured, plus what is known before: people's proportions vary by some per cent around their size, palpated landmarks
lie within a centimetre or two of where anatomy says, and other markers anywhere on their segment.

All unknowns are found by Gauss-Newton with the poses eliminated frame by frame (Schur complement).
Source of the approach: Reinbolt et al., J. Biomech. 38 (2005) 621 (joint parameters and motion found together);
Werling et al., PLoS ONE 18 (2023) e0295152 (scales, offsets and poses of a whole skeleton).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError
from motorque.fitting.chain_extents import chain_extents
from motorque.fitting.foot_flat import LevelFeet, feet_of, flat_frames
from motorque.fitting.ik import inverse_kinematics
from motorque.fitting.scale_groups import ScaleGroup, default_groups
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics, joint_elements, marker_positions
from motorque.mechanics.twists import coordinate_bodies, coordinate_twists, descendant_matrix, joint_axes
from motorque.series import Markers, Scales
from motorque.skeleton.scaling import scale_lengths
from motorque.skeleton.skeleton import GROUND, Skeleton

MEASUREMENT_STD = 0.01
"""How far a marker strays from a rigid segment [m]: soft tissue moves by 5 to 20 mm (Leardini et al., Gait Posture 21
(2005) 212); the smaller end, since errors shared by all frames go to the offsets."""

PROPORTION_STD = 0.06
"""Spread of one segment's scale around the whole person's: coefficients of variation of segment lengths relative to
height are 3 to 6 % (Drillis, Contini, Bluestein, Artif. Limbs 8 (1964) 44)."""

KNOWN_STD = 1e-4
"""What is left of both spreads where the size is known already."""

SIZE_STD = 0.10
"""Spread of the whole person's scale around 1 where no height is given: adult height varies by 5 % within a sex; twice
that leaves room for adolescents."""

HEIGHT_STD = 0.02
"""Spread of the whole person's scale around given height over the skeleton's own height."""

TRUSTED_STD = 0.03
"""Markers known this well [m] show when a foot is down; others may sit anywhere."""

POSE_STD = 1.0
"""Weak pull of every angle to its default [rad], which only decides what no marker does."""

INDEPENDENT_POSES = 5
"""How many poses a recording counts as in that pull: its frames resemble each other, and all share the marker offsets
that a pull on each of them would bend to itself."""


@dataclass(frozen=True)
class BodyFit:
    """A skeleton fitted to a person by its motion.

    Args:
        skeleton: Scaled skeleton with its markers moved to where they were found.
        scales: Factor of every body and axis with standard deviations.
        rms: Marker error over the frames used [m].
        marker_shift: How far each marker moved from its place on the scaled generic skeleton [m], by name.
    """

    skeleton: Skeleton
    scales: Scales
    rms: float
    marker_shift: Mapping[str, float]


def fit_body(
    skeleton: Skeleton,
    recordings: Sequence[Markers],
    *,
    marker_std: Mapping[str, float],
    tissue_std: Mapping[str, float] | None = None,
    height_ratio: float | None = None,
    scales_known: bool = False,
    still: bool = False,
    frames: int = 12,
    rounds: int = 20,
    journal: Journal | None = None,
) -> BodyFit:
    """Find scales and marker offsets from recordings of the same person.

    Args:
        skeleton: Generic skeleton with markers at their anatomical places, named as in the recordings.
        recordings: Marker trajectories (a static trial counts like any other), in ground [m].
        marker_std: How well each marker's place on its segment is known beforehand [m], by name.
        tissue_std: How far markers stray from their segment [m], by name, where that is not :data:`MEASUREMENT_STD`.
        height_ratio: The person's height over the skeleton's, if it is known.
        scales_known: Whether the skeleton has the person's size already, so that only markers are placed.
        still: Whether the recordings show the person standing still, a static trial.
        frames: How many frames are used in all. More do not help: skin strays the same way whenever a pose recurs, so
            that a dozen poses tell what there is to know, and many would outvote what is known beforehand.
        rounds: Most Gauss-Newton rounds.
        journal: Where what was found is recorded.

    Raises:
        DataError: Too few markers are known or seen.
    """
    journal = journal if journal is not None else Journal()
    names = [n for n in skeleton.marker_names if n in marker_std and any(n in r.names for r in recordings)]
    if len(names) < 6:
        raise DataError(
            f"only {len(names)} markers of the recording are known on the skeleton; at least 6 are needed to scale it"
        )
    chosen = [skeleton.marker_names.index(n) for n in names]
    body = skeleton.with_markers([skeleton.markers[i] for i in chosen], skeleton.marker_position[chosen])
    trusted = [[n for n in own if marker_std[n] <= TRUSTED_STD] for _, own in feet_of(body)]
    targets, flat = _choose_frames(recordings, names, frames, trusted)
    level = LevelFeet(tuple(foot for foot, _ in feet_of(body)), flat)
    stds = torch.tensor([marker_std[n] for n in names])
    strays = torch.tensor([(tissue_std or {}).get(n, MEASUREMENT_STD) for n in names])
    groups = default_groups(body, still=still)
    problem = _Problem(body, groups, targets, stds, strays, height_ratio, level)
    if scales_known:
        problem.size_std = problem.proportion_std = KNOWN_STD
    theta, q = problem.solve(rounds)
    factors = problem.factors(theta)
    fitted = problem.apply(theta)
    model = marker_positions(fitted, q)
    error = (model - torch.nan_to_num(targets)).norm(dim=-1)[problem.seen]
    rms = float(error.square().mean().sqrt())
    std = problem.factor_std(theta, q)
    scales = Scales(body.body_names, factors.numpy(), std)
    shift = problem.offsets(theta).norm(dim=-1)
    journal.info(
        f"segment scales found from {'the static trial' if still else 'the motion itself'}: "
        + ", ".join(
            f"{g.name} {float(f):.3f}" for g, f in zip(problem.groups, problem.group_factors(theta), strict=True)
        )
        + f"; marker error {1000 * rms:.1f} mm over {len(q)} frames",
        "scaling",
    )
    return BodyFit(fitted, scales, rms, dict(zip(names, shift.tolist(), strict=True)))


def _choose_frames(
    recordings: Sequence[Markers], names: Sequence[str], count: int, feet: Sequence[Sequence[str]]
) -> tuple[Tensor, Tensor]:
    """Frames spread over all recordings, of those that show most markers.

    Returns:
        Markers [K, M, 3] with NaN for what is not seen, and which foot stands flat [K, F].
    """
    stacks, flats = [], []
    share = max(4, count // len(recordings))
    for recording in recordings:
        full = np.full((len(recording.times), len(names), 3), np.nan)
        for column, name in enumerate(names):
            if name in recording.names:
                full[:, column] = recording.positions[:, recording.names.index(name)]
        visible = np.isfinite(full[..., 0]).sum(1)
        best = np.flatnonzero(visible >= np.quantile(visible, 0.5))
        chosen = best[np.unique(np.linspace(0, len(best) - 1, share).round().astype(int))]
        stacks.append(full[chosen])
        flat = [flat_frames(recording, foot) for foot in feet]
        flats.append(np.stack(flat, axis=1)[chosen] if flat else np.zeros((len(chosen), 0), dtype=bool))
    return torch.as_tensor(np.concatenate(stacks)), torch.as_tensor(np.concatenate(flats))


class _Problem:
    """Residuals and derivatives of the joint fit.

    Unknowns θ: log scale of the person, log scales of the groups relative to it, marker offsets [m] in their bodies.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        groups: list[ScaleGroup],
        targets: Tensor,
        marker_std: Tensor,
        tissue_std: Tensor,
        height_ratio: float | None,
        level: LevelFeet,
    ) -> None:
        self.skeleton, self.groups, self.level = skeleton, groups, level
        self.seen = torch.isfinite(targets[..., 0])
        self.targets = torch.nan_to_num(targets)
        self.marker_std = marker_std.double()
        self.tissue_std = tissue_std.double()
        self.proportion_std = PROPORTION_STD
        count = len(skeleton.body_names)
        self.spread = torch.zeros(count, 3, len(groups), dtype=torch.float64)
        for column, group in enumerate(groups):
            for name, axes in group.members:
                for axis in axes:
                    self.spread[skeleton.body(name), "xyz".index(axis), column] = 1.0
        self.size_mean = 0.0 if height_ratio is None else float(np.log(height_ratio))
        self.size_std = SIZE_STD if height_ratio is None else HEIGHT_STD
        self.variables = [i for i in skeleton.free_coordinates if not skeleton.coordinates[i].locked]
        self.extents = chain_extents(skeleton)

    @property
    def head(self) -> int:
        return 1 + len(self.groups)

    def group_factors(self, theta: Tensor) -> Tensor:
        return torch.exp(theta[0] + theta[1 : self.head])

    def factors(self, theta: Tensor) -> Tensor:
        return torch.exp(theta[0] * (self.spread.sum(-1) > 0) + self.spread @ theta[1 : self.head])

    def offsets(self, theta: Tensor) -> Tensor:
        return theta[self.head :].reshape(-1, 3)

    def apply(self, theta: Tensor) -> Skeleton:
        scaled = scale_lengths(self.skeleton, self.factors(theta))
        return dataclasses.replace(scaled, marker_position=scaled.marker_position + self.offsets(theta))

    def solve(self, rounds: int) -> tuple[Tensor, Tensor]:
        theta = torch.zeros(self.head + 3 * len(self.skeleton.markers), dtype=torch.float64)
        theta[0] = self._first_size()
        times = np.arange(len(self.targets), dtype=float)
        positions = np.where(self.seen.numpy()[..., None], self.targets.numpy(), np.nan)
        weights = {
            m.name: float(1 / (t**2 + s**2))
            for m, s, t in zip(self.skeleton.markers, self.marker_std, self.tissue_std, strict=True)
        }
        seen = Markers(times, positions, self.skeleton.marker_names)
        start = inverse_kinematics(self.apply(theta), seen, weights=weights, in_sequence=False)
        q = torch.as_tensor(start.motion.values)
        cost = self._cost(theta, q)
        damping = 1e-3
        for _ in range(rounds):
            step_theta, step_q = self._step(theta, q, damping)
            new_theta = theta + step_theta
            new_q = self.skeleton.couple(q + step_q)
            new_cost = self._cost(new_theta, new_q)
            if new_cost < cost:
                done = cost - new_cost < 1e-5 * cost
                theta, q, cost, damping = new_theta, new_q, new_cost, max(damping / 10, 1e-9)
                if done:
                    break
            else:
                damping *= 10
                if damping > 1e6:
                    break
        return theta, q

    def _first_size(self) -> float:
        """Whole-body scale from distances between markers, seen against the model's in its default pose.

        Distances within a frame change with the pose; the ratio of their root mean squares over all pairs of markers on
        the same body does not.
        """
        model = marker_positions(self.skeleton, self.skeleton.default_pose)
        body = self.skeleton.marker_body
        same = (body[:, None] == body[None]) & (self.marker_std[:, None] < 0.03) & (self.marker_std[None] < 0.03)
        first, second = torch.nonzero(same.triu(1), as_tuple=True)
        if len(first) == 0:
            return self.size_mean
        expected = (model[first] - model[second]).norm(dim=-1)
        both = self.seen[:, first] & self.seen[:, second]
        measured = (self.targets[:, first] - self.targets[:, second]).norm(dim=-1)
        usable = both & (expected > 0.05)
        if not usable.any():
            return self.size_mean
        ratio = (measured / expected.clamp(min=1e-9))[usable].median()
        return float(torch.log(ratio).clamp(-0.5, 0.5))

    def _priors(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Deviation of θ from what is known beforehand, and its weight 1/σ²."""
        mean = torch.zeros_like(theta)
        mean[0] = self.size_mean
        std = torch.cat(
            [
                torch.tensor([self.size_std]),
                torch.full((len(self.groups),), self.proportion_std),
                self.marker_std.repeat_interleave(3),
            ]
        ).double()
        return theta - mean, 1 / std**2

    def _cost(self, theta: Tensor, q: Tensor) -> Tensor:
        body = self.apply(theta)
        poses = forward_kinematics(body, q)
        r = ((marker_positions(body, q, poses) - self.targets) / self.tissue_std[:, None])[self.seen]
        deviation, weight = self._priors(theta)
        pose = (q - self.skeleton.default_pose)[:, self._pulled()]
        # A few frames stand for thousands that share each marker's slow errors, so each counts once as it is.
        level = self.level.residuals(poses).square().sum()
        return (
            r.square().sum()
            + level
            + (weight * deviation.square()).sum()
            + (pose / POSE_STD).square().sum() * INDEPENDENT_POSES / len(q)
        )

    def _pulled(self) -> list[int]:
        """Rotations other than the root's, which the weak pose prior acts on."""
        return [
            i
            for i in self.variables
            if self.skeleton.coordinates[i].rotational
            and self.skeleton.parents[int(coordinate_bodies(self.skeleton)[i])] != GROUND
        ]

    def _jacobians(self, theta: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Residuals in standard deviations [K, n] and derivatives by θ [K, n, nθ] and free coordinates [K, n, nq]."""
        body = self.apply(theta)
        poses = forward_kinematics(body, q)
        p = marker_positions(body, q, poses)
        twists = coordinate_twists(body, q, joint_axes(body, q, poses))
        below = torch.as_tensor(descendant_matrix(body))
        on = body.marker_body
        moves = below[torch.as_tensor(coordinate_bodies(body))][:, on.clamp(min=0)] & (on >= 0)
        precise = self.seen / self.tissue_std
        velocity = twists[:, None, :, 3:] + torch.linalg.cross(twists[:, None, :, :3], p[:, :, None, :])
        follow = body.coupling_matrix(q)[..., [body.free_coordinates.index(i) for i in self.variables]]
        by_q = ((velocity * moves.T[None, :, :, None]).transpose(-1, -2) @ follow[:, None]) * (
            self.seen / self.tissue_std
        )[..., None, None]
        # A marker's place is linear in every body's factor; the chain rule leads on to the logarithms of the groups'.
        by_factor = self.extents.by_factor(body, poses, joint_elements(self.skeleton, q), self.skeleton)
        group = torch.einsum("kmibx,bxg->kmig", by_factor * self.factors(theta), self.spread)
        rotation = torch.where(
            (on >= 0)[:, None, None], poses.rotation[:, on.clamp(min=0)], torch.eye(3, dtype=torch.float64)
        )
        count, frames = len(body.markers), len(q)
        by_offset = torch.zeros(frames, count, 3, count, 3, dtype=torch.float64)
        by_offset[:, torch.arange(count), :, torch.arange(count), :] = rotation.transpose(0, 1)
        by_theta = torch.cat([group.sum(-1, keepdim=True), group, by_offset.flatten(-2)], dim=-1)
        by_theta = by_theta * precise[..., None, None]
        r = (p - self.targets) * precise[..., None]
        level = self.level.residuals(poses)
        turning = self.level.jacobian(poses, twists, below[torch.as_tensor(coordinate_bodies(body))]) @ follow
        return (
            torch.cat([r.flatten(1), level], dim=1),
            torch.cat([by_theta.flatten(1, 2), level.new_zeros(*level.shape, len(theta))], dim=1),
            torch.cat([by_q.flatten(1, 2), turning], dim=1),
        )

    def _system(self, theta: Tensor, q: Tensor, damping: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The reduced matrix and gradient for θ, and what gives the poses back: (S, g, Hqq⁻¹Hqθ, Hqq⁻¹gq, keep)."""
        r, a, b = self._jacobians(theta, q)
        frames = len(q)
        hqq = b.transpose(1, 2) @ b
        hqt = b.transpose(1, 2) @ a
        gq = (b.transpose(1, 2) @ r[..., None])[..., 0]
        pulled = torch.zeros(self.skeleton.nq, dtype=torch.float64)
        pulled[self._pulled()] = INDEPENDENT_POSES / (POSE_STD**2 * frames)
        pulled = pulled[self.variables]
        gq = gq + pulled * (q - self.skeleton.default_pose)[:, self.variables]
        diagonal = hqq.diagonal(dim1=1, dim2=2)
        hqq = hqq + torch.diag_embed(pulled + damping * diagonal + 1e-6)
        deviation, weight = self._priors(theta)
        flat = a.reshape(-1, a.shape[-1])
        htt = flat.T @ flat + torch.diag(weight)
        gt = flat.T @ r.reshape(-1) + weight * deviation
        factor = torch.linalg.cholesky(hqq)
        back = torch.cholesky_solve(hqt, factor)
        shift = torch.cholesky_solve(gq[..., None], factor)[..., 0]
        reduced = htt + damping * torch.diag(htt.diagonal()) - (hqt.transpose(1, 2) @ back).sum(0)
        gradient = gt - torch.einsum("knt,kn->t", hqt, shift)
        return reduced, gradient, back, shift, htt

    def _step(self, theta: Tensor, q: Tensor, damping: float) -> tuple[Tensor, Tensor]:
        reduced, gradient, back, shift, _ = self._system(theta, q, damping)
        step = -torch.linalg.solve(reduced, gradient)
        step_q = torch.zeros_like(q)
        step_q[:, self.variables] = (-shift - back @ step).clamp(-0.5, 0.5)
        return step, step_q

    def factor_std(self, theta: Tensor, q: Tensor) -> NDArray[np.float64]:
        """Standard deviation of every factor from the curvature of the fit, shape [B, 3]."""
        reduced, *_ = self._system(theta, q, 0.0)
        covariance = torch.linalg.inv(reduced)
        to_log = torch.cat([(self.spread.sum(-1) > 0).double()[..., None], self.spread], dim=-1)
        variance = torch.einsum("bxi,ij,bxj->bx", to_log, covariance[: self.head, : self.head], to_log)
        return np.asarray((self.factors(theta) * variance.clamp(min=0).sqrt()).numpy())
