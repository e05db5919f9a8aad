"""Inverse dynamics of SMPL poses as a layer of a network: poses in, joint torques out, gradients to every input.

layer = SMPLDynamics(fps=30, mass=75.0, height=1.8, sex="female")
out = layer(global_orient, body_pose, transl)                   # out.torques [B, T, 24, 3]

Everything is in the world of the poses: the axes in which ``global_orient`` and ``transl`` are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from motorque.errors import DataError
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.backends import Backend
from motorque.mechanics.contact import ContactModel, Floor
from motorque.mechanics.contact_laws import ContactLaw, HuntCrossley
from motorque.mechanics.contact_share import SharedContact
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.mechanics.physics_loss import PhysicsLoss, PhysicsLossTerms
from motorque.mechanics.smpl_inputs import smpl_rotations
from motorque.mechanics.smpl_output import SMPLDynamicsOutput, SMPLMotion, TorqueFrame
from motorque.signals.pose_rates import PoseRates, RateMethod, rate_method
from motorque.signals.pose_rates.interface import checked_rate
from motorque.skeleton.anthropometry import Sex
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import Up, smpl

SEXES: dict[str, Sex] = {
    "female": "f", "male": "m", "neutral": "unknown", "f": "f", "m": "m", "unknown": "unknown"
}  # fmt: skip
"""What SMPL's users call them, and what the package does."""
Contact = Literal["hunt-crossley", "shared"]


