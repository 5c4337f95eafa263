"""The driver, loaded and unloaded by code of other people: Wine's service manager and ntoskrnl."""

from __future__ import annotations

import re

LINE = re.compile(r"\[procnotify\] (.*?) \{seq=(\d+) t=(\d+) cpu=\d+ by=\d+\.\d+(?: size=0x[0-9a-f]+)?\}")


def test_load_and_unload(prefix) -> None:
    mark = len(prefix.said())
    prefix.run("sc", "create", "procnotify", "type=", "kernel", "binPath=", r"C:\procnotify\procnotify.sys")
    assert b"RUNNING" in prefix.run("sc", "start", "procnotify").stdout
    prefix.wait_for("PsSetLoadImageNotifyRoutine success", after=mark)
    prefix.run("sc", "stop", "procnotify")
    lines = LINE.findall(prefix.wait_for("DriverUnload totals", after=mark))
    prefix.run("sc", "delete", "procnotify")

    own = [text for text, _, _ in lines if not text.startswith("OnImageNotify")]
    assert own[:-1] == [
        "DriverEntry PsSetCreateProcessNotifyRoutine success",
        "DriverEntry PsSetCreateThreadNotifyRoutine success",
        "DriverEntry PsSetLoadImageNotifyRoutine success",
        "DriverUnload PsRemoveLoadImageNotifyRoutine success",
        "DriverUnload PsRemoveCreateThreadNotifyRoutine success",
        "DriverUnload PsSetCreateProcessNotifyRoutine success",
    ]
    images = len(lines) - len(own)
    assert own[-1] == (
        "DriverUnload totals process_create=0 process_exit=0 thread_create=0 thread_exit=0 "
        f"image_load={images}"
    )
    assert [int(seq) for _, seq, _ in lines] == list(range(1, len(lines) + 1))
    times = [int(time) for _, _, time in lines]
    assert times == sorted(times)
    assert times[0] > 0
