"""The whole evaluation: tests that are not there yet are computed, in several processes, and all of it is written."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch

from motorque.estimators.inpose.library import load_library
from motorque.estimators.inpose.weights import load_weights
from motorque.progress import Progress, silent
from motorque.studies.inpose.bodiffusion import BoDiffusion
from motorque.studies.inpose.cast import cast
from motorque.studies.inpose.experiments import RUNTIME, STILLS, Experiment
from motorque.studies.inpose.measures import measures
from motorque.studies.inpose.methods import Informed, InPoseMethod, MeanOf, Method
from motorque.studies.inpose.protocol import Condition, Trial, trials
from motorque.studies.inpose.results import Key, Results, Row
from motorque.studies.inpose.runtime import FILE, TIMED, Runtime, runtime
from motorque.studies.inpose.setup import Setup
from motorque.studies.inpose.stills import SHOWN, Stills, liveliest, most_lost, stills
from motorque.studies.inpose.unsure_bones import DefaultBones, FoundBones
from motorque.studies.inpose.write import Extras


class Job(NamedTuple):
    """One test of one recording."""

    part: int
    method: str
    condition: Condition
    trial: int


class Bench:
    """Methods and trials of all weights, as a process holds them.

    Args:
        setup: What is evaluated.
    """

    def __init__(self, setup: Setup) -> None:
        library = load_library(setup.library)
        self.seed = setup.seed
        self.methods = [cast(part.weights, part.baselines) for part in setup.tested]
        self.trials = [trials(library, part.subjects, seconds=setup.seconds, most=setup.most) for part in setup.tested]

    def row(self, job: Job) -> Row:
        """Run a job."""
        method, trial = self.methods[job.part][job.method], self.trials[job.part][job.trial]
        return row_of(method, trial, job.condition, seed=self.seed)

    def jobs(self, experiments: Sequence[Experiment]) -> Iterator[Job]:
        """All that experiments ask for, each once."""
        seen: set[Job] = set()
        for experiment in experiments:
            for method, condition in experiment.tests():
                for part, own in enumerate(self.methods):
                    for trial in range(len(self.trials[part])):
                        job = Job(part, method, condition, trial)
                        if method in own and job not in seen:
                            seen.add(job)
                            yield job

    def key(self, job: Job) -> Key:
        """The row that a job gives."""
        return Key(job.method, job.condition.name, self.trials[job.part][job.trial].name)

    def cost(self, job: Job) -> float:
        """About how long it takes, in frames times steps."""
        method, steps, times = self.methods[job.part][job.method], 1.0, 1
        if isinstance(method, MeanOf):
            times = method.samples
            method = method.method
        if isinstance(method, FoundBones | DefaultBones):
            times = 2 if isinstance(method, FoundBones) else 1
            method = method.method
        if isinstance(method, InPoseMethod):
            times *= method.samples
        if isinstance(method, InPoseMethod | BoDiffusion):
            settings = method.settings if isinstance(method, InPoseMethod) else method
            guidance = settings.guidance
            steps += settings.steps * (2.5 if guidance is not None and guidance.jacobian else 1.0)
        return steps * times * len(self.trials[job.part][job.trial].pelvis)


def row_of(method: Method, trial: Trial, condition: Condition, *, seed: int = 0) -> Row:
    """A method on a recording in a condition.

    Args:
        method: The method.
        trial: The recording.
        condition: What is changed.
        seed: Of noise and samples; each recording has draws of its own, the same in all conditions.
    """
    measured = trial.measured(condition, seed=seed)
    told = method.informed(condition) if isinstance(method, Informed) else method
    began = time.process_time()
    found = told.pose(measured, seed=trial.seed(seed))
    took = time.process_time() - began
    shape = condition.shape
    errors = measures(trial.rotations, found, shape.rest, trial.way(shape), scale=shape.whole)
    key = Key(method.name, condition.name, trial.name)
    return Row(key, trial.subject, trial.activity, len(trial.pelvis), took, errors)


def run(
    setup: Setup, experiments: Sequence[Experiment], results: Results, *, workers: int = 1, progress: Progress = silent
) -> None:
    """Compute what is not there yet.

    Args:
        setup: What is evaluated.
        experiments: Which tests.
        results: Where rows are and go to.
        workers: Processes; up to 1, this one computes.
        progress: Told how far it is.
    """
    bench = Bench(setup)
    jobs = [job for job in bench.jobs(experiments) if bench.key(job) not in results.rows]
    costs = [bench.cost(job) for job in jobs]
    total, done = sum(costs) or 1.0, 0.0
    progress("evaluating", 0.0)
    for job, cost, row in zip(jobs, costs, _rows(setup, bench, jobs, workers), strict=True):
        results.add(row)
        done += cost
        progress(f"evaluating {job.method}", done / total)


def extras(setup: Setup, names: Sequence[str], results: Results, out: Path, *, threads: int) -> Extras:
    """Times and stick figures, where they are asked for; of the first weights, where there are several.

    Args:
        setup: What is evaluated.
        names: What is asked for.
        results: Which recording is shown depends on them.
        out: Where times of before are.
        threads: That the network may use while it is timed.
    """
    bench = Bench(setup)
    methods, own = bench.methods[0], bench.trials[0]
    found = Runtime.read(out / FILE)
    if RUNTIME in names:
        timed = {name: method for name, method in methods.items() if name in TIMED}
        found = runtime(timed, load_weights(setup.tested[0].weights)[0], own, threads=threads)
    shown: list[tuple[str, Stills]] = []
    if STILLS in names:
        drawn = {name: methods[name] for name in SHOWN if name in methods}
        whom = (
            ("The recording whose feet go fastest (Figures 4, 10, 11)", liveliest(own)),
            ("Where InPose without the head's place is farthest behind (Figure 12)", most_lost(results, own)),
        )
        shown = [(what, stills(drawn, trial, seed=setup.seed)) for what, trial in whom if trial is not None]
    return Extras(found, tuple(shown))


def _rows(setup: Setup, bench: Bench, jobs: Sequence[Job], workers: int) -> Iterator[Row]:
    if workers <= 1 or len(jobs) < 8:
        yield from map(bench.row, jobs)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(setup,)) as pool:
        try:
            yield from pool.map(_row, jobs, chunksize=2)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_BENCH: list[Bench] = []


def _begin(setup: Setup) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits for the rows hears it, and ends this process
    torch.set_num_threads(1)
    _BENCH.append(Bench(setup))


def _row(job: Job) -> Row:
    return _BENCH[0].row(job)
