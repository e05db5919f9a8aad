"""Keypoints of several videos at once, each found by a process of its own.

A detector keeps one core busy. In other processes detectors leave Python to whoever asked for the keypoints, and
several videos take as long as one where there are cores enough. Request, progress and notices are lines of JSON; the
keypoints themselves come as the file that is kept anyway.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from motorque import errors
from motorque.errors import DataError, MotorqueError
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.vision.keypoint_file import VideoKeypoints, read_video_keypoints
from motorque.vision.keypoints import FPS, find_keypoints

PATIENCE = 20.0
"""Time that a process has to end after its last word [s]."""

SERVE = "from motorque.vision.keypoint_processes import serve; serve()"


@dataclass(frozen=True)
class Request:
    """What :func:`motorque.vision.keypoints.find_keypoints` is asked for, with a file to keep the result in."""

    path: Path
    cache: Path
    detector: str = "mediapipe"
    model: Path | None = None
    fps: float = FPS
    start: float | None = None
    end: float | None = None
    person: int | None = None
    turn: int | None = None

    def packed(self) -> str:
        """As JSON."""
        return json.dumps({k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()})

    @staticmethod
    def unpacked(text: str) -> Request:
        """From JSON."""
        given: dict[str, Any] = json.loads(text)
        for name in ("path", "cache", "model"):
            given[name] = None if given[name] is None else Path(given[name])
        return Request(**given)

    def answer(self, journal: Journal, progress: Progress) -> VideoKeypoints:
        """Find the keypoints in this process."""
        return find_keypoints(
            self.path,
            detector=self.detector,
            model=self.model,
            fps=self.fps,
            start=self.start,
            end=self.end,
            person=self.person,
            turn=self.turn,
            cache=self.cache,
            journal=journal,
            progress=progress,
        )


def find_all_keypoints(
    requests: Sequence[Request], *, journal: Journal, progress: Progress = silent
) -> list[VideoKeypoints]:
    """The keypoints of each video; as many at a time as there are cores.

    Args:
        requests: One for each video.
        journal: Where everything noticed is recorded, video by video.
        progress: Told how far all of them are.

    Raises:
        MotorqueError: As for one video; the others are given up then.
    """
    if not sys.executable or getattr(sys, "frozen", False):  # no Python to start another one with
        return [request.answer(journal, progress) for request in requests]
    done = [0.0] * len(requests)
    notices: list[list[tuple[Any, str, str]]] = [[] for _ in requests]
    waiting, running = list(range(len(requests))), dict[int, _Worker]()
    heard: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
    try:
        while waiting or running:
            while waiting and len(running) < _cores():
                number = waiting.pop(0)
                running[number] = _Worker(number, requests[number], heard)
            number, said = heard.get()
            if "progress" in said:
                what, done[number] = said["progress"]
                progress(what, sum(done) / len(done))
            elif "notice" in said:
                notices[number].append(tuple(said["notice"]))
            else:
                running.pop(number).end(said)
                done[number] = 1.0
    finally:
        for worker in running.values():
            worker.stop()
    for kind, text, about in (notice for some in notices for notice in some):
        journal.add(kind, text, about)
    return [read_video_keypoints(request.cache) for request in requests]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Worker:
    """A process at work on a request; what it says is put into a queue, an empty dictionary where it ends unsaid."""

    def __init__(self, number: int, request: Request, heard: queue.Queue[tuple[int, dict[str, Any]]]) -> None:
        self.request = request
        # -P: a module in the current folder must not be taken for one of Python's.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            encoding="utf-8",
            errors="replace",
        )
        threading.Thread(target=self._listen, args=(number, heard), daemon=True).start()

    def _listen(self, number: int, heard: queue.Queue[tuple[int, dict[str, Any]]]) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        last: dict[str, Any] = {}
        with suppress(OSError, ValueError):  # its end has been told by then, or nobody listens any more
            self.process.stdin.write(self.request.packed())
            self.process.stdin.close()
            for line in self.process.stdout:  # to its end: nobody can go on writing into a full pipe
                said = _said(line)
                if "progress" in said or "notice" in said:
                    heard.put((number, said))
                last = said or last
        heard.put((number, last if {"done", "error", "fault"} & last.keys() else {}))

    def end(self, said: dict[str, Any]) -> None:
        """Take the process's last word.

        Raises:
            MotorqueError: What the detector found wrong.
            RuntimeError: A fault in it.
        """
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if "error" in said:
            kind = getattr(errors, said["error"][0], DataError)
            raise kind(said["error"][1])
        if "fault" in said:
            raise RuntimeError(said["fault"])
        if "done" not in said:
            killed = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise DataError(
                f"{self.request.path}: the detector was ended from outside ({killed}); was there too little memory? "
                "Cut the video with --start and --end"
            )

    def stop(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


def _said(line: str) -> dict[str, Any]:
    """A line of the process's; empty if it is not one of :func:`serve`'s, but what Python printed before that began."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def serve() -> None:
    """Answer the request on the standard input; the process's work."""
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this one hears it too, and ends this one
    # What libraries print must not come between.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    request = Request.unpacked(sys.stdin.read())
    journal = Journal(listener=lambda notice: say(notice=(notice.kind, notice.text, notice.about)))
    try:
        request.answer(journal, lambda what, fraction: say(progress=(what, fraction)))
        say(done=True)
    except BrokenPipeError:
        pass  # nobody waits for it
    except MotorqueError as error:
        say(error=(type(error).__name__, str(error)))
    except Exception as error:
        say(fault=f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    os._exit(0)  # the answer is given; taking libraries apart would only keep the other side waiting
