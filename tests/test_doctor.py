"""The doctor tries things rather than looking for names, and survives what it finds."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from motorque import doctor
from motorque.cli import main


def test_doctor_tries_everything_and_knows_a_broken_core(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for name in (*doctor.CORE, *doctor.OPTIONAL):
        assert re.search(rf"^  (ok|-|BROKEN) +{name} ", out, re.MULTILINE), name
    assert not re.search(rf"^  BROKEN +({'|'.join(doctor.CORE)}) ", out, re.MULTILINE)

    def broken() -> str:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setitem(doctor.CORE, "torch", broken)
    assert main(["doctor"]) == 1
    assert re.search(r"BROKEN +torch +ImportError: libgomp", capsys.readouterr().out)


def test_doctor_says_what_a_windowed_opencv_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name == "opencv-contrib-python")
    monkeypatch.setattr(doctor, "_version", lambda name: "4.10")
    monkeypatch.setattr(doctor, "_import_apart", lambda module: "ImportError: libGL.so.1: cannot open shared object")
    finding = doctor.OPTIONAL["opencv"]()
    assert isinstance(finding, doctor.Finding)
    assert finding.ok is False
    assert "libGL.so.1" in finding.detail and "apt-get install libgl1" in finding.detail
    assert "--no-deps opencv-contrib-python-headless==4.11.0.86" in finding.detail
    finding = doctor.OPTIONAL["mediapipe"]()
    assert isinstance(finding, doctor.Finding)
    assert finding.ok is None and "pip install 'motorque[video]'" in finding.detail


def test_doctor_runs_the_pose_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name == "mediapipe")
    monkeypatch.setattr(doctor, "_version", lambda name: "0.10")
    monkeypatch.setattr(doctor, "_import_apart", lambda module: None)
    monkeypatch.setattr(doctor, "_run_apart", lambda code: "RuntimeError: no graph")
    finding = doctor.OPTIONAL["mediapipe"]()
    assert isinstance(finding, doctor.Finding)
    assert finding.ok is False and "its pose model does not run: RuntimeError: no graph" in finding.detail
    monkeypatch.setattr(doctor, "_run_apart", lambda code: None)
    finding = doctor.OPTIONAL["mediapipe"]()
    assert isinstance(finding, doctor.Finding) and finding.ok is True


def test_two_opencvs_are_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name.startswith("opencv-contrib-python"))
    monkeypatch.setattr(doctor, "_version", lambda name: "4.11")
    monkeypatch.setattr(doctor, "_import_apart", lambda module: None)
    finding = doctor.OPTIONAL["opencv"]()
    assert isinstance(finding, doctor.Finding) and finding.ok is True  # the one without windows lies on top
    monkeypatch.setattr(doctor, "_import_apart", lambda module: "ImportError: libGL.so.1")
    finding = doctor.OPTIONAL["opencv"]()
    assert isinstance(finding, doctor.Finding) and finding.ok is False
    assert "overwrite each other; mend: pip uninstall opencv-contrib-python && pip install" in finding.detail


def test_import_of_a_crashing_guest_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crashing_guest.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert doctor._import_apart("crashing_guest") == f"import crashing_guest ends with code {-signal.SIGSEGV}"
    assert doctor._import_apart("json") is None
