"""The tools, and the server that offers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

import harness
from harness.errors import ProcnotifyError, UsageError
from harness.mcpserver.bounds import bounded
from harness.mcpserver.calls import call_command
from harness.mcpserver.confinement import confined
from harness.report.text import one_line

__all__ = ["MAX_SEEDS", "serve_tools"]

MAX_SEEDS: Final = 10_000
"""Runs of one call."""
MAX_ITEMS: Final = 64
"""Paths, debugger commands, filters of one call."""
_INSTRUCTIONS: Final = """\
Tests the process, thread and image notify callbacks of a Windows driver on a virtual target, without Windows.
Begin with `load` (what does this .sys do?) or `run` (does it keep what the scenarios promise?).
A run's `trace` is what `explain` and `show` take; `explore` looks for interleavings that break the driver
and writes replay files, which `debug` takes. Answers are procnotify's JSON documents; `cut` says what was
left out."""


def serve_tools(folder: Path, *, seconds: float) -> None:
    """Offer the tools over standard input and output until that is closed.

    :param folder: the tools read and write below it alone.
    :param seconds: how long one call may take.
    :raises KeyboardInterrupt: Ctrl-C; what ran was ended.
    """
    tools = _Tools(folder.resolve(), seconds)
    server = MCPServer(
        "procnotify", version=harness.__version__, instructions=_INSTRUCTIONS, log_level="WARNING"
    )
    for tool in (tools.load, tools.run, tools.explain, tools.show, tools.explore, tools.debug):
        server.add_tool(tool, structured_output=False)
    server.run("stdio")


class _Tools:
    """Each method is a tool; its docstring and its parameters are what a client is told of it."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._alone = anyio.Lock()

    async def load(self, driver: Annotated[str, "path of the .sys"]) -> dict[str, Any]:
        """Load a driver on the virtual target, let processes, threads and images come and go, and tell what
        it did: its callbacks as a tree with the driver's prints, broken standing rules, a bugcheck."""
        return await self._answer(lambda: ["try", self._path(driver)])

    async def run(
        self,
        scenarios: Annotated[list[str], "scenario files, or folders of them"],
        driver: Annotated[str, "path of the .sys; empty: the project's, or procnotify's own"] = "",
        first_seed: int = 1,
        seeds: Annotated[int, "how many seeds, one run of each scenario for each"] = 1,
        policy: Annotated[str, "default, random, urw, pct, pos; empty: the scenario's own"] = "",
        lines: Annotated[str, "line grammar file of the driver's lines; empty: the scenario's own"] = "",
    ) -> dict[str, Any]:
        """Run scenarios on the virtual target and judge the order of the driver's callbacks."""

        def words() -> list[str]:
            found = ["run", *self._paths(scenarios), "--debugger", "none", "--machine", "virtual"]
            found += ["--keep-traces", "all" if self._number("seeds", seeds, 1, MAX_SEEDS) == 1 else "failed"]
            last = self._number("first_seed", first_seed, 0, 10**15) + seeds - 1
            found += ["--seeds", f"{first_seed}-{last}", *self._written("--trace-dir", "traces")]
            found += self._option("--driver", driver) + self._option("--lines", lines)
            return found + (["--policy", self._word("policy", policy)] if policy else [])

        return await self._answer(words)

    async def explain(
        self,
        trace: Annotated[str, "a trace that a run wrote, or another recording"],
        scenario: Annotated[str, "the scenario to hold it to"],
        lines: Annotated[str, "line grammar file, for a text log; empty: the scenario's own"] = "",
    ) -> dict[str, Any]:
        """Hold a recorded trace to a scenario; `check.explanation` says what it breaks and where."""
        return await self._answer(
            lambda: [
                *("check", self._path(trace), self._path(scenario), "--partial"),
                *self._option("--lines", lines),
            ]
        )

    async def show(
        self,
        trace: Annotated[str, "a trace or another recording"],
        processes: Annotated[list[str] | None, "only of these: PIDs or names of programs"] = None,
        first: Annotated[str, "from this event index (812) or target time (30.5s) on"] = "",
        last: Annotated[str, "up to it"] = "",
        details: Annotated[bool, "list threads and images, not only their number"] = False,
    ) -> dict[str, Any]:
        """The processes of a recording, each with its parent, threads, images and life."""

        def words() -> list[str]:
            found = ["show", self._path(trace), *(["-v"] if details else [])]
            for name in self._few("processes", processes or []):
                found.append(f"--process={self._word('processes', name)}")
            found += [f"--from={self._word('first', first)}"] if first else []
            return found + ([f"--to={self._word('last', last)}"] if last else [])

        return await self._answer(words)

    async def explore(
        self,
        scenario: Annotated[str, "a scenario file"],
        driver: Annotated[str, "path of the .sys; empty: the project's, or procnotify's own"] = "",
        seeds: Annotated[int, "how many schedules"] = 100,
        first_seed: int = 1,
        policy: Annotated[str, "urw, random, pct, pos"] = "urw",
    ) -> dict[str, Any]:
        """Look for interleavings that break the driver; a replay file is written for each cause."""

        def words() -> list[str]:
            found = ["explore", self._path(scenario), "--policy", self._word("policy", policy)]
            found += ["--seeds", str(self._number("seeds", seeds, 1, MAX_SEEDS))]
            found += ["--seed", str(self._number("first_seed", first_seed, 0, 10**15))]
            found += [*self._written("--trace-dir", "traces"), *self._written("--out", "replays")]
            return [*found, "--quiet", *self._option("--driver", driver)]

        return await self._answer(words)

    async def debug(
        self,
        replay: Annotated[str, "a replay file; it has the scenario and the seed"],
        event: Annotated[int, "the index of the event to stand before"],
        commands: Annotated[list[str], "of the built-in debugger: lm, r, db, dd, dq"],
        driver: Annotated[str, "path of the .sys; empty: procnotify's own"] = "",
    ) -> dict[str, Any]:
        """Do the run of a replay file again, stop before one of its events, run debugger commands there."""

        def words() -> list[str]:
            found = ["debug", "--replay", self._path(replay), "--debugger", "native"]
            found += ["--at", str(self._number("event", event, 0, 10**12))]
            for command in self._few("commands", commands):
                found += ["-c", self._word("commands", command)]
            return found + self._option("--driver", driver)

        return await self._answer(words)

    async def _answer(self, words: Callable[[], list[str]]) -> dict[str, Any]:
        """The command's document; what it could not do is the tool's error."""
        try:
            command = words()
            async with self._alone:
                document = await call_command(command, self._folder, seconds=self._seconds)
        except ProcnotifyError as error:
            raise ToolError(one_line(str(error))) from None
        if "error" in document and set(document) <= {"format", "command", "exit_code", "error"}:
            raise ToolError(str(document["error"]))
        return bounded(document)

    def _path(self, text: str) -> str:
        path = confined(self._folder, text)
        if not (self._folder / path).exists():
            raise UsageError(f"there is no {text}", hint=f"paths begin at {self._folder}")
        return str(Path(".", path)) if not str(path).startswith("-") else f"./{path}"

    def _paths(self, texts: Sequence[str]) -> list[str]:
        if not texts:
            raise UsageError("there is no path", hint="give one at least")
        return [self._path(text) for text in self._few("paths", texts)]

    def _option(self, option: str, text: str) -> list[str]:
        return [option, self._path(text)] if text else []

    def _written(self, option: str, name: str) -> list[str]:
        """An option for a folder of ours to write into, which may be a link to another one below."""
        return [option, str(confined(self._folder, name))]

    @staticmethod
    def _few(name: str, texts: Sequence[str]) -> Sequence[str]:
        if len(texts) > MAX_ITEMS:
            raise UsageError(f"{name} has {len(texts)} items", hint=f"give {MAX_ITEMS} at most")
        return texts

    @staticmethod
    def _word(name: str, text: str) -> str:
        if not text or len(text) > 200 or text.startswith("-") or any(ord(c) < 32 for c in text):
            raise UsageError(
                f"{name}: {text[:80]!r} is not taken", hint="1 to 200 characters, no leading '-'"
            )
        return text

    @staticmethod
    def _number(name: str, value: int, least: int, most: int) -> int:
        if not least <= value <= most:
            raise UsageError(f"{name} is {value}", hint=f"give {least} to {most}")
        return value
