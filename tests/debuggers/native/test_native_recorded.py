"""Recorded serial sessions of a real NT kernel, played to the native debugger as if they were live."""

from __future__ import annotations

from pathlib import Path

import pytest
from replay_peer import KERNEL_BASE, ReplayPeer, target_frames

from harness.debuggers.base import (
    BugcheckSeen,
    DebuggerEvent,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    Stopped,
)
from harness.debuggers.native.debugger import NativeDebugger
from harness.events import Driver, Event, Print
from harness.grammars import builtin_grammar
from harness.kd.packets import Packet, PacketType
from harness.lines import EventAssembler


def play(peer: ReplayPeer, *, stop_after: type | None = None) -> tuple[NativeDebugger, list[DebuggerEvent]]:
    """Everything the debugger hears until the target falls silent or an event of this type came."""
    debugger = NativeDebugger(peer.connection)
    debugger.attach(timeout=20)
    debugger.go()
    events: list[DebuggerEvent] = []
    while (event := debugger.receive(timeout=0.7)) is not None:
        events.append(event)
        if stop_after is not None and isinstance(event, stop_after):
            break
        if isinstance(event, Stopped):
            debugger.go()
    return debugger, events


def driver_lines(events: list[DebuggerEvent]) -> list[Event]:
    """What the notify driver printed, every line understood."""
    assembler = EventAssembler(builtin_grammar())
    parsed = [
        found for event in events if isinstance(event, PrintReceived) for found in assembler.feed(event.text)
    ]
    ours = [found for found in parsed if found.line.startswith("[procnotify] ")]
    assert not any(isinstance(found, Print) for found in ours)
    return ours


@pytest.mark.parametrize("twice", [0, 5], ids=["as recorded", "every fifth packet twice"])
def test_the_boot_arrives_whole_and_once(shared_data: Path, twice: int) -> None:
    frames = target_frames(shared_data / "kdcom/reactos-x86-boot-procnotify.jsonl.xz")
    with ReplayPeer(frames, twice=twice) as peer:
        debugger, events = play(peer)
        debugger.detach(timeout=0.3)
    texts = [event.text.encode() for event in events if isinstance(event, PrintReceived)]
    assert texts == peer.texts
    assert len(texts) == 343
    assert sum(isinstance(event, ModuleLoaded) for event in events) == 33
    lines = driver_lines(events)
    assert len(lines) == 108
    assert sum(isinstance(line, Driver) for line in lines) == 3


def test_a_driver_that_comes_and_goes(shared_data: Path) -> None:
    frames = target_frames(shared_data / "kdcom/reactos-x86-loop.jsonl.xz")
    with ReplayPeer(frames) as peer:
        debugger, events = play(peer)
        debugger.detach(timeout=0.3)
    assert [e.text.encode() for e in events if isinstance(e, PrintReceived)] == peer.texts
    assert len(driver_lines(events)) == 234
    loads = [e.module.name for e in events if isinstance(e, ModuleLoaded)]
    unloads = [e.name for e in events if isinstance(e, ModuleUnloaded)]
    assert loads.count("procnotify.sys") == 6
    assert unloads == ["procnotify.sys"] * 5


def test_prompts_are_answered_and_the_bugcheck_is_recognised(shared_data: Path) -> None:
    frames = target_frames(shared_data / "kdcom/reactos-x86-assert-prompt-bugcheck.bin.xz")
    with ReplayPeer(frames) as peer:
        debugger, events = play(peer, stop_after=BugcheckSeen)
        debugger.detach(timeout=0.3)
    assert peer.answers == [b"i", b"i", b"i"]
    stops = [event for event in events if isinstance(event, Stopped)]
    assert stops == [
        Stopped("access violation, second chance", 0xC0000005, 0xFFFFFFFF80553D0C, first_chance=False)
    ]
    assert events[-1] == BugcheckSeen(0x1E, (0xC0000005, 0x80553D0C, 0xF87614E4, 0), "ntoskrnl.exe", 0x153D0C)


def test_the_kernel_base_is_that_of_the_recording(shared_data: Path) -> None:
    frames = target_frames(shared_data / "kdcom/reactos-x86-boot-procnotify.jsonl.xz")
    first = next(f for f in frames if isinstance(f, Packet) and f.packet_type is PacketType.STATE_CHANGE64)
    assert KERNEL_BASE.to_bytes(8, "little") in first.payload
