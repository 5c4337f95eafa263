"""What the commands that mine instances have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from harness.cli._reading import told
from harness.errors import UsageError
from harness.events import WitnessName
from harness.kd.kdnet import Key
from harness.lines import Grammar
from harness.mining.instances import Instance
from harness.mining.relations import Miner, Relations
from harness.mining.roles import NamedEvent, named
from harness.mining.selection import FORMS, Selection, parse_selections
from harness.runs.trace_folder import through_latest
from harness.trace.sources import open_trace
from harness.verdict.instances import Instances

__all__ = [
    "instances_option",
    "mine_traces",
    "partial_option",
    "select_option",
    "trace_files",
]

_TRACES_TOLD, _INSTANCES_TOLD = 100, 10_000
"""After so many it is said how far it is."""


def _selection(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> Selection:
    return parse_selections(value)


select_option = click.option(
    "--select",
    "selection",
    multiple=True,
    callback=_selection,
    metavar="WHAT",
    help=f"What an instance is: {FORMS} (docs/mining.md). Without it each scenario run.",
)
"""``--select``: the command is called with ``selection``."""


def _instances(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> Selection | None:
    return parse_selections(value) if value else None


instances_option = click.option(
    "--select",
    "selection",
    multiple=True,
    callback=_instances,
    metavar="WHAT",
    help=f"Judge instance by instance: {FORMS} (docs/mining.md).",
)
"""``--select``, where without it the whole trace is meant: ``selection`` is None then."""
partial_option = click.option(
    "--partial",
    is_flag=True,
    help="Take what there is of a trace with lines missing; what is missing looks like another order.",
)


def mine_traces(
    paths: Iterable[Path],
    selection: Selection,
    *,
    grammar: Grammar | None,
    witness: WitnessName | None,
    partial: bool,
    key: Key | None = None,
    take: Callable[[Path, Instance, list[NamedEvent]], None] | None = None,
) -> tuple[Relations, Instances]:
    """Mine traces, one after the other, and say on standard error how far it is.

    :param key: of the KDNET sessions in network captures.
    :param take: is given each instance besides.
    :raises UsageError: they hold no instance.
    """
    found = Instances(selection, grammar=grammar, witness=witness, partial=partial)
    miner = Miner()
    outside = 0
    every = trace_files(paths)
    for number, path in enumerate(every, 1):
        if number % _TRACES_TOLD == 0:
            click.echo(f"procnotify: {number} of {len(every)} traces, {found.count} instances", err=True)
        for instance in found.of(told(open_trace(path, grammar, key))):
            events, beyond = named(instance.events, instance.pid)
            outside += beyond
            if found.count % _INSTANCES_TOLD == 0:
                click.echo(f"procnotify: {found.count} instances", err=True)
            miner.add([(event.name, event.by) for event in events])
            if take is not None:
                take(path, instance, events)
    if not found.count:
        raise UsageError(found.explain_none(every), hint="see --select in docs/mining.md")
    if outside:
        found.notes.append(f"left out: {outside} events of processes that began before their window")
    return miner.relations(frozenset(found.unordered)), found


def trace_files(paths: Iterable[Path]) -> list[Path]:
    """The traces; a folder stands for those (``*.jsonl``) in it, in the order of their names.

    :raises UsageError: there is none in a folder.
    """
    found: list[Path] = []
    for path in map(through_latest, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(path.glob("*.jsonl"))
        if not inside:
            raise UsageError(f"the folder {path} holds no trace (*.jsonl)")
        found += inside
    return found
