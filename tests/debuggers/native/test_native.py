"""The native debugger against a thin target on real sockets."""

from __future__ import annotations

import secrets
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from kd_peer import BREAK_ADDRESS, BUGCHECK_DATA, CODE, KERNEL_BASE, KEY, LIST_HEAD, ThinTarget, free_udp_port

from harness.breakpoints.debugregisters import DR7_OFF
from harness.debuggers import DEBUGGERS, debugger_factory
from harness.debuggers.base import (
    BugcheckSeen,
    Debugger,
    DebuggerEvent,
    Module,
    ModuleLoaded,
    ModuleUnloaded,
    PrintReceived,
    Stopped,
    TargetRebooted,
)
from harness.debuggers.native.callbackwatch import Seen
from harness.debuggers.native.debugger import NativeDebugger
from harness.debuggers.native.stackwords import STACK_BYTES
from harness.debuggers.native.targetmemory import PIECE, UnreadableMemory
from harness.errors import ConnectionFailed, TargetLost, UsageError
from harness.kd.kdnet import Key
from harness.kd.manipulate import Continue, Continue2
from harness.kd.statechange import CommandString, LoadSymbols, StateChange
from harness.kd.status import DBG_CONTINUE, DBG_EXCEPTION_NOT_HANDLED, STATUS_SINGLE_STEP
from harness.ports.byteport import socket_over

BANNER = "\n*** Fatal System Error: 0x%08x\n" + " " * 23 + "(0x%016X,0x%016X,0x%016X,0x%016X)\n\n"


@contextmanager
def debugger_on(port: int, key: Key = KEY, **options: object) -> Iterator[NativeDebugger]:
    debugger = NativeDebugger(f"net:port={port},key={key.format()}", **options)  # type: ignore[arg-type]
    try:
        yield debugger
    finally:
        debugger.detach(timeout=0.5)


@pytest.fixture
def attached() -> Iterator[tuple[NativeDebugger, ThinTarget]]:
    """A debugger and the target it has halted."""
    port = free_udp_port()
    debugger = NativeDebugger(f"net:port={port},key={KEY.format()}")
    debugger.listen()  # before the target's first poke, for the second comes three seconds later
    with ThinTarget.kdnet(port) as target:
        try:
            debugger.attach(timeout=10)
            yield debugger, target
        finally:
            debugger.detach(timeout=0.5)


def collect(debugger: NativeDebugger, count: int) -> list[DebuggerEvent]:
    events: list[DebuggerEvent] = []
    deadline = monotonic() + 20
    while len(events) < count and monotonic() < deadline:
        if (event := debugger.receive(timeout=1.0)) is not None:
            events.append(event)
    return events


class SteppingWatch:
    """A watch on callbacks that was cleared while a processor stepped past a breakpoint of it."""

    over = armed = stepping = True
    step = stands_at_one = False
    dr7 = DR7_OFF

    def take(self, change: StateChange) -> list[Seen]:
        self.stepping = False
        return []

    def prepare(self, change: StateChange, *, handled: bool) -> None:
        """Nothing is planted any more."""

    def clear(self) -> None:
        """It was."""


