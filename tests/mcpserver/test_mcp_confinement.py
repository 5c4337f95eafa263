"""What lies in the folder of the tools does not lead them out of it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from this_system import SHELL

from harness.errors import GrammarError, ScenarioError
from harness.files import CONFINING_VARIABLE, leads_out
from harness.grammars import BUILTIN, load_grammar
from harness.scenario import load, parse
from harness.toolchain import default_actor, default_driver

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = (ROOT / "scenarios" / "create-thread.yaml").read_text(encoding="utf-8")
OUTSIDE = "lies outside of the folder"
PUTS_A_FILE = """\
scenario: puts-a-file
summary: A program of one's own.
steps:
  - run: {file: ../out/secret.exe}
observe: true
"""


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that this process is held to; `out` beside it has a line grammar and a program."""
    folder, out = tmp_path / "in", tmp_path / "out"
    for made in (folder, out):
        made.mkdir()
    shutil.copyfile(BUILTIN, out / "secret.lines.yaml")
    (out / "secret.exe").write_bytes(b"MZ")
    (folder / "thread.yaml").write_text(SCENARIO, encoding="utf-8", newline="\n")
    (folder / "leads-out.yaml").write_text(
        f"{SCENARIO}\nlines: ../out/secret.lines.yaml\n", encoding="utf-8", newline="\n"
    )
    monkeypatch.setenv(CONFINING_VARIABLE, str(folder))
    return folder


def test_no_file_outside_is_read_for_a_scenario(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScenarioError, match=OUTSIDE):
        load(inside / "leads-out.yaml")
    with pytest.raises(ScenarioError, match=OUTSIDE):
        parse(PUTS_A_FILE, inside / "puts.yaml")
    with pytest.raises(GrammarError, match=OUTSIDE):
        load_grammar(inside / ".." / "out" / "secret.lines.yaml")
    assert load(inside / "thread.yaml").name == "create-thread"
    assert load_grammar(BUILTIN).name == "procnotify"
    monkeypatch.delenv(CONFINING_VARIABLE)
    assert load(inside / "leads-out.yaml").lines is not None
    assert parse(PUTS_A_FILE, inside / "puts.yaml").steps


@SHELL
def test_a_scenario_that_is_a_link_leads_out_too(inside: Path) -> None:
    (inside / "link.yaml").symlink_to(ROOT / "scenarios" / "create-thread.yaml")
    (inside / "same.yaml").symlink_to(inside / "thread.yaml")
    with pytest.raises(ScenarioError, match=OUTSIDE):
        load(inside / "link.yaml")
    assert not leads_out(inside / "same.yaml")


def ask(folder: Path, calls: Sequence[tuple[str, dict[str, object]]]) -> list[Any]:
    """What the tools answer: a document, or the text of the error."""
    import anyio
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    argv = ["-m", "harness", "mcp", "--timeout", "120", "--folder", str(folder)]
    server = StdioServerParameters(command=sys.executable, args=argv, cwd=str(ROOT), env={**os.environ})
    answers: list[Any] = []

    async def converse() -> None:
        async with Client(server, read_timeout_seconds=180) as client:
            for tool, arguments in calls:
                found = await client.call_tool(tool, arguments)
                text = "".join(part.text for part in found.content)
                answers.append(text if found.is_error else json.loads(text))

    anyio.run(converse)
    return answers


@SHELL
def test_the_tools_take_no_project_file_and_follow_no_link_out(
    mcp: ModuleType, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_actor()
    default_driver()
    monkeypatch.delenv(CONFINING_VARIABLE)  # it is the server's to set
    for folder, driver in ((inside.parent, "out/theirs.sys"), (inside, "../out/theirs.sys")):
        (folder / "procnotify.toml").write_text(f'driver = "{driver}"', encoding="utf-8")
    passed, leads = ask(
        inside, [("run", {"scenarios": ["thread.yaml"]}), ("run", {"scenarios": ["leads-out.yaml"]})]
    )
    assert [result["outcome"] for result in passed["results"]] == ["passed"]
    assert OUTSIDE in leads
    assert "status" not in leads, "nothing of the file is told"
    shutil.rmtree(inside / "traces")
    before = sorted(inside.parent.joinpath("out").iterdir())
    for name in ("traces", "replays"):
        (inside / name).symlink_to(inside.parent / "out")
    answers = ask(
        inside,
        [("run", {"scenarios": ["thread.yaml"]}), ("explore", {"scenario": "thread.yaml", "seeds": 1})],
    )
    assert all("outside of the folder" in answer for answer in answers), answers
    assert sorted(inside.parent.joinpath("out").iterdir()) == before
