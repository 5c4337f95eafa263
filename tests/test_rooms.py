"""The architecture, held: imports run downward, and the pure rooms stay pure."""

from __future__ import annotations

import pytest

from harness.cli import COMMANDS
from tools.rooms import PACKAGE, PURE, imports_of, level_of, room_of

SOURCES = sorted(PACKAGE.rglob("*.py"))
IMPURE = {
    "asyncio",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "subprocess",
}
IMPURE |= {"tempfile", "threading", "time"}


def test_every_room_is_in_the_table() -> None:
    rooms = {room_of(path) for path in SOURCES if path.parent != PACKAGE or path.stem != "__init__"}
    assert {room for room in rooms if level_of(room) >= 0} == rooms


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downward(path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    wrong = []
    for module, line in imports_of(path):
        parts = module.split(".")
        if parts[0] != "harness" or len(parts) < 2 or not _is_room(parts[1]):
            continue
        if parts[1] != room and level_of(parts[1]) >= level_of(room):
            wrong.append(f"{path.name}:{line} imports {module}")
    assert wrong == []


def _is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if room_of(p) in PURE], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_pure_rooms_touch_no_io_clock_or_chance(path) -> None:
    assert [f"{path.name}:{line} {m}" for m, line in imports_of(path) if m.split(".")[0] in IMPURE] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_stay_small(path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_every_command_has_its_module() -> None:
    assert sorted(COMMANDS) == sorted(p.stem for p in (PACKAGE / "cli").glob("*.py") if p.stem[0] != "_")
