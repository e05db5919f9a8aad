"""How fast methods are: new frames a second, overlap counted once, guidance and closing included (Table 6)."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from motorque.errors import FileFormatError
from motorque.estimators.inpose.diffusion import Diffusion, respaced
from motorque.estimators.inpose.drawing import FAST
from motorque.estimators.inpose.guidance import GuidanceSettings, guide_to
from motorque.estimators.inpose.guidance_operator import carried_back
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.sampling import expected
from motorque.estimators.inpose.tree import JOINTS, THREE, WINDOW, matrices
from motorque.estimators.inpose.windows import measured as told_of_windows
from motorque.studies.inpose import cast, paper
from motorque.studies.inpose.methods import InPoseMethod, Method
from motorque.studies.inpose.protocol import DEFAULT, Trial
from motorque.studies.tables import Table

FILE = "runtime.json"
TIMED = (
    cast.INPOSE, cast.HEAD, cast.FEET, cast.STEPS_10, cast.PAPER_INPOSE, cast.PAPER_HEAD, cast.THEOREM, cast.PRIOR_IK,
    cast.MEAN_IK, cast.GLOBAL, cast.LOCAL, cast.REGRESSION,
)  # fmt: skip
"""Which methods."""
REPEATS = 3
"""Runs, of which the middle one counts; of methods that take 50 steps, one."""
FRAMES = 240
"""Frames of a run at most: four seconds."""


@dataclass(frozen=True)
class Speed:
    """A method's.

    Args:
        method: Which.
        steps: Of sampling; None where there is no such thing.
        frames: Of a run.
        seconds: It took.
        cores: Processor time over time.
    """

    method: str
    steps: int | None
    frames: int
    seconds: float
    cores: float

    @property
    def rate(self) -> float:
        """New frames a second."""
        return self.frames / self.seconds


@dataclass(frozen=True)
class Streamed:
    """A stream's, at the default hop and delay.

    Args:
        least: How far a body is behind its frame at least, without the time to compute it [s].
        most: The same at most [s].
        look: Longest time to compute a look [s].
        rate: Frames a second that it can take.
    """

    least: float
    most: float
    look: float
    rate: float


@dataclass(frozen=True)
class Runtime:
    """All that was timed.

    Args:
        speeds: Of methods.
        stream: Of a stream.
        algebra: Share of a guided step that guidance's own linear algebra takes.
        threads: Of the network.
        load: Processes that wanted a core before it began, over the last minute.
    """

    speeds: tuple[Speed, ...]
    stream: Streamed
    algebra: float
    threads: int
    load: float

    def save(self, path: Path) -> None:
        """Keep it for a later page."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Runtime | None:
        """What was kept, or None where there is nothing.

        Raises:
            FileFormatError: The file holds something else.
        """
        if not path.is_file():
            return None
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            speeds = tuple(Speed(**speed) for speed in kept.pop("speeds"))
            return cls(speeds, Streamed(**kept.pop("stream")), **kept)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise FileFormatError(f"{path}: holds no times of methods; delete it") from None

    def table(self) -> Table:
        """As a table, the paper's beside it."""
        table = Table(
            "runtime",
            "Speed: new frames a second (Table 6)",
            ("method", "steps", "samples a second", "samples a second of a core", "cores busy", "the paper, on a GPU"),
            notes=(
                f"{self.threads} threads; {self.load:.1f} processes wanted a core when it began; the middle of "
                f"{REPEATS} runs of up to {FRAMES} frames.",
                f"A stream of hop 6 and delay 6: bodies are {1000 * self.stream.least:.0f} to "
                f"{1000 * self.stream.most:.0f} ms behind their frames, and at most "
                f"{1000 * self.stream.look:.0f} ms of work; it can take {self.stream.rate:.0f} frames a second.",
                f"Guidance's own linear algebra is {100 * self.algebra:.2g} % of a guided step.",
            ),
        )
        for speed in self.speeds:
            table.add(
                speed.method,
                speed.steps,
                speed.rate,
                speed.rate / speed.cores,
                speed.cores,
                paper.SPEED.get(speed.method),
            )
        return table


