"""What the ground must have given, laid on the feet: contact for poses that are centimetres off the floor.

Poses from video hover over the floor or sink into it, and a contact law makes kilonewtons of that or nothing. Here the
force is the one that the motion asks for, F, and only its place is sought: shares π of the contact spheres that sum to
one, so that the centre of pressure is near the one that F and its moment have, c,

    minimise  Σ π log(π / w) + |Σ π x − c|² / 2 s²,

with w from how low and slow each sphere is and s for how well c is known. The feet get F times a support that fades as
no foot is near the floor; each sphere its share of it. What that does not explain stays at the root: the moment that
shares leave, the moment about the vertical, and F itself in the air or where it would pull the feet down.

It is smooth in everything, so that it can stand in a loss. That the two feet may push against each other in walking's
double support is not in it: all shares point where F does.

Source: own, from the idea of Fluit et al., J. Biomech. 47 (2014) 2321-2329, that strength follows from height and
speed; the dual of the minimum is solved by Newton's method and differentiated as the implicit function that it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.body_forces import body_states
from motorque.mechanics.contact import ContactModel, Contacts
from motorque.mechanics.inverse_dynamics import BodyMotion
from motorque.mechanics.kinematics import BodyPoses
from motorque.mechanics.tree import turn
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import Skeleton

_ROUNDS = 12  # of Newton's method with a line search; from a metre away it takes eight
_HALVINGS = 7


@dataclass(frozen=True)
class SharedContact:
    """The force that the motion asks for, on what is low and slow.

    Args:
        softness: Height in which a sphere's strength falls to 1/e [m]: heel pad and shoe give about a centimetre, poses
            from video err by a few.
        deepest: A sphere this many softnesses under the floor is no stronger for being deeper.
        fast: Speed at which half the strength is gone [m/s].
        fast_width: How gradually [m/s].
        faint: Sum of strengths at which half the force is laid on the feet: 0.02 is one sphere four softnesses up.
        point_error: Standard error of the centre of pressure that the motion asks for, s [m].

    Raises:
        DataError: One of them is not positive.

    Source of the numbers: those of `fitting.contact_detection` and `fitting.load_sharing`, which say where they have
    them; the softness is twice that for marker data.
    """

    softness: float = 0.02
    deepest: float = 2.0
    fast: float = 0.8
    fast_width: float = 0.2
    faint: float = 0.02
    point_error: float = 0.04

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise DataError(f"shared contact: {name.replace('_', ' ')} must be positive, got {value}")

    def __call__(self, skeleton: Skeleton, model: ContactModel, q: Tensor, v: Tensor, wanted: Wrench) -> Contacts:
        """Forces on the spheres.

        Args:
            skeleton: The skeleton.
            model: Its spheres and a level floor; the law is not asked.
            q: Positions, shape [..., nq].
            v: Speeds, shape [..., nv].
            wanted: Force [N] and moment about the ground origin [N·m] that the motion needs, in ground, each [..., 3].
        """
        poses, motion = body_states(skeleton, q, v)
        height, speed, point = self._lowest(model, poses, motion)
        lift = height / self.softness
        # exp(-lift) that levels off `deepest` below the floor, smoothly
        strength = torch.exp(-lift - torch.nn.functional.softplus(-lift - self.deepest))
        strength = strength * torch.sigmoid((self.fast - speed) / self.fast_width)
        force, moment = wanted
        # Within some tens of newtons around zero the ground lets go: it does not pull.
        pressing = torch.nn.functional.softplus(force[..., 1], beta=0.1)
        asked, origin = self._pressure_point(model, force, moment, pressing), poses.position[..., 0, :]
        level = [0, 2]
        place = (point - origin[..., None, :])[..., level]
        share = self._shares(strength.clamp(min=1e-30).log(), place, (asked - origin)[..., level])
        total = strength.sum(-1)
        support = total / (total + self.faint) * torch.sigmoid(0.1 * force[..., 1])
        found = (share * support[..., None])[..., None] * force[..., None, :]
        return Contacts(model.names, model.bodies, found, point, -height)

    def loads(self, skeleton: Skeleton, model: ContactModel, q: Tensor, v: Tensor, wanted: Wrench) -> dict[str, Wrench]:
        """Force [N] and moment about the ground origin [N·m] by body name, each [..., 3]; see :meth:`__call__`."""
        on_bodies = self(skeleton, model, q, v, wanted).on_bodies()
        return {skeleton.body_names[body]: wrench for body, wrench in on_bodies.items()}

    def _lowest(self, model: ContactModel, poses: BodyPoses, motion: BodyMotion) -> tuple[Tensor, Tensor, Tensor]:
        """Heights over the floor [m], speeds [m/s], each [..., S], and places on the floor [m], shape [..., S, 3], of
        the spheres' lowest points.
        """
        floor = model.floor.point[..., 1]
        index = constant(model.bodies, model.centers.device)
        down = torch.zeros_like(model.centers).index_fill(-1, constant([1], model.centers.device), 1.0)
        arm = turn(poses.rotation.index_select(-3, index), model.centers) - down * model.radii[:, None]
        point = poses.position.index_select(-2, index) + arm
        angular = motion.angular_velocity.index_select(-2, index)
        velocity = motion.velocity.index_select(-2, index) + torch.linalg.cross(angular, arm)
        speed = (velocity.square().sum(-1) + 1e-6).sqrt()
        height = point[..., 1] - floor
        on_floor = torch.stack([point[..., 0], floor.expand_as(height), point[..., 2]], dim=-1)
        return height, speed, on_floor

    def _pressure_point(self, model: ContactModel, force: Tensor, moment: Tensor, pressing: Tensor) -> Tensor:
        """Where on the floor a force without moment about horizontal axes would do what is wanted [m]."""
        floor = model.floor.point[..., 1] if model.floor.point.ndim == 1 else model.floor.point[0, 1]
        about = moment - torch.linalg.cross(torch.stack([0 * floor, floor, 0 * floor]).expand_as(force), force)
        # Where there is hardly a force the point means nothing, and stays where numbers are small.
        weight = torch.sqrt(pressing**2 + 1.0)
        x, z = about[..., 2] / weight, -about[..., 0] / weight
        return torch.stack([x, floor.expand_as(x), z], dim=-1)

    def _shares(self, log_weight: Tensor, place: Tensor, asked: Tensor) -> Tensor:
        """The shares π.

        Args:
            log_weight: log w, shape [..., S].
            place: Where the spheres are [m], shape [..., S, 2].
            asked: The centre of pressure that is asked for [m], shape [..., 2].

        Returns:
            Shape [..., S].
        """
        known = self.point_error**2
        eye = known * torch.eye(2, dtype=place.dtype, device=place.device)

        def newton(dual: Tensor) -> Tensor:
            share = torch.softmax(log_weight + (place @ dual[..., None])[..., 0], dim=-1)
            mean = (share[..., None] * place).sum(-2)
            off = place - mean[..., None, :]
            slope = mean - asked + known * dual
            return torch.linalg.solve((share[..., None] * off).mT @ off + eye, slope[..., None])[..., 0]

        def height(dual: Tensor) -> Tensor:
            tilted = torch.logsumexp(log_weight + (place @ dual[..., None])[..., 0], dim=-1)
            return tilted - (dual * asked).sum(-1) + 0.5 * known * dual.square().sum(-1)

        with torch.no_grad():
            dual = torch.zeros_like(asked)
            for _ in range(_ROUNDS):
                step = newton(dual)
                tried = torch.stack([dual - 0.5**k * step for k in range(_HALVINGS)])
                best = height(tried).argmin(0)
                dual = tried.gather(0, best[None, ..., None].expand(1, *dual.shape))[0]
        # Two more steps, with gradients, give the solution its first two derivatives.
        for _ in range(2):
            dual = dual - newton(dual)
        return torch.softmax(log_weight + (place @ dual[..., None])[..., 0], dim=-1)
