"""Reading the ``steps`` of a scenario."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.actions import ACTIONS, MAX_DWORD, MAX_GUEST_FILE, Action, ActionField, FieldType
from harness.controlcodes import control_code
from harness.errors import ScenarioError
from harness.files import leads_out
from harness.scenario.buffers import read_buffer, read_expected_bytes
from harness.scenario.model import (
    ActionValue,
    ActorStep,
    ExpectedAnswer,
    LoadDriver,
    RepeatSteps,
    Settle,
    Step,
    UnloadDriver,
    Variable,
)
from harness.yamlfile.nodes import ListNode, MapNode, Node, ScalarNode, Source

__all__ = ["HARNESS_STEPS", "MAX_STEPS", "NAME", "STEPS", "VARIABLE", "StepReader", "read_variable"]

MAX_STEPS = 100_000
"""Steps of a scenario, repetitions counted."""

_OWN_FILES = ("actor.exe", "probe.dll")
NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What ``as:`` and ``by:`` bind."""
VARIABLE = re.compile(r"\$([a-z][a-z0-9_]*(?:\.tid)?)")

HARNESS_STEPS: dict[str, tuple[str, str]] = {
    "settle": ("{quiet: 300ms, max: 10s}", "waits until the guest has been quiet"),
    "load_driver": ("", "here, instead of before the first step"),
    "unload_driver": ("", "here, instead of after the last step"),
    "repeat": ("{times, steps}", "the steps again and again; names are bound anew in each round"),
}
"""Steps that no helper does: key → (how its value is written, what it does)."""

STEPS = (*ACTIONS, *HARNESS_STEPS)
"""What a step may be."""


def read_variable(source: Source, node: Node, text: str) -> Variable:
    """The variable that a text beginning with ``$`` names."""
    match = VARIABLE.fullmatch(text)
    if match is None:
        source.fail(
            node, f"'{text}' is not a variable", hint="write $name or $name.tid: small letters, digits and _"
        )
    return Variable(match[1])


