"""A run is stopped before its events, forward and back, and is always the same there."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Final

import pytest
from click.testing import CliRunner

from harness.cli.debug import command
from harness.connection import free_connection
from harness.debuggers import debugger_factory
from harness.debuggers.base import Release
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import UsageError
from harness.exploration.replayfile import replay_of, write_replay
from harness.runs.opening import open_rig
from harness.runs.rig import KeptTraces
from harness.runs.runner import run_scenario
from harness.scenario import load
from harness.timetravel.loading import Wanted
from harness.timetravel.session import PlayedBack, Travelling, inspect_played_back
from harness.timetravel.visits import Visits
from harness.toolchain import Arch, build_driver
from harness.virtual.dispatcher.schedule import RecordingPolicy

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
DRIVERS: Final = Path(__file__).resolve().parents[1] / "drivers"
VISITS: Final = int(os.environ.get("PROCNOTIFY_VISITS", "0"))
"""How many random ones."""
MANY_LAUNCHES: Final = 110
"""As many make 10,000 events."""

MakeReplay = Callable[..., Path]
"""``(scenario file, driver=None, policy="random")`` to the replay file of seed 1."""


@pytest.fixture(scope="session")
def make_replay(tmp_path_factory: pytest.TempPathFactory) -> MakeReplay:
    """Runs a scenario once and writes down what is needed to do it again."""

    def make(scenario_file: Path, driver: Path | None = None, policy: str = "random") -> Path:
        folder = tmp_path_factory.mktemp("replay")
        scenario = load(scenario_file)
        with open_rig(
            machine="virtual", debugger="none", driver=driver, trace_folder=folder, policy=policy
        ) as opened:
            rig = replace(opened, scheduling=RecordingPolicy, keep_traces=KeptTraces.FAILED)
            result = run_scenario(rig, scenario, seed=1)
            text = scenario_file.read_text(encoding="utf-8")
            replay = replay_of(rig, scenario, text, result, policy=policy, without_rules=frozenset())
        path = folder / "run.replay.json"
        write_replay(path, replay)
        return path

    return make


@pytest.fixture(scope="session")
def create_thread(make_replay: MakeReplay) -> Path:
    """A run with two processors and some preemptions."""
    return make_replay(SCENARIOS / "create-thread.yaml")


@contextmanager
def travelling(
    replay: Path, debugger: str, first: int | None, *, driver: Path | None = None, checkpoints: bool = True
) -> Iterator[Travelling]:
    drivers = [] if driver is None else [str(driver)]
    wanted = Wanted(replay=str(replay), drivers=drivers, checkpoints=checkpoints)
    released: list[Release] = []
    with inspect_played_back(
        wanted,
        debugger_factory(debugger),
        lambda played: played.end if first is None else first,
        timeout=60.0,
        released=released.append,
    ) as travels:
        yield travels
    assert [release.running for release in released] == [True], released


def native(travels: Travelling) -> NativeDebugger:
    """The debugger itself: its commands change nothing."""
    debugger = travels.inspection._debugger
    assert isinstance(debugger, NativeDebugger)
    return debugger


def seen(travels: Travelling, commands: tuple[str, ...]) -> tuple[str, ...]:
    """Where it stands, as the debugger and as the target itself see it."""
    output = (travels.inspection.execute(command, timeout=30.0) for command in commands)
    return (travels.visited.fingerprint, *output)


def test_the_same_event_is_the_same_however_it_is_reached(create_thread: Path) -> None:
    commands = ("r", "db fffff78000000000 L400")
    order = [0, 18, 7, 13, 7, 2, 13, 18, 0]
    with travelling(create_thread, "native", order[0]) as travels:
        found: dict[int, tuple[str, ...]] = {0: seen(travels, commands)}
        for event in order[1:]:
            visit = travels.visit(event)
            assert visit.event == event
            assert found.setdefault(event, seen(travels, commands)) == seen(travels, commands)
    fingerprints = {event: said[0] for event, said in found.items()}
    assert len(set(fingerprints.values())) == len(fingerprints)


def test_what_a_command_changed_is_gone_at_the_next_visit(create_thread: Path) -> None:
    """Played from the beginning every time, as where there is no fork."""
    with travelling(create_thread, "native", 10, checkpoints=False) as travels:
        before = seen(travels, ("r",))
        debugger = native(travels)
        stack = debugger.get_context().rsp
        debugger.memory.write(stack + 8, b"\x55" * 8)
        debugger.breakpoints.set(debugger.get_context().rip)
        travels.visit(4)
        assert "55 55 55" not in seen(travels, (f"db {stack + 8:x} L8",))[1]
        travels.visit(10)
        assert seen(travels, ("r",)) == before


def test_another_debugger_sees_the_same_at_two_visits(create_thread: Path, other_debugger: str) -> None:
    commands: tuple[str, ...] = ("r", "db fffff78000000000 L100")
    if other_debugger == "pykd":
        commands += ("k", "db @rsp L100", "lm")
    with travelling(create_thread, other_debugger, 14) as travels:
        later = seen(travels, commands)
        travels.visit(5)
        earlier = seen(travels, commands)
        travels.visit(14)
        assert seen(travels, commands) == later
        travels.visit(5)
        assert seen(travels, commands) == earlier != later
        if other_debugger == "pykd":
            goes_on_from_where_it_went_back_to(travels)


def goes_on_from_where_it_went_back_to(travels: Travelling) -> None:
    def run(command: str) -> str:
        return travels.inspection.execute(command, timeout=30.0)

    run("bp nt!DbgPrintEx")
    assert "Breakpoint 0 hit" in run("g")
    assert "nt!DbgPrintEx" in run("k")
    travels.visit(14)
    travels.visit(4)
    assert "nt!DbgPrintEx" in run("bl")
    assert "Breakpoint 0 hit" in run("g")
    run("bc *")
    run("g")
    assert "nt!DbgBreakPointWithStatus" in run("k"), "the end of the run is a stop"


def test_a_call_that_nothing_prints_is_stopped_at_the_routine(
    make_replay: MakeReplay, tmp_path: Path
) -> None:
    source = tmp_path / "silent"
    source.mkdir()
    text = f'#define PRINT(Format, ...) ((void)0)\n#include "{DRIVERS.as_posix()}/plain/plain.h"\n'
    (source / "silent.c").write_text(text, encoding="utf-8", newline="\n")
    driver = build_driver(source, Arch.X64, tmp_path / "silent.sys").path
    replay = make_replay(SCENARIOS / "create-thread.yaml", driver)
    with travelling(replay, "native", 0, driver=driver) as travels:
        (image,) = [
            line for line in travels.inspection.execute("lm", timeout=9).splitlines() if "silent" in line
        ]
        low, high = (int(word.replace("`", ""), 16) for word in image.split()[:2])
        debugger = native(travels)
        calls = 0
        for event in (12, 9, 10, 8):
            visit = travels.visit(event)
            told = dict(word.split("=") for word in visit.line.split() if "=" in word)
            if visit.kind in ("thread_create", "thread_exit") and not visit.line.startswith("["):
                calls += 1
                context = debugger.get_context()
                assert low <= context.rip < high
                assert (context.rcx, context.rdx) == (int(told["pid"]), int(told["tid"]))
                assert context.r8 == (visit.kind == "thread_create")
        assert calls


def test_a_run_that_crashed_is_stopped_before_it(make_replay: MakeReplay, tmp_path: Path) -> None:
    name = "dereferences_null_image_name"
    driver = build_driver(DRIVERS / name, Arch.X64, tmp_path / f"{name}.sys").path
    replay = make_replay(SCENARIOS / "notepad-launch.yaml", driver, "default")
    with travelling(replay, "native", None, driver=driver) as travels:
        assert travels.visited.kind == "bugcheck"
        end, debugger = travels.played.end, native(travels)
        faulting = debugger.get_context()
        kinds = [travels.visit(event).kind for event in (end - 5, end - 6, end - 7)]
        assert kinds == ["stop", "stop", "image_load"], "the first chance, before that the second"
        assert debugger.get_context().rip != faulting.rip
        travels.visit(end - 6)
        assert debugger.get_context().rip == faulting.rip


def refuses_events_that_are_none(played: PlayedBack) -> None:
    assert (played.events, played.end) == (21, 20)
    for events, back, wrong in (((21,), (), 21), ((3, 99), (), 99), ((3,), (2, 2), -1), ((), (21,), -1)):
        with pytest.raises(UsageError) as refused:
            Visits(events, back).first(played)
        assert f"there is no event {wrong}: the run has events 0 to 20" in refused.value.message
    assert Visits((), (1,)).first(played) == 20
    with pytest.raises(UsageError):
        played.go_to(21)


def gone(group: int) -> bool:
    """No process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="there are no checkpoints without fork")
