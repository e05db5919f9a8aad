"""Training the prior and what it is compared with: from recordings to weights, stopped and resumed at any moment."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import motorque
from motorque.errors import DataError, FileFormatError, OutputError
from motorque.estimators.inpose.begun import SETTINGS, asked_for, read_settings
from motorque.estimators.inpose.folds import Fold, default_split, split, subjects
from motorque.estimators.inpose.library import (
    CONTENTS,
    FILES,
    Library,
    Movement,
    fingerprint,
    load_library,
    make_library,
    minutes_table,
)
from motorque.estimators.inpose.metrics import Metrics
from motorque.estimators.inpose.network import count_weights
from motorque.estimators.inpose.recipe import PRIOR, Recipe
from motorque.estimators.inpose.sources import sources_in
from motorque.estimators.inpose.windows import Windows
from motorque.files.output import write_text
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.training.checkpoint import load_checkpoint
from motorque.training.loop import Task, TrainingSettings, identity, refuse_other, step_generator, train
from motorque.training.ranks import Ranks


@dataclass(frozen=True)
class PriorTraining:
    """How the prior is trained, or what it is compared with.

    Args:
        size: Which network: ``small``, ``paper`` or ``tiny``.
        steps: Number of steps; as many as fit into ``minutes`` if None.
        minutes: See there; measured with a few steps before the first one.
        batch: Windows in a batch, by process.
        rate: Highest learning rate; the method's own if None: for the prior 2e-3 (paper: 1e-4).
        averaging: Of weights; the method's own if None: 0.998 (paper: 0.9999).
        seed: Of everything random.
        half: Whether the network computes in bfloat16.
        test: Subjects that are tested; with ``validation`` both None, those of the default split.
        validation: Subjects that are watched.
        method: What is trained: ``inpose``, the prior, or another one of the recipes.
        dropout: Share of values that the network leaves out while it learns; the size's own if None.
    """

    size: str = "small"
    steps: int | None = None
    minutes: float = 60.0
    batch: int = 32
    rate: float | None = None
    averaging: float | None = None
    seed: int = 0
    half: bool = True
    test: tuple[str, ...] | None = None
    validation: tuple[str, ...] | None = None
    method: str = PRIOR.name
    dropout: float | None = None


def train_prior(
    folders: Sequence[str | Path],
    run: str | Path,
    training: PriorTraining | None = None,
    *,
    resume: bool = False,
    recipes: Mapping[str, Recipe] | None = None,
    workers: int = 1,
    save_every: float = 300.0,
    watch_every: int = 250,
    until: Callable[[int], bool] | None = None,
    tell: Callable[[str], None] = lambda text: None,
    ranks: Ranks | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> Path:
    """Train a prior, or go on with it.

    Args:
        folders: Recordings, or one library of movements that was made before.
        run: The training's folder: ``settings.json``, ``split.json``, ``metrics.csv``, ``checkpoint``,
            ``weights.safetensors`` and, of recordings, ``library/``.
        training: How.
        resume: Whether to go on with what is in the folder; the settings then are those that it was begun with, and
            ``training`` is not looked at.
        recipes: The methods that can be trained, by name; the prior alone by default.
        workers: Processes that read recordings, and whether batches are made ahead (0: not).
        save_every: Seconds between checkpoints.
        watch_every: Steps between rows of ``metrics.csv``.
        until: Called with the steps done; True stops, as a kill would.
        tell: Told in words how it goes.
        ranks: The processes that train together.
        journal: Where skipped files and what was assumed are recorded.
        progress: Told how far it is.

    Returns:
        The file of weights.

    Raises:
        DataError: No recording can be used, or the settings are none.
        FileFormatError: What is in the folder is no training.
        OutputError: The folder holds a training and ``resume`` is not set, or can't be written to.
    """
    run, ranks = Path(run), Ranks() if ranks is None else ranks
    journal = Journal() if journal is None else journal
    training = _begun(run, training or PriorTraining(), resume, journal)
    recipes = {PRIOR.name: PRIOR} if recipes is None else recipes
    if training.method not in recipes:
        raise DataError(f"training: there is no method {training.method!r}; there are {', '.join(recipes)}")
    recipe = recipes[training.method]
    state = load_checkpoint(run / "checkpoint")
    begun = None if state is None else str(state.get("about", {}).get("data"))
    first = {"motorque": motorque.__version__, "training": dataclasses.asdict(training)}
    with asked_for(run, first, writes=ranks.first and not (resume and (run / SETTINGS).is_file())):
        library = _library(folders, run, begun, ranks, max(1, workers), journal, progress)
        fold = _fold(library, training)
        tell(minutes_table(library.movements))
        tell(f"learned from: {_told(fold.train)}\nwatched: {_told(fold.validation)}\ntested: {_told(fold.test)}")
        torch.manual_seed(training.seed)
        learned = recipe.bodies(library)
        windows = Windows(learned, _moved(learned, fold.train))
        network = recipe.network(training.size, training.dropout, windows)
        task = Task(
            network,
            recipe.batches(windows, training.batch),
            recipe.loss(network),
            {
                "network": json.dumps(network.size.as_dict()),
                "batch": training.batch,
                "data": library.fingerprint,
                "split": json.dumps([subjects(fold.validation), subjects(fold.test)]),
                **({} if recipe is PRIOR else {"method": recipe.name}),
            },
        )
        if training.steps is None:
            training = dataclasses.replace(training, steps=_steps_in(training.minutes, task, training, ranks))
        settings = _settings(training, recipe, workers, save_every)
        if state is not None:  # before anything is written
            refuse_other(run / "checkpoint", state, identity(task, settings, ranks))
    about = {
        "motorque": motorque.__version__,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "training": dataclasses.asdict(training),
        "network": network.size.as_dict(),
        "weights": count_weights(network),
        "processes": ranks.size,
        "data": {
            "fingerprint": library.fingerprint,
            "minutes": {
                name: round(sum(m.minutes for m in part), 3)
                for name, part in (("train", fold.train), ("validation", fold.validation), ("test", fold.test))
            },
            "validation": subjects(fold.validation),
            "test": subjects(fold.test),
        },
    }
    metrics = Metrics(run / "metrics.csv", 0 if state is None else state["step"])
    if ranks.first:
        write_text(run / SETTINGS, json.dumps(about, indent=1) + "\n")
        write_text(run / "split.json", json.dumps(_names(fold), indent=1) + "\n")
    began, before = time.monotonic(), metrics.seconds
    recent = {"loss": float("nan") if state is None else float(state.get("losses", [float("nan")])[-1])}
    held = Windows(learned, _moved(learned, fold.validation)) if fold.validation else None
    errors = recipe.figures(network, windows, held)

    def report(step: int, mean: float) -> None:
        recent["loss"] = mean
        tell(f"step {step:6d} of {settings.steps}  loss {mean:7.4f}  {before + time.monotonic() - began:7.0f} s")

    def watch(step: int, averaged: torch.nn.Module) -> None:
        figures = {"seconds": before + time.monotonic() - began, "loss": recent["loss"], **errors(averaged)}
        metrics.add(step, figures)
        recipe.save(run / "weights.safetensors", averaged, {**about, "step": step, "figures": figures})
        tell("  ".join(f"{k} {v:.4g}" for k, v in figures.items() if k.endswith(("999", "loss", "cm"))))

    final = train(
        task,
        settings,
        run / "checkpoint",
        until=until,
        report=report,
        watch=watch,
        watch_every=watch_every,
        ranks=ranks,
        progress=progress,
    )
    if ranks.first and not (run / "weights.safetensors").is_file():
        recipe.save(run / "weights.safetensors", final, about)
    return run / "weights.safetensors"


def _begun(run: Path, training: PriorTraining, resume: bool, journal: Journal) -> PriorTraining:
    """The settings to train with: a begun training's own."""
    settings = run / SETTINGS
    if not resume:
        if (run / "checkpoint").exists():
            raise OutputError(f"{run}: holds a training; go on with --resume, or choose another folder with --out")
        return training
    if not settings.is_file():
        journal.assume("there is no training to resume yet; it begins", str(run))
        return training
    try:
        own = read_settings(run)["training"]
        own = {**own, **{k: None if own[k] is None else tuple(own[k]) for k in ("test", "validation")}}
        return PriorTraining(**own)
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{settings}: holds no settings of a training ({error}); begin anew elsewhere") from None


