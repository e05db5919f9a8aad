"""How hard a sphere is pushed back by what it sinks into, and how it is held as it slides.

A law knows one sphere and one plane; which spheres there are and where is in `contact`. All are differentiable in the
air, at touch, when sticking and when sliding, twice where the formula itself is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from motorque.errors import ModelError

Number = float | Tensor
"""One number, or a tensor with one for every sphere, [S], which may carry a gradient."""


class ContactLaw(Protocol):
    """Forces on spheres from how they touch."""

    def __call__(self, depth: Tensor, closing: Tensor, slip: Tensor, radius: Number) -> tuple[Tensor, Tensor]:
        """Forces on spheres.

        Args:
            depth: How far a sphere's lowest point is below the plane [m]; negative in the air; shape [..., S].
            closing: Rate of the depth [m/s], shape [..., S].
            slip: Velocity along the plane at the point of contact [m/s], shape [..., S, 3].
            radius: Radii of the spheres [m].

        Returns:
            Force out of the plane [N], shape [..., S], and along it [N], shape [..., S, 3].
        """
        ...


def _hold(**numbers: Number) -> None:
    """Hold parameters to not being negative; tensors are taken as they are."""
    for name, value in numbers.items():
        if not isinstance(value, Tensor) and not value >= 0:
            raise ModelError(f"contact: {name.replace('_', ' ')} must not be negative, got {value}")


@dataclass(frozen=True, eq=False)
class SmoothHuntCrossley:
    """OpenSim's ``SmoothSphereHalfSpaceForce``: Hunt-Crossley contact smoothed to be differentiable everywhere.

    Being smooth it pushes before it touches (with the defaults and a radius of 32 mm by 7.5 N at touch, 5.7 N a
    millimetre above the floor and 0.2 N a centimetre above), and where a sphere leaves the floor faster than
    2 / (3 dissipation) it pulls by up to a hundredth of what it would push at rest; both are OpenSim's.

    Args:
        stiffness: Plane strain modulus [N/m²].
        dissipation: [s/m].
        static_friction: Coefficient of friction as sliding sets in [-].
        dynamic_friction: Coefficient of friction when sliding fast [-].
        viscous_friction: What is added to it with speed [s/m].
        transition_velocity: Speed at which friction is fully on [m/s].
        hertz_smoothing: Steepness of the onset with depth [1/m].
        hunt_crossley_smoothing: Steepness of the end of pushing with the speed of leaving [s/m].
        constant_contact_force: Added to squared depths and speeds, so that roots have derivatives (the name is
            OpenSim's).

    Raises:
        ModelError: A number is negative.

    Source: Serrancolí et al., Front Bioeng Biotechnol 7 (2019), smooth version of Hunt and Crossley, J Appl Mech 42
    (1975); the friction of Hollars as in Sherman, Seth, Delp, Procedia IUTAM 2 (2011). Checked against the wheel. The
    default stiffness, dissipation, friction and transition velocity are those of opencap-processing's
    ``LaiArnoldModified2017_contacts.osim``, from which the built-in skeleton's spheres are too; the rest OpenSim's.
    """

    stiffness: Number = 1e6
    dissipation: Number = 2.0
    static_friction: Number = 0.8
    dynamic_friction: Number = 0.8
    viscous_friction: Number = 0.5
    transition_velocity: Number = 0.2
    hertz_smoothing: Number = 300.0
    hunt_crossley_smoothing: Number = 50.0
    constant_contact_force: Number = 1e-5

    def __post_init__(self) -> None:
        _hold(**vars(self))

    def __call__(self, depth: Tensor, closing: Tensor, slip: Tensor, radius: Number) -> tuple[Tensor, Tensor]:
        """See :class:`ContactLaw`."""
        k = 0.5 * self.stiffness ** (2 / 3)
        least = self.constant_contact_force
        # OpenSim's 0.5 + 0.5 tanh(x) is sigmoid(2 x), which keeps its digits in the air.
        hertz = 4 / 3 * k * (radius * k) ** 0.5 * (depth**2 + least) ** 0.75
        hertz = hertz * torch.sigmoid(2 * self.hertz_smoothing * depth)
        pressed = hertz * (1 + 1.5 * self.dissipation * closing) * self._pushing(closing)
        speed = torch.sqrt((slip**2).sum(-1) + least)
        ratio = speed / self.transition_velocity
        extra = 2 * (self.static_friction - self.dynamic_friction)
        rubbing = ratio.clamp(max=1.0) * (self.dynamic_friction + extra / (1 + ratio**2))
        rubbing = rubbing + self.viscous_friction * speed
        return pressed, -(pressed * rubbing / speed)[..., None] * slip

    def _pushing(self, closing: Tensor) -> Tensor | float:
        """Nearly 1 where the damped force pushes, nearly 0 where it would pull."""
        c, steepness = self.dissipation, 2 * self.hunt_crossley_smoothing
        if not isinstance(c, Tensor):
            return torch.sigmoid(steepness * (closing + 2 / (3 * c))) if c > 0 else 1.0
        damped = c > 0
        return torch.where(damped, torch.sigmoid(steepness * (closing + 2 / (3 * torch.where(damped, c, 1.0)))), 1.0)


@dataclass(frozen=True, eq=False)
class HuntCrossley:
    """MonoMSK's contact: ``Fn = k δ^1.5 (1 + c δ̇)`` and ``Ft = -μ |Fn| v / (|v| + ε)``.

    Nothing acts in the air (δ ≤ 0), and where a sphere leaves the floor faster than 1/c, for which the formula would
    pull, it does not.

    Args:
        stiffness: k [N/m^1.5].
        dissipation: c [s/m].
        friction: μ [-].
        slip_scale: ε, the speed at which half of the friction acts [m/s].

    Raises:
        ModelError: A number is negative, or ``slip_scale`` is zero.

    Source: MonoMSK, section 3.1, after Hunt and Crossley, J Appl Mech 42 (1975). It names no numbers: the default k and
    c are what `SmoothHuntCrossley`'s defaults come to for the built-in skeleton's spheres (Hertz' k = 4/3 κ √(R κ),
    κ = ½ E^⅔, and 1.5 times the dissipation), μ is the same, and with ε a foot that uses a quarter of its friction
    creeps by 17 mm/s, a third of what it does there; less would need shorter steps.
    """

    stiffness: Number = 84327.0
    dissipation: Number = 3.0
    friction: Number = 0.8
    slip_scale: Number = 0.05

    def __post_init__(self) -> None:
        _hold(**vars(self))
        if not isinstance(self.slip_scale, Tensor) and self.slip_scale == 0:
            raise ModelError("contact: slip scale must be positive; without it friction has no direction at rest")

    def __call__(self, depth: Tensor, closing: Tensor, slip: Tensor, radius: Number) -> tuple[Tensor, Tensor]:
        """See :class:`ContactLaw`; the radius does not matter."""
        touching = depth > 0
        # Powers and roots are taken where they have derivatives, and what is not wanted is thrown away after.
        pressed = self.stiffness * torch.where(touching, depth, 1.0) ** 1.5
        pressed = torch.where(touching, pressed * (1 + self.dissipation * closing).clamp(min=0.0), 0.0)
        square = (slip**2).sum(-1)
        sliding = square > 0
        speed = torch.where(sliding, torch.where(sliding, square, 1.0).sqrt(), 0.0)
        return pressed, -(self.friction * pressed / (speed + self.slip_scale))[..., None] * slip
