"""The events of a process and its thread, their index aside; ``more`` are further fields."""

from __future__ import annotations

from harness.events import Event, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit


def born(pid: int = 8, **more: int) -> Event:
    return ProcessCreate(index=0, pid=pid, parent_pid=4, **more)


def died(pid: int = 8, **more: int) -> Event:
    return ProcessExit(index=0, pid=pid, **more)


def thread(tid: int = 9, pid: int = 8, **more: int) -> Event:
    return ThreadCreate(index=0, pid=pid, tid=tid, **more)


def thread_end(tid: int = 9, pid: int = 8, **more: int) -> Event:
    return ThreadExit(index=0, pid=pid, tid=tid, **more)
