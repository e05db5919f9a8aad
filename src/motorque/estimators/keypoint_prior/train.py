"""Train the keypoint prior: ``python -m motorque.estimators.keypoint_prior.train --motions MOTIONS.npz --out FILE``.

Stops at any moment and goes on from its checkpoint when it is called again with the same settings. Where neither
``--steps`` nor a checkpoint is given, the number of steps is what fits into ``--minutes`` at the speed of the first
ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from motorque.errors import FileFormatError, MotorqueError
from motorque.estimators.keypoint_prior.calibrate import calibrated
from motorque.estimators.keypoint_prior.examples import Example, Examples, on_generic
from motorque.estimators.keypoint_prior.loss import loss
from motorque.estimators.keypoint_prior.network import NetworkSize, PoseNetwork
from motorque.estimators.keypoint_prior.weights import load_weights, save_weights
from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.keypoint_sequences import RATE
from motorque.synthesis.motions import load_motions
from motorque.training.checkpoint import load_checkpoint
from motorque.training.loop import Task, TrainingSettings, step_generator, train


def prior_task(examples: Examples, size: NetworkSize, seed: int, *, start: Path | None = None) -> Task:
    """The prior's training; the network's first weights depend on the seed alone, or are those of a file.

    Raises:
        FileFormatError: The file holds no weights of a network of this size.
    """
    torch.manual_seed(seed)
    network = PoseNetwork(size)
    if start is not None:
        before, _ = load_weights(start)
        if before.size != size:
            raise FileFormatError(f"{start}: these weights are of a network of {before.size}, not of {size}")
        network.load_state_dict(before.state_dict())
    settings = {
        "channels": size.channels,
        "dilations": str(size.dilations),
        "motions": len(examples.motions),
        "motion_frames": sum(len(m) for m in examples.motions),
        "captured": examples.captured,
        "frames": str(examples.frames),
        "total": examples.total,
        "start": "" if start is None else hashlib.sha256(start.read_bytes()).hexdigest()[:16],
    }
    return Task(network, examples, example_loss, settings)


def example_loss(network: nn.Module, batch: Example) -> Tensor:
    """The loss on a batch, as the loop wants it."""
    return loss(network(batch.values), batch.truth)


def steps_in(minutes: float, task: Task, *, seed: int, half: bool, workers: int) -> int:
    """How many steps fit into this time at the speed of a few of them, to two digits."""
    batches = [task.batch(step_generator(seed, 0), 0)]
    began = time.monotonic()
    batches = [task.batch(step_generator(seed, n), n) for n in range(6)]
    making = (time.monotonic() - began) / 6
    began = time.monotonic()
    for batch in batches:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            task.loss(task.network, batch).backward()
    task.network.zero_grad(set_to_none=True)
    learning = 1.25 * (time.monotonic() - began) / 6  # the optimizer's step too
    each = max(making / workers, learning) if workers else making + learning
    return max(int(60 * minutes / each), 100) // 100 * 100


def main(arguments: list[str] | None = None) -> int:
    """Run the training from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m motorque.estimators.keypoint_prior.train", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--motions", type=Path, help="captured motions (.npz of motorque.synthesis.motions)")
    parser.add_argument("--out", type=Path, required=True, help="the weights (.safetensors)")
    parser.add_argument("--checkpoint", type=Path, help="the training's state; beside --out by default")
    parser.add_argument("--start", type=Path, help="weights to begin with, instead of random ones")
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=1, help="of the network; batches are made beside it")
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches")
    parser.add_argument("--channels", type=int, default=NetworkSize().channels)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    checkpoint = options.checkpoint or options.out.with_name(f"{options.out.stem}.checkpoint")
    try:
        motions = captured(options.motions, "train") if options.motions else []
        size = NetworkSize(options.channels)
        task = prior_task(Examples(motions), size, options.seed, start=options.start)
        state = load_checkpoint(checkpoint)
        steps = options.steps or (state["about"]["training.steps"] if state else None)
        if steps is None:
            steps = steps_in(options.minutes, task, seed=options.seed, half=True, workers=options.workers)
        settings = TrainingSettings(steps, rate=options.rate, seed=options.seed, workers=options.workers)
        began = time.monotonic()

        def report(step: int, mean: float) -> None:
            print(f"step {step:6d} of {steps}  loss {mean:8.4f}  {time.monotonic() - began:6.0f} s", flush=True)

        network = train(task, settings, checkpoint, report=report)
        assert isinstance(network, PoseNetwork)
        held_back = captured(options.motions, "validation") if options.motions else []
        calibration, figures = calibrated(network, Examples(held_back))
        about = {"settings": {**task.settings, **asdict(settings)}, "validation": figures}
        save_weights(options.out, network, calibration, about)
        print(json.dumps(figures, indent=1))
    except MotorqueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def captured(path: Path, split: str) -> list[Tensor]:
    """The captured motions of one split in the built-in skeleton's coordinates.

    Raises:
        FileFormatError: The file is no library of motions, or one of another skeleton.
    """
    library = load_motions(path)
    if any(motion.coordinates != fullbody().coordinate_names or motion.rate != RATE for motion in library):
        raise FileFormatError(f"{path}: its motions are not the built-in skeleton's at {RATE:g} Hz; make it again")
    return [on_generic(motion) for motion in library if motion.split == split]


if __name__ == "__main__":
    sys.exit(main())
