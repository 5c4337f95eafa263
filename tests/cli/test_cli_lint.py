"""``procnotify lint``: every mistake with its place, and nothing that passes because nothing was read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import UsageError
from harness.schemas import PUBLISHED, schema_file

SCENARIO = "scenario: mine\nsummary: Mine.\nexpect:\n  never: [process_exit: any]\n"
GRAMMAR = 'lines: mine\nforms:\n  - process_exit: "gone {pid:d}"\n'
MACHINE = (
    "machine: lab\ntype: existing\nconnection: net:port=50000,key=1.2.3.4\n"
    "guest: {channel: qga, address: 127.0.0.1:4444}\n"
)


def linted(*words: object) -> Result:
    return CliRunner().invoke(cli, ["lint", *map(str, words)], standalone_mode=False)


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8", newline="\n")


def test_files_without_a_mistake(tmp_path: Path) -> None:
    write(tmp_path, a=SCENARIO, b=GRAMMAR, c=MACHINE, d="on: push\n")
    found = linted(tmp_path, tmp_path / "a.yaml")
    assert (found.return_value, found.exception) == (0, None)
    assert found.stdout.splitlines() == [
        "no mistake in 1 scenario, 1 machine file, 1 line grammar",
        "not read: 1 YAML file of another kind",
    ]


def test_every_mistake_of_every_file_is_told_with_its_place(tmp_path: Path) -> None:
    write(
        tmp_path,
        a=SCENARIO + "sed: 1\nprocessors: 9\n",
        b=GRAMMAR + "unit: word\n",
        c=MACHINE.replace("qga", "qgb"),
        d=SCENARIO,
    )
    found = linted(tmp_path, "--json")
    assert found.return_value == 2
    lines = found.stderr.splitlines()
    assert lines[0] == f"{tmp_path / 'a.yaml'}:5: unknown key 'sed' in scenario; did you mean 'seed'?"
    assert lines[-1] == "4 mistakes in 3 of 2 scenarios, 1 machine file, 1 line grammar"
    told = json.loads(found.stdout)
    assert [(Path(each["file"]).name, each["line"]) for each in told["mistakes"]] == [
        ("a.yaml", 5),
        ("a.yaml", 6),
        ("b.yaml", 4),
        ("c.yaml", 4),
    ]
    assert told["mistakes"][0]["hint"] == "did you mean 'seed'?"
    assert [each["kind"] for each in told["files"]] == ["scenario", "lines", "machine", "scenario"]
    assert (told["exit_code"], told["left_aside"]) == (2, [])


@pytest.mark.parametrize(
    "text",
    [
        "summary: Mine.\nlines: b.yaml\n" + SCENARIO.replace("summary: Mine.\n", ""),
        '{"scenario": mine, summary: Mine., expect: {never: [process_exit: any]}}\n',
    ],
)
def test_a_file_that_is_named_need_not_begin_with_its_kind(text: str, tmp_path: Path) -> None:
    write(tmp_path, a=text, b=GRAMMAR)
    assert linted(tmp_path / "a.yaml", "--json").return_value == 0


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, a="scenario: A\n")
    assert len(json.loads(linted(tmp_path / "a.yaml", tmp_path, "--json").stdout)["files"]) == 1


@pytest.mark.parametrize("name", ["", "nowhere", "other.yaml"])
def test_a_path_without_such_a_file_is_a_mistake(name: str, tmp_path: Path) -> None:
    write(tmp_path, other="on: push\n")
    found = linted(tmp_path / name)
    assert isinstance(found.exception, UsageError)
    assert found.stdout == ""


def test_without_a_path_nothing_is_said_to_be_right() -> None:
    assert CliRunner().invoke(cli, ["lint"]).exit_code == 2
    assert CliRunner().invoke(cli, ["lint", "--schema", "scenario", "a.yaml"]).exit_code == 2


@pytest.mark.parametrize("kind", PUBLISHED)
def test_where_a_schema_is(kind: str) -> None:
    assert linted("--schema", kind).stdout == f"{schema_file(kind)}\n"
    assert json.loads(linted("--schema", kind, "--json").stdout)["schema"] == str(schema_file(kind))
