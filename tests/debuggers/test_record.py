"""Recording a target that is already there, and the two commands around it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from click.testing import CliRunner, Result
from kd_peer import KERNEL_BASE, KEY, ThinTarget, free_udp_port
from replay_peer import ReplayPeer, target_frames

from harness.cli.keygen import command as keygen
from harness.cli.record import command as record
from harness.debuggers.base import TargetInfo
from harness.debuggers.native.debugger import NativeDebugger
from harness.errors import ConnectionFailed, TargetLost, TraceError, UsageError
from harness.events import Bugcheck, Event, Print, ProcessCreate, Reboot, Stop
from harness.kd.kdnet import Key
from harness.kd.packets import PacketType
from harness.kd.statechange import LoadSymbols
from harness.recorder import Recorder, Recording
from harness.trace import TraceReader

LINE = "[procnotify] OnProcessNotify PPID(4) created PID(100)\n"
BANNER = "\n*** Fatal System Error: 0x000000d1\n" + " " * 23 + "(0x%X,0x2,0x0,0x%X)\n\n"


class Tape:
    """A recording on a thread of its own."""

    def __init__(self, port: int, duration: float) -> None:
        self.events: list[Event] = []
        self.info: TargetInfo | None = None
        self.result: Recording | None = None
        self.heard = threading.Condition()
        debugger = NativeDebugger(f"net:port={port},key={KEY.format()}", silence=None)
        self._recorder = Recorder(debugger, self._attached, self._record)
        self._thread = threading.Thread(target=self._run, args=(duration,), daemon=True)
        self._thread.start()

    def _attached(self, info: TargetInfo) -> None:
        self.info = info

    def _record(self, event: Event) -> None:
        with self.heard:
            self.events.append(event)
            self.heard.notify_all()

    def _run(self, duration: float) -> None:
        self.result = self._recorder.run(attach_timeout=10, duration=duration)

    def wait(self, count: int) -> None:
        with self.heard:
            assert self.heard.wait_for(lambda: len(self.events) >= count, 10), self.events

    def end(self) -> Recording:
        self._thread.join(timeout=20)
        assert self.result is not None
        return self.result


@pytest.fixture
def tape_and_target() -> Iterator[tuple[Tape, ThinTarget]]:
    port = free_udp_port()
    tape = Tape(port, duration=2.0)
    with ThinTarget.kdnet(port) as target:
        target.wait(lambda: bool(target.continues))
        yield tape, target


class TestRecorder:
    def test_lines_become_events_and_the_target_is_left_running(
        self, tape_and_target: tuple[Tape, ThinTarget]
    ) -> None:
        tape, target = tape_and_target
        target.print(LINE)
        target.print("half a ")
        target.print("line\n")
        recording = tape.end()
        assert [event.line for event in tape.events] == [LINE.strip(), "half a line"]
        assert isinstance(tape.events[1], Print)
        assert recording.release.running is True
        assert (recording.reboots, len(recording.stops), recording.error) == (0, 0, None)
        target.wait(lambda: not target.halted)

    def test_a_first_chance_is_passed_on_recorded_and_no_fault(
        self, tape_and_target: tuple[Tape, ThinTarget]
    ) -> None:
        tape, target = tape_and_target
        target.exception(0xC0000005, rip=KERNEL_BASE + 0x10)
        target.wait(lambda: len(target.continues) == 2)
        target.print(LINE)
        recording = tape.end()
        assert recording.stops.lines() == [
            "access violation, first chance at 0xfffff80000000010 (ntoskrnl.exe+0x10)"
        ]
        assert recording.unhandled is None
        stop, line = tape.events
        assert stop == Stop(
            index=0, code=0xC0000005, address=KERNEL_BASE + 0x10, first_chance=True, module="ntoskrnl.exe"
        )
        assert line.line == LINE.strip()

    @pytest.mark.parametrize(
        ("code", "told"), [(0xC0000005, True), (0x80000003, False)], ids=["exception", "old-break-in"]
    )
    def test_the_exception_at_which_a_target_stands_already_is_told(self, code: int, told: bool) -> None:
        port = free_udp_port()
        target = ThinTarget.kdnet(port)
        target.exception(code, rip=KERNEL_BASE + 0x10, first_chance=False)  # the first that it does
        tape = Tape(port, duration=0.5)
        with target:
            recording = tape.end()
            assert not target.halted
        assert [type(event) for event in tape.events] == [Stop] * told
        assert [event.module for event in tape.events if isinstance(event, Stop)] == ["ntoskrnl.exe"] * told
        assert (recording.unhandled is not None) is told
        assert recording.release.running is True

    def test_packets_that_are_damaged_inside_do_not_end_a_recording(
        self, tape_and_target: tuple[Tape, ThinTarget]
    ) -> None:
        tape, target = tape_and_target
        damaged = [
            (PacketType.DEBUG_IO, b""),
            (PacketType.DEBUG_IO, b"\x30\x32\x06\x00\x00\x00\x00\x00" + b"\xff" * 8),
            (PacketType.STATE_MANIPULATE, bytes(20)),
            (PacketType.STATE_CHANGE64, b"\x30\x30\x00\x00"),
            (PacketType.STATE_CHANGE32, b"\xff" * 60),
            (PacketType.FILE_IO, b"\x31\x34\x00\x00" + b"\xff" * 60),
            (PacketType.TRACE_IO, b"\xff" * 60),
            (PacketType.CONTROL_REQUEST, b"\xff" * 60),
        ]

        def send() -> None:
            for packet_type, payload in damaged:
                target.session.send_packet(packet_type, payload, monotonic())

        target.do(send)
        target.print(LINE)
        recording = tape.end()
        assert [event.line for event in tape.events] == [LINE.strip()]
        assert recording.error is None and recording.release.running is True

    def test_an_exception_that_nothing_handles_is_told_once_and_is_the_driver_s_fault(
        self, tape_and_target: tuple[Tape, ThinTarget]
    ) -> None:
        tape, target = tape_and_target
        again = 5

        def raise_again() -> None:
            target.exception(0xC0000005, rip=KERNEL_BASE + 0x10, first_chance=False)

        target.do(lambda: target.on_continue.extend([raise_again] * (again - 1)))
        raise_again()
        target.wait(lambda: len(target.continues) == again + 1)
        recording = tape.end()
        assert recording.stops.lines() == [
            "access violation, second chance at 0xfffff80000000010 (ntoskrnl.exe+0x10), 5 times"
        ]
        assert recording.unhandled is not None and recording.unhandled.exit_code == 1
        assert [event.first_chance for event in tape.events if isinstance(event, Stop)] == [False] * again
        assert recording.release.running is True

    def test_a_target_that_is_not_proved_to_run_is_the_rig_s_failure_with_the_way_out(
        self, tape_and_target: tuple[Tape, ThinTarget], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("harness.recorder.DETACH_SECONDS", 0.5)
        tape, target = tape_and_target
        target.silence()
        recording = tape.end()
        assert recording.release.running is None
        assert isinstance(recording.error, TargetLost)
        assert "attach once more" in str(recording.error)

    def test_a_bugcheck_is_recorded_and_the_reboot_waited_through(
        self, tape_and_target: tuple[Tape, ThinTarget]
    ) -> None:
        tape, target = tape_and_target
        reboot = LoadSymbols(base=LoadSymbols.REBOOT_BASE, process_id=0, unload=1)
        target.do(lambda: target.on_continue.append(lambda: target.halt(reboot)))
        target.print(BANNER % (0, KERNEL_BASE + 4))
        target.exception(rcx=3)
        target.wait(lambda: len(target.continues) == 3)
        target.print(LINE)
        recording = tape.end()
        assert recording.reboots == 1
        assert recording.bugcheck is not None and recording.bugcheck.code == 0xD1
        assert [type(event) for event in tape.events] == [Print, Print, Bugcheck, Reboot, ProcessCreate]
        assert tape.events[-1].line == LINE.strip()

    def test_no_target(self) -> None:
        recorder = Recorder(
            NativeDebugger(f"net:port={free_udp_port()},key=1.2.3.4"), lambda info: None, lambda event: None
        )
        with pytest.raises(ConnectionFailed, match="no target dialled"):
            recorder.run(attach_timeout=0.3, duration=1)


def invoke(*args: object) -> Result:
    return CliRunner().invoke(record, [str(arg) for arg in args], standalone_mode=False)


class TestCommand:
    def test_a_trace_of_a_recorded_kernel(self, shared_data: Path, tmp_path: Path) -> None:
        out = tmp_path / "boot.jsonl"
        frames = target_frames(shared_data / "kdcom/reactos-x86-boot-procnotify.jsonl.xz")
        with ReplayPeer(frames) as peer:
            result = invoke(peer.connection, "--out", out, "--for", "1500ms")
        assert result.exception is None, result.output
        assert result.return_value == 0
        with_driver = [event for event in TraceReader(out) if event.line.startswith("[procnotify] ")]
        assert len(with_driver) == 108
        assert "left running" in result.stderr

    @pytest.mark.parametrize(("pid", "code"), [(4, 0), (9999, 1)])
    def test_a_recording_is_held_to_a_scenario(
        self, shared_data: Path, tmp_path: Path, pid: int, code: int
    ) -> None:
        scenario = tmp_path / "boot.yaml"
        scenario.write_text(
            "scenario: boot\nsummary: The boot's first process has this parent.\n"
            "steps:\n  - settle: {quiet: 1s, max: 2s}\n"
            "expect:\n  order:\n    - driver: {function: DriverEntry}\n"
            f"    - process_create: {{parent_pid: {pid}}}\n",
            encoding="utf-8",
        )
        frames = target_frames(shared_data / "kdcom/reactos-x86-boot-procnotify.jsonl.xz")
        with ReplayPeer(frames) as peer:
            result = invoke(peer.connection, "--for", "1s", "--check", scenario)
        assert result.exception is None, result.output
        assert result.return_value == code, result.output

    def test_wrong_key(self) -> None:
        port = free_udp_port()
        with ThinTarget.kdnet(port, key=Key.parse("9.9.9.9")):
            result = invoke(f"net:port={port},key=1.2.3.4", "--for", "1s", "--wait", "4s")
        assert isinstance(result.exception, ConnectionFailed)
        assert "key is wrong" in str(result.exception)

    def test_a_machine_that_goes_away_leaves_a_readable_trace(
        self, shared_data: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "cut.jsonl"
        frames = target_frames(shared_data / "kdcom/reactos-x86-boot-procnotify.jsonl.xz")
        with ReplayPeer(frames[:200], hang_up=True) as peer:
            result = invoke(peer.connection, "--out", out, "--for", "30s")
        assert result.return_value == 3
        assert "closed" in result.stderr
        assert len(list(TraceReader(out))) > 10

    @pytest.mark.parametrize("text", ["x", "-1s", "1d", "1 s s"])
    def test_durations(self, text: str) -> None:
        result = CliRunner().invoke(record, ["net:port=50000,key=1.2.3.4", "--for", text])
        assert result.exit_code == 2
        assert "is no duration" in result.output

    @pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
    def test_ctrl_c_lets_the_target_go_and_keeps_the_trace(self, tmp_path: Path) -> None:
        port, out = free_udp_port(), tmp_path / "run.jsonl"
        argv = [sys.executable, "-m", "harness", "record", f"net:port={port},key={KEY.format()}"]
        with (
            ThinTarget.kdnet(port) as target,
            subprocess.Popen(
                [*argv, "--out", str(out)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            ) as process,
        ):
            target.wait(lambda: bool(target.continues), 20)
            target.print(LINE)
            assert process.stdout is not None
            assert process.stdout.readline() == LINE
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
            target.wait(lambda: not target.halted)
        assert process.returncode == 0, errors
        assert "left running" in errors
        assert [event.line for event in TraceReader(out)] == [LINE.strip()]


def test_keygen() -> None:
    keys = {CliRunner().invoke(keygen, []).output for _ in range(5)}
    assert len(keys) == 5
    for key in keys:
        assert re.fullmatch(r"([0-9a-z]{1,13}\.){3}[0-9a-z]{1,13}\n", key)
        assert len(Key.parse(key).secret) == 32


class TestReplayFiles:
    @pytest.mark.parametrize(
        "line", [b"{}", b"[]", b"no json", b'{"t":0,"d":"up","b":""}', b'{"t":0,"d":"rx","b":"0"}']
    )
    def test_a_damaged_recording_is_named_with_its_line(self, tmp_path: Path, line: bytes) -> None:
        from harness.debuggers.replay import read_chunks

        path = tmp_path / "session.jsonl"
        path.write_bytes(b'{"t":0,"d":"rx","b":"00"}\n' + line + b"\n")
        with pytest.raises(TraceError, match=r"session\.jsonl:2"):
            list(read_chunks(path))

    def test_a_cut_archive(self, tmp_path: Path) -> None:
        import lzma

        from harness.debuggers.replay import read_chunks

        path = tmp_path / "session.jsonl.xz"
        path.write_bytes(lzma.compress(b'{"t":0,"d":"rx","b":"00"}\n' * 100)[:-20])
        with pytest.raises(TraceError, match="damaged"):
            list(read_chunks(path))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--witness", "target"), "choose --witness breakpoint"),
        (("--witness", "breakpoint", "--debugger", "pykd"), "choose --debugger native"),
        (("--witness", "breakpoint", "--debugger", "ntoseye"), "choose --debugger native"),
    ],
)
def test_a_witness_that_is_not_there_is_refused_with_the_way_out(options: tuple[str, ...], says: str) -> None:
    result = CliRunner().invoke(record, [f"net:port=50000,key={KEY.format()}", *options])
    assert isinstance(result.exception, UsageError), result.output
    assert says in result.exception.hint