def test_all_checkpoints_end_with_the_process_that_has_the_link(create_thread: Path) -> None:
    with PlayedBack(Wanted(replay=str(create_thread), drivers=[]), free_connection()) as played:
        refuses_events_that_are_none(played)
        assert played.checkpoints == 1
        played.go_to(7)
        group = os.getpgid(played.pid)
        assert group == played.pid
        os.kill(played.pid, signal.SIGKILL)
        deadline = monotonic() + 60.0
        while not gone(group):
            assert monotonic() < deadline, "somebody is left"
            sleep(0.01)


def test_the_command_visits_the_events_in_the_order_that_was_asked_for(create_thread: Path) -> None:
    words = ["--replay", str(create_thread), "--at", "9", "--at", "3", "--back", "2", "-c", "r rip", "--json"]
    result = CliRunner().invoke(command, ["--debugger", "native", *words])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [visit["event"] for visit in found["visits"]] == [9, 3, 1]
    assert [said["event"] for said in found["commands"]] == [9, 3, 1]
    assert all(said["output"].startswith("rip=") for said in found["commands"])
    assert "procnotify: before event 3: process_create: [procnotify]" in result.stderr
    assert found["release"]["running"] is True


@pytest.mark.skipif("PROCNOTIFY_VISITS" not in os.environ, reason="PROCNOTIFY_VISITS says how many")
def test_random_visits(make_replay: MakeReplay, tmp_path: Path) -> None:
    text = (SCENARIOS / "thirty-launches.yaml").read_text(encoding="utf-8")
    (tmp_path / "many.yaml").write_text(
        text.replace("30", str(MANY_LAUNCHES)).partition("  # An ID that")[0], encoding="utf-8", newline="\n"
    )
    replay = make_replay(tmp_path / "many.yaml")
    random = Random(1)
    with travelling(replay, "native", 0) as travels:
        found: dict[int, tuple[str, ...]] = {}
        events = [random.randrange(travels.played.events) for _ in range(VISITS // 2)]
        slowest = 0.0
        for event in random.sample(events * 2, len(events) * 2):
            began = monotonic()
            travels.visit(event)
            slowest = max(slowest, monotonic() - began)
            assert found.setdefault(event, seen(travels, ("r",))) == seen(travels, ("r",))
    print(
        f"{len(events) * 2} visits to {len(found)} of {travels.played.events} events, at most {slowest:.2f} s"
    )
