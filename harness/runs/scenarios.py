"""Finding scenario files: those that are named, and those below a folder that is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ScenarioError, UsageError, UserFileError
from harness.scenario import Scenario, load
from harness.yamlfile.finding import is_begun_by, yaml_files_below

__all__ = ["Found", "find_scenarios", "is_scenario", "load_scenarios"]


@dataclass(frozen=True)
class Found:
    """The scenario files that some paths mean."""

    scenarios: tuple[Path, ...]
    """Each once, in the order of the paths, those of a folder sorted."""
    left_aside: tuple[Path, ...]
    """YAML files below a folder whose first key is not ``scenario``."""


def find_scenarios(paths: Sequence[Path]) -> Found:
    """The scenario files that ``paths`` name: a file itself, of a folder every scenario in it and below it.

    :raises UsageError: there is no such file, or a folder has none.
    """
    found: dict[tuple[int, int], Path] = {}
    aside: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = list(yaml_files_below(path))
            scenarios = [file for file in inside if is_scenario(file)]
            aside |= dict.fromkeys(file for file in inside if file not in scenarios)
            if not scenarios:
                others = f"; {len(inside)} YAML file(s) there begin with another key" if inside else ""
                raise UsageError(
                    f"no scenario (*.yaml, *.yml) in the folder {path}{others}",
                    hint="the first key of a scenario file is 'scenario'",
                )
        elif path.exists():
            scenarios = [path]
        else:
            raise UsageError(f"there is no file or folder {path}", hint="give scenario files or folders")
        for file in scenarios:
            status = file.stat()
            found.setdefault((status.st_dev, status.st_ino), file)
    return Found(tuple(found.values()), tuple(aside))


def load_scenarios(paths: Sequence[Path]) -> tuple[list[Scenario], list[UserFileError]]:
    """Every scenario, and every mistake in those that have some."""
    scenarios: list[Scenario] = []
    errors: list[UserFileError] = []
    for path in paths:
        try:
            scenarios.append(load(path))
        except ScenarioError as error:
            errors += error.mistakes
    return scenarios, errors


def is_scenario(path: Path) -> bool:
    """Whether the first key of a YAML file is ``scenario``. One that cannot be read is taken for a scenario,
    so that reading it says why not."""
    try:
        return is_begun_by(path, "scenario")
    except OSError:
        return True
