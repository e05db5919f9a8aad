"""One training by several processes, started by ``torchrun``: each makes its own batches, all take the same steps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from motorque.errors import DataError


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is.

    Args:
        rank: From 0; that one writes.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def average_gradients(self, network: nn.Module) -> None:
        """Replace gradients by their mean over all processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        together = torch.cat([g.flatten() for g in gradients])
        distributed.all_reduce(together)
        together /= self.size
        for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total) / self.size

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any of the processes, so that they all stop or save together."""
        return flag if self.size == 1 else self.mean(float(flag)) > 0

    def same(self, tensors: list[Tensor]) -> None:
        """Give all processes the first one's values."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def ranks() -> Iterator[Ranks]:
    """The processes that ``torchrun`` started, joined over gloo; a single one where it did not.

    Raises:
        DataError: The environment says that there are several but they can't be joined.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Ranks()
        return
    try:
        distributed.init_process_group("gloo")
    except (RuntimeError, ValueError) as error:
        raise DataError(f"training: the processes of torchrun can't be joined ({str(error).splitlines()[0]})") from None
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
