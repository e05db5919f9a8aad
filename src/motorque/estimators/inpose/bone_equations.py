"""Lengths of bones from poses that are uncertain: the most likely ones, and how sure they are.

Given a pose, differences of places are linear in lengths and in the sensors' offsets, and so is the head's height over
the lower foot. How far each frame's joints are turned off is unknown too, and eliminated frame by frame; how far
somebody's joints are turned off throughout is not (Gauss and Newton's method on a nearly linear Gaussian model).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from motorque.estimators.inpose.bone_lengths import Lengths, ways
from motorque.estimators.inpose.closing import exp_vectors, left_jacobian
from motorque.estimators.inpose.guidance_operator import cross_matrix, differences
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import ANKLES, HEAD, JOINTS, PARENTS, standing_length
from motorque.skeleton.smpl import ANKLE_HEIGHT, BALL_HEIGHT

OWN = 0.1
"""Standard deviation of a constant turn of somebody's joint from what samples have [rad]."""
NOISE = 0.005
"""Least standard deviation of a place in each direction [m]: joints are not quite balls."""
HEIGHT, FLOOR = 0.05, 0.03
"""Standard deviation of the head's height over the lower foot's sole under sampled poses, and of the floor [m]."""
ROUNDS, SHARE = 40, 0.7
"""Rounds, and share of the turns' steps that is taken in each."""
SHORTEST = 0.2
"""Share of its expected length that a bone has at least."""

# A sampled joint's turn about the true one, in each direction [rad]: what it takes over of its parent's, and what it
# adds; from the watched people's errors where head and wrists alone are told
_TURNS = {
    "pelvis": (0.0, 0.22), "spine1": (0.9, 0.08), "spine2": (0.9, 0.08), "spine3": (0.9, 0.08), "neck": (0.7, 0.08),
    "head": (0.7, 0.2), "collar": (0.9, 0.12), "shoulder": (0.5, 0.55), "elbow": (0.85, 0.3), "wrist": (0.8, 0.4),
    "hip": (0.5, 0.25), "knee": (0.8, 0.18), "ankle": (0.6, 0.25), "foot": (0.6, 0.25),
}  # fmt: skip
_FEET = (*ANKLES, *(JOINTS.index(name) for name in ("left_foot", "right_foot")))
_BEFORE = torch.tensor(PARENTS[1:])
_ONE = torch.eye(3, dtype=torch.float64)
_BONES = len(_BEFORE)


@dataclass(frozen=True)
class FittedBones:
    """Bones found from a recording.

    Args:
        lengths: Their lengths and how sure they are.
        offsets: Where sensors are in their joints' axes [m], shape [22, 3].
        offsets_std: How sure that is in each direction [m], shape [22, 3].
    """

    lengths: Lengths
    offsets: Tensor
    offsets_std: Tensor

    @property
    def rest(self) -> Tensor:
        """Rest joints [m], shape [22, 3], float32."""
        return self.lengths.rest().float()

    @property
    def std(self) -> Tensor:
        """Standard deviation of the bone that ends in each joint [m], shape [22]; 0 for the pelvis."""
        return torch.cat([torch.zeros(1, dtype=torch.float64), self.lengths.std])


