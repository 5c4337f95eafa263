"""``record`` over a serial port that is closed in the middle of it: what it says, and what the trace does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from interruptible import WAYS, interrupt, started
from kd_peer import ThinTarget
from serial_cables import FORMS, Cable
from test_interrupts import poll

from harness.events import Disconnect
from harness.trace import TraceReader

CREATED = "[procnotify] OnProcessNotify PPID(4) created PID({pid}) {{seq={seq} t={seq} cpu=0 by=4.8}}\n"
CLOSED = "procnotify: the connection was closed; waiting for it to come back\n"
ONCE = "procnotify: the connection was closed once: what has no number may be missing there"


def line(seq: int) -> str:
    return CREATED.format(pid=8 + 4 * seq, seq=seq)


def read_line(stream: object) -> str:
    assert stream is not None
    return str(stream.readline())  # type: ignore[attr-defined]  # Popen's streams may be None


class Record:
    """The command at work, and its target."""

    def __init__(self, process: subprocess.Popen[str], target: ThinTarget, cable: Cable) -> None:
        self.process = process
        self.target = target
        self._cable = cable

    def hear(self, *numbers: int) -> None:
        """Until the target knows that they were heard: else it has a packet on its way when its line is
        closed, and gives that one up in place of the next."""
        for seq in numbers:
            self.target.print(line(seq))
            assert read_line(self.process.stdout) == line(seq)
            self.target.wait(lambda: self.target.session.idle)

    def close(self, *, gives_up: bool = False) -> None:
        self.target.unplug(gives_up=gives_up)
        while (said := read_line(self.process.stderr)) != CLOSED:
            assert said, "the command has ended"

    def come_back(self) -> None:
        self.target.plug(self._cable.end())

    def end(self) -> tuple[int, list[str]]:
        """Ctrl-C: the exit code, and what was said last."""
        _, errors = interrupt(self.process, WAYS[0])
        return self.process.returncode, errors.splitlines()


@contextmanager
def recording(cable: Cable, out: Path, *, options: str = ",reconnect") -> Iterator[Record]:
    with (
        started("record", cable.connection + options, "--out", str(out)) as process,
        ThinTarget.kdcom(cable.end()) as target,
    ):
        target.wait(lambda: bool(target.continues), 60)
        yield Record(process, target, cable)


@pytest.fixture(params=FORMS)
def cable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cable]:
    with Cable(request.param, tmp_path) as cable:
        yield cable


def test_nothing_is_lost(cable: Cable, tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    with recording(cable, out) as record:
        record.hear(1, 2)
        record.close()
        record.come_back()
        record.hear(3)
        code, errors = record.end()
    assert code == 0, errors
    assert errors[-1] == ONCE
    events = list(TraceReader(out))
    assert [type(event) is Disconnect for event in events] == [False, False, True, False]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Cable]:
    with Cable("pipe", tmp_path) as cable:
        yield cable


def test_a_line_that_was_lost_meanwhile_is_missed(pipe: Cable, tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    with recording(pipe, out) as record:
        record.hear(1, 2)
        record.close(gives_up=True)
        record.target.print(line(3))
        record.target.wait(lambda: record.target.debugger_gone)
        continues = len(record.target.continues)
        record.come_back()
        record.target.wait(lambda: len(record.target.continues) > continues)
        record.hear(4)
        code, errors = record.end()
    assert code == 3
    assert "procnotify: 1 line of the driver never arrived (seq 3); nothing is judged" in "\n".join(errors)


def test_where_nothing_proves_that_nothing_was_lost_that_is_said(pipe: Cable, tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    with recording(pipe, out) as record:
        record.hear(1, 2)
        record.close()
        record.come_back()
        record.target.print("something else\n")
        assert read_line(record.process.stdout) == "something else\n"
        code, errors = record.end()
    assert code == 3
    assert "the connection was closed (event 2), and nothing proves that no line was lost" in errors[-2]
    assert errors[-1] == ONCE


def test_one_that_does_not_come_back_is_not_waited_for_at_the_end(pipe: Cable, tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    with recording(pipe, out) as record:
        record.hear(1)
        record.close()
        code, errors = record.end()
    assert code == 3
    assert "the connection was closed, and nobody has come back" in "\n".join(errors)
    reader = TraceReader(out)
    assert [type(event) is Disconnect for event in reader] == [False, True]
    assert reader.footer is not None and reader.footer.complete is False


def test_without_reconnect_the_recording_ends(pipe: Cable, tmp_path: Path) -> None:
    with recording(pipe, tmp_path / "run.jsonl", options="") as record:
        record.hear(1)
        record.target.unplug()
        _, errors = record.process.communicate(timeout=60)
    assert record.process.returncode == 3
    assert "was closed by the target's side" in errors and "waiting for it" not in errors


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["pipe,server", "tcp,server"])
def test_ctrl_c_while_nobody_connects(form: str, way: str, tmp_path: Path) -> None:
    with Cable(form, tmp_path) as cable:
        log = tmp_path / "log"
        with started("record", cable.connection, "--wait", "600s", "--log", str(log)) as process:
            poll(process, lambda: log.exists() and b"waiting for a machine" in log.read_bytes())
            _, errors = interrupt(process, way)
    assert process.returncode == 130, errors
    assert list(tmp_path.glob("procnotify-*")) == []
