"""What a simulation is given: held to its skeleton and to each other before the first step, and what callbacks return.

Everything that acts has the batch shape of the motions, or one that is expanded to it: a motion is not copied because
torques for several were given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.contact import ContactModel
from motorque.mechanics.integrators import METHODS
from motorque.skeleton.skeleton import Skeleton

Controller = Callable[[float, Tensor, Tensor], Tensor]
"""Forces [..., nv] from the time [s], positions [..., nq] and speeds [..., nv], in the skeleton's own formats."""
STEP, STEP_IN_CONTACT = 1e-3, 2e-4
"""Longest fixed steps [s] where none is asked for. The built-in skeleton, dropped from 5 cm onto a floor of either law,
lands by Runge-Kutta 4 within 1e-4 of the answer of half the step with a fifth of a millisecond, within 0.06 with a
whole one; standing 4 cm deep in the floor, as in its default pose, it diverges with a whole one.
"""


def check_settings(skeleton: Skeleton, times: Tensor, method: str, rtol: float, atol: float, step: float) -> None:
    """Hold times and a method's numbers to being some.

    Raises:
        DataError: They are not.
    """
    if method not in METHODS:
        raise DataError(f"there is no integration method {method!r}; there are {', '.join(METHODS)}")
    if not isinstance(times, Tensor) or times.ndim != 1 or len(times) < 2 or not bool((times.diff() > 0).all()):
        raise DataError(f"{skeleton.name}: times must be a tensor of at least two increasing times")
    if not bool(torch.isfinite(times).all()):
        raise DataError(f"{skeleton.name}: times must be finite, got {times[~torch.isfinite(times)][0].item()}")
    if times.is_floating_point() and torch.finfo(times.dtype).eps > torch.finfo(skeleton.mass.dtype).eps:
        raise DataError(
            f"{skeleton.name}: times are {_short(times)} but the skeleton is {_short(skeleton.mass)}; give them in its "
            "precision"
        )
    for name, value in (("rtol", rtol), ("atol", atol), ("step", step)):
        if not value > 0:
            raise DataError(f"{skeleton.name}: {name} must be positive, got {value}")


def check_start(skeleton: Skeleton, **states: Tensor) -> None:
    """Hold positions and speeds at the start to being numbers.

    Raises:
        DataError: One is none; the message says in which motion.
    """
    for name, x in states.items():
        bad = ~torch.isfinite(x.detach())
        if bool(bad.any()):
            column = int(bad.reshape(-1, x.shape[-1]).any(0).nonzero()[0])
            which = of_motion(bad.any(-1))
            raise DataError(f"{skeleton.name}: {name} holds a number that is none{which}, in column {column}")


def of_motion(bad: Tensor) -> str:
    """The first motion of a batch of which something holds, as words to go after others; nothing for a single one."""
    if bad.ndim == 0 or not bool(bad.any()):
        return ""
    place = bad.nonzero()[0].tolist()
    return f" in motion {place[0] if len(place) == 1 else place}"


def locked_coordinates(skeleton: Skeleton, v: Tensor, locked: Sequence[str] | None) -> tuple[str, ...]:
    """Names of coordinates that keep still.

    Args:
        skeleton: The skeleton.
        v: Speeds at the start, without columns for coupled coordinates.
        locked: Their names, or None for those that the skeleton has locked.

    Raises:
        DataError: ``locked`` is one name and not several, or a locked coordinate moves at the start.
        ModelError: There is no such coordinate.
    """
    free = skeleton.free_coordinates
    if isinstance(locked, str):
        raise DataError(f"{skeleton.name}: locked must be a sequence of coordinate names, got {locked!r}")
    if locked is None:
        locked = [skeleton.coordinate_names[c] for c in free if skeleton.coordinates[c].locked]
    for name in locked:
        coordinate = skeleton.coordinate(name)
        if coordinate in free and bool((v.detach()[..., free.index(coordinate)] != 0).any()):
            raise DataError(
                f"{skeleton.name}: {name} is locked but moves at the start; give it a speed of zero, or unlock it"
            )
    return tuple(locked)


