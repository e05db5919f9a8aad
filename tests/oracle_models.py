"""Pinocchio's and MuJoCo's models of a skeleton, with answers in motorque's coordinates.

Pinocchio sorts joints depth-first and wants speeds of spherical and free joints in the child's axes, free ones with the
linear part first. MuJoCo has free joints' linear speeds in ground and angular ones in the child, quaternions scalar
first, and no massless bodies: they get a mass of 1e-13 kg there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import mujoco
import numpy as np
import pinocchio as pin
import torch
from torch import Tensor

from motorque.skeleton.skeleton import GROUND, Skeleton
from oracle_maps import Array, Column, Maps, Move, Placement, links

TINY = 1e-13


class PinocchioModel(Maps):
    """A skeleton in Pinocchio; every answer is a loop over frames, float64.

    Args:
        skeleton: The skeleton; tensors with gradients count as numbers.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        skeleton = _plain(skeleton)
        self.model = pin.Model()
        self.model.gravity.linear = skeleton.gravity.numpy()
        at: dict[int, tuple[int, Any]] = {GROUND: (0, pin.SE3.Identity())}
        columns: list[Column] = []
        by_body = links(skeleton)
        stack = [b for b in reversed(range(len(by_body))) if skeleton.parents[b] == GROUND]
        while stack:
            body = stack.pop()
            stack += [b for b in reversed(range(len(by_body))) if skeleton.parents[b] == body]
            link = by_body[body]
            joint, place = at[link.parent]
            place = place * _se3(link.inner)
            for n, step in enumerate(link.steps):
                if isinstance(step, Placement):
                    place = place * _se3(step)
                    continue
                joint = self.model.addJoint(joint, _pin_joint(step), place, f"{skeleton.body_names[body]}_{n}")
                place = pin.SE3.Identity()
                columns.append(
                    Column(body, step, self.model.idx_qs[joint], self.model.idx_vs[joint], link.flipped, Placement())
                )
            place = place * _se3(link.outer.inverse())
            at[body] = (joint, place)
            mass, center = float(skeleton.mass[body]), skeleton.mass_center[body].numpy()
            if mass:
                inertia = pin.Inertia(mass, center, skeleton.inertia[body].numpy())
                self.model.appendBodyToJoint(joint, inertia, place)
        self.at = at
        self.frames = [
            self.model.addFrame(pin.Frame(f"{name}_frame", at[b][0], 0, at[b][1], pin.FrameType.OP_FRAME))
            for b, name in enumerate(skeleton.body_names)
        ]
        self.data = self.model.createData()
        super().__init__(skeleton, columns, scalar_first=False, free_in_child=True)

    def inverse_dynamics(
        self, q: Tensor, v: Tensor, a: Tensor, loads: Mapping[str, tuple[Tensor, Tensor]] | None = None
    ) -> Tensor:
        """Forces on motorque's coordinates [..., nv]; differentiable, by Pinocchio's own derivatives, without loads."""
        here = self.positions(q), self.speeds(q, v), self.accelerations(q, v, a)
        if not loads:
            return self.pull_back(q, _PinocchioForces.apply(self, *here))

        def one(frame: int, *state: Array) -> Array:
            wrenches = pin.StdVec_Force([pin.Force.Zero() for _ in range(self.model.njoints)])
            pin.forwardKinematics(self.model, self.data, state[0])
            for name, (force, moment) in loads.items():
                joint = self.at[self.skeleton.body(name)][0]
                wrench = pin.Force(force[frame].numpy(), moment[frame].numpy())
                wrenches[joint] += self.data.oMi[joint].actInv(wrench)
            return pin.rnea(self.model, self.data, *state, wrenches)

        return self.pull_back(q, _over_frames(one, *here, numbered=True))

    def bias(self, q: Tensor, v: Tensor) -> Tensor:
        """Forces without acceleration [..., nv]."""
        return self.inverse_dynamics(q, v, torch.zeros_like(v))

    def mass_matrix(self, q: Tensor) -> Tensor:
        """In motorque's coordinates, shape [..., nv, nv]."""

        def one(x: Array) -> Array:
            upper = np.triu(pin.crba(self.model, self.data, x))
            return upper + np.triu(upper, 1).T

        turned = self.speed_matrix(q)
        return turned.mT @ _over_frames(one, self.positions(q)) @ turned

    def forward_dynamics(self, q: Tensor, v: Tensor, tau: Tensor) -> Tensor:
        """Accelerations [..., nv]: by Pinocchio's ABA, or its mass matrix where coordinates drive several elements."""
        turned = self.speed_matrix(q)
        if turned.shape[-1] != turned.shape[-2]:
            return torch.linalg.solve(self.mass_matrix(q), tau - self.bias(q, v))
        forces = torch.linalg.solve(turned.mT, tau)
        found = _over_frames(
            lambda x, w, f: pin.aba(self.model, self.data, x, w, f), self.positions(q), self.speeds(q, v), forces
        )
        return torch.linalg.solve(turned, found - self.accelerations(q, v, torch.zeros_like(v)))

    def energies(self, q: Tensor, v: Tensor) -> Tensor:
        """Kinetic and potential energy [J], shape [..., 2]; the latter zero at the ground origin."""

        def one(x: Array, w: Array) -> Array:
            kinetic = pin.computeKineticEnergy(self.model, self.data, x, w)
            return np.array([kinetic, pin.computePotentialEnergy(self.model, self.data, x)])

        return _over_frames(one, self.positions(q), self.speeds(q, v))

    def center_of_mass(self, q: Tensor, v: Tensor, a: Tensor) -> Tensor:
        """Position, velocity and acceleration of the centre of mass in ground, shape [..., 3, 3]."""

        def one(*state: Array) -> Array:
            pin.centerOfMass(self.model, self.data, *state)
            return np.stack([self.data.com[0], self.data.vcom[0], self.data.acom[0]])

        return _over_frames(one, self.positions(q), self.speeds(q, v), self.accelerations(q, v, a))

    def center_of_mass_jacobian(self, q: Tensor) -> Tensor:
        """Shape [..., 3, nv]."""
        found = _over_frames(lambda x: pin.jacobianCenterOfMass(self.model, self.data, x), self.positions(q))
        return found @ self.speed_matrix(q)

    def momentum(self, q: Tensor, v: Tensor) -> Tensor:
        """Linear momentum, and angular momentum about the centre of mass, in ground; shape [..., 2, 3]."""

        def one(x: Array, w: Array) -> Array:
            found = pin.computeCentroidalMomentum(self.model, self.data, x, w)
            return np.stack([found.linear, found.angular])

        return _over_frames(one, self.positions(q), self.speeds(q, v))

    def body_motions(self, q: Tensor, v: Tensor, a: Tensor) -> Tensor:
        """Of every body in ground: rotation's three rows, origin, its velocity, angular velocity, the origin's
        acceleration and angular acceleration; shape [..., B, 8, 3].
        """

        def one(*state: Array) -> Array:
            pin.forwardKinematics(self.model, self.data, *state)
            pin.updateFramePlacements(self.model, self.data)
            found = []
            for frame in self.frames:
                place = self.data.oMf[frame]
                velocity, acceleration = (
                    get(self.model, self.data, frame, pin.LOCAL_WORLD_ALIGNED)
                    for get in (pin.getFrameVelocity, pin.getFrameClassicalAcceleration)
                )
                vectors = (velocity.linear, velocity.angular, acceleration.linear, acceleration.angular)
                found.append(np.stack([*place.rotation, place.translation, *vectors]))
            return np.stack(found)

        return _over_frames(one, self.positions(q), self.speeds(q, v), self.accelerations(q, v, a))

    def body_jacobian(self, q: Tensor, body: str) -> Tensor:
        """Of a body's origin and angular velocity in ground; linear part first, shape [..., 6, nv]."""
        frame = self.frames[self.skeleton.body(body)]
        found = _over_frames(
            lambda x: pin.computeFrameJacobian(self.model, self.data, x, frame, pin.LOCAL_WORLD_ALIGNED).copy(),
            self.positions(q),
        )
        return found @ self.speed_matrix(q)


