"""What several commands' options have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from harness.cli._completion import names_or_files
from harness.cli._logging import Command, log_options
from harness.cli._outputs import note_given
from harness.connection import parse_connection
from harness.debuggers import DEBUGGERS, FILE_SERVING
from harness.events import RUN_WITNESSES, WitnessName
from harness.grammars import load_grammar
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.printmasks import parse_print_mask
from harness.report.json_document import json_document
from harness.runs.watch import Watch
from harness.standingrules import check_standing_rules
from harness.virtual.dispatcher.policies import POLICIES, check_policy
from harness.virtual.interfaces import MAX_PROCESSORS

__all__ = [
    "connection_argument",
    "connection_text",
    "debugger_option",
    "drivers_option",
    "duration",
    "given_beside",
    "json_asked",
    "json_option",
    "kdfiles_option",
    "key_option",
    "lines_option",
    "log_options",
    "part_options",
    "policy_option",
    "print_json",
    "print_mask_option",
    "print_masks_option",
    "processors_option",
    "strict_option",
    "timeout_option",
    "wait_option",
    "without_rule_option",
    "witness_option",
]

_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """``60s``, ``500ms``, ``5m``, ``1h``; a bare number is seconds."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)?", value.strip(), re.ASCII)
    if found is None:
        raise click.BadParameter(f"{value!r} is no duration; write 60s, 500ms, 5m or 1h")
    return float(found[1]) * _UNITS[found[2] or "s"]


def connection_text(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no connection, and tell once what of it means nothing here."""
    if value is not None and (unused := parse_connection(value).unused):
        click.echo(f"procnotify: taken, but without a meaning here: {', '.join(unused)}", err=True)
    return value


def connection_argument(*, required: bool) -> Callable[[Command], Command]:
    """The argument CONNECTION, written as for WinDbg's ``-k``."""
    return click.argument("connection", required=required, callback=connection_text)


timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=Watch.silence,
    show_default=True,
    metavar="SECONDS",
    help="A target that neither prints nor answers for this long is lost.",
)
wait_option = click.option(
    "--wait",
    callback=duration,
    default="60s",
    show_default=True,
    metavar="TIME",
    help="How long to wait for the target.",
)


