"""Run a program to its end, with a deadline, reading its output line by line."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Finished", "run_command"]

_TAIL = 4000
"""Characters of output that are kept for an error message."""


class Finished(NamedTuple):
    """A program that ended, or was ended at its deadline."""

    code: int | None
    """Exit code; None when the deadline passed."""
    output: str
    """The last of what it wrote, standard error included."""

    def last_line(self, *prefixes: str) -> str:
        """The last line that begins with one of ``prefixes`` (which are cut off), or the last line at all."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        for line in reversed(lines):
            for prefix in prefixes:
                if line.startswith(prefix):
                    return line[len(prefix) :].strip()
        return lines[-1] if lines else ""

    def json_object(self) -> dict[str, object] | None:
        """The last line that is a JSON object; None where there is none.

        It need not be the last line at all: a wineserver that ends with its last program may still report
        there what that program left open.
        """
        for line in reversed(self.output.splitlines()):
            if line.lstrip().startswith("{"):
                with contextlib.suppress(ValueError, RecursionError):
                    found = json.loads(line)
                    if isinstance(found, dict):
                        return found
        return None

    def why(self, *prefixes: str) -> str:
        """Why it failed, in one line: what it said last, as :meth:`last_line`, or how it ended."""
        if self.code is None:
            return "no answer in time"
        return self.last_line(*prefixes) or f"exit code {self.code}"


@contextlib.contextmanager
def _killed_on_error(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def run_command(
    command: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run ``command`` with standard input closed.

    :param timeout: seconds, after which it and its process group are killed.
    :param on_line: called with each line as it appears.
    Whatever ends the wait ends the program too: it has a session of its own, so that the terminal's Ctrl-C
    does not reach it.

    :raises OSError: it cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=cwd,
        start_new_session=True,
    )
    assert process.stdout is not None
    deadline = time.monotonic() + timeout
    output = b""
    pending = b""
    ended = False
    with process, _killed_on_error(process), selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not ended and (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            piece = os.read(process.stdout.fileno(), 65536)
            ended = not piece
            output = (output + piece)[-_TAIL:]
            *lines, pending = (pending + piece).split(b"\n")
            if on_line is not None:
                for line in lines:
                    on_line(line.decode(errors="replace").rstrip())
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return Finished(process.returncode if ended else None, output.decode(errors="replace"))
