"""The steps of a preparation as a batch file, for doing it by hand or at the end of an installation."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence

from harness.preparation.steps import PreparationStep

__all__ = ["batch_file"]

_SPECIAL = frozenset("&|<>^()!")
_OR_FAIL = "if not %errorlevel%==0 goto failed"
"""What ``if errorlevel 1`` takes for success, a negative exit code, is none."""


def batch_file(steps: Sequence[PreparationStep], *, folder: str) -> str:
    """Lines for cmd.exe, ended as it wants them; the first failure ends it with exit code 1.

    The files that the steps need are expected beside it and copied into ``folder``.
    """
    return "".join(f"{line}\r\n" for line in _lines(steps, folder))


def _lines(steps: Sequence[PreparationStep], folder: str) -> Iterator[str]:
    yield "@echo off"
    yield "rem Makes this Windows ready for procnotify. Run it as administrator; it may be run again."
    yield "setlocal"
    for number, step in enumerate(steps, start=1):
        yield f'set "step={number} of {len(steps)}, {_plain(step.title)}"'
        yield "echo procnotify: %step%"
        if step.files:
            yield f'if not exist "{folder}" mkdir "{folder}"'
        for name in step.files:
            yield f'copy /y "%~dp0{name}" "{folder}\\{name}" >nul'
            yield _OR_FAIL
        for argv in step.commands:
            yield _command(argv)
            yield _OR_FAIL
    yield "echo procnotify: done; restart Windows to make it count"
    yield "exit /b 0"
    yield ":failed"
    yield "echo procnotify: failed at %step% 1>&2"
    yield "exit /b 1"


def _command(argv: Sequence[str]) -> str:
    line = subprocess.list2cmdline(argv)
    assert not _SPECIAL & set(line), line  # what the settings allow holds none of them
    return line.replace("%", "%%")


def _plain(title: str) -> str:
    assert not (_SPECIAL | {'"', "%"}) & set(title), title
    return title
