"""The person's own skeleton: the user's model, or the built-in one brought to the person's size."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from motorque.errors import DataError
from motorque.files.osim import OsimModel, model_node, read_osim
from motorque.files.osim_edit import write_edited
from motorque.files.osim_mass import scale_masses
from motorque.files.osim_write import write_osim
from motorque.fitting.mass_on_plates import mass_on_plates
from motorque.fitting.scale_from_motion import MEASUREMENT_STD, fit_body
from motorque.fitting.side_swap import SwapEvidence, exchange_sides, side_evidence
from motorque.journal import Journal
from motorque.report.analysis import Subject
from motorque.series import Loads, Markers, Motion, Scales
from motorque.skeleton.anthropometry import with_segment_masses
from motorque.skeleton.fullbody import Sex, fullbody
from motorque.skeleton.fullbody_tables import GENERIC_HEIGHT
from motorque.skeleton.marker_sets import match_markers, skeleton_with_markers
from motorque.skeleton.scaling import apply_scales, scale_lengths, set_mass
from motorque.skeleton.skeleton import Skeleton

ASSUMED = "assumed from the height"

SHOULDER_LANDMARKS, SHOULDER_STRAY = ("acromion", "scapula"), 0.03
"""Landmarks that a rigid trunk can't follow, and how far they stray from it [m]: the shoulder blade glides by
centimetres when an arm rises."""

PLACED_STD = 1e-3
"""How well a marker's place is known once a static trial has told it [m]."""


@dataclass(frozen=True)
class Person:
    """A skeleton of a person's size with the markers of the recording.

    Args:
        skeleton: Scaled, with its mass.
        weights: Weight of each marker for inverse kinematics; None for 1 each.
        subject: Mass, height and sex and where they came from.
        scales: How the built-in skeleton was scaled, or None for a user's model.
        model: The user's model, or None for the built-in skeleton.
    """

    skeleton: Skeleton
    weights: Mapping[str, float] | None
    subject: Subject
    scales: Scales | None
    model: OsimModel | None

    def write_model(self, path: Path) -> None:
        """Write the skeleton as ``.osim``: the user's own file with this mass, or the built-in one."""
        if self.model is None:
            write_osim(path, self.skeleton, scales=self.scales)
            return
        tree = copy.deepcopy(self.model.tree)
        unscaled = Scales((), np.zeros((0, 3)))
        scale_masses(model_node(tree, path), unscaled, self.skeleton.total_mass(), True, Journal())
        write_edited(path, tree, self.model.path)


def fit_builtin(
    recordings: list[Markers],
    *,
    height: float | None,
    height_source: str = "given",
    mass: float | None,
    mass_source: str,
    sex: Sex,
    journal: Journal,
) -> Person:
    """Scale the built-in skeleton to a person from marker recordings.

    Args:
        recordings: The recording, and the static trial if there is one, in ground [m].
        height: Body height [m], or None.
        height_source: Where the height came from.
        mass: Body mass [kg], or None for one that goes with the size.
        mass_source: Where the mass came from.
        sex: ``f``, ``m`` or ``unknown``.
        journal: Matched names, scales and assumptions.

    Raises:
        DataError: Too few marker names are known.
    """
    recordings = list(recordings)
    names = list(dict.fromkeys(n for r in recordings for n in r.names))
    match = match_markers(names, journal=journal)
    if len(match.pairs) < 6:
        raise DataError(
            f"only {len(match.pairs)} of {len(names)} marker names ({', '.join(names[:6])}…) belong to a known marker "
            "set (Plug-in Gait, OpenCap, Rajagopal, CMU, Helen Hayes), 6 are needed; rename them, or give --model"
        )
    recordings = list(recordings)
    known_names = {name for name, _ in match.pairs}
    for recording in recordings:
        if known_names.isdisjoint(recording.names):
            raise DataError(
                f"static trial or recording: no known marker in one of them ({', '.join(recording.names[:6])}…); "
                "name the markers of both by the same marker set, or leave --static out"
            )
    generic = skeleton_with_markers(fullbody(), match)
    known = dict(zip((name for name, _ in match.pairs), match.position_std, strict=True))
    ratio = None if height is None else height / GENERIC_HEIGHT
    for index, recording in enumerate(recordings):
        recordings[index], evidence = _labelled_right(generic, recording, ratio)
        if evidence is not None and index < len(recordings) - 1:  # the recording itself is fitted anew, and then said
            journal.repair(
                f"left and right were exchanged in the static trial and are put right ({evidence})", "static"
            )
    stray = {name: SHOULDER_STRAY for name, place in match.pairs if place.startswith(SHOULDER_LANDMARKS)}
    skeleton, scales = _fit(generic, recordings, known, stray, ratio, journal)
    if height is None:
        height, height_source = height_of(scales), "from the segment scales"
        journal.assume(f"no height was given; the segment scales make it {height:.2f} m (give --height)", "height")
    if mass is None:
        # The generic skeleton's body mass index, which is that of its builders' average man.
        mass, mass_source = fullbody().total_mass() * (height / GENERIC_HEIGHT) ** 2, ASSUMED
    skeleton = of_mass(skeleton, mass, sex)
    # Bony landmarks carry the pose; the found place of a marker is no better known than soft tissue lets it be.
    weights = {
        n: MEASUREMENT_STD / max(s if s < 0.05 else 0.0, stray.get(n, MEASUREMENT_STD)) for n, s in known.items()
    }
    subject = Subject(mass, mass_source, height, height_source, sex, "given" if sex != "unknown" else "not given")
    return Person(skeleton, weights, subject, scales, None)