class _PinocchioForces(torch.autograd.Function):
    """Pinocchio's RNEA with its analytical derivatives, on Pinocchio's own positions, speeds and accelerations."""

    @staticmethod
    def forward(ctx: Any, oracle: PinocchioModel, q: Tensor, v: Tensor, a: Tensor) -> Tensor:
        ctx.oracle = oracle
        ctx.save_for_backward(q, v, a)
        return _over_frames(lambda *x: pin.rnea(oracle.model, oracle.data, *x), q, v, a)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor, Tensor]:
        model, data = ctx.oracle.model, ctx.oracle.data
        q, v, a = ctx.saved_tensors

        def one(x: Array, w: Array, dw: Array, g: Array) -> Array:
            by_q, by_v, mass = pin.computeRNEADerivatives(model, data, x, w, dw)
            mass = np.triu(mass)
            return np.concatenate([g @ by_q, g @ by_v, g @ (mass + np.triu(mass, 1).T)])

        tangent, by_v, by_a = _over_frames(one, q, v, a, gradients[0]).split(v.shape[-1], -1)
        return None, _from_tangent(ctx.oracle, q, tangent), by_v, by_a


def _from_tangent(oracle: PinocchioModel, q: Tensor, tangent: Tensor) -> Tensor:
    """A gradient by Pinocchio's positions from one by its tangent, whose rotations are in the child's axes."""
    out = torch.zeros_like(q)
    for c in oracle.columns:
        iq, iv = c.q, c.v
        if c.move.kind in ("turn", "slide"):
            out[..., iq] = tangent[..., iv]
            continue
        if c.move.kind == "free":
            x, y, z, w = q[..., iq + 3 : iq + 7].unbind(-1)
            rows = [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), 2 * (x * y + z * w)]
            rows += [1 - 2 * (x * x + z * z), 2 * (y * z - x * w), 2 * (x * z - y * w), 2 * (y * z + x * w)]
            turn = torch.stack([*rows, 1 - 2 * (x * x + y * y)], -1).unflatten(-1, (3, 3))
            out[..., iq : iq + 3] = (turn @ tangent[..., iv : iv + 3, None])[..., 0]
            iq, iv = iq + 3, iv + 3
        # A small turn in the child's axes is twice the vector part of conj(q) dq.
        vector, scalar, g = q[..., iq : iq + 3], q[..., iq + 3, None], tangent[..., iv : iv + 3]
        out[..., iq : iq + 3] = 2 * (scalar * g + torch.linalg.cross(vector, g))
        out[..., iq + 3] = -2 * (vector * g).sum(-1)
    return out