def _library(
    folders: Sequence[str | Path],
    run: Path,
    begun: str | None,
    ranks: Ranks,
    workers: int,
    journal: Journal,
    progress: Progress,
) -> Library:
    """The library that is given, or the one of the recordings, made once.

    Once a training has begun, with data of the fingerprint ``begun``, it is not made of other ones.
    """
    if not folders:
        raise DataError("data: give at least one folder of recordings")
    if any((Path(folder) / FILES[2]).is_file() for folder in folders):
        if len(folders) > 1:
            raise DataError(f"{folders[0]}: a library of movements goes alone; make one of all folders")
        return load_library(folders[0])
    own = run / "library"
    if ranks.first:
        wanted = fingerprint(sources_in(folders))
        there = load_library(own).fingerprint if (own / FILES[2]).is_file() else None
        if begun is not None and begun != wanted:
            if there != begun or begun.startswith(CONTENTS):
                raise DataError(
                    f"{run}: its training was begun with other recordings ({begun}, --data now {wanted}); "
                    "give the same, or begin another training with another --out"
                )
            journal.assume("the recordings are taken to be the training's own: its library is an older one", str(own))
        elif there != wanted:
            make_library(folders, own, workers=workers, journal=journal, progress=progress)
    ranks.wait()
    return load_library(own)