def fit_to_turns(
    turns: Tensor, measured: Measured, known: Lengths, *, weight: float, noise: float = 0.002, offset_error: float = 0.0
) -> FittedBones:
    """The most likely bones given poses that are uncertain.

    Args:
        turns: Global rotations, shape [N, 22, 3, 3].
        measured: What sensors say in the same N frames; their bones are not looked at, and the head's height counts
            where it is ``placed``.
        known: What is known of the bones.
        weight: How much a frame counts, 1 if it is independent of all others.
        noise: Standard deviation of places in each direction [m].
        offset_error: Standard deviation of where a sensor sits about its joint in each direction [m]; found too if
            above zero, for sensors in frames in which their rotation is measured.
    """
    frames = _Frames(turns, measured, known, noise, offset_error)
    before = torch.linalg.inv(frames.spread)
    found, moved = frames.mean.clone(), turns.new_zeros((len(turns), len(frames.free), 3))
    for _ in range(ROUNDS):
        slope, by_turn, aim = frames.differences(found, moved)
        across = frames.unsure @ by_turn.mT
        sure = torch.linalg.inv(by_turn @ across + frames.extra)
        whole = before + weight * torch.einsum("tia,tij,tjb->ab", slope, sure, slope)
        right = before @ frames.mean + weight * torch.einsum("tia,tij,tj->a", slope, sure, aim)
        height, over = frames.height(found, moved)
        share = weight * frames.tall / HEIGHT**2 / (1 + ((over - height @ found) / (2 * HEIGHT)) ** 2)
        whole = whole + torch.einsum("t,ta,tb->ab", share, height, height)
        right = right + torch.einsum("t,ta,t->a", share, height, over)
        found = torch.linalg.solve(whole, right)
        found[:_BONES] = torch.maximum(found[:_BONES], SHORTEST * known.mean)
        wanted = across @ sure @ (aim - slope @ found)[..., None]
        moved = moved + SHARE * (wanted[..., 0].unflatten(-1, (-1, 3)) - moved)
    return frames.result(found, torch.linalg.inv(whole))