class TestAttach:
    def test_the_target_says_what_it_is_and_is_halted(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        assert target.halted
        assert debugger.modules() == [
            Module("ntoskrnl.exe", KERNEL_BASE, 0xA00000),
            Module("hal.dll", KERNEL_BASE + 0xB00000, 0x1000),
        ]

    def test_info(self) -> None:
        port = free_udp_port()
        with debugger_on(port) as debugger:
            debugger.listen()
            with ThinTarget.kdnet(port, first_id=0x926):
                info = debugger.attach(timeout=10)
                assert (info.build, info.machine_type, info.processors) == (18362, 0x8664, 1)
                assert info.kernel_base == KERNEL_BASE
                assert info.debugger_version.startswith("native ")
                assert debugger.detach(timeout=5).running is True

    def test_nobody_dials(self) -> None:
        with debugger_on(free_udp_port()) as debugger:
            started = monotonic()
            with pytest.raises(ConnectionFailed, match="no target dialled UDP port") as raised:
                debugger.attach(timeout=0.6)
            assert "hostip" in raised.value.hint
            assert monotonic() - started < 5

    def test_port_in_use(self) -> None:
        port = free_udp_port()
        with debugger_on(port) as first, debugger_on(port) as second:
            first.listen()
            with pytest.raises(ConnectionFailed, match=f"UDP port {port} is in use") as raised:
                second.listen()
            assert "another port" in raised.value.hint

    def test_a_target_that_will_not_break_in(self) -> None:
        port = free_udp_port()
        with debugger_on(port) as debugger:
            debugger.listen()
            with ThinTarget.kdnet(port) as target:
                target.halted = True  # it acknowledges, and takes break-ins for old news
                with pytest.raises(TargetLost, match="did not break in"):
                    debugger.attach(timeout=1.5)

    def test_listening_twice_is_refused(self) -> None:
        with debugger_on(free_udp_port()) as debugger:
            debugger.listen()
            with pytest.raises(UsageError, match="listens already"):
                debugger.listen()


class TestRunning:
    def test_prints_arrive_as_sent_and_in_order(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        debugger.go()
        texts = [f"line {number}\n" for number in range(300)] + [
            "no end",
            " of line\nand more\n",
            "caf\u00e9\n",
        ]
        for number, text in enumerate(texts):
            target.print(text, processor=number % 4)
        events = collect(debugger, len(texts))
        assert [event.text for event in events if isinstance(event, PrintReceived)] == texts
        assert events[5].processor == 1
        assert debugger.receive(timeout=0.05) is None

    def test_undecodable_bytes_survive_as_escapes(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        debugger.go()
        target.do(lambda: target._send(3, b"02\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\xff\n"))
        (event,) = collect(debugger, 1)
        assert isinstance(event, PrintReceived) and event.text == "\\xff\n"

    def test_modules_come_and_go_without_stopping_the_target(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        debugger.go()
        target.load("\\SystemRoot\\system32\\drivers\\procnotify.sys", 0xFFFFF80100000000, 0x6000)
        target.load("procnotify.sys", 0xFFFFF80100000000, 0, unload=True)
        assert collect(debugger, 2) == [
            ModuleLoaded(Module("procnotify.sys", 0xFFFFF80100000000, 0x6000)),
            ModuleUnloaded("procnotify.sys", 0xFFFFF80100000000),
        ]
        target.wait(lambda: not target.halted)

    def test_break_in_and_go_past_the_int3(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        debugger.go()
        target.wait(lambda: not target.halted)
        assert target.context.rip == BREAK_ADDRESS + 1
        stop = debugger.break_in(timeout=5)
        assert stop == Stopped("break-in", 0x80000003, BREAK_ADDRESS, break_in=True)
        with pytest.raises(UsageError, match="runs already"):
            debugger.go()
            debugger.go()

    def test_requests_need_a_halted_target(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, _ = attached
        debugger.go()
        with pytest.raises(UsageError, match="running"):
            debugger.modules()

    @pytest.mark.parametrize(
        ("prompt", "answer"),
        [
            ("Break repeatedly, break Once, Ignore, terminate Process or terminate Thread (boipt)? ", b"i"),
            ("Name? ", b""),
        ],
    )
    def test_a_prompt_is_answered(
        self, attached: tuple[NativeDebugger, ThinTarget], prompt: str, answer: bytes
    ) -> None:
        debugger, target = attached
        debugger.go()
        target.prompt(prompt)
        target.wait(lambda: bool(target.answers))
        assert target.answers == [answer]
        (event,) = collect(debugger, 1)
        assert isinstance(event, PrintReceived) and event.text == prompt

    def test_exception_stops(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        debugger.go()
        target.exception(0xC0000005, rip=CODE + 8)
        assert collect(debugger, 1) == [Stopped("access violation, first chance", 0xC0000005, CODE + 8)]
        debugger.go()
        target.wait(lambda: not target.halted)
        assert target.context.rip == CODE + 8

    @pytest.mark.parametrize(
        ("code", "first_chance", "status"),
        [
            (0x80000003, True, DBG_CONTINUE),
            (0x80000004, True, DBG_CONTINUE),
            (0xC0000005, True, DBG_EXCEPTION_NOT_HANDLED),
            (0xC0000005, False, DBG_EXCEPTION_NOT_HANDLED),
            (0xC0000094, True, DBG_EXCEPTION_NOT_HANDLED),
        ],
    )
    def test_an_exception_that_is_not_the_debugger_s_is_passed_on(
        self, attached: tuple[NativeDebugger, ThinTarget], code: int, first_chance: bool, status: int
    ) -> None:
        debugger, target = attached
        debugger.go()
        target.exception(code, rip=CODE + 8, first_chance=first_chance)
        (stop,) = collect(debugger, 1)
        assert isinstance(stop, Stopped)
        assert (stop.code, stop.first_chance, stop.break_in) == (code, first_chance, False)
        debugger.go()
        target.wait(lambda: len(target.continues) == 2)
        (_, passed_on) = target.continues
        assert isinstance(passed_on, Continue2) and passed_on.continue_status == status

    def test_a_break_in_that_comes_late_is_told_from_a_breakpoint_of_the_driver_s(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        debugger.go()
        debugger._talk.break_in()  # for a target that is slow to stop
        debugger.break_in(timeout=5)
        found = []
        for _ in range(2):
            debugger.go()
            target.exception(rip=BREAK_ADDRESS, rcx=1)
            found += collect(debugger, 1)
        assert [stop.break_in for stop in found if isinstance(stop, Stopped)] == [True, False]

    def test_a_processor_that_steps_past_a_breakpoint_is_waited_for_when_the_target_is_let_go(
        self, attached: tuple[NativeDebugger, ThinTarget], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        debugger, target = attached
        monkeypatch.setattr("harness.debuggers.native.debugger.LATE_BREAK_IN_SECONDS", 20)
        monkeypatch.setattr(debugger, "_watch", SteppingWatch())
        before = len(target.continues)
        leaving = threading.Thread(target=debugger.let_go)
        leaving.start()
        target.wait(lambda: len(target.continues) == before + 1)
        target.exception(STATUS_SINGLE_STEP, rip=CODE + 4)
        target.wait(lambda: len(target.continues) == before + 2)
        leaving.join(timeout=20)
        assert not leaving.is_alive() and not target.halted

    def test_the_registers_are_those_of_the_processor_that_stopped(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        debugger.go()
        target.processor = 3
        debugger.break_in(timeout=5)
        debugger.go()
        target.wait(lambda: len(target.continues) == 2)
        assert target.context.rip == BREAK_ADDRESS + 1

    def test_the_way_on_comes_from_the_stop_and_not_from_a_context_that_was_moved_already(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        target.context = replace(target.context, rip=BREAK_ADDRESS + 1)  # by a debugger that was killed then
        debugger.go()
        target.wait(lambda: not target.halted)
        assert target.context.rip == BREAK_ADDRESS + 1

    def test_a_target_whose_registers_were_written_goes_on_with_these(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        debugger.set_context(replace(target.context, rip=CODE + 0x40))
        debugger.go()
        target.wait(lambda: not target.halted)
        assert target.context.rip == CODE + 0x40

    def test_a_command_string_is_shown_and_never_executed(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        debugger.go()
        target.halt(CommandString(data=b"name\0.shell calc\0"))
        (event,) = collect(debugger, 1)
        assert isinstance(event, Stopped) and ".shell calc" in event.reason

    def test_a_target_that_stops_answering(self) -> None:
        port = free_udp_port()
        with ThinTarget.kdnet(port) as target, debugger_on(port, silence=0.3) as debugger:
            debugger.attach(timeout=10)
            debugger.go()
            target.silence()
            with pytest.raises(TargetLost, match="nothing came"):
                for _ in range(50):
                    debugger.receive(timeout=0.1)


class TestMemory:
    def test_reads_go_on_after_short_ones(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        data = bytes(range(256)) * 16
        target.memory.put(0xFFFF800000000000, data)
        assert debugger.memory.read(0xFFFF800000000000, 4096) == data
        debugger.memory.write(0xFFFF800000000010, b"\xee" * 2000)
        assert debugger.memory.read(0xFFFF80000000000F, 3) == b"\x0f\xee\xee"
        with pytest.raises(UnreadableMemory, match="0x0000000000001000"):
            debugger.memory.read(0x1000, 4)
        with pytest.raises(UnreadableMemory, match="cannot write"):
            debugger.memory.write(0x1000, b"x")

    def test_a_module_list_that_loops_ends(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        entry = LIST_HEAD + 0x1000
        target.memory.write(entry, struct.pack("<Q", entry))
        assert [module.name for module in debugger.modules()] == ["ntoskrnl.exe"]

    def test_a_stack_is_its_program_counter_and_words_until_it_is_not_mapped(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        top = 0xFFFFFB0000001000
        words = tuple(range(1, 0x300 // 8 + 1))
        target.memory.put(top - 0x300, struct.pack(f"<{len(words)}Q", *words))
        target.context = replace(target.context, rsp=top - 0x300)
        assert debugger.stacks(timeout=5.0) == [(BREAK_ADDRESS, *words)]

    @pytest.mark.parametrize("rsp", [0, (1 << 64) - 8])
    def test_a_stack_that_nobody_can_read_is_its_program_counter(
        self, attached: tuple[NativeDebugger, ThinTarget], rsp: int
    ) -> None:
        debugger, target = attached
        target.context = replace(target.context, rsp=rsp)
        assert debugger.stacks(timeout=5.0) == [(BREAK_ADDRESS,)]

    def test_a_stack_without_an_end_is_read_up_to_a_limit(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        target.memory.put(0x10000, bytes(4 * STACK_BYTES))
        target.context = replace(target.context, rsp=0x10008)
        (stack,) = debugger.stacks(timeout=5.0)
        assert STACK_BYTES <= 8 * (len(stack) - 1) < STACK_BYTES + PIECE

    def test_registers(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        context = debugger.get_context()
        assert context.program_counter == BREAK_ADDRESS
        debugger.set_context(type(context)(rip=CODE))
        assert target.context.rip == CODE


class TestBreakpoints:
    def test_a_hit_breakpoint_is_stepped_over_and_inserted_again(
        self, attached: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = attached
        debugger.breakpoints.set(CODE + 0x20)
        debugger.go()
        target.exception(rip=CODE + 0x20)
        assert collect(debugger, 1) == [Stopped("break instruction", 0x80000003, CODE + 0x20)]
        assert target.breakpoints == {}
        debugger.go()
        target.wait(lambda: not target.halted)
        steps = [request.trace_flag for request in target.continues if isinstance(request, Continue2)]
        assert steps == [0, 1, 0]
        assert list(target.breakpoints) == [CODE + 0x20]

    def test_clear(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        debugger.breakpoints.set(CODE + 0x20)
        assert CODE + 0x20 in debugger.breakpoints
        debugger.breakpoints.clear(CODE + 0x20)
        assert target.breakpoints == {}


class TestBugcheck:
    @pytest.fixture
    def running(self, attached: tuple[NativeDebugger, ThinTarget]) -> tuple[NativeDebugger, ThinTarget]:
        debugger, target = attached
        debugger.go()
        target.load("faulty.sys", 0xFFFFF80100000000, 0x6000)
        collect(debugger, 1)
        return attached

    def test_banner_and_module_of_the_faulting_address(
        self, running: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = running
        words = (0, 2, 0, 0xFFFFF80100001234)
        target.print(BANNER % (0xD1, *words))
        target.exception(rcx=3)
        *prints, event = collect(debugger, 2)
        assert isinstance(prints[0], PrintReceived)
        assert event == BugcheckSeen(0xD1, words, "faulty.sys", 0x1234)

    def test_the_kernel_names_the_driver(self, running: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = running
        target.print(BANNER % (0xC4, 0x91, 0, 0, 0))
        target.print("Driver at fault: other.sys.\n")
        target.exception(rcx=3)
        assert collect(debugger, 3)[-1] == BugcheckSeen(0xC4, (0x91, 0, 0, 0), "other.sys")

    def test_without_a_banner_the_argument_and_ki_bugcheck_data_tell(
        self, running: tuple[NativeDebugger, ThinTarget]
    ) -> None:
        debugger, target = running
        target.do(lambda: target.memory.put(BUGCHECK_DATA, struct.pack("<5Q", 0xE2, 1, 2, 3, 4) + bytes(88)))
        target.exception(rcx=4)
        assert collect(debugger, 1) == [BugcheckSeen(0xE2, (1, 2, 3, 4), None)]

    def test_detaching_from_a_crashed_target(self, running: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = running
        target.print(BANNER % (0xD1, 0, 2, 0, KERNEL_BASE + 4))
        target.exception(rcx=3)
        assert collect(debugger, 2)[-1] == BugcheckSeen(0xD1, (0, 2, 0, KERNEL_BASE + 4), "ntoskrnl.exe", 4)
        reboot = LoadSymbols(base=LoadSymbols.REBOOT_BASE, process_id=0, unload=1)
        target.do(lambda: target.on_continue.append(lambda: target.halt(reboot)))
        release = debugger.detach(timeout=5)
        assert release.running is False
        assert "reboots" in release.proof

    def test_a_crash_that_nobody_looked_at(self, running: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = running
        target.print(BANNER % (0xD1, 0, 2, 0, 0xFFFFF80100001234))
        target.exception(rcx=3)
        target.wait(lambda: target.halted)
        release = debugger.detach(timeout=5)
        assert release.bugcheck is not None
        assert (release.bugcheck.code, release.bugcheck.module) == (0xD1, "faulty.sys")
        assert release.crashed
        assert release.running is False

    def test_a_crash_instead_of_a_break_in(self, running: tuple[NativeDebugger, ThinTarget]) -> None:
        """A driver that left something behind: the machine dies of it when the run is over."""
        debugger, target = running
        words = struct.pack("<5Q", 0xCE, 0xFFFFF80100001234, 0, 0xFFFFF80100001234, 0)
        target.do(lambda: target.memory.put(BUGCHECK_DATA, words + bytes(88)))
        target.break_in_status = 3
        release = debugger.detach(timeout=5)
        assert release.bugcheck is not None
        assert (release.bugcheck.code, release.bugcheck.module) == (0xCE, "faulty.sys")


class TestReboot:
    def test_announced(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        debugger.go()
        target.halt(LoadSymbols(base=LoadSymbols.REBOOT_BASE, process_id=0, unload=1))
        assert collect(debugger, 1) == [TargetRebooted(announced=True)]
        target.wait(lambda: not target.halted)
        assert isinstance(target.continues[-1], Continue)
        assert target._peer is not None
        with ThinTarget.kdnet(target._peer[1], nonce=b"again" * 6 + b"??") as rebooted:
            rebooted.print("up again\n")
            (event,) = collect(debugger, 1)
            assert isinstance(event, PrintReceived) and event.text == "up again\n"

    def test_unannounced(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        """It comes back at its own address."""
        debugger, target = attached
        debugger.go()
        own_port = target.own_port
        target.close()
        assert target._peer is not None
        port = target._peer[1]
        with ThinTarget.kdnet(port, nonce=b"again" * 6 + b"??", own_port=own_port) as rebooted:
            rebooted.print("up again\n")
            first, second = collect(debugger, 2)
            assert first == TargetRebooted(announced=False)
            assert isinstance(second, PrintReceived)


class TestDetach:
    @pytest.mark.parametrize("halted", [True, False])
    def test_left_running_and_proved(self, attached: tuple[NativeDebugger, ThinTarget], halted: bool) -> None:
        debugger, target = attached
        debugger.breakpoints.set(CODE + 0x40)
        if not halted:
            debugger.go()
        release = debugger.detach(timeout=5)
        assert release.running is True
        assert "clock moved" in release.proof
        target.wait(lambda: not target.halted)
        assert target.breakpoints == {}
        debugger.detach(timeout=1)

    def test_dead_target(self, attached: tuple[NativeDebugger, ThinTarget]) -> None:
        debugger, target = attached
        debugger.go()
        target.close()
        release = debugger.detach(timeout=1)
        assert release.running is None
        assert "could not be proved" in release.proof


class TestSerial:
    def test_tcp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            debugger = NativeDebugger(f"com:ipport={port},port=127.0.0.1")
            debugger.listen()
            connection, _ = server.accept()
            check_serial(debugger, connection)

    @pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets are the POSIX form of a serial pipe")
    def test_unix_socket(self, tmp_path: Path) -> None:
        path = str(tmp_path / "com1")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(1)
            debugger = NativeDebugger(f"com:pipe,port={path}")
            debugger.listen()
            connection, _ = server.accept()
            check_serial(debugger, connection)

    @pytest.mark.skipif(sys.platform != "win32", reason="named pipes are Windows'")
    def test_named_pipe(self) -> None:
        path = rf"\\.\pipe\procnotify-{secrets.token_hex(8)}"
        debugger = NativeDebugger(f"com:pipe,port={path},resets=0,reconnect")
        with machine_port(path) as connection:
            debugger.listen()
            check_serial(debugger, connection)

    @pytest.mark.skipif(sys.platform != "win32", reason="named pipes are Windows'")
    def test_a_named_pipe_that_its_machine_makes_later_is_waited_for(self) -> None:
        path = rf"\\.\pipe\procnotify-{secrets.token_hex(8)}"
        debugger = NativeDebugger(f"com:pipe,port={path}")
        served = threading.Event()

        def attach() -> None:
            debugger.attach(timeout=60)
            served.set()

        attaching = threading.Thread(target=attach)
        attaching.start()
        assert not served.wait(0.5)
        with machine_port(path) as connection, ThinTarget.kdcom(connection):
            assert served.wait(60)
            debugger.go()
            assert debugger.detach(timeout=5).running is True
        attaching.join(timeout=20)

    @pytest.mark.skipif(sys.platform != "win32", reason="named pipes are Windows'")
    def test_a_named_pipe_whose_machine_goes_away(self) -> None:
        path = rf"\\.\pipe\procnotify-{secrets.token_hex(8)}"
        debugger = NativeDebugger(f"com:pipe,port={path}")
        with machine_port(path) as connection, ThinTarget.kdcom(connection):
            debugger.attach(timeout=10)
            debugger.go()
        with pytest.raises(TargetLost, match="closed"):
            debugger.receive(timeout=20)
        assert debugger.detach(timeout=1).running is None

    @pytest.mark.parametrize("form", ["com:pipe,port={}", "com:port={},baud=115200"])
    @pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals are POSIX")
    def test_pseudo_terminal(self, form: str) -> None:
        if "baud" in form:
            pytest.importorskip("serial")
        import os
        import pty

        controller, device = pty.openpty()
        name = os.ttyname(device)
        ours, theirs = socket.socketpair()
        done = threading.Event()

        def copy(read: int, write: int) -> None:
            try:
                while not done.is_set() and (data := os.read(read, 4096)):
                    os.write(write, data)
            except OSError:
                return

        debugger = NativeDebugger(form.format(name))
        debugger.listen()
        threads = [
            threading.Thread(target=copy, args=pair, daemon=True)
            for pair in ((controller, ours.fileno()), (ours.fileno(), controller))
        ]
        for thread in threads:
            thread.start()
        try:
            check_serial(debugger, theirs)
        finally:
            done.set()
            os.close(device)
            for thread in threads:
                thread.join(timeout=5)
            ours.close()
            os.close(controller)

    def test_a_line_without_a_debugger_on_the_other_end(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            debugger = NativeDebugger(f"com:ipport={server.getsockname()[1]},port=127.0.0.1")
            with pytest.raises(ConnectionFailed, match="no kernel debugger answers") as raised:
                debugger.attach(timeout=0.6)
            assert "one client at a time" in raised.value.hint
            assert debugger.detach(timeout=1).running is None

    def test_the_machine_goes_away(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            debugger = NativeDebugger(f"com:ipport={server.getsockname()[1]},port=127.0.0.1")
            debugger.listen()
            connection, _ = server.accept()
            with ThinTarget.kdcom(connection):
                debugger.attach(timeout=10)
                debugger.go()
            with pytest.raises(TargetLost, match="closed"):
                debugger.receive(timeout=5)
            assert debugger.detach(timeout=1).running is None


@contextmanager
def machine_port(path: str) -> Iterator[socket.socket]:
    """The machine's end of a named pipe that it serves, as a socket."""
    assert sys.platform == "win32"
    import _winapi

    from harness.ports.windowspipe import NamedPipe

    class Served(NamedPipe):
        def __init__(self) -> None:
            duplex = _winapi.PIPE_ACCESS_DUPLEX | _winapi.FILE_FLAG_OVERLAPPED
            self._handle = _winapi.CreateNamedPipe(path, duplex, 0, 1, 4096, 4096, 0, _winapi.NULL)
            self._reading = None
            self._connecting = _winapi.ConnectNamedPipe(self._handle, overlapped=True)

        def read(self) -> bytes:
            if self._connecting is not None:
                if _winapi.WaitForSingleObject(self._connecting.event, 100) == _winapi.WAIT_TIMEOUT:
                    return b""
                self._connecting.GetOverlappedResult(True)
                self._connecting = None
            return super().read()

    with socket_over(Served(), path) as connection:
        yield connection


def check_serial(debugger: NativeDebugger, connection: socket.socket) -> None:
    """Attach to a target that ran and talked before, and go through one life."""
    with ThinTarget.kdcom(connection) as target:
        for number in range(3):
            target.print(f"early {number}\n")
        debugger.attach(timeout=10)
        debugger.go()
        target.print("late\n")
        events = collect(debugger, 4)
        assert [event.text for event in events if isinstance(event, PrintReceived)] == [
            "early 0\n", "early 1\n", "early 2\n", "late\n",
        ]  # fmt: skip
        assert debugger.detach(timeout=5).running is True


def test_registry() -> None:
    assert isinstance(debugger_factory("native")("net:port=50000,key=1.2.3.4"), NativeDebugger)
    debugger: Debugger = DEBUGGERS["native"].open("net:port=50000,key=1.2.3.4")
    assert debugger.name == "native"
    with pytest.raises(UsageError, match="no debugger named 'gdb'") as raised:
        debugger_factory("gdb")
    assert "native" in raised.value.hint
