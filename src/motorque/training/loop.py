"""The training loop: every step depends on its number and the state before it alone, so it can stop and go on anywhere.

What is drawn at random in step n comes from generators seeded with (seed, n), never from one that runs along: there is
no state of the data to be kept, batches can be made ahead by other processes, and a resumed training takes the same
steps as one that was never stopped.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motorque.errors import DataError
from motorque.progress import Progress, silent
from motorque.training.checkpoint import load_checkpoint, save_checkpoint
from motorque.training.ranks import Ranks


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Args:
        steps: Number of steps.
        rate: Highest learning rate.
        warm_up: Steps over which the rate rises from nothing; afterwards it falls along a cosine to a hundredth.
        decay: Weight decay of matrices.
        clip: Largest norm of the gradient.
        averaging: How much of the averaged weights is kept in each step, once past the first steps.
        seed: Of everything random.
        half: Whether the network computes in bfloat16 (its weights and the optimizer stay in float32).
        workers: Processes that make batches ahead; 0 makes them in this one.
        save_every: Seconds between checkpoints.
    """

    steps: int
    rate: float = 2e-3
    warm_up: int = 200
    decay: float = 0.02
    clip: float = 1.0
    averaging: float = 0.998
    seed: int = 0
    half: bool = True
    workers: int = 1
    save_every: float = 60.0


@dataclass(frozen=True)
class Task:
    """What is trained.

    Args:
        network: The network, its weights as they are before the first step.
        batch: Makes the batch of a step: called with the generator of this step and the step.
        loss: The loss of the network on a batch.
        settings: Numbers and text that say what this training is; a checkpoint of another one is refused.
    """

    network: nn.Module
    batch: Callable[[torch.Generator, int], Any]
    loss: Callable[[nn.Module, Any], Tensor]
    settings: dict[str, Any]


def step_generator(seed: int, step: int) -> torch.Generator:
    """The generator of one step: everything random in it comes from here."""
    return torch.Generator().manual_seed(((seed + 1) * 0x9E3779B1 + step * 0x85EBCA77) % (1 << 62))


class _Batches(torch.utils.data.Dataset):
    """The batch of every step, for processes that make them ahead."""

    def __init__(self, task: Task, seed: int, ranks: Ranks) -> None:
        self.make, self.seed, self.ranks = task.batch, seed, ranks

    def __getitem__(self, step: int) -> Any:
        return self.make(step_generator(self.seed, step * self.ranks.size + self.ranks.rank), step)


