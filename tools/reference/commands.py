"""The command line, from click's own objects."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import click

from harness.cli import cli
from tools.reference.markdown import escaped, fenced, table

__all__ = ["draw_commands", "leaves"]


def leaves(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        sub = command.get_command(context, word)
        assert sub is not None, word
        yield from leaves(sub, f"{name} {word}".strip())


def _help(text: str) -> Iterator[str]:
    """The paragraphs of a help text; those that click does not wrap are blocks."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if not paragraph.startswith("\b\n"):
            yield escaped(" ".join(paragraph.split()))
            continue
        head, _, block = paragraph.removeprefix("\b\n").partition("\n")
        if not head.endswith(":"):
            head, block = "", f"{head}\n{block}"
        yield "\n\n".join(filter(None, [escaped(head), block and fenced(textwrap.dedent(block).rstrip())]))


def _written(option: click.Option) -> str:
    if option.is_flag or option.count:
        value = ""
    elif isinstance(option.type, click.Choice):
        value = option.metavar or f"[{'|'.join(map(str, option.type.choices))}]"
    else:
        value = option.metavar or option.type.name.upper()
    names = ", ".join([*option.opts, *option.secondary_opts])
    return f"`{' '.join([names, value]).strip()}`".replace("|", "\\|")


def _command(words: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"procnotify {words}")
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    parts = [
        f"## {words}",
        fenced(" ".join([context.info_name or "", *command.collect_usage_pieces(context)])),
        *_help(command.help or ""),
    ]
    if options:
        rows = [[_written(option), escaped(option.help or "")] for option in options]
        parts.append(table(["option", "does"], rows))
    return "\n\n".join(parts)


def draw_commands() -> str:
    """Every command: how it is called, what it does, its exit codes and its options."""
    return "\n\n".join(_command(words, command) for words, command in leaves(cli))