class _Frames:
    """What some frames say, as equations in lengths, somebody's own turns, the floor and the sensors' offsets."""

    def __init__(self, turns: Tensor, measured: Measured, known: Lengths, noise: float, offset_error: float) -> None:
        # Where no rotation is measured a sampled pose may face anywhere
        there = measured.there & (measured.seen if offset_error > 0 else measured.seen.any(dim=-1, keepdim=True))
        self.turns, self.known = turns, known
        self.joints = there.any(dim=0).nonzero()[:, 0].tolist()
        pairs = differences(there[:, self.joints], cyclic=False).double()
        points = torch.where(there[..., None], measured.points.double(), 0.0)
        self.wanted = (pairs @ points[:, self.joints]).flatten(1)
        self.used = (pairs != 0).any(dim=-1).repeat_interleave(3, dim=-1)
        self.rows = torch.einsum("tkn,nb->tkb", pairs, ways()[self.joints])
        self.extra = max(noise, NOISE) ** 2 * torch.kron(pairs @ pairs.mT, _ONE) + torch.diag_embed(
            (~self.used).double()
        )
        # Whose turn matters: joints that carry a bone between sensors and are not measured throughout
        between = (self.rows != 0).flatten(0, 1).any(dim=0).nonzero()[:, 0].tolist()
        self.free = sorted(j for j in {PARENTS[bone + 1] for bone in between} if not measured.seen[:, j].all())
        self.carries = (_BEFORE == torch.tensor(self.free, dtype=torch.long)[:, None]).double()
        loose = (~measured.seen[:, self.free]).double().repeat_interleave(3, dim=-1)
        self.unsure = torch.kron(turn_covariance()[self.free][:, self.free], _ONE) * loose[:, None] * loose[..., None]
        # An offset is seen through its own sensor's turn
        self.at = self.joints if offset_error > 0 else []
        beside = torch.einsum("tkn,tnxy->tkxny", pairs, turns[:, self.joints])
        self.beside = beside.flatten(-2).flatten(1, 2)[..., : 3 * len(self.at)]
        self.tall = there[:, HEAD].double() * float(measured.placed)
        self.head = points[:, HEAD, 1]
        sole = ANKLE_HEIGHT / (1 - ANKLE_HEIGHT) * standing_length(known.rest().numpy())
        self.low = sole * torch.tensor([1.0, 1.0, BALL_HEIGHT, BALL_HEIGHT], dtype=torch.float64)
        own, off = 3 * len(self.free), 3 * len(self.at)
        self.mean = torch.cat([known.mean, torch.zeros(own + 1 + off, dtype=torch.float64)])
        self.spread = torch.block_diag(
            known.covariance + 1e-10 * torch.eye(_BONES, dtype=torch.float64),
            OWN**2 * torch.eye(own, dtype=torch.float64),
            torch.full((1, 1), FLOOR**2, dtype=torch.float64),
            offset_error**2 * torch.eye(off, dtype=torch.float64),
        )

    def _steady(self, found: Tensor) -> Tensor:
        return found[_BONES : _BONES + 3 * len(self.free)].unflatten(0, (-1, 3))

    def _along(self, found: Tensor, moved: Tensor) -> Tensor:
        """Where bones point in the world, shape [N, 21, 3]."""
        bent = self.turns.clone()
        bent[:, self.free] = exp_vectors(moved) @ self.turns[:, self.free] @ exp_vectors(self._steady(found))
        return (bent[:, _BEFORE] @ self.known.directions[..., None])[..., 0]

    def differences(self, found: Tensor, moved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Differences of places, made linear about what is found so far.

        Args:
            found: The unknowns, shape [P].
            moved: The frames' turns of the free joints [rad], shape [N, F, 3].

        Returns:
            How they change with the unknowns, shape [N, 3 K, P], and with the turns, shape [N, 3 K, 3 F]; and what the
            two must add up to, shape [N, 3 K].
        """
        along = self._along(found, moved)
        by_length = torch.einsum("tkb,tbx->tkxb", self.rows, along).flatten(1, 2)
        arms = torch.einsum("tkb,fb,tbx->tkfx", self.rows, self.carries, along * found[:_BONES, None])
        steady = self._steady(found)
        turning = -cross_matrix(arms)
        by_turn = turning @ left_jacobian(moved)[:, None]
        by_own = turning @ (exp_vectors(moved) @ self.turns[:, self.free] @ left_jacobian(steady))[:, None]
        by_turn, by_own = (x.transpose(-2, -3).flatten(-2).flatten(1, 2) for x in (by_turn, by_own))
        nothing = by_length.new_zeros((*by_length.shape[:2], 1))
        slope = torch.cat([by_length, by_own, nothing, self.beside], dim=-1)
        # All is linear in lengths and offsets; turns are so about where they are
        expected = (by_length @ found[:_BONES]) + self.beside @ found[len(found) - self.beside.shape[-1] :]
        missed = torch.where(self.used, self.wanted - expected, 0.0)
        aim = missed + (slope @ found) + (by_turn @ moved.flatten(1)[..., None])[..., 0]
        return slope, by_turn, aim

    def height(self, found: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        """The head's height over the lower foot: how it changes with the unknowns, [N, P], and what it is, [N]."""
        rise = (ways()[HEAD] - ways()[list(_FEET)]) * self._along(found, moved)[:, None, :, 1]  # [N, 4, 21]
        lower = (rise @ found[:_BONES] + self.low).argmax(dim=-1)
        slope = self.turns.new_zeros((len(rise), len(found)))
        slope[:, :_BONES] = rise[torch.arange(len(rise)), lower]
        slope[:, _BONES + 3 * len(self.free)] = 1.0
        if HEAD in self.at:
            first = len(found) - self.beside.shape[-1] + 3 * self.at.index(HEAD)
            slope[:, first : first + 3] = self.turns[:, HEAD, 1]
        return slope, self.head - self.low[lower]

    def result(self, found: Tensor, covariance: Tensor) -> FittedBones:
        """What is found, and how sure it is."""
        lengths = replace(self.known, mean=found[:_BONES], covariance=covariance[:_BONES, :_BONES])
        offsets, std = torch.zeros(2, len(JOINTS), 3, dtype=torch.float64)
        if self.at:
            offsets[self.at] = found[-3 * len(self.at) :].unflatten(0, (-1, 3))
            std[self.at] = covariance.diagonal()[-3 * len(self.at) :].sqrt().unflatten(0, (-1, 3))
        return FittedBones(lengths, offsets, std)


def turn_covariance() -> Tensor:
    """How far sampled joints are turned off true ones in each direction, and alike [rad²], shape [22, 22]."""
    made = torch.zeros(len(JOINTS), len(JOINTS), dtype=torch.float64)
    for joint, (name, parent) in enumerate(zip(JOINTS, PARENTS, strict=True)):
        follows, own = _TURNS[name.removeprefix("left_").removeprefix("right_")]
        if parent >= 0:
            made[joint] = follows * made[parent]
        made[joint, joint] = own
    return made @ made.T
