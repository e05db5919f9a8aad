"""The house rules that a machine can check: floors, file lengths, dependencies, public names, no foreign addresses."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import motorque

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "motorque"

FLOORS = [
    # Each floor from left to right. A room imports from the floors below it and from rooms to its left.
    ["errors", "journal", "progress", "spatial", "signals", "series"],
    ["skeleton"],
    ["mechanics", "files"],
    ["vision", "fitting", "uncertainty", "training"],
    ["synthesis", "estimators", "studies"],
    ["report", "workflows"],
    [
        "doctor",
        "cli_arguments",
        "cli_notices",
        "cli_steps",
        "cli_studies",
        "cli_training",
        "cli_evaluation",
        "cli_sensors",
        "cli",
        "__main__",
    ],
]
PLACE = {room: (floor, place) for floor, rooms in enumerate(FLOORS) for place, room in enumerate(rooms)}

LONGEST_FILE = 450
"""Lines; a file aims at 400 at most."""

PACKAGE_OF_MODULE = {"google": "protobuf", "cv2": "mediapipe"}
"""Distributions whose module has another name, or that come with another one."""


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def label(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path, text: str) -> Iterator[tuple[str, int, bool]]:
    """Every module that a file of this text imports: its name, the line, and whether that is at the top of the file."""
    tree = ast.parse(text)
    package = ["motorque", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(tree):
        top = node in tree.body
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, top
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            # `from motorque import x` takes the room x (or a public name from the door)
            for alias in node.names if module == "motorque" else []:
                yield f"motorque.{alias.name}", node.lineno, top
            if module != "motorque":
                yield module, node.lineno, top
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("find_spec", "import_module"):
                yield str(node.args[0].value), node.lineno, False


def misplaced_imports(path: Path, text: str) -> list[str]:
    """The imports of a file that go up or to the right in the house."""
    room, wrong = room_of(path), []
    for name, line, _ in imports(path, text):
        if not name.startswith("motorque."):
            continue
        other = name.split(".")[1]
        if other == "__version__" or other == room:
            continue
        if other not in PLACE:
            wrong.append(f"{path.name}:{line} imports {name} through the door; take it from its room")
        elif PLACE[other] > PLACE[room]:
            wrong.append(f"{path.name}:{line} imports {name} from above or from the right of {room}")
    return wrong


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements() -> dict[str, list[Requirement]]:
    """Requirements by extra; the core's are under the empty name. An extra that names another one is left out."""
    extras = {"": project()["dependencies"], **project()["optional-dependencies"]}
    return {extra: [r for r in map(Requirement, lines) if r.name != "motorque"] for extra, lines in extras.items()}


def tracked_files() -> list[Path]:
    """Text files under version control; where there is no git, all of the folders that hold such files."""
    listing = None
    if shutil.which("git"):
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing is not None and listing.returncode == 0:
        files = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        folders = ("src", "tests", "docs", "benchmarks", "tools")
        files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix != ".pyc"]
    binary = {".png", ".gz", ".c3d", ".npz", ".safetensors"}
    return [path for path in files if path.is_file() and path.suffix not in binary]


@pytest.mark.parametrize("path", modules(), ids=label)
def test_every_module_has_a_floor_and_imports_from_below(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return  # the door: it names every room, and loads one only when it is asked for
    assert room in PLACE, f"{room} has no floor: give it one in FLOORS and in docs/design.md"
    assert misplaced_imports(path, path.read_text()) == []


def test_the_floor_check_sees_every_kind_of_import() -> None:
    code = {
        "import motorque.workflows.analyze": True,
        "from motorque.report import Analysis": True,
        "def f():\n    from motorque.cli import main": True,
        "from motorque import fitting": True,
        "from ..workflows import analyze": True,
        "from motorque import load_skeleton": True,
        "import importlib\nimportlib.import_module('motorque.workflows.analyze')": True,
        "from motorque.series import Motion": False,
        "from motorque import __version__": False,
        "from .xml import parse_xml": False,
        "from ..mechanics.kinematics import forward_kinematics": False,
    }

    for text, wrong in code.items():
        assert bool(misplaced_imports(SOURCE / "files" / "trc.py", text)) == wrong, text


def test_the_door_is_quick_and_knows_its_rooms() -> None:
    code = "import sys, motorque; sys.exit(bool({'torch', 'numpy', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    for name in motorque.__all__:
        there = motorque._ROOM[name].partition(":")[2] or name
        assert getattr(motorque, name).__name__ == there
    assert set(motorque.__all__) <= set(dir(motorque))
    with pytest.raises(AttributeError, match="no attribute 'inverse_kinematic'; it offers .*inverse_kinematics"):
        _ = motorque.inverse_kinematic


def test_type_checkers_see_the_same_names_at_the_door() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names:
            there = "" if alias.name == alias.asname else f":{alias.name}"
            seen[alias.asname] = node.module.removeprefix("motorque.") + there
    assert seen == motorque._ROOM


@pytest.mark.parametrize("path", [*modules(), *sorted((ROOT / "tests").glob("*.py"))], ids=lambda path: path.name)
def test_no_file_is_too_long(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LONGEST_FILE, f"{path.name} has {lines} lines: give its second idea a file of its own"


def test_every_dependency_has_its_line_in_decisions() -> None:
    table = (ROOT / "docs" / "decisions.md").read_text()
    rows = {name for row in re.findall(r"^\| (.+?) \|", table, re.MULTILINE) for name in re.findall(r"`([\w-]+)", row)}
    named = {requirement.name for group in requirements().values() for requirement in group}
    assert named - rows == set(), "say in docs/decisions.md why it is needed and what it is taken instead of"


def test_every_dependency_is_pinned_to_a_version_that_it_allows() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {}
    for line in lines:
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[\w.-]+==[\w.]+", line), f"constraints.txt: {line!r} is not name==version"
            name, version = line.split("==")
            pins[name.lower()] = version
    for group in requirements().values():
        for requirement in group:
            assert requirement.specifier.contains(pins[requirement.name.lower()]), requirement


def test_imports_and_dependencies_agree() -> None:
    """What the code imports is declared, what the core declares is imported, and what is optional is imported late."""
    declared = {extra: {r.name.lower() for r in group} for extra, group in requirements().items()}
    core, optional = declared[""], set().union(*declared.values()) - declared[""]
    used = set()
    for path in modules():
        for name, line, top in imports(path, path.read_text()):
            package = PACKAGE_OF_MODULE.get(name.split(".")[0], name.split(".")[0])
            if package in sys.stdlib_module_names or package == "motorque":
                continue
            assert package in core | optional, f"{label(path)}:{line} imports {package}, which pyproject.toml lacks"
            assert package in core or not top, f"{label(path)}:{line}: import the optional {package} where it is used"
            if path.name != "doctor.py":
                used.add(package)
    assert core - used == set(), "declared for everybody and used by nobody"


def test_no_addresses_of_machines_or_registries() -> None:
    machine = re.compile(r"(?<![\w.~/-])/(?:work|root|farm|home)/\w")
    registry = re.compile(r"--?(?:extra-index-url|index-url|find-links)\b|https?://[\w.-]*(?:pypi|pythonhosted)")
    for path in tracked_files():
        if path != Path(__file__).resolve():
            text = path.read_text(errors="replace")
            for pattern in (machine, registry):
                found = pattern.search(text)
                assert found is None, f"{path.relative_to(ROOT)}: {found.group() if found else ''}"


def test_papers_name_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(rf"^version: {re.escape(motorque.__version__)}$", citation, re.MULTILINE)
    assert f"## {motorque.__version__}" in (ROOT / "CHANGELOG.md").read_text()
