"""``--log`` and ``-v``: where the log of the package goes while a command runs."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.cli._project import project_file_of
from harness.report.text import printable

__all__ = ["log_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

LOGGER = logging.getLogger("harness")
"""Every module of the package logs below it."""
_LEVELS = (logging.INFO, logging.DEBUG)
"""What ``-v`` and ``-vv`` show."""
_FILE_FORM = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
_FILE_DATE = "%Y-%m-%dT%H:%M:%S"


class _Formatter(logging.Formatter):
    """Writes out the controls in what a target or a datagram brought along."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _StandardError(logging.Handler):
    """Writes to what is standard error at that moment: a live display replaces it while it draws."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except OSError:
            return  # nobody reads it, and there is no other place to say so


class _File(logging.FileHandler):
    """A log that can no longer be written is said once and given up; the run goes on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        error = sys.exc_info()[1]
        reason = error.strerror if isinstance(error, OSError) else error
        self._forget()
        click.echo(f"procnotify: cannot go on writing {self.baseFilename}: {reason}", err=True)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what is still in the buffer finds no room; that was said
            super().close()

    def _forget(self) -> None:
        LOGGER.removeHandler(self)
        self.close()


def _log_to_file(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is None:
        return
    try:
        handler = _File(value, mode="w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise click.BadParameter(f"cannot write {value}: {error.strerror}") from None
    handler.setFormatter(_Formatter(_FILE_FORM, _FILE_DATE))
    _attach(ctx, handler, logging.DEBUG)


def _log_to_stderr(ctx: click.Context, param: click.Parameter, value: int) -> None:
    if not value:
        return
    handler = _StandardError()
    handler.setFormatter(_Formatter("%(name)s: %(message)s"))
    _attach(ctx, handler, _LEVELS[min(value, len(_LEVELS)) - 1])


def _attach(ctx: click.Context, handler: logging.Handler, level: int) -> None:
    """Log to ``handler`` until the command ends."""
    handler.setLevel(level)
    if (project := project_file_of(ctx)) is not None:
        text = f"defaults from {project}"
        handler.handle(logging.LogRecord("harness.project", logging.INFO, "", 0, text, None, None))
    before = LOGGER.level
    LOGGER.setLevel(min(level, before or level))
    LOGGER.addHandler(handler)

    def detach() -> None:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)
        handler.close()

    ctx.call_on_close(detach)


def log_options(command: Command) -> Command:
    """``--log FILE`` and ``-v`` for a command that has a link to a target; the command is not told of them.

    The file gets everything (each dropped datagram with its reason, resets, resends, phases) with its time;
    ``-v`` shows on standard error what happens, ``-vv`` everything.
    """
    for option in (
        click.option(
            "-v",
            "--verbose",
            count=True,
            expose_value=False,
            callback=_log_to_stderr,
            help="Say on standard error what the link does; -vv says everything.",
        ),
        click.option(
            "--log",
            type=click.Path(dir_okay=False, path_type=Path),
            expose_value=False,
            callback=_log_to_file,
            metavar="FILE",
            help="Write all that the link does to FILE: dropped datagrams with the reason, resends, phases.",
        ),
    ):
        command = option(command)
    return command
