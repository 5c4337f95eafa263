"""The shipped scenarios: the good driver passes, each faulty one is caught, one seed is one trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.runs.opening import open_rig
from harness.runs.result import RunResult
from harness.runs.rig import Rig
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.toolchain import Arch, build_driver

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
QUICK = [path for path in SCENARIOS if path.stem != "thirty-launches"]
"""Those that take well under a second."""
FAULTY = ROOT / "tests" / "drivers"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("traces")
    with open_rig(machine="virtual", debugger="native", driver=None, trace_folder=folder) as rig:
        yield rig


def run(rig: Rig, name: str, seed: int = 1) -> RunResult:
    return run_scenario(rig, load(ROOT / "scenarios" / f"{name}.yaml"), seed=seed)


def events_of(result: RunResult) -> list[bytes]:
    """The lines of a trace between its header and its footer."""
    assert result.trace is not None
    return result.trace.read_bytes().splitlines()[1:-1]


def test_at_least_eleven_are_shipped() -> None:
    assert len(SCENARIOS) >= 11


@pytest.mark.parametrize(
    ("path", "seed"),
    [(path, 1) for path in SCENARIOS] + [(path, seed) for path in QUICK for seed in (7, 1_000_003)],
    ids=lambda value: value.stem if isinstance(value, Path) else str(value),
)
def test_the_driver_passes(rig: Rig, path: Path, seed: int) -> None:
    result = run_scenario(rig, load(path), seed=seed)
    assert result.outcome is Outcome.PASSED, result.reason
    assert result.release is not None and result.release.running, result.left
    assert result.events > 15


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_the_same_seed_gives_the_same_lines_and_another_seed_does_not(rig: Rig, path: Path) -> None:
    scenario = load(path)
    first = events_of(run_scenario(rig, scenario, seed=11))
    second = events_of(run_scenario(rig, scenario, seed=11))
    assert first == second
    assert first != events_of(run_scenario(rig, scenario, seed=12))


CAUGHT = {
    "dereferences_null_image_name": ("notepad-launch", Outcome.BUGCHECK, "bugchecked: 0x0000003b"),
    "drops_every_tenth_line": ("create-thread", Outcome.RIG, "never arrived (seq 10"),
    "forgets_to_unregister": ("driver-load-unload", Outcome.BUGCHECK, "bugchecked: 0x000000ce"),
    "formats_unicode_at_dispatch_level": ("create-thread", Outcome.BUGCHECK, "bugchecked: 0x0000000a"),
    "loops_forever": ("create-thread", Outcome.BROKEN, "hangs, instruction at loops_forever.sys+0x"),
    "never_prints_thread_exits": ("create-thread", Outcome.BROKEN, "thread"),
    "prints_image_late": ("load-library", Outcome.BROKEN, "reported late: image_load"),
    "reports_creator_as_owner": ("create-thread", Outcome.BROKEN, ""),
    "swaps_parent_and_child": ("notepad-launch", Outcome.BROKEN, "process_create"),
    "touches_freed_pool": ("create-thread", Outcome.BUGCHECK, "bugchecked: 0x00000050"),
}
"""Faulty driver → a shipped scenario that catches it, the outcome it must get, and what is said."""


def test_every_faulty_driver_has_its_row() -> None:
    assert set(CAUGHT) == {
        folder.name for folder in FAULTY.iterdir() if (folder / f"{folder.name}.c").is_file()
    }


@pytest.mark.parametrize("name", CAUGHT)
def test_a_faulty_driver_is_caught(name: str, tmp_path: Path) -> None:
    scenario, outcome, words = CAUGHT[name]
    driver = tmp_path / f"{name}.sys"
    build_driver(FAULTY / name, Arch.X64, driver)
    with open_rig(
        machine="virtual", debugger="native", driver=driver, trace_folder=tmp_path / "traces"
    ) as rig:
        result = run(rig, scenario)
        assert result.outcome is outcome, result.reason
        assert words in result.reason
        if outcome is Outcome.BUGCHECK:
            assert f"in {name}.sys" in result.reason
        assert result.trace is not None and result.trace.exists()
        assert result.release is not None, "how the target was left is said after every ending"