def runtime(methods: Mapping[str, Method], network: PriorNetwork, trials: Sequence[Trial], *, threads: int) -> Runtime:
    """Time methods on the longest recording.

    Args:
        methods: Which, by name.
        network: The prior.
        trials: Recordings.
        threads: That the network may use.
    """
    trial = max(trials, key=lambda t: len(t.pelvis))
    trial = Trial(trial.name, trial.subject, trial.activity, trial.rotations[:FRAMES], trial.pelvis[:FRAMES])
    load, before = os.getloadavg()[0], torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        speeds = tuple(speed_of(method, trial) for method in methods.values())
        return Runtime(speeds, streamed(network, trial), algebra_share(network, trial), threads, load)
    finally:
        torch.set_num_threads(before)


def speed_of(method: Method, trial: Trial) -> Speed:
    """A method's speed on a recording."""
    measured = trial.measured(DEFAULT)
    steps = method.settings.steps if isinstance(method, InPoseMethod) else getattr(method, "steps", None)
    frames = len(measured)
    short = measured.frames(torch.arange(min(frames, WINDOW)))
    method.pose(short, seed=0)  # warm
    took, busy = [], []
    for _ in range(REPEATS if steps is None or steps < 50 else 1):
        began, own = time.perf_counter(), time.process_time()
        method.pose(measured, seed=0)
        took.append(time.perf_counter() - began)
        busy.append(time.process_time() - own)
    seconds = statistics.median(took)
    return Speed(method.name, steps, frames, seconds, busy[took.index(seconds)] / seconds)


def streamed(network: PriorNetwork, trial: Trial) -> Streamed:
    """Speed and latency of a stream of a recording's sensors."""
    measured = trial.measured(DEFAULT)
    stream = InPose(network, {}).stream(bones=measured.rest.double().numpy())
    turns = matrices(measured.columns6.double()).numpy()
    looks, began = [], time.perf_counter()
    for frame in range(len(measured)):
        now = time.perf_counter()
        stream.push({JOINTS[j]: (measured.points[frame, j].double().numpy(), turns[frame, j]) for j in THREE})
        looks.append(time.perf_counter() - now)
    took = time.perf_counter() - began
    return Streamed(*stream.latency, max(looks[WINDOW:] or looks), len(measured) / took)


def algebra_share(network: PriorNetwork, trial: Trial, windows: int = 4) -> float:
    """Share of a guided step that differences, their covariance and its solution take, the network's part left out."""
    six = torch.cat([trial.rotations[..., 0], trial.rotations[..., 1]], dim=-1).float()
    starts = torch.linspace(0, max(0, len(six) - WINDOW), windows).long()
    rows = (starts[:, None] + torch.arange(WINDOW)).clamp(max=len(six) - 1)
    measured = trial.measured(DEFAULT)
    seen, nowhere = measured.seen[rows], torch.zeros_like(measured.seen[rows])
    rest = measured.rest.expand(windows, -1, -1)
    told, turned, _ = told_of_windows(six[rows], trial.pelvis.float()[rows], rest, seen, nowhere)
    settings, order = FAST.guidance or GuidanceSettings(), respaced(FAST.steps, FAST.last)
    diffusion = Diffusion(network.size.target, learned_variance=network.size.learned_variance)
    guide = guide_to(
        measured.points[rows][..., list(THREE), :],
        measured.there[rows][..., list(THREE)],
        measured.rest,
        list(THREE),
        diffusion=diffusion,
        order=order,
        settings=settings,
    )
    noisy = torch.randn(turned.shape, generator=torch.Generator().manual_seed(0))

    def whole() -> None:
        own = noisy.clone().requires_grad_()
        with torch.enable_grad():
            split = expected(network, diffusion, own, order[1], told)
        guide(own, split, order[1])

    turns = matrices(noisy)[..., guide.joints, :, :]

    def algebra() -> None:
        carried_back(guide.rows, guide.weighed(turns, guide.spread(order[1])))

    return _time(algebra) / _time(whole)


def _time(run: Callable[[], None]) -> float:
    """Processor time of a run, the middle of several after one to warm up [s]: others may want the cores meanwhile."""
    run()
    took = []
    for _ in range(7):
        began = time.process_time()
        run()
        took.append(time.process_time() - began)
    return statistics.median(took)