class SMPLDynamics(nn.Module):
    """Torques behind SMPL poses: rates by a method of choice, then recursive Newton-Euler on SMPL's tree.

    Differentiable, twice where the method is, in poses, translation, loads, and in mass, height and joint positions
    where these are tensors that carry gradients (or parameters). One layer is one person.

    Args:
        fps: Frames per second [Hz].
        mass: Body mass [kg]; the mean of de Leva's people if not given. A number, or a tensor of one.
        height: Stature [m]; the mean of de Leva's people if not given. A number, or a tensor of one.
        sex: Whose proportions: ``female``, ``male`` or ``neutral`` (``f``, ``m``, ``unknown``).
        joint_positions: Instead of a height the person's own rest joints in SMPL's axes [m], shape [24, 3], such as
            SMPL's joint regressor gives for shape parameters. The pelvis then lies at its rest position plus
            ``transl``, as SMPL has it; without, at ``transl``.
        up: What is up in the world of the poses: ``y`` for SMPL's own, ``z`` as in AMASS, ``-y`` for a level camera's.
        rates: Way to velocities and accelerations: a name of ``pose_rates.METHODS`` or a method with its options.
        contact: What pushes the body where no loads are given: None for nothing, so that the whole of it is in the root
            wrench; ``hunt-crossley``, a contact law or a `ContactModel` for the forces of the spheres under the feet,
            which are only as good as the poses are on the floor (a centimetre is hundreds of newtons); ``shared`` or a
            `SharedContact` for the force that the motion asks for, laid on what is low and slow of the feet.
        floor_height: How high the floor is along the world's up axis [m]; for ``contact`` alone.
        frame: Axes of the output's ``torques``: the world's, or those of each joint's parent.
        backend: Which implementation of the recursion answers (`mechanics.backends`).

    Raises:
        DataError: A frame rate, mass, height, sex, axis or method that is none.
        ModelError: A contact model that does not fit.
    """

    def __init__(
        self,
        *,
        fps: float,
        mass: float | Tensor | None = None,
        height: float | Tensor | None = None,
        sex: str = "neutral",
        joint_positions: Tensor | None = None,
        up: Up = "y",
        rates: str | RateMethod = "central",
        contact: Contact | ContactLaw | ContactModel | SharedContact | None = None,
        floor_height: float = 0.0,
        frame: TorqueFrame = "world",
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        if sex not in SEXES:
            raise DataError(f"sex must be female, male or neutral, got {sex!r}")
        if isinstance(contact, str) and contact not in get_args(Contact):
            raise DataError(f"contact is 'hunt-crossley', 'shared', a contact law or a ContactModel, got {contact!r}")
        if frame not in ("world", "parent"):
            raise DataError(f"torques are in the axes of the 'world' or of the 'parent', not of {frame!r}")
        self.fps, self.sex, self.up, self.frame, self.backend = checked_rate(fps), SEXES[sex], up, frame, backend
        self.rates = rate_method(rates)
        self.contact, self.floor_height = contact, floor_height
        self._hold("mass", mass)
        self._hold("height", height)
        self._hold("joint_positions", joint_positions)
        self._kept: tuple[object, Skeleton] | None = None
        self.skeleton()  # says at once what is wrong

    def _hold(self, name: str, value: float | Tensor | None) -> None:
        """Keep a number of the person where ``.to(device)`` finds it."""
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
            return
        if not (value is None or isinstance(value, Tensor | Real)) or isinstance(value, bool):
            raise DataError(f"SMPL: {name.replace('_', ' ')} must be a number or a tensor, got {value!r}")
        tensor = value if value is None or isinstance(value, Tensor) else torch.tensor(float(value), dtype=torch.double)
        self.register_buffer(name, tensor, persistent=False)

    def skeleton(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Skeleton:
        """The person's skeleton, with rotations as matrices."""
        numbers = [getattr(self, name) for name in ("mass", "height", "joint_positions")]
        key = (dtype, torch.device(device), *((id(x), x._version) for x in numbers if x is not None))
        if self._kept is not None and self._kept[0] == key:
            return self._kept[1]
        mass, height, joints = (None if x is None else x.to(device=device, dtype=torch.float64) for x in numbers)
        body = smpl(mass=mass, height=height, sex=self.sex, joint_positions=joints, rotations="matrix", up=self.up)
        body = body.to(dtype=dtype, device=device)
        # The graph from a mass to the segments can be walked back only once.
        if not any(x is not None and x.requires_grad for x in numbers):
            self._kept = (key, body)
        return body

    def forward(
        self,
        global_orient: Tensor,
        body_pose: Tensor,
        transl: Tensor,
        loads: Mapping[str, Wrench] | None = None,
    ) -> SMPLDynamicsOutput:
        """Torques behind poses.

        Args:
            global_orient: The root's orientation, shape [..., T, 3] as rotation vectors [rad], or as 6D or matrices
                (`smpl_inputs.smpl_rotations`).
            body_pose: The other joints' rotations alike, shape [..., T, 69], or [..., T, 63] of SMPL-H and SMPL-X.
            transl: The root's translation [m], shape [..., T, 3].
            loads: Force [N] and moment about the **world's origin** [N·m] on bodies by SMPL's joint names, in the
                world's axes, each [..., T, 3]. Where there are any, no contact is computed.

        Returns:
            Torques and the rest; NaN at frames that are missing or whose rates are, and at no others.

        Raises:
            DataError: Shapes, devices or precisions do not fit, or there are too few frames.
            ModelError: A load is on a body that is not there.
        """
        rotations = smpl_rotations(global_orient, body_pose)
        return self.from_rates(self.rates(rotations, transl, self.fps), loads)

    def from_rates(self, rates: PoseRates, loads: Mapping[str, Wrench] | None = None) -> SMPLDynamicsOutput:
        """Torques from poses whose rates are known already; see :meth:`forward`.

        Raises:
            DataError: Shapes, devices or precisions do not fit.
            ModelError: A load is on a body that is not there.
        """
        like = rates.rotation
        body = self.skeleton(dtype=like.dtype, device=like.device)
        motion = SMPLMotion.of(body, rates)
        in_ground = None if loads is None else {name: motion.to_ground(wrench) for name, wrench in loads.items()}
        touching = None
        if loads is None and self.contact is not None:
            touching = in_ground = self._contact_loads(body, motion)
        tau = inverse_dynamics(body, motion.q, motion.v, motion.a, loads=in_ground, backend=self.backend)
        return SMPLDynamicsOutput(motion, tau, in_ground, contact_found=touching is not None, frame=self.frame)

    def _contact_loads(self, body: Skeleton, motion: SMPLMotion) -> dict[str, Wrench]:
        """Loads of the contact that was asked for, in ground."""
        if isinstance(self.contact, ContactModel):
            model = self.contact.to(device=body.mass.device, dtype=body.mass.dtype)
            return model.loads(body, motion.q, motion.v)
        floor = Floor.level(self.floor_height, like=body.mass)
        if self.contact == "shared" or isinstance(self.contact, SharedContact):
            shared = self.contact if isinstance(self.contact, SharedContact) else SharedContact()
            tau = inverse_dynamics(body, motion.q, motion.v, motion.a, backend=self.backend)
            force, moment = motion.to_ground((tau[..., 3:6], tau[..., :3]))
            pelvis = motion.poses.position[..., 0, :]
            wanted = force, moment + torch.linalg.cross(pelvis, force)
            return shared.loads(body, ContactModel.of(body, floor=floor), motion.q, motion.v, wanted)
        law = HuntCrossley() if isinstance(self.contact, str) else cast(ContactLaw, self.contact)
        return ContactModel.of(body, law, floor=floor).loads(body, motion.q, motion.v)

    def physics_loss(
        self,
        global_orient: Tensor,
        body_pose: Tensor,
        transl: Tensor,
        given: tuple[Tensor, ...] | None = None,
        *,
        loads: Mapping[str, Wrench] | None = None,
        loss: PhysicsLoss | None = None,
    ) -> Tensor:
        """How physical a motion is, a tensor of one number to add to the loss of a pose estimator or to minimise.

        It is large where poses are noisy and of the order of one where they are clean: the generated walk at 30 Hz has
        1, with 0.005 rad of white noise 4e2 and with 0.05 rad 3e4, without noise on the translation. So begin with a
        weight that makes it a tenth of the pose loss (``w = 0.1 * float(pose_loss) / float(physics)`` of the first
        batch, without gradients) and keep that weight: the loss falls as poses get smooth. Clip gradients, or give
        ``PhysicsLoss(roughness=...)`` the size that second derivatives of torques have in your clean data.

        Args:
            global_orient: As for :meth:`forward`.
            body_pose: As for :meth:`forward`.
            transl: As for :meth:`forward`.
            given: As for :meth:`physics_terms`.
            loads: As for :meth:`forward`.
            loss: Scales and weights; `PhysicsLoss`'s defaults if left out.

        Returns:
            The sum of the three terms of :meth:`physics_terms`, shape [].

        Raises:
            DataError: Shapes, devices or precisions do not fit.
            ModelError: A load is on a body that is not there.
        """
        return self.physics_terms(global_orient, body_pose, transl, given, loads=loads, loss=loss).total

    def physics_terms(
        self,
        global_orient: Tensor,
        body_pose: Tensor,
        transl: Tensor,
        given: tuple[Tensor, ...] | None = None,
        *,
        loads: Mapping[str, Wrench] | None = None,
        loss: PhysicsLoss | None = None,
    ) -> PhysicsLossTerms:
        """The three terms of :meth:`physics_loss`, each by itself, and their sum.

        Args:
            global_orient: As for :meth:`forward`.
            body_pose: As for :meth:`forward`.
            transl: As for :meth:`forward`.
            given: Global orientation and body pose that the poses are to stay near, in the same format, and the
                translation if that is to stay as well; None for a loss without that term.
            loads: As for :meth:`forward`.
            loss: Scales and weights; `PhysicsLoss`'s defaults if left out.

        Returns:
            The total and its three terms.

        Raises:
            DataError: Shapes, devices or precisions do not fit.
            ModelError: A load is on a body that is not there.

        Source: SMPL-Dynamics (arXiv 2605.24776), equation 5; see `physics_loss` for what is chosen here.
        """
        rotations = smpl_rotations(global_orient, body_pose)
        rates = self.rates(rotations, transl, self.fps)
        torques = self.from_rates(rates, loads).torques
        if given is not None and len(given) not in (2, 3):
            raise DataError("SMPL: given poses are a global orientation and a body pose, and perhaps a translation")
        wanted = None if given is None else smpl_rotations(*given[:2])
        place = given[2] if given is not None and len(given) == 3 else None
        loss = PhysicsLoss() if loss is None else loss
        return loss(torques, rotations, wanted, self.fps, translation=transl, given_translation=place)
