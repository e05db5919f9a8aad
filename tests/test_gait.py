"""Gait events, cycles and step measures against a walker whose every step is prescribed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from motorque.report.cycles import PERCENT, Cycle, mean_and_spread, normalised
from motorque.report.events import CONTACT_THRESHOLD, loaded_intervals, plate_events
from motorque.report.gait import Gait, analyse_gait
from motorque.series import Load, Loads
from report_case import SPEED, STANCE, STRIDE, STRIKE, WIDTH, still_case, walk_case

FRAME = 0.01  # [s]


def expected(side: str, kind: str, duration: float, stance: float = STANCE) -> np.ndarray:
    first = STRIKE[side] + (stance * STRIDE if kind == "toe off" else 0.0)
    times = first + STRIDE * np.arange(-2, 20)
    return times[(times > 0.05) & (times < duration - 0.05)]


def found(gait: Gait, side: str, kind: str) -> np.ndarray:
    return np.array([e.time for e in gait.events if e.side == side and e.kind == kind])


def measure(gait: Gait, name: str) -> np.ndarray:
    return np.array(next(m for m in gait.measures if m.name == name).values)


@pytest.mark.parametrize("treadmill", [False, True])
@pytest.mark.parametrize("heading", [0.0, 1.1, np.pi, -2.0])
def test_events_come_from_the_feet_whatever_the_direction(heading: float, treadmill: bool) -> None:
    gait = analyse_gait(walk_case(6.0, heading=heading, treadmill=treadmill))
    assert gait.kind == "walking"
    for side in ("r", "l"):
        for kind in ("heel strike", "toe off"):
            times, truth = found(gait, side, kind), expected(side, kind, 6.0)
            assert len(times) == len(truth)
            assert np.abs(times - truth).max() <= FRAME
    assert {e.source for e in gait.events} == {"kinematics"}


@pytest.mark.parametrize("treadmill", [False, True])
@pytest.mark.parametrize("heading", [0.0, 2.5])
def test_step_measures(heading: float, treadmill: bool) -> None:
    gait = analyse_gait(walk_case(8.0, heading=heading, treadmill=treadmill, plates=("r", "l")))
    assert measure(gait, "Speed") == pytest.approx(SPEED, abs=0.02)
    assert measure(gait, "Cadence") == pytest.approx(120.0 / STRIDE, abs=1.0)
    assert measure(gait, "Stride time") == pytest.approx(STRIDE, abs=1.01 * FRAME)
    assert measure(gait, "Stride length") == pytest.approx(SPEED * STRIDE, abs=0.02)
    assert measure(gait, "Step length") == pytest.approx(SPEED * STRIDE / 2, abs=0.02)
    assert measure(gait, "Step width") == pytest.approx(WIDTH, abs=0.005)
    assert measure(gait, "Stance") == pytest.approx(100 * STANCE, abs=1.0)
    assert measure(gait, "Double support") == pytest.approx(100 * (2 * STANCE - 1), abs=2.0)
    assert gait.treadmill == pytest.approx(SPEED if treadmill else 0.0, abs=0.02)


def test_plates_give_the_events_and_feet_the_rest() -> None:
    gait = analyse_gait(walk_case(6.0, plates=("r",)))
    for kind in ("heel strike", "toe off"):
        assert np.abs(found(gait, "r", kind) - expected("r", kind, 6.0)).max() <= FRAME + 1e-9
    assert {e.source for e in gait.events if e.side == "r"} == {"force plate"}
    assert {e.source for e in gait.events if e.side == "l"} == {"kinematics"}
    assert "force plates" in gait.sources and "Zeni" in gait.sources


def test_estimated_loads_do_not_count_as_plates() -> None:
    analysis = dataclasses.replace(walk_case(6.0, plates=("r", "l")), loads_measured=False)
    assert {e.source for e in analyse_gait(analysis).events} == {"kinematics"}


def test_a_plate_that_misses_steps_leaves_them_to_the_feet() -> None:
    analysis = walk_case(6.0, plates=("r", "l"))
    assert analysis.loads is not None
    late = analysis.times > 3.0
    cut = tuple(
        dataclasses.replace(load, force=np.where(late[:, None], 0.0, load.force)) for load in analysis.loads.loads
    )
    gait = analyse_gait(dataclasses.replace(analysis, loads=dataclasses.replace(analysis.loads, loads=cut)))
    strikes = found(gait, "r", "heel strike")
    truth = expected("r", "heel strike", 6.0)
    assert len(strikes) == len(truth) and np.abs(strikes - truth).max() <= 1.01 * FRAME


def test_running_is_told_from_walking() -> None:
    assert analyse_gait(walk_case(6.0, stance=0.36, plates=("r", "l"))).kind == "running"


@pytest.mark.parametrize("what", ["standing", "squat", "jump", "one step", "marching on the spot"])
def test_no_gait(what: str) -> None:
    times = np.arange(401) * FRAME
    analysis = still_case(times)
    position = analysis.body_position.copy()
    names = list(analysis.skeleton.body_names)
    feet = [names.index(n) for n in ("calcn_r", "toes_r", "calcn_l", "toes_l")]
    wave = np.sin(2 * np.pi * times / 2.0)
    if what == "squat":  # the pelvis goes back and down, the feet stay
        position[:, names.index("pelvis"), 0] += 0.25 * wave
        position[:, names.index("pelvis"), 1] += 0.3 * wave
    elif what == "jump":  # everything goes up and forward
        position[..., 1] += 0.3 * np.maximum(0, wave)[:, None]
        position[..., 0] += 0.5 * np.clip(times - 1, 0, 1)[:, None]
    elif what == "one step":  # a lunge forward and back
        position[:, feet[:2], 0] += 0.7 * np.exp(-(((times - 2) / 0.5) ** 2))[:, None]
    elif what == "marching on the spot":
        position[:, feet[:2], 1] += 0.2 * np.maximum(0, wave)[:, None]
        position[:, feet[2:], 1] += 0.2 * np.maximum(0, -wave)[:, None]
    gait = analyse_gait(dataclasses.replace(analysis, body_position=position))
    assert gait.kind == "none" and not gait.has_cycles and not gait.measures
    assert gait.why


def test_a_short_walk_joins_incomplete_strides_and_says_so() -> None:
    analysis = walk_case(1.3, plates=("r", "l"))
    gait = analyse_gait(analysis)
    cycle = gait.cycles["r"][0]
    assert cycle.split is not None and any("joins" in note for note in gait.notes)
    # A curve that repeats with the stride comes out as one period, whichever parts were recorded.
    curve = np.sin(2 * np.pi * (analysis.times - STRIKE["r"]) / STRIDE)[:, None]
    truth = np.sin(2 * np.pi * PERCENT / 100)
    assert normalised(analysis.times, curve, [cycle])[0, :, 0] == pytest.approx(truth, abs=0.06)


def test_a_recording_shorter_than_a_stride_has_no_cycle() -> None:
    gait = analyse_gait(walk_case(1.0, plates=("r", "l")))
    assert not gait.has_cycles


def test_a_pause_is_not_a_stride() -> None:
    analysis = walk_case(8.0)
    moving = np.interp(analysis.times, [0, 3.6, 5.6, 8.0], [0, 3.6, 3.6, 6.0])  # stands for two seconds
    walk = walk_case(8.0)
    frames = np.round(moving * 100).astype(int)
    gait = analyse_gait(dataclasses.replace(analysis, body_position=walk.body_position[frames]))
    assert all(c.duration < 1.5 * STRIDE for side in "rl" for c in gait.cycles[side])


def test_contacts_ignore_flicker_and_know_the_ends() -> None:
    times = np.arange(200) * FRAME
    force = np.zeros(200)
    force[:50] = 500.0  # there from the start
    force[80:82] = 30.0  # noise of 20 ms
    force[100:150] = 500.0
    force[120:123] = 0.0  # a drop-out of 30 ms
    assert loaded_intervals(times, force > CONTACT_THRESHOLD) == [(0.0, 0.5, False, True), (1.0, 1.5, True, True)]


def test_idle_plates_do_not_add_up_to_a_foot() -> None:
    analysis = walk_case(6.0, plates=("r", "l"))
    assert analysis.loads is not None
    alone = plate_events(analysis.loads)
    noise = np.zeros((len(analysis.times), 3))
    noise[:, 1] = 0.6 * CONTACT_THRESHOLD  # three such plates are 1.8 thresholds
    idle = tuple(Load(f"idle_{k}", "calcn_r", noise, np.full_like(noise, np.nan), 0 * noise) for k in range(3))
    assert plate_events(dataclasses.replace(analysis.loads, loads=(*idle, *analysis.loads.loads))) == alone


def test_a_foot_that_rolls_over_two_plates_stands_once() -> None:
    times = np.arange(200) * FRAME
    loads = []
    for name, on in (("heel", (times > 0.495) & (times < 0.9)), ("toes", (times > 0.7) & (times < 1.195))):
        force = np.stack([0 * times, np.where(on, 400.0, 0.0), 0 * times], axis=1)
        loads.append(Load(name, "calcn_r", force, np.zeros_like(force), np.zeros_like(force)))
    events, _ = plate_events(Loads(times, tuple(loads)))
    assert [(e.kind, e.time) for e in events] == [("heel strike", 0.5), ("toe off", pytest.approx(1.2))]


def test_a_stance_that_is_none_is_left_out_and_said() -> None:
    """A plate that calls the right foot down for 18 % of one stride makes neither a stance nor a runner."""
    analysis = walk_case(6.0, plates=("r", "l"))
    assert analysis.loads is not None
    brief = (analysis.times > STRIKE["r"] + STRIDE - 0.005) & (analysis.times < STRIKE["r"] + 1.18 * STRIDE)
    second = (analysis.times > STRIKE["r"] + STRIDE - 0.005) & (analysis.times < STRIKE["r"] + 1.9 * STRIDE)
    force = analysis.loads.loads[0].force.copy()
    force[second & ~brief] = 0.0
    loads = (dataclasses.replace(analysis.loads.loads[0], force=force), analysis.loads.loads[1])
    gait = analyse_gait(dataclasses.replace(analysis, loads=dataclasses.replace(analysis.loads, loads=loads)))
    assert gait.kind == "walking"
    assert measure(gait, "Stance") == pytest.approx(100 * STANCE, abs=1.0)
    assert [n for n in gait.notes if "18 %" in n and "right" in n and "1.35 s" in n]


@pytest.mark.parametrize("share", [0.18, 0.92])
def test_one_wrong_stance_of_two_makes_no_runner(share: float) -> None:
    """The shortest recording: a single stride of each side, one of them with a stance that cannot be."""
    from motorque.report.gait import plausible_stances

    cycles = {"r": [Cycle("r", 0.0, 1.0, share)], "l": [Cycle("l", 0.5, 1.5, 0.5 + 0.67)]}
    kind, kept, notes = plausible_stances(cycles)
    assert kind == "walking" and kept["r"][0].stance is None and kept["l"][0].stance == pytest.approx(67.0)
    assert len(notes) == 1


def test_events_of_a_walkway_of_four_plates(data: Path, tmp_path: Path) -> None:
    """Each plate takes one step; idle, they show 7 to 18 N each, and two of them carry the same foot.

    Truth: where the plate under the foot crosses 20 N at 1080 Hz, unfiltered. Filtered at 6 Hz it does 20 ms off.
    """
    import json

    from motorque.workflows.analyze import analyze

    analyze([data / "c3d" / "pycgm_Movement_trial.c3d"], tmp_path, mass=68.0)
    gait = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["results"]["gait"]
    events = {(e["side"], e["event"]): [] for e in gait["events"]}
    for e in gait["events"]:
        events[e["side"], e["event"]].append(e["time_s"])
    known = {
        ("right", "heel strike"): [6.127, 7.167],
        ("right", "toe off"): [6.829, 7.873],
        ("left", "heel strike"): [6.657, 7.696],
        ("left", "toe off"): [7.340],
    }
    for key, times in known.items():
        for time in times:
            assert np.abs(np.array(events[key]) - time).min() < 0.02, (key, time, events[key])
    assert min(events["right", "heel strike"]) > 6.1  # nothing 0.3 s before the foot comes down
    assert 55 < gait["measures"]["Stance"]["right"]["mean"] < 75


def test_normalising_is_exact_for_straight_lines_and_keeps_gaps() -> None:
    times = np.arange(301) * FRAME
    values = np.stack([2 * times + 1, np.where((times > 1.095) & (times < 1.205), np.nan, times)], axis=1)
    curves = normalised(times, values, [Cycle("r", 0.505, 1.513), Cycle("r", 1.513, 2.5)])
    assert curves.shape == (2, 101, 2)
    assert curves[0, :, 0] == pytest.approx(2 * np.linspace(0.505, 1.513, 101) + 1, abs=1e-12)
    gap = np.isnan(curves[0, :, 1])
    inside = np.linspace(0.505, 1.513, 101)
    assert gap[(inside > 1.1) & (inside < 1.2)].all() and not gap[(inside < 1.089) | (inside > 1.211)].any()
    mean, sd = mean_and_spread(curves)
    assert sd is not None
    assert mean == pytest.approx(np.nanmean(curves, axis=0), nan_ok=True)
    both = np.isfinite(curves).all(0)
    assert sd[both] == pytest.approx(np.std(curves, axis=0, ddof=1)[both])
    assert mean_and_spread(curves[:1])[1] is None


def test_feet_agree_with_plates_on_a_real_walk(data: Path) -> None:
    """Zeni's events lie within 60 ms of the plates' (its authors report 95 % within 0.05 s on other walkers)."""
    import torch

    from motorque.files.motion_files import read_motion
    from motorque.files.osim import load_skeleton
    from motorque.files.storage import read_storage
    from report_case import case_from

    folder = data / "opencap_subject4"
    skeleton = load_skeleton(folder / "models" / "manually_scaled.osim")
    motion = read_motion(folder / "ik" / "walkingTS1_manual_scaling_ik.mot", skeleton)
    gait = analyse_gait(case_from(skeleton, motion.times, skeleton.couple(torch.as_tensor(motion.values))))
    plates = read_storage(folder / "grf" / "walkingTS1_grf.mot")
    for side, plate in (("r", 1), ("l", 2)):  # plate 1 lies under the right foot
        force = plates.column(f"ground_force_{plate}_vy")
        for start, end, starts, ends in loaded_intervals(plates.times, force > CONTACT_THRESHOLD):
            for time, known, kind in ((start, starts, "heel strike"), (end, ends, "toe off")):
                times = found(gait, side, kind)
                if known and 0.1 < time < motion.times[-1] - 0.2:
                    assert np.abs(times - time).min() < 0.06