def _fold(library: Library, training: PriorTraining) -> Fold:
    if training.test is None and training.validation is None:
        return default_split(library.movements)
    return split(library.movements, test=training.test or (), validation=training.validation or ())


def _moved(library: Library, movements: Sequence[Movement]) -> list[Movement]:
    """The movements as they are in another library of the same ones."""
    own = {movement.name: movement for movement in library.movements}
    return [own[movement.name] for movement in movements]


def _settings(training: PriorTraining, recipe: Recipe, workers: int, save_every: float) -> TrainingSettings:
    if training.steps is None or training.steps < 1 or training.batch < 1:
        raise DataError("training: give a number of steps, and of windows in a batch, of 1 or more")
    rate, averaging = recipe.pace(training.size)
    return TrainingSettings(
        training.steps,
        rate=training.rate or rate,
        warm_up=min(200, max(1, training.steps // 10)),
        averaging=training.averaging or averaging,
        seed=training.seed,
        half=training.half,
        workers=min(workers, 1),
        save_every=save_every,
    )


def _steps_in(minutes: float, task: Task, training: PriorTraining, ranks: Ranks) -> int:
    """How many steps fit into this time at the speed of a few of them, to two digits."""
    batch = task.batch(step_generator(training.seed, 0), 0)
    took = []
    for _ in range(4):
        began = time.monotonic()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=training.half):
            task.loss(task.network, batch).backward()
        took.append(time.monotonic() - began)
    task.network.zero_grad(set_to_none=True)
    each = ranks.mean(1.15 * float(np.median(took[1:])))  # the optimizer's step and the watching too
    return max(int(60 * minutes / each), 100) // 100 * 100


def _told(movements: Sequence[Any]) -> str:
    names = subjects(movements)
    others = sum(m.minutes for m in movements if not m.subject)
    known = ", ".join(names) + (f" and {others:.1f} min of people who are not known" if others else "")
    return f"{known or 'nobody'}: {len(movements)} movements, {sum(m.minutes for m in movements):.1f} min"


def _names(fold: Fold) -> dict[str, Any]:
    parts = {"train": fold.train, "validation": fold.validation, "test": fold.test, "left_out": fold.left_out}
    return {name: [{"name": m.name, "subject": m.subject or None} for m in part] for name, part in parts.items()}