def train(
    task: Task,
    settings: TrainingSettings,
    checkpoint: Path,
    *,
    until: Callable[[int], bool] | None = None,
    report: Callable[[int, float], None] | None = None,
    watch: Callable[[int, nn.Module], None] | None = None,
    watch_every: int = 1000,
    ranks: Ranks | None = None,
    progress: Progress = silent,
) -> nn.Module:
    """Train, going on from the checkpoint if there is one.

    Args:
        task: What is trained; its network is changed.
        settings: How.
        checkpoint: File of the training's state; written now and then, and at the end.
        until: Called with the number of steps done; True stops there, as a kill would (the checkpoint is written).
        report: Called with the number of steps done and the mean loss since the last call, every 100 steps; before the
            first 100 also ahead of each ``watch``, with the mean so far.
        watch: Called with the number of steps done and a copy of the network with averaged weights, every
            ``watch_every`` steps and at the end; what it draws at random changes nothing.
        watch_every: See there.
        ranks: The processes that train together; each makes its own batches, gradients are averaged, the first writes
            and reports. This one alone by default.
        progress: Told how far it is.

    Returns:
        A copy of the network with averaged weights: the result.

    Raises:
        DataError: The checkpoint is one of another training, or the loss is no longer a number.
        FileFormatError: The checkpoint can't be read.
    """
    network, ranks = task.network, Ranks() if ranks is None else ranks
    optimizer = torch.optim.AdamW(_groups(network, settings.decay), lr=settings.rate, betas=(0.9, 0.98))
    average = {name: value.detach().clone() for name, value in network.named_parameters()}
    about = identity(task, settings, ranks)
    state = load_checkpoint(checkpoint)
    done, total, counted, reported = 0, 0.0, 0, math.nan
    if state is not None:
        refuse_other(checkpoint, state, about)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average, done = state["average"], state["step"]
        total, counted, reported = state.get("losses", (total, counted, reported))

    def save() -> None:
        if not ranks.first:
            return
        save_checkpoint(
            checkpoint,
            {
                "step": done,
                "about": about,
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average,
                "losses": (total, counted, reported),
            },
        )

    batches = torch.utils.data.DataLoader(
        _Batches(task, settings.seed, ranks),
        batch_size=None,
        sampler=range(done, settings.steps),
        num_workers=settings.workers,
        prefetch_factor=4 if settings.workers else None,
        worker_init_fn=_one_thread,
    )
    saved = time.monotonic()
    network.train()
    for batch in batches if done < settings.steps else ():
        # Whatever the network itself draws
        torch.manual_seed((settings.seed << 32) + done * ranks.size + ranks.rank)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * schedule(done, settings)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.half):
            value = task.loss(network, batch)
        value.backward()
        ranks.average_gradients(network)
        reached = ranks.mean(float(value.detach()))
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        if not math.isfinite(reached):
            raise DataError(f"training: the loss of step {done} is no number; lower the learning rate")
        optimizer.step()
        keep = min(settings.averaging, (done + 1) / (done + 10))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                average[name].lerp_(parameter, 1 - keep)
        done += 1
        total, counted = total + reached, counted + 1
        if report is not None and done % 100 == 0:
            reported = total / counted
            if ranks.first:
                report(done, reported)
            total, counted = 0.0, 0
        if watch is not None and ranks.first and (done % watch_every == 0 or done == settings.steps):
            if report is not None and math.isnan(reported):
                report(done, total / counted)
            watch(done, averaged(copy.deepcopy(network), average))
        progress("training", done / settings.steps)
        if until is not None and ranks.any(until(done)):
            break
        if time.monotonic() - saved > settings.save_every:
            save()
            saved = time.monotonic()
    save()
    ranks.wait()
    return averaged(network, average)


def identity(task: Task, settings: TrainingSettings, ranks: Ranks) -> dict[str, Any]:
    """What a training is, as its checkpoints have it: all but what changes no step."""
    about = {**task.settings, **{f"training.{k}": v for k, v in dataclasses.asdict(settings).items()}}
    about = {k: v for k, v in about.items() if k not in ("training.workers", "training.save_every")}
    return about if ranks.size == 1 else {**about, "processes": ranks.size}


def refuse_other(checkpoint: Path, state: dict[str, Any], about: dict[str, Any]) -> None:
    """Compare a checkpoint's training with what :func:`identity` says of this one; writes nothing.

    Raises:
        DataError: It is another one.
    """
    own = state["about"]
    differ = sorted(k for k in {*about, *own} if about.get(k) != own.get(k))
    if differ:
        raise DataError(
            f"{checkpoint}: it is of a training with another {differ[0]} ({own.get(differ[0])}, now "
            f"{about.get(differ[0])}); give the same settings, or begin another training in another folder"
        )


def averaged(network: nn.Module, average: dict[str, Tensor]) -> nn.Module:
    """The network with these weights, ready to be used."""
    network.load_state_dict(average, strict=False)
    return network.eval()


def schedule(step: int, settings: TrainingSettings) -> float:
    """The learning rate of a step as a share of the highest: up in a line, down along a cosine to a hundredth."""
    if step < settings.warm_up:
        return (step + 1) / settings.warm_up
    share = (step - settings.warm_up) / max(settings.steps - settings.warm_up, 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
