"""Points that belong together put together again, after integration has let them drift."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motorque.errors import ModelError
from motorque.mechanics.charts import Layout
from motorque.mechanics.jacobians import point_jacobian
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.reduced import fill_positions
from motorque.skeleton.skeleton import GROUND, Skeleton

_FARTHEST = 0.01
"""Distance between points that is no drift any more but a model that does not close [m]."""
_ROUNDS = 3
"""Newton steps; a drift of micrometres is at rounding after two."""


def close_loops(skeleton: Skeleton, q: Tensor, v: Tensor, held: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The nearest positions at which constrained points coincide, and the nearest speeds at which they stay so.

    Args:
        skeleton: The skeleton; ball joints as quaternions, or as angles where they can't be.
        q: Positions without columns for coupled coordinates.
        v: Speeds, alike.
        held: Names of locked coordinates, which stay as they are.

    Raises:
        ModelError: The points are farther apart than drift explains.
    """
    layout = Layout.of(skeleton)
    free = skeleton.free_coordinates
    still = torch.tensor([free.index(skeleton.coordinate(name)) for name in held], dtype=torch.long, device=q.device)
    for _ in range(_ROUNDS):
        rows = _rows(skeleton, q).index_fill(-1, still, 0.0)
        step = -(torch.linalg.pinv(rows) @ _gaps(skeleton, q)[..., None])[..., 0]
        q = layout.upright(layout.stepped(q, step))
    rows = _rows(skeleton, q).index_fill(-1, still, 0.0)
    v = v - (torch.linalg.pinv(rows) @ (rows @ v[..., None]))[..., 0]
    gaps = _gaps(skeleton, q).detach().unflatten(-1, (-1, 3)).norm(dim=-1).reshape(-1, len(skeleton.point_constraints))
    if bool((gaps > _FARTHEST).any()):
        worst = skeleton.point_constraints[int(gaps.amax(0).argmax())].name
        raise ModelError(
            f"{skeleton.name}: the point constraint {worst!r} is open by {1000 * float(gaps.max()):.0f} mm and can't "
            "be closed; start from positions at which its points coincide"
        )
    return q, v


def _gaps(skeleton: Skeleton, q: Tensor) -> Tensor:
    """From the second point of each constraint to its first one [m], shape [..., 3 C]."""
    poses = forward_kinematics(skeleton, fill_positions(skeleton, q))
    gaps = []
    for c in skeleton.point_constraints:
        one, two = (torch.tensor(p, dtype=q.dtype, device=q.device) for p in (c.point_1, c.point_2))
        gaps.append(poses.point(c.body_1, one) - poses.point(c.body_2, two))
    return torch.cat(gaps, dim=-1)


def _rows(skeleton: Skeleton, q: Tensor) -> Tensor:
    """How the gaps follow the speeds, shape [..., 3 C, number free]."""
    rows = []
    for c in skeleton.point_constraints:
        total = torch.zeros(*q.shape[:-1], 3, len(skeleton.free_coordinates), dtype=q.dtype, device=q.device)
        for sign, body, point in ((1.0, c.body_1, c.point_1), (-1.0, c.body_2, c.point_2)):
            if body != GROUND:
                place = torch.tensor(point, dtype=q.dtype, device=q.device)
                total = total + sign * point_jacobian(skeleton, q, skeleton.body_names[body], place)
        rows.append(total)
    return torch.cat(rows, dim=-2)