def contact_model(skeleton: Skeleton, contact: str | ContactModel | None) -> ContactModel | None:
    """The contact that is asked for.

    Raises:
        DataError: There is none of this name, or it is no contact model.
        ModelError: The skeleton has no spheres.
    """
    if contact is None or isinstance(contact, ContactModel):
        return contact
    if contact != "hunt-crossley":
        raise DataError(f"there is no contact {contact!r}; give 'hunt-crossley' or a ContactModel")
    if not skeleton.contact_spheres:
        raise ModelError(f"{skeleton.name}: contact is asked for, but the skeleton has no contact spheres")
    return ContactModel.of(skeleton)


def controller(
    skeleton: Skeleton, controls: Tensor | Controller | None, times: Tensor, batch: torch.Size
) -> Controller | None:
    """A controller, or one for torques in time, linear between them.

    Raises:
        DataError: Torques do not fit the times, the skeleton or the motions, or are neither torques nor a controller.
    """
    if controls is None:
        return None
    if not isinstance(controls, Tensor):
        if not callable(controls):
            raise DataError(
                f"{skeleton.name}: controls must be a torch tensor, a function of time, positions and speeds, or None, "
                f"got {type(controls).__name__}"
            )
        return controls
    widths = (skeleton.nv, len(skeleton.free_coordinates))
    if controls.ndim < 2 or controls.shape[0] != len(times) or controls.shape[-1] not in widths:
        raise DataError(
            f"{skeleton.name}: controls need a row per time and a column per speed, [{len(times)}, ..., {skeleton.nv}],"
            f" got {list(controls.shape)}"
        )
    of_motions(skeleton, "controls", controls, batch, shape=controls.shape[1:-1])
    knots = times.detach().double()

    def between(time: float, q: Tensor, v: Tensor) -> Tensor:
        after = int(torch.searchsorted(knots, time).clamp(1, len(knots) - 1))
        first, last = float(knots[after - 1]), float(knots[after])
        return torch.lerp(controls[after - 1], controls[after], min(max((time - first) / (last - first), 0.0), 1.0))

    return between


def forces_of_motions(skeleton: Skeleton, name: str, tau: Any, batch: torch.Size) -> Tensor:
    """Generalized forces that were returned by a callback, for all motions.

    Raises:
        DataError: They are none, or do not fit the skeleton or the motions.
    """
    widths = (skeleton.nv, len(skeleton.free_coordinates))
    if isinstance(tau, Tensor) and (tau.ndim == 0 or tau.shape[-1] not in widths):
        raise DataError(f"{skeleton.name}: {name} must have {skeleton.nv} columns, got shape {list(tau.shape)}")
    return of_motions(skeleton, name, tau, batch).expand(*batch, tau.shape[-1])


def loads_of_motions(skeleton: Skeleton, loads: Any, batch: torch.Size) -> Mapping[str, Wrench]:
    """Loads, held to the motions; the rest is held by the dynamics.

    Raises:
        DataError: They do not fit the motions.
    """
    if isinstance(loads, Mapping):
        for body, wrench in loads.items():
            for x in wrench if isinstance(wrench, tuple) else ():
                of_motions(skeleton, f"the load on {body}", x, batch)
    return loads


def of_motions(
    skeleton: Skeleton, name: str, x: Any, batch: torch.Size, *, shape: Sequence[int] | None = None
) -> Tensor:
    """Hold what acts on motions to their precision, device and number.

    Args:
        skeleton: The skeleton.
        name: What it is, for messages.
        x: A tensor.
        batch: Batch shape of the motions.
        shape: Batch shape of the tensor; all dimensions but the last where None.
    """
    if not isinstance(x, Tensor):
        raise DataError(f"{skeleton.name}: {name} must be a torch tensor, got {type(x).__name__}")
    like = skeleton.mass
    if x.dtype != like.dtype or x.device != like.device:
        raise DataError(
            f"{skeleton.name}: {name} is {_short(x)} on {x.device} but the skeleton {_short(like)} on {like.device}; "
            "bring one to the other's"
        )
    own = tuple(x.shape[:-1] if shape is None else shape)
    if own != tuple(batch):
        padded = (1,) * (len(batch) - len(own)) + own
        if len(own) > len(batch) or any(a not in (1, b) for a, b in zip(padded, batch, strict=True)):
            raise DataError(
                f"{skeleton.name}: {name} is for motions of shape {list(own)}, but q0 and v0 start motions of shape "
                f"{list(batch)}; give a start for each"
            )
    return x


def _short(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
