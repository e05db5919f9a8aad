"""Indices, masks and signs on the device where the numbers are, brought there once.

To bring something to a GPU is to wait for everything that it is still doing. What follows from a skeleton's structure
is the same at every call.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

_KEPT: dict[tuple[object, ...], Tensor] = {}
_MOST = 4096


def constant(values: ArrayLike, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers as a tensor that nobody may change.

    Args:
        values: The numbers; what has no elements counts as indices.
        device: Where they are wanted.
        dtype: Their type; None for the one that they have.
    """
    array = np.asarray(values)
    if array.size == 0 and array.dtype != np.bool_:
        array = array.astype(np.int64)
    key = (array.tobytes(), array.dtype.char, array.shape, device, dtype)
    found = _KEPT.get(key)
    if found is None:
        found = torch.as_tensor(array.copy(), dtype=dtype, device=device)
        # What is made within one of torch.func's transforms may belong to it, and is of no use afterwards.
        if torch._C._functorch.maybe_current_level() is None:
            if len(_KEPT) >= _MOST:
                _KEPT.clear()
            _KEPT[key] = found
    return found