def _fit(
    generic: Skeleton,
    recordings: list[Markers],
    known: Mapping[str, float],
    stray: Mapping[str, float],
    ratio: float | None,
    journal: Journal,
) -> tuple[Skeleton, Scales]:
    """The skeleton of the person's size with its markers, and the scales.

    A static trial, the first of two recordings, tells the scales and the places of its markers, so that they are the
    same in every trial of a person; the recording only tells where further markers sit.
    """
    if len(recordings) == 1:
        fit = fit_body(generic, recordings, marker_std=known, tissue_std=stray, height_ratio=ratio, journal=journal)
        return fit.skeleton, fit.scales
    still, trial = recordings
    fit = fit_body(
        generic, [still], marker_std=known, tissue_std=stray, height_ratio=ratio, still=True, journal=journal
    )
    placed = fit.skeleton
    late = [name for name in generic.marker_names if name in trial.names and name not in placed.marker_names]
    if not late:
        return placed, fit.scales
    whole = apply_scales(generic, fit.scales)
    markers, position = list(whole.markers), whole.marker_position.clone()
    for index, marker in enumerate(markers):
        if marker.name in placed.marker_names:
            position[index] = placed.marker_position[placed.marker_names.index(marker.name)]
    certain = {name: PLACED_STD if name in placed.marker_names else std for name, std in known.items()}
    further = fit_body(
        whole.with_markers(markers, position), [trial], marker_std=certain, tissue_std=stray, scales_known=True
    )
    journal.info(f"markers that the static trial lacks were placed from the recording: {', '.join(late)}", "scaling")
    return further.skeleton, fit.scales


def of_mass(skeleton: Skeleton, mass: float, sex: Sex) -> Skeleton:
    """The skeleton with this mass [kg], shared among the segments as is usual for the sex."""
    return set_mass(skeleton, mass) if sex == "unknown" else with_segment_masses(skeleton, mass=mass, sex=sex)


def weigh(person: Person, motion: Motion, loads: Loads | None, journal: Journal) -> Person:
    """The person with the mass that measured loads show, if nobody gave one; what was taken for it is recorded.

    Args:
        person: The person with a given or an assumed mass.
        motion: The motion, smoothed.
        loads: Measured loads at the motion's times, or None.
        journal: Where the mass and its source are recorded.
    """
    subject = person.subject
    if subject.mass_source != ASSUMED:
        return person
    mass = None if loads is None else mass_on_plates(person.skeleton, motion, loads)
    if mass is None:
        journal.assume(
            f"no mass was given; {subject.mass:.1f} kg goes with the height: forces and torques scale with it "
            "(give --mass)",
            "mass",
        )
        return person
    journal.assume(
        f"no mass was given; where the plates carry the whole body they weigh {mass:.1f} kg (give --mass)", "mass"
    )
    skeleton = of_mass(person.skeleton, mass, cast(Sex, subject.sex))
    weighed = dataclasses.replace(subject, mass=mass, mass_source="weighed by the force plates")
    return dataclasses.replace(person, skeleton=skeleton, subject=weighed)


def _labelled_right(generic: Skeleton, markers: Markers, ratio: float | None) -> tuple[Markers, SwapEvidence | None]:
    """The markers, with left and right exchanged if the unscaled skeleton says so, and why; nothing fits otherwise."""
    size = torch.full((len(generic.body_names), 3), ratio or 1.0, dtype=torch.float64)
    evidence = side_evidence(scale_lengths(generic, size), markers)
    return (exchange_sides(markers), evidence) if evidence is not None and evidence.swapped else (markers, None)


def height_of(scales: Scales) -> float:
    """Body height by the share of each segment's length: thigh 0.245, shank 0.246, trunk and head 0.47, foot 0.039.

    Source: Drillis and Contini 1966, as in Winter, Biomechanics and Motor Control of Human Movement, 4th ed., fig. 4.1.
    """
    shares = {"femur_r": 0.245, "tibia_r": 0.246, "torso": 0.47, "talus_r": 0.039}
    return (
        GENERIC_HEIGHT * sum(share * float(scales.of(body)[1]) for body, share in shares.items()) / sum(shares.values())
    )


def use_model(
    path: Path,
    *,
    height: float | None,
    height_source: str = "given",
    mass: float | None,
    mass_source: str,
    sex: str,
    journal: Journal,
) -> Person:
    """The user's model as it is, but for its mass if one is given."""
    model = read_osim(path, journal=journal)
    skeleton = model.skeleton
    unused = [name for name, given in (("height", height is not None), ("sex", sex != "unknown")) if given]
    if unused:
        journal.info(
            f"{' and '.join(unused)} change nothing in a model of one's own; they stand in the report", str(path)
        )
    if mass is None:
        mass, mass_source = skeleton.total_mass(), "from the model"
    elif abs(mass / skeleton.total_mass() - 1) > 1e-3:
        journal.repair(
            f"the model weighs {skeleton.total_mass():.1f} kg; its masses are scaled to {mass:.1f} kg", str(path)
        )
        skeleton = set_mass(skeleton, mass)
    subject = Subject(
        mass, mass_source, height, height_source if height else "", sex, "given" if sex != "unknown" else "not given"
    )
    return Person(skeleton, None, subject, None, model)
