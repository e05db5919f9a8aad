"""What a report is made from: everything that one analysis read, chose, computed and noticed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.report.video import VideoEvidence
from motorque.series import Kinetics, Loads, Markers, Motion, Scales
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.bands import Bands
from motorque.uncertainty.cutoff import CutoffChoice

Array = NDArray[np.float64]


@dataclass(frozen=True)
class InputFile:
    """A file that the analysis read.

    Args:
        path: Path as the user gave it.
        role: What it was used as (``recording``, ``static trial``, ``loads``, ``model``).
        sha256: Digest of its content, hexadecimal; empty where there is no file (the built-in recording).
    """

    path: str
    role: str
    sha256: str = ""


@dataclass(frozen=True)
class Subject:
    """Who moved, and where each figure came from (``given``, ``measured by the force plates``, ``assumed`` …).

    Args:
        mass: Body mass [kg].
        mass_source: Where the mass came from.
        height: Body height [m], or None where nobody knows it.
        height_source: Where the height came from.
        sex: ``f``, ``m`` or ``unknown``.
        sex_source: Where the sex came from.
    """

    mass: float
    mass_source: str = ""
    height: float | None = None
    height_source: str = ""
    sex: str = "unknown"
    sex_source: str = ""


@dataclass(frozen=True, eq=False)
class Analysis:
    """One analysed recording: T frames, B bodies, nq coordinates, K markers that are in both recording and model.

    Times of ``markers`` may differ from those of the motion; loads have their own times too. Every other array has the
    motion's frames.

    Args:
        title: Heading of the report.
        skeleton: The scaled skeleton.
        subject: Who moved.
        motion: Generalized coordinates [rad or m], with standard deviations where they are known.
        velocity: Their first derivatives [rad/s or m/s], shape [T, nq].
        acceleration: Their second derivatives [rad/s² or m/s²], shape [T, nq].
        body_rotation: Maps body to ground, shape [T, B, 3, 3].
        body_position: Body origins in ground [m], shape [T, B, 3].
        center_of_mass: Of the whole body, in ground [m], shape [T, 3].
        markers: The markers as they were measured (repaired), or None.
        marker_names: Names of the K fitted markers.
        model_markers: Where the model has them, in ground [m], shape [T, K, 3], or None.
        marker_errors: Distances between measured and model markers [m], shape [T, K]; NaN where not seen.
        loads: External loads, or None.
        loads_measured: Whether the loads were measured by plates (else estimated from the motion).
        kinetics: Generalized forces [N·m or N] at the motion's frames, or None.
        scales: Scale factors of the bodies, or None.
        inputs: The files that were read.
        settings: Everything that was chosen (cutoff, order, seeds, weights …), name to plain value.
        versions: Name and version of each program that took part.
        command: The command line or call that repeats the analysis.
        journal: Every repair, assumption and warning.
        timings: Seconds per step.
        video: The videos that the motion was fitted to, or None where it comes from markers.
        angles_from: Where the angles come from, one sentence; from the rest if empty.
        bands: Where the standard deviations of motion, kinetics and loads come from, or None.
        cutoff: Why the filter has the cutoff that it has, where it was chosen from the recording, or None.

    Raises:
        DataError: A shape does not match the motion or the skeleton.
    """

    title: str
    skeleton: Skeleton
    subject: Subject
    motion: Motion
    velocity: Array
    acceleration: Array
    body_rotation: Array
    body_position: Array
    center_of_mass: Array
    markers: Markers | None = None
    marker_names: tuple[str, ...] = ()
    model_markers: Array | None = None
    marker_errors: Array | None = None
    loads: Loads | None = None
    loads_measured: bool = False
    kinetics: Kinetics | None = None
    scales: Scales | None = None
    inputs: tuple[InputFile, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    journal: Journal = field(default_factory=Journal)
    timings: Mapping[str, float] = field(default_factory=dict)
    video: VideoEvidence | None = None
    angles_from: str = ""
    bands: Bands | None = None
    cutoff: CutoffChoice | None = None

    def __post_init__(self) -> None:
        frames, bodies, markers = len(self.motion.times), len(self.skeleton.body_names), len(self.marker_names)
        nq = len(self.motion.names)
        shapes: dict[str, tuple[int, ...]] = {
            "velocity": (frames, nq),
            "acceleration": (frames, nq),
            "body_rotation": (frames, bodies, 3, 3),
            "body_position": (frames, bodies, 3),
            "center_of_mass": (frames, 3),
            "model_markers": (frames, markers, 3),
            "marker_errors": (frames, markers),
        }
        known = {f.name for f in fields(self)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            array = np.asarray(value, dtype=np.float64)
            if array.shape != shape:
                raise DataError(f"report: {name} must have the shape {list(shape)}, got {list(array.shape)}")
            object.__setattr__(self, name, array)
        if self.kinetics is not None and len(self.kinetics.times) != frames:
            raise DataError(f"report: {len(self.kinetics.times)} frames of kinetics for {frames} of motion")
        if not self.subject.mass > 0:
            raise DataError(f"report: the body mass must be positive, got {self.subject.mass:g} kg")
        assert set(shapes) <= known

    @property
    def times(self) -> Array:
        """Time of each frame [s], shape [T]."""
        return self.motion.times

    @property
    def weight(self) -> float:
        """Body weight [N]."""
        return self.subject.mass * float(np.linalg.norm(self.skeleton.gravity.detach().cpu().numpy()))
