"""The schema of documents and what commands print: each fits it, and it names every command and every key."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from printed_documents import mistakes_in, schema

from harness.cli import cli
from harness.events import ImageLoad, ProcessCreate
from harness.report.json_document import JSON_FORMAT
from harness.schemas.documents import DOCUMENTS, FORMAT
from harness.toolchain import default_driver
from harness.trace.format import Header, encode

ROOT = Path(__file__).resolve().parents[2]
THREAD = str(ROOT / "scenarios" / "create-thread.yaml")
LAUNCH = str(ROOT / "scenarios" / "notepad-launch.yaml")
DIRECT = ("--debugger", "none")


def leaves(command: click.Command, name: str = "") -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield name.strip()
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        below = command.get_command(context, word)
        assert below is not None
        yield from leaves(below, f"{name} {word}")


def test_every_command_has_its_document() -> None:
    assert set(DOCUMENTS) == set(leaves(cli)) - {"mcp"}  # whose answers are those of others
    assert FORMAT == JSON_FORMAT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What commands are given: traces, a log, a grammar, a driver, a driver's source."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "ours.sys").write_bytes(default_driver().path.read_bytes())
    text = CliRunner().invoke(cli, ["new", "grammar"]).stdout
    (folder / "mine.lines.yaml").write_text(text, encoding="utf-8", newline="\n")
    log = "[mydriver] process 8 ended\n[mydriver] what is this\n"
    (folder / "windbg.log").write_text(log, encoding="utf-8", newline="\n")
    run("run", LAUNCH, *DIRECT, "--seeds", "1-2", "--keep-traces", "all", "--trace-dir", str(folder))
    for seed in (1, 2):
        trace = next(folder.glob(f"2*/notepad-launch-{seed}.jsonl"))
        (folder / f"{seed}.jsonl").write_bytes(trace.read_bytes())
    return folder


def run(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, [*words], standalone_mode=False)
    text = done.stdout
    if "--json" not in words:
        return {}
    document = json.loads(text)
    assert isinstance(document, dict)
    return document


# Those that docs/json.md has as examples are held to the schema there: matrix, doctor, driver build.
CASES = [
    ("run", ["run", THREAD, *DIRECT, "--trace-dir", "t"]),
    ("run", ["run", "nowhere"]),
    ("run", ["run", THREAD, *DIRECT, "--fail-calls", "--trace-dir", "t"]),
    ("try", ["try", "ours.sys"]),
    ("explore", ["explore", THREAD, "--seeds", "2", "--cpus", "1", "--trace-dir", "t"]),
    ("check", ["check", "1.jsonl", LAUNCH]),
    ("check", ["check", "1.jsonl", THREAD, "--strict"]),
    ("show", ["show", "1.jsonl", "-v"]),
    ("convert", ["convert", "1.jsonl", "copy.jsonl"]),
    ("compare", ["compare", "1.jsonl", "2.jsonl"]),
    ("diff", ["diff", "1.jsonl", "2.jsonl", "--select", "image=notepad.exe"]),
    ("lines", ["lines", "windbg.log", "--lines", "mine.lines.yaml"]),
    ("lint", ["lint", THREAD, "mine.lines.yaml"]),
    ("lint", ["lint", "--schema", "documents"]),
    ("new scenario", ["new", "scenario"]),
    ("new grammar", ["new", "grammar"]),
    ("new machine", ["new", "machine", "--out", "lab.yaml"]),
    ("new ci", ["new", "ci", "--github", "--folder", "project"]),
    ("driver verify", ["driver", "verify", "ours.sys"]),
    ("keygen", ["keygen"]),
    ("prepare", ["prepare", "--print", "install", "--host-ip", "10.0.2.2"]),
    ("pykd where", ["pykd", "where"]),
]


@pytest.mark.parametrize(("command", "words"), CASES, ids=lambda case: str(case)[:40])
def test_a_document_fits(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: list[str]
) -> None:
    monkeypatch.chdir(folder)
    document = run(*words, "--json")
    assert document["command"] == command
    assert mistakes_in(document) == []


def test_what_was_mined_fits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    select = ["--select", "image=notepad.exe"]
    done = CliRunner().invoke(cli, ["mine", "1.jsonl", "2.jsonl", *select, "--json", "-"])
    assert mistakes_in(json.loads(done.stdout)) == []
    assert mistakes_in(run("check", "1.jsonl", LAUNCH, *select, "--json")) == []


TEXT_IN_A_VARIABLE = """\
scenario: first-image
summary: The first image of a process is its own.
steps:
  - sleep: 1ms
expect:
  order:
    - process_create: {pid: $p, image: $image}
    - image_load: {pid: $p, image: $image}
"""


def test_a_variable_may_be_a_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    created = ProcessCreate(index=0, pid=8, parent_pid=4, image=r"C:\a.exe", seq=0)
    loaded = ImageLoad(index=1, pid=8, image=r"C:\a.exe", base=0, size=1, seq=1)
    Path("image.yaml").write_text(TEXT_IN_A_VARIABLE, encoding="utf-8")
    Path("image.jsonl").write_bytes(b"".join(map(encode, (Header(), created, loaded))))
    document = run("check", "image.jsonl", "image.yaml", "--partial", "--json")
    (witness,) = document["check"]["witnesses"]
    assert witness["bindings"] == {"image": r"C:\a.exe", "p": 8}
    assert mistakes_in(document) == []


def test_a_document_that_was_altered_does_not_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take each key away, give each value another type, add a key: none of it passes."""
    monkeypatch.chdir(folder)
    document = run("check", "1.jsonl", LAUNCH, "--json")
    assert mistakes_in(document) == []
    for key in document:
        missing = {name: value for name, value in document.items() if name != key}
        assert mistakes_in(missing), key
        assert mistakes_in({**document, key: [object.__name__, 1.5]}), key
    assert mistakes_in({**document, "other": 1})
    deep = copy.deepcopy(document)
    deep["check"]["witnesses"][0]["matches"][0]["event"] = "first"
    assert mistakes_in(deep)
    assert mistakes_in({"format": JSON_FORMAT, "command": "nonsense", "exit_code": 0})


def test_a_reader_may_let_unknown_keys_pass() -> None:
    """The published schema refuses no key that it does not know: a later version may add some."""
    assert "additionalProperties" not in schema()["$defs"]["document_of_run"]["anyOf"][1]
