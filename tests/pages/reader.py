"""The pages of the documentation as what a reader types: files to write, commands to run, output to compare.

What a block of a page is for stands in a comment before it, which nobody sees:

``<!-- file: NAME -->``
    the block is written to NAME, in the reader's folder
``<!-- edit: NAME -->``
    the block is a diff of whole lines, which are changed in NAME
``<!-- with: NAME... -->``
    the commands of the block, and of those after it, find these of :data:`GIVEN` in the folder
``<!-- not run: REASON -->``
    the commands of the block need what no test has; REASON is a key of :data:`ELSEWHERE`

A ``console`` block holds commands after ``$`` and what they print; ``...`` stands for any text in a line, and
alone on a line for any lines. Figures with a fraction, folders of traces and digests may differ.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from harness.toolchain import Arch, build_driver, default_driver

__all__ = [
    "ELSEWHERE",
    "GIVEN",
    "PAGES",
    "ROOT",
    "Block",
    "Command",
    "Reader",
    "blocks_of",
    "commands_of",
    "unlike",
]

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

ELSEWHERE = {
    "checkout": "installs a checkout or runs its tests, as CI does",
    "cluster": "needs the workers of a cluster",
    "debugger": "needs a debugger of another make",
    "driver": "names a driver, or a file that belongs to one, which only the reader has",
    "installs": "brings programs onto the machine",
    "long": "takes minutes",
    "machine": "needs a real machine or a virtual one",
    "recording": "names a recording that only the reader has",
    "signing": "needs a program that signs, and leaves a certificate behind",
    "target": "waits for a target or a debugger that somebody else starts",
}
"""Why commands of a page are not run here; other tests run the same on files of their own."""


def _scenarios(folder: Path) -> None:
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")


def _benchmarks(folder: Path) -> None:
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks")


def _mydriver(folder: Path) -> None:
    shutil.copyfile(default_driver().path, folder / "mydriver.sys")


def _swapped(folder: Path) -> None:
    build_driver(ROOT / "tests" / "drivers" / "swaps_parent_and_child", Arch.X64, folder / "swapped.sys")


GIVEN = {
    "benchmarks": _benchmarks,
    "mydriver.sys": _mydriver,
    "scenarios": _scenarios,
    "swapped.sys": _swapped,
}
"""What a reader may have to begin with."""

_NOTE = re.compile(r"<!-- (file|edit|not run|with): (.+?) -->\s*")
_PROGRAM = re.compile(r"(?:\S*/|\.venv\\Scripts\\)?(?:procnotify|pytest|python3?|pip|tox|py|sudo|eval) ")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x9b]")
_VARYING = [
    (re.compile(r"\d+\\\.\d+"), r"\\d+\\.\\d+"),
    (re.compile(r"\d{8}\\-\d{6}\\-[0-9a-f]{6}"), r"\\d{8}-\\d{6}-[0-9a-f]{6}"),
    (re.compile(r"[0-9a-f]{64}"), r"[0-9a-f]{64}"),
    (re.compile(r"(?:\\ )+"), r" +"),
]


@dataclass(frozen=True)
class Block:
    """A block of code on a page, with the comment before it."""

    page: str
    line: int
    """From 1."""
    language: str
    """Of its fence; empty without one."""
    text: str
    note: str
    """The key of the comment, such as ``file``; empty without one."""
    value: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a block and what the page says it prints."""

    words: str
    shown: str
    """Empty where the page shows nothing; then anything may be printed."""


def blocks_of(page: Path) -> Iterator[Block]:
    """Every block of code of the page, in its order."""
    note, value = "", ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            found = _NOTE.fullmatch(token.content)
            if found is None:
                continue
            note, value = found.groups()
        elif token.type in ("fence", "code_block"):
            yield Block(page.name, line, token.info.strip(), token.content, note, value)
            note, value = "", ""
        elif note:
            raise AssertionError(f"{page.name}:{line}: no block of code follows <!-- {note}: {value} -->")


def commands_of(block: Block) -> list[Command]:
    """The commands of the block; none where it holds something else."""
    if block.language == "console":
        _, *parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        return [Command(*part.partition("\n")[::2]) for part in parts]
    if block.language or block.note in ("file", "edit"):
        return []
    lines = block.text.splitlines()
    return [Command(line, "") for line in lines if _PROGRAM.match(line)]


def unlike(shown: str, printed: str) -> str:
    """What of the output that a page shows did not come; empty where it is as shown."""
    pattern = ""
    for line in shown.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
            continue
        part = re.escape(line.rstrip())
        for varying, any_such in _VARYING:
            part = varying.sub(any_such, part)
        pattern += part.replace(r"\.\.\.", ".*?") + r" *\n"
    if re.fullmatch(pattern, printed):
        return ""
    return f"the page shows:\n{shown}\nwhat came:\n{printed}"


class Reader:
    """Does what a page says, in a folder of its own; what a command says into a pipe has no control codes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._exit_code = 0

    def follow(self, block: Block) -> None:
        """Write the block's file or run its commands; AssertionError where it is not as shown."""
        if block.note == "file":
            path = self.folder / block.value
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8", newline="\n")
        elif block.note == "edit":
            self._edit(block)
        elif block.note != "not run":
            for name in block.value.split() if block.note == "with" else ():
                GIVEN[name](self.folder)
            for command in commands_of(block):
                self._run(command, block)

    def _edit(self, block: Block) -> None:
        path = self.folder / block.value
        text = path.read_text(encoding="utf-8")
        old = "".join(line[1:] for line in block.text.splitlines(True) if line[0] in "- ")
        new = "".join(line[1:] for line in block.text.splitlines(True) if line[0] in "+ ")
        assert text.count(old) == 1, f"{block.place}: {block.value} has not these lines once:\n{old}"
        path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")

    def _run(self, command: Command, block: Block) -> None:
        if command.words == "echo $?":
            assert command.shown == f"{self._exit_code}\n", f"{block.place}: exit code {self._exit_code}"
            self._exit_code = 0
            return
        assert self._exit_code == 0, (
            f"{block.place}: exit code {self._exit_code}, which the page does not show"
        )
        done = self.run(command.words)
        controls = _CONTROL.findall(done.stdout + done.stderr)
        assert not controls, f"{block.place}: $ {command.words}: control codes in a pipe: {controls}"
        self._exit_code = done.returncode
        if command.shown:
            wrong = unlike(command.shown, done.stdout or done.stderr)
            assert not wrong, f"{block.place}: $ {command.words}\n{wrong}\n{done.stderr}"

    def run(self, words: str) -> subprocess.CompletedProcess[str]:
        """What comes of a command in the reader's folder."""
        scripts = Path(sys.executable).parent
        return subprocess.run(
            words,
            shell=True,
            cwd=self.folder,
            env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )

    def end(self) -> None:
        """The last command succeeded, or the page shows its exit code."""
        assert self._exit_code == 0, f"the page does not show the exit code {self._exit_code}"
