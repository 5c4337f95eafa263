"""The compiled driver under the NT model: what it prints is what the model did."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import pytest

from harness.events import Event, ImageLoad, Marker, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler
from harness.toolchain import default_actor, default_driver
from harness.trace.loss import LossCounter
from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.interfaces import ImageModule
from harness.virtual.kernel.kernel import Kernel
from harness.virtual.target import VirtualTarget


class ListPort:
    """A debugger that keeps what is printed and lets everything go on."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.modules: list[tuple[str, bool]] = []

    def print_string(self, text: bytes, cpu: int) -> None:
        self.texts.append(text.decode("latin-1"))

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        self.modules.append((module.name, unload))

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        raise AssertionError(f"exception {code:#x} at {address:#x}")

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        raise AssertionError(f"bugcheck {code:#x} {parameters}")

    def poll(self) -> None:
        """Nobody breaks in."""


class Session(NamedTuple):
    """One driver's life."""

    texts: tuple[str, ...]
    events: tuple[Event, ...]
    launched: dict[str, int | str]


@cache
def session(seed: int) -> Session:
    """Load the driver, launch and use a program, unload."""
    port, clock = ListPort(), Clock()
    kernel = Kernel(port, clock, processors=2)
    target = VirtualTarget(kernel, port, clock, seed=seed)
    actor = default_actor()
    for built in (actor.exe, actor.probe):
        target.put(built.path.name, built.path.read_bytes())
    path = target.put("procnotify.sys", default_driver().path.read_bytes())
    assert target.load_driver("procnotify", path) == 0
    launched = target.act(["launch", "notepad.exe"], 1)
    target.settle(300 * MILLISECOND, 20 * SECOND)
    pid = str(launched["child_pid"])
    assert target.act(["inject", pid, "probe.dll"], 2)["status"] == 0
    assert target.act(["load-library", "probe.dll", "2"], 3)["status"] == 0
    assert target.act(["terminate", pid], 4)["status"] == 0
    assert target.unload_driver("procnotify") == 0
    assert port.modules == [("procnotify.sys", False), ("procnotify.sys", True)]
    lines = EventAssembler(builtin_grammar())
    events = [event for text in port.texts for event in lines.feed(text)] + lines.flush()
    return Session(tuple(port.texts), tuple(events), launched)


def test_every_line_is_an_event_and_none_is_missing() -> None:
    loss = LossCounter()
    events = session(1).events
    for event in events:
        loss.add(event)
    assert loss.report().complete
    assert max(event.seq or 0 for event in events) > 80
    strangers = [event.line for event in events if event.seq is None and not isinstance(event, Marker)]
    assert [line for line in strangers if not line.startswith("[actor] dll ")] == []


def test_the_program_is_printed_as_the_guest_saw_it() -> None:
    launched, events = session(1).launched, session(1).events
    pid = launched["child_pid"]
    mine = [event for event in events if getattr(event, "pid", None) == pid and not isinstance(event, Marker)]
    created, first = mine[0], mine[1]
    assert isinstance(created, ProcessCreate)
    assert (created.parent_pid, created.creating_tid) == (launched["pid"], launched["tid"])
    assert isinstance(first, ThreadCreate)
    assert (first.tid, first.creating_pid) == (launched["child_tid"], launched["pid"])
    images = [
        event.image.rpartition("\\")[2] for event in mine if isinstance(event, ImageLoad) and event.image
    ]
    assert images[:4] == ["notepad.exe", "ntdll.dll", "kernel32.dll", "KernelBase.dll"]
    assert images[-1] == "probe.dll"
    assert isinstance(mine[-1], ProcessExit)
    assert all(isinstance(event, ThreadExit) for event in mine[-7:-1])


def test_times_and_processors_are_the_models() -> None:
    timed = [event for event in session(1).events if event.time is not None]
    times = [event.time for event in timed]
    assert times == sorted(times)
    assert times[0] >= 30 * SECOND
    assert {event.cpu for event in timed} == {0, 1}


def test_an_image_without_a_name_is_printed_so() -> None:
    assert any(isinstance(event, ImageLoad) and event.image is None for event in session(1).events)


def test_the_same_seed_prints_the_same_text() -> None:
    first = session(1)
    session.cache_clear()
    assert session(1).texts == first.texts


@pytest.mark.parametrize("seed", [2, 3])
def test_another_seed_prints_another_order(seed: int) -> None:
    def order(of: int) -> list[tuple[str, object]]:
        return [(type(event).__name__, getattr(event, "image", None)) for event in session(of).events]

    assert order(seed) != order(1)