class MujocoModel(Maps):
    """A skeleton in MuJoCo; every answer is a loop over frames, float64.

    Args:
        skeleton: The skeleton; tensors with gradients count as numbers.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        skeleton = _plain(skeleton)
        by_body = links(skeleton)
        named: list[tuple[str, int, Move, bool, Placement]] = []

        def element(body: int) -> str:
            link = by_body[body]
            place = link.inner if link.parent == GROUND else by_body[link.parent].outer.inverse() @ link.inner
            base = place
            rest = Placement()  # from the step at hand to the outer frame, where MuJoCo wants all axes
            joints: list[str] = []
            for n, step in reversed(list(enumerate(link.steps))):
                if isinstance(step, Placement):
                    rest = step @ rest
                    continue
                name = f"{skeleton.body_names[body]}_{n}"
                kind = {"turn": "hinge", "slide": "slide"}.get(step.kind, step.kind)
                at = f'name="{name}" type="{kind}"'
                if step.kind != "free":
                    at += f' pos="{_numbers(rest.inverse().position)}"'
                if step.kind in ("turn", "slide"):
                    at += f' axis="{_numbers(rest.rotation.T @ step.axis)}"'
                joints.insert(0, f"<joint {at}/>")
                named.append((name, body, step, link.flipped, base))
            place = place @ rest
            inner = [b for b in range(len(by_body)) if skeleton.parents[b] == body]
            return (
                f'<body name="{skeleton.body_names[body]}" {_pose(place)}>{"".join(joints)}'
                f"{_inertial(skeleton, body, link.outer.inverse(), moving=bool(joints))}"
                f"{''.join(map(element, inner))}</body>"
            )

        roots = [b for b, parent in enumerate(skeleton.parents) if parent == GROUND]
        self.xml = (
            '<mujoco><compiler angle="radian" inertiafromgeom="false"/>'
            f'<option gravity="{_numbers(skeleton.gravity.numpy())}"><flag constraint="disable" contact="disable"/>'
            f"</option><worldbody>{''.join(map(element, roots))}</worldbody></mujoco>"
        )
        self.model = mujoco.MjModel.from_xml_string(self.xml)
        self.data = mujoco.MjData(self.model)
        columns = []
        for name, body, move, flipped, base in named:
            joint = self.model.joint(name)
            columns.append(Column(body, move, int(joint.qposadr[0]), int(joint.dofadr[0]), flipped, base))
        super().__init__(skeleton, columns, scalar_first=True, free_in_child=False)

    def inverse_dynamics(self, q: Tensor, v: Tensor, a: Tensor) -> Tensor:
        """Forces on motorque's coordinates [..., nv], by ``mj_inverse``."""

        def one(x: Array, w: Array, dw: Array) -> Array:
            self.data.qpos, self.data.qvel, self.data.qacc = x, w, dw
            mujoco.mj_inverse(self.model, self.data)
            return self.data.qfrc_inverse

        return self.pull_back(q, _over_frames(one, self.positions(q), self.speeds(q, v), self.accelerations(q, v, a)))

    def bias(self, q: Tensor, v: Tensor) -> Tensor:
        """Forces without acceleration [..., nv]."""
        return self.inverse_dynamics(q, v, torch.zeros_like(v))

    def mass_matrix(self, q: Tensor) -> Tensor:
        """In motorque's coordinates, shape [..., nv, nv]."""
        full = np.zeros((self.model.nv, self.model.nv))

        def one(x: Array) -> Array:
            self.data.qpos, self.data.qvel = x, 0.0
            mujoco.mj_forward(self.model, self.data)
            mujoco.mj_fullM(self.model, self.data, full)
            return full

        turned = self.speed_matrix(q)
        return turned.mT @ _over_frames(one, self.positions(q)) @ turned

    def forward_dynamics(self, q: Tensor, v: Tensor, tau: Tensor) -> Tensor:
        """Accelerations [..., nv] by ``mj_forward``, or its mass matrix where coordinates drive several elements."""
        turned = self.speed_matrix(q)
        if turned.shape[-1] != turned.shape[-2]:
            return torch.linalg.solve(self.mass_matrix(q), tau - self.bias(q, v))

        def one(x: Array, w: Array, f: Array) -> Array:
            self.data.qpos, self.data.qvel, self.data.qfrc_applied = x, w, f
            mujoco.mj_forward(self.model, self.data)
            return self.data.qacc

        found = _over_frames(one, self.positions(q), self.speeds(q, v), torch.linalg.solve(turned.mT, tau))
        return torch.linalg.solve(turned, found - self.accelerations(q, v, torch.zeros_like(v)))

    def energies(self, q: Tensor, v: Tensor) -> Tensor:
        """Kinetic and potential energy [J], shape [..., 2]."""

        def one(x: Array, w: Array) -> Array:
            self.data.qpos, self.data.qvel = x, w
            mujoco.mj_forward(self.model, self.data)
            mujoco.mj_energyPos(self.model, self.data)
            mujoco.mj_energyVel(self.model, self.data)
            return self.data.energy[::-1]

        return _over_frames(one, self.positions(q), self.speeds(q, v))


