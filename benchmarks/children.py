"""Child processes of a measurement. None outlives it, however it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Child", "end_with_parent", "memory_of_this_process", "running"]

ROOT = Path(__file__).resolve().parent.parent


class Child:
    """A running ``python -m MODULE ARGS...`` that answers with one line of JSON."""

    def __init__(self, process: subprocess.Popen[str], what: str) -> None:
        self._process = process
        self._what = what

    def answer(self, *, timeout: float) -> dict[str, Any]:
        """The child's answer; one that says nothing for ``timeout`` seconds is killed."""
        assert self._process.stdout is not None
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise RuntimeError(f"{self._what} ended without an answer, or gave none in {timeout:g} s")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running(module: str, *args: str) -> Iterator[Child]:
    """Start a child; it is killed when the block is left."""
    # A group of its own: Ctrl-C comes to this process alone, which then ends the child in order.
    group: dict[str, Any] = {"process_group": 0}
    if sys.platform == "win32":
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    argv = [sys.executable, "-m", module, *args]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, **group
    ) as process:
        try:
            yield Child(process, " ".join(argv[2:4]))
        finally:
            process.kill()


def end_with_parent() -> None:
    """In the child: end as soon as stdin does, so that a parent that was killed leaves nothing behind."""

    def watch() -> None:
        # Not sys.stdin: a thread in its lock would be in the way of an orderly end.
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, name="parent's end", daemon=True).start()


def memory_of_this_process(field: str) -> int:
    """Bytes by a field of Linux's /proc/self/status: ``VmRSS``, what is in memory now, ``VmHWM``, the most
    that ever was. Elsewhere the latter whatever is asked for, and on Windows an ImportError."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Here getrusage would give the parent's where that was more: it is handed down through exec.
        found = re.search(rf"^{field}:\s*(\d+) kB$", status.read_text(encoding="utf-8"), re.MULTILINE)
        return int(found.group(1)) * 1024 if found else 0
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
