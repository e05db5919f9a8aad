"""What each subcommand does: check what the user gave, call one workflow, say where the result is.

Workflows are imported here when their subcommand runs, so that ``motorque --help`` need not load torch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from motorque import cli_arguments as check
from motorque.journal import Journal
from motorque.progress import Progress


def analyze(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque analyze``; returns what to tell the user."""
    if check.are_videos(options.inputs):
        return _analyze_video(options, journal, progress)
    check.check_marker_options(options)
    check.check_recordings(options.inputs)
    check.check_interval(options.start, options.end)
    check.check_output_folder(options.out, [*options.inputs, options.model, options.static, options.loads])
    return _analyze(options, options.inputs, options.static, journal, progress)


def demo(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque demo``: write the built-in recording, then analyze it; returns what to tell the user."""
    check.check_output_folder(options.out, [])
    from motorque.files.output import OutputFolder
    from motorque.workflows.demo_recording import MASS, SEX, write_demo

    recording = options.out / "recording"
    with OutputFolder(recording) as folder:
        names = {key: path.name for key, path in write_demo(folder.path).items()}
    options.mass, options.sex = MASS, SEX
    return _analyze(options, [recording / names["walk"]], recording / names["static"], journal, progress)


def _analyze(
    options: argparse.Namespace, inputs: list[Path], static: Path | None, journal: Journal, progress: Progress
) -> str:
    from motorque.workflows.analyze import analyze

    report = analyze(
        inputs,
        options.out,
        model=options.model,
        static=static,
        loads=options.loads,
        height=options.height,
        mass=options.mass,
        sex=options.sex,
        cutoff=options.cutoff,
        up=options.up,
        units=options.units,
        start=options.start,
        end=options.end,
        model_errors=options.model_errors,
        journal=journal,
        progress=progress,
        command=options.command_line,
    )
    return f"report: {report}"


def _analyze_video(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    check.check_video_options(options)
    check.check_interval(options.start, options.end)
    check.check_output_folder(options.out, [*options.inputs, options.model, options.cameras])
    from motorque.workflows.video import VideoOptions, analyze_video

    report = analyze_video(
        options.inputs,
        options.out,
        options=VideoOptions(
            fps=options.fps,
            fov=options.fov,
            facing=options.facing,
            person=options.person,
            turn=options.turn,
            cameras=options.cameras,
            detector=options.detector,
            detector_model=options.detector_model,
            pictures=not options.no_pictures,
            blur_faces=options.blur_faces,
            prior=options.prior or "learned",
        ),
        model=options.model,
        height=options.height,
        mass=options.mass,
        sex=options.sex,
        cutoff=options.cutoff,
        start=options.start,
        end=options.end,
        journal=journal,
        progress=progress,
        command=options.command_line,
    )
    return f"report: {report}"


def keypoints(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque keypoints``; returns what to tell the user."""
    check.check_interval(options.start, options.end)
    check.check_output_file(options.out, [options.video, options.model])
    from motorque.workflows.keypoints import keypoints_step

    found = keypoints_step(
        options.video,
        detector=options.detector,
        model=options.model,
        fps=options.fps,
        start=options.start,
        end=options.end,
        person=options.person,
        turn=options.turn,
        out=options.out,
        journal=journal,
        progress=progress,
    )
    frames, seen = found.keypoints.seen.shape[0], int(found.keypoints.seen.any(1).sum())
    return f"keypoints: {options.out} ({frames} frames, the person in {seen} of them)"


def scale(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque scale``; returns what to tell the user."""
    check.check_output_file(options.out, [options.model, options.static, options.setup])
    from motorque.workflows.scale import scale_step

    scale_step(options.model, options.static, setup=options.setup, mass=options.mass, out=options.out, journal=journal)
    return f"model: {options.out}"


def ik(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque ik``; returns what to tell the user."""
    check.check_interval(options.start, options.end)
    inputs = [options.model, options.markers, options.setup, options.tasks]
    check.check_output_file(options.out, inputs)
    if options.errors is not None:
        check.check_output_file(options.errors, inputs)
        check.check_two_outputs(options.out, options.errors)
    from motorque.workflows.inverse_kinematics import ik_step

    ik_step(
        options.model,
        options.markers,
        setup=options.setup,
        tasks=options.tasks,
        start=options.start,
        end=options.end,
        out=options.out,
        errors=options.errors,
        journal=journal,
        progress=progress,
    )
    also = "" if options.errors is None else f"\nmarker errors: {options.errors}"
    return f"motion: {options.out}{also}"


def id_(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque id``; returns what to tell the user."""
    check.check_interval(options.start, options.end)
    check.check_output_file(options.out, [options.model, options.motion, options.loads])
    from motorque.workflows.inverse_dynamics import id_step

    id_step(
        options.model,
        options.motion,
        loads=options.loads,
        cutoff=options.cutoff,
        exclude_forces=options.exclude_forces,
        start=options.start,
        end=options.end,
        reduced=options.reduced,
        out=options.out,
        journal=journal,
    )
    return f"generalized forces: {options.out}"


def loads(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque loads``; returns what to tell the user."""
    check.check_output_file(options.out, [options.model, options.motion])
    from motorque.workflows.ground_loads import loads_step

    loads_step(
        options.model, options.motion, mass=options.mass, cutoff=options.cutoff, out=options.out, journal=journal
    )
    return f"loads: {options.out}"


def torques(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque torques``; returns what to tell the user."""
    check.check_interval(options.start, options.end)
    inputs = [options.input, options.model, options.loads, options.skeleton]
    check.check_torques_folder(options.out, inputs)
    from motorque.workflows.torques import torques_step

    report = torques_step(
        options.input,
        options.out,
        skeleton=options.skeleton,
        fps=options.fps,
        mass=options.mass,
        height=options.height,
        sex=options.sex,
        up=options.up,
        model=options.model,
        loads=options.loads,
        contact=options.contact,
        rates=options.rates,
        cutoff=options.cutoff,
        start=options.start,
        end=options.end,
        journal=journal,
        progress=progress,
        command=options.command_line,
    )
    return f"report: {report}"


def refine(options: argparse.Namespace, journal: Journal, progress: Progress) -> str:
    """Run ``motorque refine``; returns what to tell the user."""
    check.check_interval(options.start, options.end)
    check.check_refine_folder(options.out, [options.input, options.model, options.skeleton])
    from motorque.workflows.refine import refine_step

    refined = refine_step(
        options.input,
        options.out,
        method=options.method,
        model=options.model,
        skeleton=options.skeleton,
        fps=options.fps,
        up=options.up,
        sex=options.sex,
        height=options.height,
        mass=options.mass,
        start=options.start,
        end=options.end,
        journal=journal,
        progress=progress,
        command=options.command_line,
    )
    return f"refined: {refined}, report: {refined.parent / 'report.html'}"