def _pin_joint(move: Move) -> Any:
    if move.kind == "turn":
        return pin.JointModelRevoluteUnaligned(move.axis)
    if move.kind == "slide":
        return pin.JointModelPrismaticUnaligned(move.axis)
    return pin.JointModelSpherical() if move.kind == "ball" else pin.JointModelFreeFlyer()


def _se3(placement: Placement) -> Any:
    return pin.SE3(placement.rotation, placement.position)


def _numbers(values: Any) -> str:
    return " ".join(repr(float(x)) for x in np.asarray(values).ravel())


def _quaternion(rotation: Array) -> str:
    found = pin.Quaternion(rotation)
    return _numbers([found.w, found.x, found.y, found.z])


def _pose(placement: Placement) -> str:
    return f'pos="{_numbers(placement.position)}" quat="{_quaternion(placement.rotation)}"'


def _inertial(skeleton: Skeleton, body: int, frame: Placement, *, moving: bool) -> str:
    mass = float(skeleton.mass[body])
    if mass == 0:
        same = f'pos="0 0 0" mass="{TINY}" diaginertia="{TINY} {TINY} {TINY}"'
        return f"<inertial {same}/>" if moving else ""
    moments, axes = np.linalg.eigh(skeleton.inertia[body].numpy())
    axes = axes * np.sign(np.linalg.det(axes))
    place = frame @ Placement(axes, skeleton.mass_center[body].numpy())
    return f'<inertial {_pose(place)} mass="{mass!r}" diaginertia="{_numbers(moments)}"/>'


def _over_frames(one: Callable[..., Array], *arrays: Tensor, numbered: bool = False) -> Tensor:
    """One frame after the other; arrays of shape [..., n] with one batch shape."""
    batch = arrays[0].shape[:-1]
    rows = [x.detach().numpy().reshape(-1, x.shape[-1]) for x in arrays]
    found = [np.array(one(*((i,) if numbered else ()), *row)) for i, row in enumerate(zip(*rows, strict=True))]
    return torch.as_tensor(np.stack(found)).reshape(*batch, *found[0].shape)


def _plain(skeleton: Skeleton) -> Skeleton:
    """In double precision on the CPU, without gradients."""
    skeleton = skeleton.to(device="cpu", dtype=torch.float64)
    numbers = {
        f.name: value.detach()
        for f in dataclasses.fields(skeleton)
        if isinstance(value := getattr(skeleton, f.name), Tensor)
    }
    return dataclasses.replace(skeleton, **numbers)
