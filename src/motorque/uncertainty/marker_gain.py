"""How the coordinates that inverse kinematics finds follow the markers that it was given.

At the minimum of the fit a small displacement n of the markers moves the coordinates by K n,

    K = C A⁻¹ (J C)ᵀ W,    A = Cᵀ (Jᵀ W J + curvature) C,

J the markers' Jacobian, W their weights, C how all coordinates follow the free ones. What remains of n in the residual
is (I - J K) n: the *leverage* J K is the share of a marker's noise that the fit swallows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.fitting.marker_normal_equations import MarkerSystem
from motorque.mechanics.kinematics import forward_kinematics, marker_positions
from motorque.mechanics.twists import coordinate_twists, joint_axes
from motorque.series import Markers
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]

BLOCK = 128
"""Frames at a time: their Jacobians stay within some tens of MB."""

LEVERAGE_FRAMES = 60
"""Frames of a recording whose leverages are averaged; they change slowly."""

UNSEEN = 1e-8
"""Share of the largest curvature under which a direction is one that no marker sees: that of a marker among forty a
millimetre off the axis that it is to tell a turn about."""

SOFTEST = 0.3
"""Least share of the markers' hold on a direction that curvature leaves: under it the fit is near a place where it has
no minimum, and small displacements tell nothing."""


@dataclass(frozen=True, eq=False)
class MarkerGain:
    """How coordinates follow markers, frame by frame.

    Args:
        names: The fitted markers, M of them.
        free: The coordinates that the fit varies, n of them.
        gain: K for the free coordinates by marker displacements in the axes of the marker's body [rad/m or 1], shape
            [T, n, M, 3].
        coupling: C: how all coordinates follow the free ones, shape [T, nq, n].
        seen: Where markers were seen, shape [T, M].
        residual: Measured less model markers in the axes of the marker's body [m], shape [T, M, 3]; NaN where unseen.
        mixing: Mean square of a marker's residual per unit of variance of each marker, shape [M, M]: the rows say how
            much of a marker's own noise is left in its residual and what others add.
        told: Where the markers tell each free coordinate, shape [T, n].
    """

    names: tuple[str, ...]
    free: tuple[int, ...]
    gain: NDArray[np.float64]
    coupling: Array
    seen: NDArray[np.bool_]
    residual: Array
    mixing: Array
    told: NDArray[np.bool_]


def fitted_markers(skeleton: Skeleton, markers: Markers, weights: Mapping[str, float] | None) -> tuple[str, ...]:
    """The markers that inverse kinematics fits: the skeleton's, weighted, seen at least once."""
    seen = {markers.names[i] for i in np.flatnonzero(np.isfinite(markers.positions[..., 0]).sum(0))}
    ours = (n for n in markers.names if n in seen and n in skeleton.marker_names)
    return tuple(n for n in ours if weights is None or weights.get(n, 0.0) > 0)


