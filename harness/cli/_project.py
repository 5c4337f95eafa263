"""What the project's file says, as the defaults of a command's options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from harness.files import confining_folder
from harness.projectfile import ProjectFile, find_project_file, range_of_seeds

__all__ = ["PROJECT_COMMANDS", "project_file_of", "take_project_file"]

_KEY: Final = "harness.cli.project"


def _of_run(project: ProjectFile) -> dict[str, object]:
    return {
        "machine": project.machine,
        "debugger": project.debugger,
        "drivers": list(map(str, project.drivers)),
        "seeds": project.seeds,
        "trace_dir": project.trace_dir,
        "lines": project.lines,
    }


def _of_matrix(project: ProjectFile) -> dict[str, object]:
    """Its cells are calls of ``run``, which find the file again: seeds and lines are theirs."""
    return {
        "machines": [project.machine] if project.machine else [],
        "debuggers": [project.debugger] if project.debugger else [],
        "drivers": [str(project.drivers[-1])] if project.drivers else [],
        "trace_dir": project.trace_dir,
    }


def _of_explore(project: ProjectFile) -> dict[str, object]:
    found: dict[str, object] = {
        "drivers": list(map(str, project.drivers)),
        "trace_dir": project.trace_dir,
    }
    if project.seeds is not None:
        seeds = range_of_seeds(project.seeds)
        found["seed"], found["seeds"] = seeds.start, len(seeds)
    return found


def _of_try(project: ProjectFile) -> dict[str, object]:
    return {"driver": project.drivers[-1] if project.drivers else None}


def _lines(project: ProjectFile) -> dict[str, object]:
    return {"lines": project.lines}


PROJECT_COMMANDS: Final[Mapping[str, Callable[[ProjectFile], Mapping[str, object]]]] = {
    "run": _of_run,
    "matrix": _of_matrix,
    "explore": _of_explore,
    "try": _of_try,
    **dict.fromkeys(("check", "record", "show", "convert", "compare", "mine", "diff"), _lines),
}
"""Command → its parameters' defaults, of a project's file; the other commands take nothing from it."""


def take_project_file(ctx: click.Context, command: str) -> None:
    """Make what the project's file says the defaults of ``command``, which is about to be read.

    :param ctx: of the group.
    :raises ProjectFileError: there is one, and it is wrong.
    """
    if confining_folder() is not None:
        return  # whoever confines a command gives all that it needs
    values = PROJECT_COMMANDS.get(command)
    project = find_project_file(Path()) if values is not None else None
    if values is None or project is None:
        return
    ctx.meta[_KEY] = project
    said: dict[str, Any] = {name: value for name, value in values(project).items() if value}
    ctx.default_map = {command: said}


def project_file_of(ctx: click.Context) -> ProjectFile | None:
    """The project's file that gave defaults to the command that runs; None: there is none."""
    found = ctx.meta.get(_KEY)
    return found if isinstance(found, ProjectFile) else None
