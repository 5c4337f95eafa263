"""A scenario file becomes a :class:`~harness.scenario.model.Scenario`, or an error with file and line."""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import ScenarioError
from harness.files import read_file
from harness.scenario.expect import read_expectations
from harness.scenario.model import Scenario, names_of
from harness.scenario.nodes import MAX_FILE, Node, Source, parse_yaml
from harness.scenario.rules import RULES
from harness.scenario.steps import StepReader

__all__ = ["load", "parse"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_MAX_SEED = (1 << 63) - 1


def load(path: Path) -> Scenario:
    """Read a scenario file.

    :raises ScenarioError: it cannot be read or is wrong; with file, line and the way out.
    """
    try:
        data = read_file(path, limit=MAX_FILE)
    except OSError as error:
        raise ScenarioError(f"cannot be read: {error.strerror}", path=path, line=1) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ScenarioError("not UTF-8 text", path=path, line=line, hint="save the file as UTF-8") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Scenario:
    """The scenario in ``text``; ``path`` is for its errors."""
    source = Source(path)
    root = parse_yaml(text, source)
    entries = source.mapping(
        root,
        "scenario",
        required=("scenario", "summary", "expect"),
        optional=("steps", "lifecycle", "seed", "profile"),
    )
    name = source.text(entries["scenario"], "scenario")
    if not _NAME.fullmatch(name):
        source.fail(
            entries["scenario"], f"'{name}' is not a name for a scenario", hint="small letters, digits and -"
        )
    steps = StepReader(source).read(entries["steps"]) if "steps" in entries else ()
    return Scenario(
        path=path,
        name=name,
        summary=source.text(entries["summary"], "summary"),
        steps=steps,
        expect=read_expectations(source, entries["expect"], names_of(steps)),
        lifecycle_off=_lifecycle(source, entries["lifecycle"]) if "lifecycle" in entries else frozenset(),
        seed=_seed(source, entries["seed"]) if "seed" in entries else None,
        profile=source.text(entries["profile"], "profile") if "profile" in entries else None,
    )


def _seed(source: Source, node: Node) -> int:
    return source.integer(node, "seed", minimum=0, maximum=_MAX_SEED)


def _lifecycle(source: Source, node: Node) -> frozenset[str]:
    off = source.list(source.mapping(node, "lifecycle", required=("off",))["off"], "off")
    names = set()
    for item in off:
        name = source.text(item, "rule")
        if name not in RULES:
            source.fail(item, f"unknown lifecycle rule '{name}'", hint=source.suggest(name, RULES))
        names.add(name)
    return frozenset(names)
