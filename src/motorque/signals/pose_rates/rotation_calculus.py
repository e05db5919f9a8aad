"""Exponential, logarithm and rates of rotation vectors, smooth enough for derivatives of any order.

A rotation that moves, R(t), has the angular velocity w with dR/dt = [w]× R, in the axes that R maps to: of a joint's
rotation (child to parent) the parent's. All here is in these axes.

Functions of an angle are computed as functions of its square, by their power series where the closed form would lose
digits, so that zero angles have all derivatives.

Source: Solà, Deray, Atchuthan, A micro Lie theory for state estimation in robotics (2018), appendix B; the second
derivative is the product rule applied to its left Jacobian.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SERIES_BELOW = 1.0  # squared angle; ten terms then leave 1e-19
_TERMS = 10
_ASIN_BELOW = 0.02  # squared sine of half the angle; ten terms then leave 1e-18


def _series(square: Tensor, coefficients: list[float]) -> Tensor:
    value = torch.full_like(square, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value = value * square + c
    return value


_SIN = [(-1) ** k / math.factorial(2 * k + 1) for k in range(_TERMS)]
_COS = [(-1) ** k / math.factorial(2 * k + 2) for k in range(_TERMS)]
_SIN3 = [(-1) ** k / math.factorial(2 * k + 3) for k in range(_TERMS)]
# Derivatives by the square of the angle
_COS_SLOPE = [k * c for k, c in enumerate(_COS)][1:]
_SIN3_SLOPE = [k * c for k, c in enumerate(_SIN3)][1:]
# asin(y)/y in powers of y²
_ASIN = [math.factorial(2 * k) / (4**k * math.factorial(k) ** 2 * (2 * k + 1)) for k in range(_TERMS)]


def rotation_exp(vector: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of rotation vectors [..., 3] [rad]; any angle."""
    square = (vector * vector).sum(-1)
    small = square < _SERIES_BELOW
    safe = torch.where(small, 1.0, square)
    angle = safe.sqrt()
    a = torch.where(small, _series(square, _SIN), torch.sin(angle) / angle)
    b = torch.where(small, _series(square, _COS), 2 * torch.sin(0.5 * angle) ** 2 / safe)
    x, y, z = (a[..., None] * vector).unbind(-1)
    o = torch.zeros_like(x)
    turning = torch.stack((o, -z, y, z, o, -x, -y, x, o), dim=-1).unflatten(-1, (3, 3))
    along = b[..., None, None] * vector[..., :, None] * vector[..., None, :]
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return (1 - b * square)[..., None, None] * eye + turning + along


def rotation_log(matrix: Tensor) -> Tensor:
    """Rotation vectors [..., 3] [rad], no longer than pi, of rotation matrices [..., 3, 3].

    At a half turn it takes one of the two vectors, and has no derivative.
    """
    import roma  # slow to import

    quaternion = roma.rotmat_to_unitquat(matrix)
    flip = torch.where(quaternion[..., 3:] < 0, -1.0, 1.0)
    part, cosine = quaternion[..., :3] * flip, quaternion[..., 3] * flip[..., 0]
    square = (part * part).sum(-1)
    small = square < _ASIN_BELOW
    sine = torch.where(small, 1.0, square).sqrt()
    ratio = torch.where(small, _series(square, _ASIN), torch.atan2(sine, torch.where(small, 1.0, cosine)) / sine)
    return 2 * ratio[..., None] * part


def turning_rates(vector: Tensor, rate: Tensor, acceleration: Tensor) -> tuple[Tensor, Tensor]:
    """Angular velocity and acceleration of exp(x(t)) from a rotation vector x(t) and its derivatives.

    Args:
        vector: x [rad], shape [..., 3].
        rate: dx/dt [rad/s], shape [..., 3].
        acceleration: d²x/dt² [rad/s²], shape [..., 3].

    Returns:
        w = J(x) dx/dt with SO(3)'s left Jacobian J [rad/s], and dw/dt [rad/s²], each [..., 3].
    """
    square = (vector * vector).sum(-1, keepdim=True)
    small = square < _SERIES_BELOW
    safe = torch.where(small, 1.0, square)
    angle = safe.sqrt()
    sine, versine = torch.sin(angle), 2 * torch.sin(0.5 * angle) ** 2
    a = torch.where(small, _series(square, _COS), versine / safe)
    b = torch.where(small, _series(square, _SIN3), (angle - sine) / (safe * angle))
    a_slope = torch.where(small, _series(square, _COS_SLOPE), (0.5 * angle * sine - versine) / safe**2)
    b_slope = torch.where(
        small, _series(square, _SIN3_SLOPE), (0.5 * angle * versine - 1.5 * (angle - sine)) / (safe**2 * angle)
    )
    growth = 2 * (vector * rate).sum(-1, keepdim=True)
    cross = torch.linalg.cross
    once, once_more = cross(vector, rate), cross(vector, acceleration)
    twice = cross(vector, once)
    velocity = rate + a * once + b * twice
    # d/dt of each term; x × (dx × dx) drops out
    change = acceleration + a * once_more + a_slope * growth * once + b_slope * growth * twice
    change = change + b * (cross(rate, once) + cross(vector, once_more))
    return velocity, change


def left_jacobian(vector: Tensor) -> Tensor:
    """SO(3)'s left Jacobian J: exp(x + d) is exp(J(x) d) exp(x) for small d; rotation vectors [..., 3], [..., 3, 3]."""
    square = (vector * vector).sum(-1)
    small = square < _SERIES_BELOW
    safe = torch.where(small, 1.0, square)
    angle = safe.sqrt()
    a = torch.where(small, _series(square, _COS), 2 * torch.sin(0.5 * angle) ** 2 / safe)
    b = torch.where(small, _series(square, _SIN3), (angle - torch.sin(angle)) / (safe * angle))
    x, y, z = (a[..., None] * vector).unbind(-1)
    o = torch.zeros_like(x)
    turning = torch.stack((o, -z, y, z, o, -x, -y, x, o), dim=-1).unflatten(-1, (3, 3))
    along = b[..., None, None] * vector[..., :, None] * vector[..., None, :]
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return (1 - b * square)[..., None, None] * eye + turning + along


def turned_by(
    vector: Tensor, rate: Tensor, acceleration: Tensor, rotation: Tensor, velocity: Tensor, change: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A moving rotation turned further: exp(x(t)) R(t), its angular velocity and its angular acceleration.

    Args:
        vector: x [rad], shape [..., 3].
        rate: dx/dt [rad/s], shape [..., 3].
        acceleration: d²x/dt² [rad/s²], shape [..., 3].
        rotation: R, shape [..., 3, 3].
        velocity: R's angular velocity [rad/s], shape [..., 3].
        change: R's angular acceleration [rad/s²], shape [..., 3].
    """
    turn = rotation_exp(vector)
    w, dw = turning_rates(vector, rate, acceleration)
    carried, carried_change = ((turn @ y[..., None])[..., 0] for y in (velocity, change))
    return turn @ rotation, w + carried, dw + carried_change + torch.linalg.cross(w, carried)
