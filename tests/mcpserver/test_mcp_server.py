"""The server in a process of its own, asked by the protocol's own client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from this_system import SHELL

from harness.toolchain import Arch, build_driver, default_driver

ROOT = Path(__file__).resolve().parents[2]
DRIVER = ROOT / "tests" / "drivers" / "swaps_parent_and_child"
ARGV = ("-m", "harness", "mcp", "--timeout", "120", "--folder")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project: two drivers and a scenario."""
    default_driver()
    shutil.copyfile(default_driver().path, tmp_path / "ours.sys")
    build_driver(DRIVER, Arch.X64, tmp_path / "swaps.sys")
    shutil.copyfile(ROOT / "scenarios" / "create-thread.yaml", tmp_path / "thread.yaml")
    return tmp_path


def test_an_agent_finds_out_what_a_driver_does_wrong(mcp: ModuleType, folder: Path) -> None:
    import anyio
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    server = StdioServerParameters(
        command=sys.executable, args=[*ARGV, str(folder)], cwd=str(ROOT), env={**os.environ}
    )
    answers: dict[str, Any] = {}

    async def ask() -> None:
        async with Client(server, read_timeout_seconds=180) as client:
            answers["tools"] = {tool.name for tool in (await client.list_tools()).tools}

            async def call(tool: str, **arguments: object) -> Any:
                found = await client.call_tool(tool, arguments)
                text = "".join(part.text for part in found.content)
                return text if found.is_error else json.loads(text)

            answers["load"] = await call("load", driver="ours.sys")
            answers["run"] = await call("run", scenarios=["thread.yaml"], driver="swaps.sys", seeds=1)
            trace = answers["run"]["results"][0]["trace"]
            answers["explain"] = await call("explain", trace=trace, scenario="thread.yaml")
            answers["show"] = await call("show", trace=trace, processes=["actor.exe"], details=True)
            answers["explore"] = await call(
                "explore", scenario="thread.yaml", driver="swaps.sys", seeds=2, first_seed=3
            )
            (failure, *_) = answers["explore"]["failures"]
            answers["debug"] = await call(
                "debug", replay=failure["replay"], event=5, commands=["r rip", "lm"], driver="swaps.sys"
            )
            answers["outside"] = await call("show", trace="../../etc/passwd")
            answers["missing"] = await call("run", scenarios=["nowhere.yaml"])
            answers["option"] = await call("show", trace=trace, processes=["-x"])
            answers["seeds"] = await call("run", scenarios=["thread.yaml"], seeds=0)

    anyio.run(ask)
    assert answers["tools"] == {"load", "run", "explain", "show", "explore", "debug"}
    assert answers["load"]["outcome"] == "passed" and answers["load"]["tree"]
    assert answers["run"]["results"][0]["outcome"] == "broken promise"
    assert "not found: process_create" in answers["explain"]["check"]["explanation"]
    assert "actor.exe" in {row["program"] for row in answers["show"]["processes"]}
    assert answers["explore"]["seeds"] == [3, 4] and answers["explore"]["failed"] == 2
    assert [answer["event"] for answer in answers["debug"]["commands"]] == [5, 5]
    assert "rip=" in answers["debug"]["commands"][0]["output"]
    assert "outside of the folder" in answers["outside"]
    assert "there is no nowhere.yaml" in answers["missing"]
    assert "is not taken" in answers["option"]
    assert "give 1 to 10000" in answers["seeds"]
    assert (folder / "traces" / "latest").exists() and (folder / "replays").is_dir()


@SHELL
def test_ctrl_c_ends_the_server_and_the_output_is_the_protocol_alone(mcp: ModuleType, folder: Path) -> None:
    asked = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    with subprocess.Popen(
        [sys.executable, *ARGV, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        assert answer["result"]["serverInfo"]["name"] == "procnotify"
        server.send_signal(signal.SIGINT)
        rest, said = server.communicate(timeout=60)
    assert (server.returncode, rest) == (130, ""), said
