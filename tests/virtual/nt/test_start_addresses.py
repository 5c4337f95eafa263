"""Which image a thread starts in: its program, ntdll, or what the thread that made it had it start in."""

from __future__ import annotations

import pytest
from recorder import Recorder

from harness.virtual.clock import MILLISECOND, SECOND, Clock
from harness.virtual.nt.objects import Process
from harness.virtual.target import VirtualTarget


def started() -> tuple[VirtualTarget, Recorder, Process]:
    recorder = Recorder(Clock())
    target = VirtualTarget(recorder, recorder, recorder.clock, seed=1)
    pid = target.act(["launch", "notepad.exe"], 1)["child_pid"]
    target.settle(300 * MILLISECOND, 20 * SECOND)
    return target, recorder, target.system.processes[pid]


def image_at(process: Process, address: int) -> str:
    found = [m.path for m in process.mapped.values() if m.base <= address < m.base + m.size]
    return found[0].rpartition("\\")[2].lower() if found else ""


def test_the_first_thread_starts_in_its_program_and_pool_threads_in_ntdll() -> None:
    target, _, process = started()
    starts = [
        image_at(process, target.system.start_address(process.pid, thread.tid))
        for thread in process.live_threads()
    ]
    assert starts[0] == "notepad.exe"
    assert set(starts[1:]) == {"ntdll.dll"}


@pytest.mark.parametrize("command", ["create-remote-thread", "inject"])
def test_a_remote_thread_starts_in_kernel32(command: str) -> None:
    target, recorder, process = started()
    starts: dict[int, str] = {}
    notify = recorder.thread_notify

    def look(*, pid: int, tid: int, create: bool, context: object) -> None:
        if create and pid == process.pid:
            starts[tid] = image_at(process, target.system.start_address(pid, tid))
        notify(pid=pid, tid=tid, create=create, context=context)

    recorder.thread_notify = look
    arguments = [command, str(process.pid), *(["version.dll"] if command == "inject" else [])]
    target.act(arguments, 1)
    assert set(starts.values()) == {"kernel32.dll"}


def test_a_thread_that_is_none_starts_nowhere() -> None:
    target, _, process = started()
    tid = process.threads[0].tid
    assert target.system.start_address(process.pid + 4, tid) == 0
    assert target.system.start_address(4, target.system.system_thread.tid) == 0