def _policy(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else check_policy(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


policy_option = click.option(
    "--policy",
    callback=_policy,
    metavar="NAME",
    shell_complete=names_or_files(POLICIES),
    help=f"Who goes first in the virtual target where the order is open: {', '.join(POLICIES)}. All but"
    " default let the driver's code stand aside, at calls into the kernel and at accesses to shared memory"
    " (docs/exploring.md). Without it the scenario's own, or default.",
)
processors_option = click.option(
    "--processors",
    type=click.IntRange(1, MAX_PROCESSORS),
    metavar="N",
    help=f"How many processors the virtual target has, 1 to {MAX_PROCESSORS}. Without it the"
    " scenario's own, where there is one, or 2.",
)

kdfiles_option = click.option(
    "--kdfiles",
    is_flag=True,
    help="The target gets the drivers of its debugger, as by WinDbg's .kdfiles, and not from its own disk;"
    f" only with --debugger {' or '.join(FILE_SERVING)}.",
)


def _print_masks(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[str, int]:
    """Each once; of several for one component the last counts, as on any command line."""
    try:
        return dict(map(parse_print_mask, value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def print_masks_option(without: str) -> Callable[[Command], Command]:
    """``--print-mask``: the command is called with ``print_masks``.

    :param without: which prints pass without it, for the help text.
    """
    return click.option(
        "--print-mask",
        "print_masks",
        multiple=True,
        callback=_print_masks,
        metavar="MASK",
        help="Which debug prints pass: 0xf lets a plain DbgPrint pass, IHVDRIVER=0xff eight levels of"
        f" IHVDRIVER. Once for each component; without it {without}.",
    )


print_mask_option = print_masks_option("the scenario's own, or Windows' choice: errors alone")


def _lines(ctx: click.Context, param: click.Parameter, value: Path | None) -> Grammar | None:
    if value is None:
        return None
    note_given(ctx, value)
    return load_grammar(value)


lines_option = click.option(
    "--lines",
    type=click.Path(path_type=Path),
    callback=_lines,
    metavar="FILE",
    help="What the driver's lines look like, a line grammar (docs/lines.md). Without it the scenario's own,"
    " where there is one, or that of the project's driver.",
)
"""``--lines``: the command is called with ``lines``, the grammar in the file."""
debugger_option = click.option(
    "--debugger",
    default="native",
    show_default=True,
    shell_complete=names_or_files(DEBUGGERS),
    metavar="NAME",
    help=f"Who listens: {', '.join(DEBUGGERS)}.",
)


def _key(ctx: click.Context, param: click.Parameter, value: str | None) -> Key | None:
    return None if value is None else Key.parse(value)


key_option = click.option(
    "--key",
    callback=_key,
    metavar="W.X.Y.Z",
    help="The key of the KDNET session in a network capture, as WinDbg takes it.",
)
"""``--key``: the command is called with ``key``, see :func:`harness.trace.sources.open_trace`."""


strict_option = click.option(
    "--strict",
    is_flag=True,
    help="A promise that could not be judged, because neither the driver's lines nor the machine tell of it,"
    " is an error (exit code 3).",
)


def _witness(ctx: click.Context, param: click.Parameter, value: str | None) -> WitnessName | None:
    return next((known for known in RUN_WITNESSES if known == value), None)


witness_option = click.option(
    "--witness",
    type=click.Choice(RUN_WITNESSES),
    callback=_witness,
    help="On whose events the order is checked: the driver's printed lines (print), what the virtual target"
    " saw of the callbacks that it called (target), or what the debugger saw, which stops at each of them"
    " (breakpoint), whatever the driver prints (docs/verdicts.md). Without it the lines where they report"
    " callbacks, else the target.",
)
"""``--witness``: the command is called with ``witness``."""


def _rules_off(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> frozenset[str]:
    return check_standing_rules(value)


without_rule_option = click.option(
    "--without-rule",
    "rules_off",
    multiple=True,
    callback=_rules_off,
    metavar="NAME",
    help="Do not hold the driver to this standing rule (docs/verdicts.md). Once for each rule.",
)
"""``--without-rule``: the command is called with ``rules_off``."""


def drivers_option(help_text: str) -> Callable[[Command], Command]:
    """``--driver``, as often as wanted: the last is the one under test, the others stand beside it.

    :param help_text: what becomes of one driver.
    """
    return click.option(
        "--driver",
        "drivers",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE.sys",
        help=f"{help_text} More than once: the last is under test; those before it are loaded before it, in"
        " this order, and unloaded after it.",
    )


_bind = click.option(
    "--bind",
    multiple=True,
    metavar="NAME=PID",
    help="What a name of the scenario stands for in the recording: notepad=1560. Once for each name.",
)
_from = click.option(
    "--from",
    "first",
    metavar="TEXT",
    help="Judge only from the first line that holds TEXT on; a line of the guest helper, for example.",
)
_to = click.option(
    "--to", "last", metavar="TEXT", help="Judge only to the first line after it that holds TEXT."
)


def part_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--bind``, ``--from`` and ``--to``: which part of a recording is judged, and what names mean in it."""
    return _bind(_from(_to(command)))


def given_beside(taken: Collection[str]) -> str | None:
    """The first option of the command that runs now which was given and is not ``taken``, as it is written;
    None: there is none.

    :param taken: names of parameters.
    """
    ctx = click.get_current_context()
    for param in ctx.command.params:
        name = param.name or ""
        given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and param.expose_value and name not in taken:
            return param.opts[0]
    return None


class _Json:
    """What ``--json`` asked for, once for each call of the command."""

    key = "harness.cli.json"

    def __init__(self, command: str) -> None:
        self.command = command
        self.printed = False


def _ask_json(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    if value:
        names: list[str] = []
        walked: click.Context | None = ctx
        while walked is not None and walked.parent is not None:
            names.insert(0, walked.info_name or "")
            walked = walked.parent
        ctx.meta[_Json.key] = _Json(" ".join(names) or ctx.info_name or "")
    return value


json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,
    callback=_ask_json,
    help="Print one JSON document on standard output (docs/json.md); words for people go to standard error.",
)
"""``--json``: the command is called with ``as_json`` and answers with :func:`print_json`."""


def json_asked(ctx: click.Context) -> bool:
    """Whether ``--json`` was given and its document is not printed yet."""
    asked = ctx.meta.get(_Json.key)
    return isinstance(asked, _Json) and not asked.printed


def print_json(**body: object) -> None:
    """Print the document of the command that runs; see :func:`harness.report.json_document.json_document`.

    Once: a command that prints a second one has a fault.
    """
    asked = click.get_current_context().meta[_Json.key]
    assert isinstance(asked, _Json) and not asked.printed
    click.echo(json_document(asked.command, **body))
    asked.printed = True
