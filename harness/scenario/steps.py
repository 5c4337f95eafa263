"""Reading the ``steps`` of a scenario."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.scenario.model import (
    CreateRemoteThread,
    CreateThread,
    Exit,
    FreeLibrary,
    Inject,
    Launch,
    LoadDriver,
    LoadLibrary,
    RepeatSteps,
    Settle,
    Sleep,
    Step,
    Terminate,
    UnloadDriver,
    Variable,
)
from harness.scenario.nodes import ListNode, MapNode, Node, ScalarNode, Source

__all__ = ["MAX_STEPS", "STEPS", "StepReader", "read_variable"]

MAX_STEPS = 100_000
"""Steps of a scenario, repetitions counted."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VARIABLE = re.compile(r"\$([a-z][a-z0-9_]*(?:\.tid)?)")
_MAX_ID = (1 << 32) - 1

STEPS = (
    "launch",
    "terminate",
    "create_thread",
    "create_remote_thread",
    "load_library",
    "free_library",
    "inject",
    "sleep",
    "exit",
    "settle",
    "load_driver",
    "unload_driver",
    "repeat",
)
"""What a step may be."""


def read_variable(source: Source, node: Node, text: str) -> Variable:
    """The variable that a text beginning with ``$`` names."""
    match = _VARIABLE.fullmatch(text)
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
        self._count = 0

    def read(self, node: Node) -> tuple[Step, ...]:
        """The steps of a ``steps`` list."""
        return tuple(self._step(item, 1) for item in self._source.list(node, "steps"))

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
        if self._count > MAX_STEPS:
            source.fail(node, f"more than {MAX_STEPS} steps, repetitions counted")
        if key == "repeat":
            return self._repeat(value, node.line, rounds)
        readers: dict[str, Callable[[Node, int], Step]] = {
            "launch": self._launch,
            "terminate": self._terminate,
            "create_thread": self._create_thread,
            "create_remote_thread": self._create_remote_thread,
            "load_library": self._load_library,
            "free_library": self._free_library,
            "inject": self._inject,
            "sleep": self._sleep,
            "exit": self._exit,
            "settle": self._settle,
            "load_driver": self._load_driver,
            "unload_driver": self._unload_driver,
        }
        return readers[key](value, node.line)

    def _launch(self, node: Node, line: int) -> Step:
        entries = self._entries(node, "launch", "image", ("args", "as", "by"))
        image = self._source.text(entries["image"], "image")
        args = self._args(entries["args"]) if "args" in entries else ()
        name = self._bind(entries, "as", line, tid=True)
        return Launch(line=line, image=image, args=args, bind=name, by=self._bind(entries, "by", line))

    def _args(self, node: Node) -> tuple[str, ...]:
        if not isinstance(node, ListNode):
            self._source.fail(node, "args must be a list")
        texts = []
        for item in node.items:
            value = item.value if isinstance(item, ScalarNode) else None
            if isinstance(value, bool) or not isinstance(value, int | str):
                self._source.fail(item, "an argument must be a text or a number")
            texts.append(str(value))
        return tuple(texts)

    def _terminate(self, node: Node, line: int) -> Step:
        entries = self._entries(node, "terminate", "process", ("code", "by"))
        process = self._process(entries["process"])
        code = self._number(entries, "code", 0, _MAX_ID, default=0)
        return Terminate(line=line, process=process, code=code, by=self._bind(entries, "by", line))

    def _create_thread(self, node: Node, line: int) -> Step:
        entries = self._source.mapping(node, "create_thread", optional=("as", "by"))
        name = self._bind(entries, "as", line)
        return CreateThread(line=line, bind=name, by=self._bind(entries, "by", line))

    def _create_remote_thread(self, node: Node, line: int) -> Step:
        entries = self._entries(node, "create_remote_thread", "process", ("as", "by"))
        process = self._process(entries["process"])
        name = self._bind(entries, "as", line)
        return CreateRemoteThread(line=line, process=process, bind=name, by=self._bind(entries, "by", line))

    def _load_library(self, node: Node, line: int) -> Step:
        entries = self._entries(node, "load_library", "path", ("times", "by"))
        path = self._source.text(entries["path"], "path")
        times = self._number(entries, "times", 1, 1000, default=1)
        return LoadLibrary(line=line, path=path, times=times, by=self._bind(entries, "by", line))

    def _free_library(self, node: Node, line: int) -> Step:
        entries = self._entries(node, "free_library", "path", ("by",))
        path = self._source.text(entries["path"], "path")
        return FreeLibrary(line=line, path=path, by=self._bind(entries, "by", line))

    def _inject(self, node: Node, line: int) -> Step:
        entries = self._source.mapping(node, "inject", required=("process", "dll"), optional=("as", "by"))
        process = self._process(entries["process"])
        dll = self._source.text(entries["dll"], "dll")
        name = self._bind(entries, "as", line)
        return Inject(line=line, process=process, dll=dll, bind=name, by=self._bind(entries, "by", line))

    def _sleep(self, node: Node, line: int) -> Step:
        entries = self._entries(node, "sleep", "for", ("by",))
        duration = self._source.duration(entries["for"], "sleep")
        return Sleep(line=line, duration=duration, by=self._bind(entries, "by", line))

    def _exit(self, node: Node, line: int) -> Step:
        entries = self._entries(node, "exit", "code", ("by",))
        code = self._number(entries, "code", 0, _MAX_ID, default=0)
        return Exit(line=line, code=code, by=self._bind(entries, "by", line))

    def _settle(self, node: Node, line: int) -> Step:
        entries = self._source.mapping(node, "settle", required=("quiet", "max"))
        quiet = self._source.duration(entries["quiet"], "quiet")
        maximum = self._source.duration(entries["max"], "max")
        if quiet > maximum:
            self._source.fail(node, "settle can never be quiet for longer than its max")
        return Settle(line=line, quiet=quiet, maximum=maximum)

    def _load_driver(self, node: Node, line: int) -> Step:
        self._source.mapping(node, "load_driver")
        return LoadDriver(line=line)

    def _unload_driver(self, node: Node, line: int) -> Step:
        self._source.mapping(node, "unload_driver")
        return UnloadDriver(line=line)

    def _repeat(self, node: Node, line: int, rounds: int) -> Step:
        entries = self._source.mapping(node, "repeat", required=("times", "steps"))
        times = self._source.integer(entries["times"], "times", minimum=1, maximum=MAX_STEPS)
        steps = tuple(
            self._step(item, rounds * times) for item in self._source.list(entries["steps"], "steps")
        )
        return RepeatSteps(line=line, times=times, steps=steps)

    def _entries(self, node: Node, what: str, main: str, optional: tuple[str, ...]) -> dict[str, Node]:
        """The entries of a mapping, or ``{main: node}`` for a step written with its one value only."""
        if isinstance(node, ScalarNode) and node.value is not None:
            return {main: node}
        required = () if what == "exit" else (main,)
        known = (main, *optional) if what == "exit" else optional
        return self._source.mapping(node, what, required=required, optional=known)

    def _number(self, entries: dict[str, Node], key: str, minimum: int, maximum: int, *, default: int) -> int:
        if key not in entries:
            return default
        return self._source.integer(entries[key], key, minimum=minimum, maximum=maximum)

    def _bind(self, entries: dict[str, Node], key: str, line: int, *, tid: bool = False) -> str | None:
        if key not in entries:
            return None
        node = entries[key]
        name = self._source.text(node, key).removeprefix("$")
        if not _NAME.fullmatch(name):
            self._source.fail(
                node, f"'{name}' is not a name", hint="small letters, digits and _, a letter first"
            )
        if name == "agent":
            self._source.fail(node, "'agent' is bound by the first step", hint="take another name")
        if name in self._bound:
            self._source.fail(node, f"'{name}' is already bound on line {self._bound[name]}")
        self._bound[name] = line
        if tid:
            self._bound[f"{name}.tid"] = line
        return name

    def _process(self, node: Node) -> Variable | int:
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return self._source.integer(node, "process", minimum=1, maximum=_MAX_ID)
        text = self._source.text(node, "process")
        variable = read_variable(self._source, node, text if text.startswith("$") else f"${text}")
        if variable.name not in self._bound:
            self._source.fail(
                node,
                f"no earlier step has bound '{variable.name}'",
                hint=self._source.suggest(variable.name, self._bound) if self._bound else "bind it with as:",
            )
        return variable
