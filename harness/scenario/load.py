"""A scenario file becomes a :class:`~harness.scenario.model.Scenario`, or an error with file and line."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from harness.errors import GrammarError, ScenarioError
from harness.grammars import load_grammar
from harness.lines import Grammar
from harness.printmasks import COMPONENTS, DEFAULT, MAX_MASK, check_mask, component_of
from harness.scenario.expect import read_expectations, read_requires
from harness.scenario.keys import OPTIONAL_KEYS, REQUIRED_KEYS
from harness.scenario.model import Scenario, Step, names_of
from harness.scenario.rules import RULES
from harness.scenario.steps import StepReader
from harness.scenario.variables import Names
from harness.standingrules import STANDING_RULES
from harness.yamlfile.nodes import MapNode, Node, Source
from harness.yamlfile.parse import parse_yaml, read_text

__all__ = ["MAX_PROCESSORS", "MAX_SEED", "NAME", "load", "parse"]

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
"""Of a scenario."""
MAX_SEED = (1 << 63) - 1


def load(path: Path) -> Scenario:
    """Read a scenario file.

    :raises ScenarioError: it cannot be read or is wrong; with file, line and the way out. Of several mistakes
        it is the first, which carries the others.
    """
    return parse(read_text(Source(path, ScenarioError)), path)


def parse(text: str, path: Path) -> Scenario:
    """The scenario in ``text``; ``path`` is for its errors.

    :raises ScenarioError: the first mistake in it, which carries the others.
    """
    source = Source(path, ScenarioError)
    return source.read_all(lambda: _read(source, text))


MAX_PROCESSORS: Final = 8
"""As many as the virtual target can have."""


def _read(source: Source, text: str) -> Scenario:
    root = parse_yaml(text, source)
    entries = source.mapping(root, "scenario", optional=(*REQUIRED_KEYS, *OPTIONAL_KEYS))
    if not source.mistakes:  # else a key that is unknown may well stand for it
        for key in REQUIRED_KEYS:
            if key not in entries and not (key == "expect" and "observe" in entries):
                source.note(root, f"scenario lacks '{key}'")
    reader = StepReader(source)
    steps: tuple[Step, ...] = source.entry(entries, "steps", reader.read, ())
    names = Names(names_of(steps), reader.unsure)
    return Scenario(
        path=source.path,
        name=source.entry(entries, "scenario", lambda node: _name(source, node), ""),
        line=source.entry(entries, "scenario", lambda node: node.line, 1),
        summary=source.entry(entries, "summary", lambda node: source.text(node, "summary"), ""),
        steps=steps,
        expect=source.entry(entries, "expect", lambda node: read_expectations(source, node, names), ()),
        observe=source.entry(entries, "observe", lambda node: _observe(source, node, entries), False),
        lifecycle_off=source.entry(
            entries, "lifecycle", lambda node: _off(source, node, "lifecycle", RULES), frozenset()
        ),
        seed=source.entry(entries, "seed", lambda node: _seed(source, node), None),
        profile=source.entry(entries, "profile", lambda node: source.text(node, "profile"), None),
        policy=source.entry(entries, "policy", lambda node: source.text(node, "policy"), None),
        processors=source.entry(entries, "processors", lambda node: _processors(source, node), None),
        print_masks=source.entry(entries, "print_mask", lambda node: _print_masks(source, node), {}),
        lines=source.entry(entries, "lines", lambda node: _lines(source, node), None),
        requires=source.entry(entries, "requires", lambda node: read_requires(source, node), ()),
        rules_off=source.entry(
            entries, "rules", lambda node: _off(source, node, "rules", STANDING_RULES), frozenset()
        ),
    )


def _lines(source: Source, node: Node) -> Grammar:
    """The grammar in a file, whose path is relative to the scenario's folder."""
    path = source.path.parent / source.text(node, "lines")
    try:
        return load_grammar(path)
    except GrammarError as error:
        source.fail(node, f"the line grammar {error}")


def _name(source: Source, node: Node) -> str:
    name = source.text(node, "scenario")
    if not NAME.fullmatch(name):
        source.fail(node, f"'{name}' is not a name for a scenario", hint="small letters, digits and -")
    return name


def _observe(source: Source, node: Node, entries: Mapping[str, Node]) -> bool:
    if not source.boolean(node, "observe"):
        source.fail(node, "'observe' can only be true", hint="leave it out, and say what to expect")
    if "expect" in entries:
        source.fail(node, "'observe: true' expects nothing", hint="keep it or 'expect', not both")
    return True


def _seed(source: Source, node: Node) -> int:
    return source.integer(node, "seed", minimum=0, maximum=MAX_SEED)


def _processors(source: Source, node: Node) -> int:
    return source.integer(node, "processors", minimum=1, maximum=MAX_PROCESSORS)


def _print_masks(source: Source, node: Node) -> dict[str, int]:
    """``0xf``, which is the mask of DEFAULT, or component by component."""
    if not isinstance(node, MapNode):
        return {DEFAULT: _mask(source, DEFAULT, node)}
    masks: dict[str, int] = {}
    for name, value in node.entries.items():
        component = component_of(name)
        if component is None:
            source.fail(
                value, f"no component '{name}' in print_mask", hint=source.suggest(name.upper(), COMPONENTS)
            )
        masks[component] = _mask(source, component, value)
    return masks


def _mask(source: Source, component: str, node: Node) -> int:
    mask = source.integer(node, "print_mask", minimum=0, maximum=MAX_MASK)
    try:
        check_mask(component, mask)
    except ValueError as error:
        source.fail(node, str(error))
    return mask


def _off(source: Source, node: Node, key: str, rules: Collection[str]) -> frozenset[str]:
    """``{off: [NAME, ...]}``, of those rules."""
    off = source.list(source.mapping(node, key, required=("off",))["off"], "off")

    kind = "standing" if rules is STANDING_RULES else key

    def rule(node: Node) -> str:
        name = source.text(node, "rule")
        if name not in rules:
            source.fail(node, f"unknown {kind} rule '{name}'", hint=source.suggest(name, rules))
        return name

    return frozenset(source.each(off, rule))