class StepReader:
    """Reads steps in order, for a step may use only names that an earlier one has bound.

    :param source: whose errors these are.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._bound: dict[str, int] = {}  # name → line of the step that bound it
        self._devices: set[str] = set()
        self._files: dict[str, Path] = {}  # name in the guest → where it comes from
        self._count = 0
        self._unsure: set[str] = set()

    @property
    def unsure(self) -> frozenset[str]:
        """What the steps that could not be read would have bound."""
        return frozenset(self._unsure)

    def read(self, node: Node) -> tuple[Step, ...]:
        """The steps of a ``steps`` list."""
        return self._steps(node, 1)

    def _steps(self, node: Node, rounds: int) -> tuple[Step, ...]:
        def read(item: Node) -> Step:
            noted = len(self._source.mistakes)
            try:
                return self._step(item, rounds)
            except ScenarioError:
                noted = -1
                raise
            finally:
                if noted != len(self._source.mistakes):
                    self._unsure |= {"agent", *_names_in(item)}

        return self._source.each(self._source.list(node, "steps"), read)

    def _step(self, node: Node, rounds: int) -> Step:
        source = self._source
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            key, value = node.value, MapNode({}, {}, node.line)
            if key not in STEPS:
                source.fail(node, f"unknown step '{key}'", hint=source.suggest(key, STEPS))
        else:
            key, found = source.single(node, "step", STEPS)
            empty = isinstance(found, ScalarNode) and found.value is None
            value = MapNode({}, {}, found.line) if empty else found  # type: ignore[assignment]
        self._count += rounds
        if self._count > MAX_STEPS >= self._count - rounds:
            source.fail(node, f"more than {MAX_STEPS} steps, repetitions counted")
        if key in ACTIONS:
            return self._action(ACTIONS[key], value, node.line)
        match key:
            case "repeat":
                return self._repeat(value, node.line, rounds)
            case "settle":
                return self._settle(value, node.line)
            case "load_driver":
                source.mapping(value, key)
                return LoadDriver(line=node.line)
            case _:
                source.mapping(value, key)
                return UnloadDriver(line=node.line)

    def _action(self, action: Action, node: Node, line: int) -> ActorStep:
        entries = self._entries(action, node)
        values = self._source.each(action.fields, lambda field: self._value(field, entries.get(field.name)))
        suffixes = tuple(suffix for suffix, _ in action.binds)
        status = self._status(entries)
        name = self._bind(entries, "as", line, suffixes)
        by = self._bind(entries, "by", line)
        if name is not None and any(field.type is FieldType.DEVICE_NAME for field in action.fields):
            self._devices.add(name)
        answer = self._answer(action, entries)
        return ActorStep(
            line=line, action=action, values=values, bind=name, by=by, status=status, answer=answer
        )

    def _answer(self, action: Action, entries: dict[str, Node]) -> ExpectedAnswer:
        """What the driver is to answer."""
        source, output, returned = self._source, None, None
        if "output" in entries:
            output = read_expected_bytes(source, entries["output"], "output")
        if "returned" in entries:
            returned = source.integer(entries["returned"], "returned", minimum=0, maximum=MAX_DWORD)
        code = None
        if "code" in entries and "code" in action.answer:
            code = source.integer(entries["code"], "code", minimum=0, maximum=MAX_DWORD)
        return ExpectedAnswer(output, returned, code)

    def _status(self, entries: dict[str, Node]) -> int:
        """The Win32 error that a step is to end with; 0 where it is to succeed."""
        node = entries.get("status")
        if node is None:
            return 0
        status = self._source.integer(node, "status", minimum=1, maximum=MAX_DWORD)
        if "as" in entries:
            self._source.fail(
                entries["as"],
                f"a step that ends with status {status} makes nothing to name",
                hint="leave 'as' out",
            )
        return status

    def _entries(self, action: Action, node: Node) -> dict[str, Node]:
        """The entries of a mapping, or of a step that is written with its main value only."""
        if action.main is not None and isinstance(node, ScalarNode) and node.value is not None:
            return {action.main: node}
        required = [field.name for field in action.fields if field.required]
        optional = [field.name for field in action.fields if not field.required]
        names = ["as", "by", "status"] if action.binds else ["by", "status"]
        return self._source.mapping(
            node, action.key, required=required, optional=[*optional, *action.answer, *names]
        )

    def _value(self, field: ActionField, node: Node | None) -> ActionValue:
        source, what = self._source, field.called or field.name
        if field.type is FieldType.BUFFER:
            return read_buffer(source, node, what)
        if node is None:
            return () if field.type is FieldType.ARGUMENTS else field.default
        match field.type:
            case FieldType.PROCESS:
                return self._process(node)
            case FieldType.DEVICE:
                return self._device(node)
            case FieldType.FILE:
                return self._file(node)
            case FieldType.CONTROL_CODE:
                return self._control_code(node)
            case FieldType.FLAG:
                return int(source.boolean(node, what))
            case FieldType.NUMBER:
                return source.integer(node, what, minimum=field.minimum, maximum=field.maximum)
            case FieldType.DURATION:
                return source.duration(node, what)
            case FieldType.ARGUMENTS:
                return self._args(node)
            case _:
                return source.text(node, what)

    def _args(self, node: Node) -> tuple[str, ...]:
        if not isinstance(node, ListNode):
            self._source.fail(node, "args must be a list")
        return self._source.each(node.items, self._argument)

    def _argument(self, node: Node) -> str:
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, bool) or not isinstance(value, int | str):
            self._source.fail(node, "an argument must be a text or a number")
        return str(value)

    def _settle(self, node: Node, line: int) -> Step:
        entries = self._source.mapping(node, "settle", required=("quiet", "max"))
        quiet = self._source.duration(entries["quiet"], "quiet")
        maximum = self._source.duration(entries["max"], "max")
        if quiet > maximum:
            self._source.fail(node, "settle can never be quiet for longer than its max")
        return Settle(line=line, quiet=quiet, maximum=maximum)

    def _repeat(self, node: Node, line: int, rounds: int) -> Step:
        entries = self._source.mapping(node, "repeat", required=("times", "steps"))
        times = self._source.integer(entries["times"], "times", minimum=1, maximum=MAX_STEPS)
        steps = self._steps(entries["steps"], rounds * times)
        return RepeatSteps(line=line, times=times, steps=steps)

    def _bind(
        self, entries: dict[str, Node], key: str, line: int, suffixes: tuple[str, ...] = ("",)
    ) -> str | None:
        if key not in entries:
            return None
        node = entries[key]
        name = self._source.text(node, key).removeprefix("$")
        if not NAME.fullmatch(name):
            self._source.fail(
                node, f"'{name}' is not a name", hint="small letters, digits and _, a letter first"
            )
        if name == "agent":
            self._source.fail(node, "'agent' is bound by the first step", hint="take another name")
        if name in self._bound:
            self._source.fail(node, f"'{name}' is already bound on line {self._bound[name]}")
        self._bound.update((name + suffix, line) for suffix in suffixes)
        return name

    def _process(self, node: Node) -> Variable | int:
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return self._source.integer(node, "process", minimum=1, maximum=MAX_DWORD)
        return self._bound_variable(node, "process")

    def _device(self, node: Node) -> Variable:
        """A name that an open_device has bound."""
        variable = self._bound_variable(node, "device")
        if variable.name not in self._devices and variable.name not in self._unsure:
            self._source.fail(
                node,
                f"'{variable.name}' is not a device",
                hint=r"open it by an earlier step: open_device: {name: \\.\Name, as: " + variable.name + "}",
            )
        return variable

    def _file(self, node: Node) -> str:
        """The path of a file for the guest, where a relative one is looked for beside the scenario."""
        source, text = self._source, self._source.text(node, "file")
        path = source.path.parent / text
        name = path.name.casefold()
        if name in _OWN_FILES:
            source.fail(node, f"{path.name} is a file of the guest helper", hint="rename yours")
        if self._files.setdefault(name, path) != path:
            source.fail(node, f"two files for the guest are called {path.name}", hint="rename one of them")
        problem = ""
        if leads_out(path):
            problem = "lies outside of the folder that this command is held to"
        elif not path.is_file() or path.stat().st_size > MAX_GUEST_FILE:
            problem = f"is no file of at most {MAX_GUEST_FILE} bytes"
        if problem:
            source.fail(node, f"{path} {problem}")
        return str(path)

    def _control_code(self, node: Node) -> int:
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return self._source.integer(node, "code", minimum=0, maximum=MAX_DWORD)
        text = self._source.text(node, "code")
        try:
            return control_code(text)
        except ValueError as error:
            cut = text.startswith("CTL_CODE(") and ")" not in text
            hint = 'inside { } it needs quotation marks: code: "CTL_CODE(...)"' if cut else ""
            self._source.fail(node, str(error), hint=hint)

    def _bound_variable(self, node: Node, what: str) -> Variable:
        text = self._source.text(node, what)
        variable = read_variable(self._source, node, text if text.startswith("$") else f"${text}")
        if variable.name not in self._bound and variable.name not in self._unsure:
            self._source.fail(
                node,
                f"no earlier step has bound '{variable.name}'",
                hint=self._source.suggest(variable.name, self._bound) if self._bound else "bind it with as:",
            )
        return variable


def _names_in(node: Node) -> Iterator[str]:
    """Every name that a step with a mistake in it, or one inside it, may have been meant to bind."""
    match node:
        case MapNode(entries=entries):
            for key, value in entries.items():
                match value:
                    case ScalarNode(value=str(name)) if key in ("as", "by"):
                        name = name.removeprefix("$")
                        yield from (name, f"{name}.tid")
                    case _:
                        yield from _names_in(value)
        case ListNode(items=items):
            for item in items:
                yield from _names_in(item)
