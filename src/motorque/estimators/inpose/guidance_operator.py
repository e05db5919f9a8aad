"""Where tracked points are, as a linear function of global rotations (the paper's Eq. 8), and its covariances.

A frame's operator is ``a ⊗ I₃`` on the rotation matrices' columns, stacked joint by joint: a point is the pelvis plus,
for each joint on its chain, the joint's columns times the numbers of the bone that follows it. Only ``a``, a few rows
of bone vectors, is ever formed: neither the product with the identity, nor a window's, which is block diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.tree import JOINTS, PARENTS


def chains(rest: Tensor, joints: Sequence[int]) -> Tensor:
    """The bone that each joint's rotation carries on the way from the pelvis to tracked joints.

    Args:
        rest: Rest joints [m], shape [..., 22, 3].
        joints: Which joints are tracked, N of them.

    Returns:
        Shape [..., N, 22, 3] [m]: joint k is at the pelvis plus the sum over j of rotation j times ``[k, j]``.

    Raises:
        DataError: The rest joints are not 22.
    """
    if rest.shape[-2:] != (len(JOINTS), 3):
        raise DataError(f"bones: {len(JOINTS)} rest joints of 3 numbers are needed, got shape {list(rest.shape)}")
    found = rest.new_zeros((*rest.shape[:-2], len(joints), len(JOINTS), 3))
    for row, joint in enumerate(joints):
        while PARENTS[joint] >= 0:
            parent = PARENTS[joint]
            found[..., row, parent, :] += rest[..., joint, :] - rest[..., parent, :]
            joint = parent
    return found


def differences(there: Tensor, *, cyclic: bool = True) -> Tensor:
    """Differences of the points that were measured in a frame, in which the pelvis' place cancels (section 3.3).

    Each point less the next one that is there, in a circle.

    Args:
        there: Which points were measured, bool, shape [..., N].
        cyclic: Whether the difference of the last and the first is in too, though it says nothing new: as in the paper.
            Where the noise of differences is weighed it must be left out, for its covariance has no inverse.

    Returns:
        Shape [..., N, N]: row k makes the difference of point k; zeros where there is none, as in frames with only
        one point, and for the second of two.
    """
    count = there.shape[-1]
    places = torch.arange(count)
    ahead = (places[:, None] + places[None, 1:]) % count if count > 1 else places.new_zeros((count, 0))
    around = there[..., ahead]  # [..., N, N - 1]: whether the next one, the one after that … is there
    which = around.int().argmax(dim=-1) if count > 1 else places.expand(there.shape)
    number = there.sum(dim=-1, keepdim=True)
    used = there & (number > 1)
    last = count - 1 - there.flip(-1).int().argmax(dim=-1, keepdim=True)
    open_end = torch.full_like(number, not cyclic, dtype=torch.bool) | (number == 2)
    used = used & ~(open_end & (places == last))
    following = ahead.expand(*there.shape, -1).gather(-1, which[..., None])[..., 0] if count > 1 else which
    one = torch.eye(count, dtype=torch.float64)
    return (one - one[following]) * used[..., None]


def rotation_covariance(turns: Tensor, variance: Tensor) -> Tensor:
    """Covariance of a rotation matrix whose six numbers are uncertain, by Theorem 1 and appendix A of the paper.

    The numbers of the first two columns a and b are independent and of one variance, the third is their cross product.

    Args:
        turns: The mean rotations, shape [..., 3, 3].
        variance: Of each of the six numbers, shape [...] or a number as a tensor.

    Returns:
        Shape [..., 9, 9], of the columns one after the other. It is exact: products of Gaussian numbers are in it too.
    """
    one = torch.eye(3, dtype=turns.dtype)
    a, b = turns[..., 0], turns[..., 1]
    variance = torch.as_tensor(variance, dtype=turns.dtype)[..., None, None].expand(*turns.shape[:-2], 1, 1)
    across_a, across_b = cross_matrix(a), cross_matrix(b)
    third = across_a @ across_a.mT + across_b @ across_b.mT + 2.0 * variance * one
    nothing = torch.zeros_like(third)
    same = one.expand_as(third)
    rows = [
        torch.cat([same, nothing, across_b], dim=-1),
        torch.cat([nothing, same, -across_a], dim=-1),
        torch.cat([-across_b, across_a, third], dim=-1),
    ]
    return variance * torch.cat(rows, dim=-2)


def cross_matrix(vectors: Tensor) -> Tensor:
    """The matrix that takes another vector to the cross product with these, [..., 3] → [..., 3, 3]."""
    x, y, z = vectors.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], dim=-1).unflatten(-1, (3, 3))


def carried(rows: Tensor, turns: Tensor) -> Tensor:
    """What the operator makes of rotations.

    Args:
        rows: Rows of bone vectors [m], shape [..., K, J, 3].
        turns: The J rotations, shape [..., J, 3, 3].

    Returns:
        Shape [..., K, 3] [m].
    """
    return torch.einsum("...kjc,...jxc->...kx", rows, turns)


def carried_back(rows: Tensor, values: Tensor) -> Tensor:
    """The transpose of :func:`carried`: [..., K, J, 3] and [..., K, 3] → [..., J, 3, 3]."""
    return torch.einsum("...kjc,...kx->...jxc", rows, values)
