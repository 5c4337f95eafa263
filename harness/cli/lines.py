"""``procnotify lines``: what a line grammar understands of a log."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from harness.cli._options import json_option, key_option, lines_option, print_json
from harness.cli._reading import told
from harness.errors import TraceError
from harness.grammars import described, recorded_grammar
from harness.grammars.understanding import LeftLine, Understanding, read_again
from harness.kd.kdnet import Key
from harness.lines import Form, Grammar
from harness.report.text import one_line
from harness.runs.trace_folder import through_latest
from harness.trace.sources import open_trace

__all__ = ["command"]

_LEFT = 1


@click.command(short_help="show what a line grammar understands of a log")
@click.argument("log", type=click.Path(path_type=Path))
@lines_option
@key_option
@json_option
def command(log: Path, lines: Grammar | None, key: Key | None, as_json: bool) -> int:
    """Show what a line grammar understands of LOG: how many lines fit each form, and which fit none.

    LOG is a text log of what a driver printed, or a trace, whose lines are read again. Without --lines it is
    read by the grammar that a trace was recorded with, or by that of the project's driver.

    \b
    Examples:
      procnotify lines windbg.log --lines mydriver.lines.yaml
      procnotify lines traces/latest/notepad-launch-1.jsonl --lines mydriver.lines.yaml --json

    \b
    Exit codes:
      0  every line fits a form, is to be ignored or is the guest helper's
      1  lines are left that fit nothing
      2  the grammar or the command line is wrong
      3  the log cannot be read, or has no line in it
    """
    source = told(open_trace(through_latest(log), lines, key))
    grammar = lines or recorded_grammar(source.header.lines, source.path)
    found = Understanding(grammar)
    found.feed(read_again(source, grammar))
    if not found.lines:
        raise TraceError(f"{log}: there is no line in it", hint="was the driver heard?")
    code = _LEFT if found.left else 0
    _show(log, grammar, found, to_stderr=as_json)
    if as_json:
        facts = described(grammar)
        print_json(
            exit_code=code,
            log=log,
            grammar={"name": facts["name"], "sha256": facts["sha256"]},
            lines=found.lines,
            forms=[{**_form(form), "count": found.counts[form]} for form in grammar.forms],
            overlaps=[
                {"read_by": _form(form), "fits_too": _form(other), "count": count}
                for (form, other), count in found.overlaps.items()
            ],
            markers=found.markers,
            ignored=found.ignored,
            left=found.left,
            left_lines=[_left(line) for line in found.left_lines],
        )
    return code


def _form(form: Form) -> dict[str, object]:
    return {"kind": form.kind, "line": form.line, "text": form.text}


def _left(line: LeftLine) -> dict[str, object]:
    return {"number": line.number, "line": line.line, **line.misfit._asdict()}


def _show(log: Path, grammar: Grammar, found: Understanding, *, to_stderr: bool) -> None:
    say = partial(click.echo, err=to_stderr)
    say(one_line(f"{log}: {found.lines} lines, read by {grammar.name}"))
    for form in grammar.forms:
        say(one_line(f"{found.counts[form]:>8}  {form.kind}, line {form.line}: {form.text}"))
    say(f"{found.markers:>8}  of the guest helper")
    say(f"{found.ignored:>8}  ignored")
    say(f"{found.left:>8}  left")
    for (form, other), count in found.overlaps.items():
        say(
            f"{count} line(s) that the form on line {form.line} read ({form.kind}) fit the one on line"
            f" {other.line} ({other.kind}), too"
        )
    for line in found.left_lines:
        say(one_line(f"line {line.number} {line.misfit}: {line.line}"))
    if found.left > len(found.left_lines):
        say(f"and {found.left - len(found.left_lines)} more")