def marker_gain(
    skeleton: Skeleton,
    markers: Markers,
    values: Array,
    *,
    weights: Mapping[str, float] | None = None,
    names: tuple[str, ...] | None = None,
) -> MarkerGain:
    """The gain of inverse kinematics along a recording.

    Args:
        skeleton: The skeleton with its markers.
        markers: The measured markers in ground [m].
        values: The coordinates that were found, before smoothing, shape [T, nq].
        weights: As for :func:`motorque.fitting.ik.inverse_kinematics`.
        names: The markers that are fitted, if not those of :func:`fitted_markers`.
    """
    names = fitted_markers(skeleton, markers, weights) if names is None else names
    places = [skeleton.marker_names.index(n) for n in names]
    body = skeleton.with_markers([skeleton.markers[i] for i in places], skeleton.marker_position[places])
    system = MarkerSystem(body)
    chosen = torch.tensor([1.0 if weights is None else float(weights[n]) for n in names], dtype=torch.float64)
    measured = torch.as_tensor(markers.select(list(names)).positions, dtype=torch.float64)
    seen = torch.isfinite(measured[..., 0])
    w = torch.where(seen, chosen, 0.0)
    w = w / w.sum(-1, keepdim=True).clamp(min=1e-300)
    q = torch.as_tensor(values, dtype=torch.float64)
    places_of = {c: n for n, c in enumerate(skeleton.free_coordinates)}
    free = tuple(c for c in skeleton.free_coordinates if not skeleton.coordinates[c].locked)
    kept = [places_of[c] for c in free]
    frames, count = len(q), len(names)
    gain = np.empty((frames, len(free), count, 3))
    coupling = skeleton.coupling_matrix(q)[..., kept]
    residual = np.empty((frames, count, 3))
    sampled = set(np.unique(np.linspace(0, frames - 1, min(frames, LEVERAGE_FRAMES)).round().astype(int)).tolist())
    mixing = np.zeros((count, count))
    told = np.empty((frames, len(free)), dtype=bool)
    for start in range(0, frames, BLOCK):
        part = slice(start, min(start + BLOCK, frames))
        block = _Block.of(system, q[part], torch.nan_to_num(measured[part]), w[part], coupling[part])
        gain[part] = block.gain.numpy()
        residual[part] = torch.where(seen[part][..., None], block.residual, torch.nan).numpy()
        told[part] = ~block.blind.numpy()
        which = [i - start for i in range(part.start, part.stop) if i in sampled]
        if which:
            mixing += block.mixing(which).numpy()
    mixing /= len(sampled)
    return MarkerGain(names, free, gain, coupling.numpy(), seen.numpy(), residual, mixing, told)


@dataclass(frozen=True, eq=False)
class _Block:
    """Some frames: the gain [K, n, M, 3], the Jacobian alike [K, M, 3, n], both in body axes, and the residual."""

    gain: Tensor
    jacobian: Tensor
    residual: Tensor
    blind: Tensor
    seen: Tensor

    @classmethod
    def of(cls, system: MarkerSystem, q: Tensor, targets: Tensor, w: Tensor, coupling: Tensor) -> _Block:
        whole = system.skeleton  # its bodies are those that `below` and `owner` count
        poses = forward_kinematics(whole, q)
        twists = coordinate_twists(whole, q, joint_axes(whole, q, poses))
        p = marker_positions(whole, q, poses)
        below = system.below[system.owner]  # [nq, M]
        speed = twists[:, None, :, 3:] + torch.linalg.cross(twists[:, None, :, :3], p[:, :, None])
        jacobian = (speed * below.T[None, :, :, None]).transpose(-1, -2) @ coupling[:, None]  # [K, M, 3, n]
        _, _, matrix, curvature = system.normal_equations(q, targets, w)
        normal = coupling.mT @ matrix @ coupling
        bent = normal + coupling.mT @ curvature @ coupling
        value, vector = torch.linalg.eigh(normal)
        told = value > UNSEEN * value[:, -1:]
        root = vector * torch.where(told, value.clamp(min=1e-300) ** -0.5, 0.0)[:, None]
        # With large residuals the curvature can undo what the markers hold; where it does, it counts in part only.
        share, turn = torch.linalg.eigh(root.mT @ bent @ root)
        inverse = root @ (turn * (1 / share.clamp(min=SOFTEST))[:, None]) @ turn.mT @ root.mT
        blind = (vector.square() * ~told[:, None]).sum(-1) > 0.5
        rotation = poses.rotation[:, whole.marker_body.clamp(min=0)]
        local = rotation.mT @ jacobian
        weighted = (local * w[..., None, None]).flatten(1, 2)  # [K, 3M, n]
        gain = (inverse @ weighted.mT).unflatten(-1, local.shape[1:3])
        residual = (rotation.mT @ (targets - p)[..., None])[..., 0]
        return cls(gain, local, residual, blind, w > 0)

    def mixing(self, which: list[int]) -> Tensor:
        """Sum over some frames of the mean square over axes of (I - J K), marker by marker, shape [M, M]."""
        jacobian, gain = self.jacobian[which].flatten(1, 2), self.gain[which].flatten(2, 3)
        left = torch.eye(jacobian.shape[1], dtype=jacobian.dtype) - jacobian @ gain
        blocks = left.square().unflatten(1, (-1, 3)).unflatten(3, (-1, 3)).sum((2, 4)) / 3
        return blocks.sum(0)
