"""Run a program in the Windows Python: its output passed on as it comes, its exit code handed back."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from types import FrameType
from typing import IO, Final

from harness.wine.errors import PrefixError
from tools.windows_python.prefix import WindowsPython

__all__ = ["INTERRUPTED", "run"]

INTERRUPTED: Final = 130
END_SECONDS: Final = 20.0
"""For an interrupted program to end by itself."""
_LOOK_SECONDS: Final = 0.05
"""How soon the end of a program is noticed whose output is quiet."""


def run(prefix: WindowsPython, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run ``python.exe ARGUMENTS`` in the current folder; its exit code, or :data:`INTERRUPTED`.

    Its standard input is empty and its output goes through pipes: with anything else CPython under Wine dies
    at its start. The pipes are read to the program's end, not to their own: Wine's services inherit them.

    :raises PrefixError: the setup was not done.
    :raises harness.wine.errors.WineMissing: there is no Wine.
    """
    if not prefix.complete:
        raise PrefixError(
            f"there is no Windows Python in {prefix.root}", hint="run `python -m tools.windows_python setup`"
        )
    command = prefix.python_command(*arguments)
    with prefix.use(), _requests_to_end() as requests:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            # The terminal's Ctrl-C would reach the program twice, from there and from here.
            start_new_session=True,
        )
        with process:
            try:
                _pass_on(process, lambda: bool(requests))
                if requests:
                    _interrupt(process)
            except BaseException:
                _signal(process, signal.SIGKILL)
                raise
    if not requests:
        return process.returncode
    # Programs that the interrupted one had started may be left; others may be at work here, too.
    with contextlib.suppress(PrefixError), prefix.alone():
        prefix.end_programs()
    return INTERRUPTED


def _pass_on(process: subprocess.Popen[bytes], enough: Callable[[], bool]) -> None:
    """Pass on what it writes until it has ended, or it is enough."""
    assert process.stdout is not None and process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, sys.stdout.buffer)
        selector.register(process.stderr, selectors.EVENT_READ, sys.stderr.buffer)
        while not enough():
            # Before the look for output: what it wrote before its end is in the pipes by then.
            ended = process.poll() is not None
            ready = selector.select(0 if ended else _LOOK_SECONDS)
            for key, _ in ready:
                piece = os.read(key.fd, 65536)
                sink: IO[bytes] = key.data
                sink.write(piece)
                sink.flush()
                if not piece:
                    selector.unregister(key.fileobj)
            if ended and not ready:
                return


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Pass Ctrl-C on, and what is said about it; end it by force if that does not help."""
    for number in (signal.SIGINT, signal.SIGKILL):
        _signal(process, number)

        def late(deadline: float = monotonic() + END_SECONDS) -> bool:
            return monotonic() > deadline

        _pass_on(process, late)
        if process.returncode is not None:
            return


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextlib.contextmanager
def _requests_to_end() -> Iterator[list[int]]:
    """Notes Ctrl-C and SIGTERM. An exception in their place could leave a lock of :mod:`subprocess` taken."""
    requests: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        requests.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
