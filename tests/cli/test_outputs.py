"""No option writes over what is read, over what another writes, or over what is no file."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from launches import write_trace

from harness.cli import cli
from harness.errors import UsageError
from harness.events import ProcessCreate
from harness.files import write_whole

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "create-thread.yaml"
GRAMMAR = 'lines: own\nsummary: One form.\nprefix: "my: "\nforms:\n  - process_exit: "- {pid:d}"\n'
READ = ("t.jsonl", "s.yaml", "l.yaml", "d.sys")
CHECK = ("check", "t.jsonl", "s.yaml", "--lines", "l.yaml")
RUN = ("run", "s.yaml", "--driver", "d.sys", "--debugger", "none", "--lines", "l.yaml")
MATRIX = ("matrix", ".", "--driver", "d.sys")
SHOW = ("show", "t.jsonl", "--lines", "l.yaml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_trace(Path("t.jsonl"), [ProcessCreate(index=0, pid=8, parent_pid=4)])
    shutil.copyfile(SCENARIO, "s.yaml")
    Path("l.yaml").write_text(GRAMMAR, encoding="utf-8", newline="\n")
    Path("d.sys").write_bytes(b"MZ")
    return tmp_path


def refused(*words: str) -> str:
    before = {name: Path(name).read_bytes() for name in READ}
    result = CliRunner().invoke(cli, words, standalone_mode=False)
    assert isinstance(result.exception, UsageError), result.output
    assert {name: Path(name).read_bytes() for name in READ} == before
    return str(result.exception)


@pytest.mark.parametrize(
    ("command", "option", "file"),
    [
        *((CHECK, "--html", file) for file in READ[:3]),
        *((RUN, option, file) for option in ("--html", "--junit") for file in READ[1:]),
        *((MATRIX, option, file) for option in ("--html", "--junit") for file in ("s.yaml", "d.sys")),
        *(
            (SHOW, option, file)
            for option in ("--html", "--csv", "--perfetto")
            for file in ("t.jsonl", "l.yaml")
        ),
        (SHOW, "--parquet", "t.jsonl"),
    ],
)
def test_what_is_read_is_not_written_over(
    folder: Path, command: tuple[str, ...], option: str, file: str
) -> None:
    assert refused(*command, option, f"./{file}").startswith(
        f"{option} would write over {file}, which is read"
    )


def test_two_options_do_not_write_one_file(folder: Path) -> None:
    assert refused(*RUN, "--html", "r", "--junit", "r").startswith("--junit and --html both write r")


@pytest.mark.parametrize("option", ["--html", "--junit"])
def test_a_folder_is_no_file(folder: Path, option: str) -> None:
    assert refused(*RUN, option, ".").startswith(f"{option} cannot write .: it is there, and is no file")


@pytest.mark.skipif(sys.platform == "win32", reason="the file system has no FIFOs")
def test_a_named_pipe_is_no_file(folder: Path) -> None:
    os.mkfifo("pipe")
    assert "it is there, and is no file" in refused(*CHECK, "--html", "pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="not everybody may make links there")
def test_a_link_is_followed_to_the_file_that_is_written(folder: Path) -> None:
    Path("real").write_text("old", encoding="utf-8")
    Path("link").symlink_to("real")
    write_whole(Path("link"), b"new")
    assert Path("link").is_symlink() and Path("real").read_bytes() == b"new"
    Path("over").symlink_to("t.jsonl")
    assert "would write over over, which is read" in refused(*CHECK, "--html", "over")
