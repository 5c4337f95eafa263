"""One recording whose target chose its names to harm its readers, through every door that shows it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.debuggers.base import Release
from harness.errors import TraceError
from harness.events import Event, ImageLoad, Marker, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.outcome import Outcome
from harness.report.ci.summary import summary_markdown
from harness.report.junit import write_junit
from harness.report.showing.spreadsheet import MAX_CELL
from harness.runs.result import RunResult
from harness.trace import Header, TraceWriter
from harness.verdict.judge import Verdict

NAMES = (
    "<script>alert(1)</script>",
    "\"'`$(x) %PATH% &amp; ]]>",
    "\u202egnp.exe",
    "\u2066a\u2069\u200f\u2028b\u2029",
    "n" * 32_767,
    "half \ufffd\uffff\ufffe",
    "\x1b[2J\x00\x07\r\n\t\x85\x9b31m",
    "::error file=x::y",
    "##vso[task.complete result=Succeeded;]",
    "=cmd|'/C calc'!A0",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "\ufeff=cmd",
    "\u200b \u00ad@SUM(A1)",
    "\uff1d1",
    "a\\b;=1+1;\u00a0+b.dll",
    'a";"=1+1"',
    ';";"";-1',
    "| a | b |\n|---|---|",
    "[x](javascript:alert(1)) <img src=x onerror=y>",
)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")
"""What a terminal obeys, what turns or ends a line, what XML has no character for."""
FORMULA = re.compile('[\\s"\u00ad\u200b-\u200f\u2060\ufeff]*[=+@\uff0b\uff0d\uff1d\uff20-]')
"""What a spreadsheet computes, behind what it does not see."""
COMMAND = re.compile(r"^\s*::|##\[|##vso\[", re.MULTILINE)


def events() -> list[Event]:
    found: list[Event] = [
        ProcessCreate(index=0, pid=8, parent_pid=4, creating_pid=4, image="calc.exe", time=1),
        *(ImageLoad(index=0, pid=8, image=rf"\Device\{name}", time=2) for name in NAMES),
        ProcessExit(index=0, pid=8, time=3),
    ]
    for number, name in enumerate(NAMES, 10):
        found += [
            ProcessCreate(index=0, pid=number, parent_pid=4, creating_pid=4, image=name, time=number * 100),
            ThreadCreate(index=0, pid=number, tid=number + 1000, creating_pid=4),
            ImageLoad(index=0, pid=number, image=rf"\Device\{name}", base=0xFFFFF80330000000 + number),
            Marker(index=0, action="launch", phase="begin", step=1, pid=number),
            ThreadExit(index=0, pid=number, tid=number + 1000),
            ProcessExit(index=0, pid=number, image=name, time=number * 100 + 50),
        ]
    return [
        type(event)(**{**{key: getattr(event, key) for key in event.__struct_fields__}, "index": index})
        for index, event in enumerate(found)
    ]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "hostile.jsonl"
    with TraceWriter(path, Header()) as writer:
        writer.write(events())
        writer.finish(complete=True, outcome="passed")
    return path


def call(*words: object) -> Result:
    done = CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def shown(*words: str) -> Callable[[Path, Path], str]:
    return lambda trace, folder: call("show", trace, *words).output


def checked(trace: Path, folder: Path) -> str:
    scenario = folder / "s.yaml"
    text = "scenario: s\nsummary: s\nsteps: [{settle: {quiet: 1ms, max: 1s}}]\n"
    text += "expect:\n  order:\n    - image_load: {image: not-there.dll}\n"
    scenario.write_text(text, encoding="utf-8", newline="\n")
    return call("check", trace, scenario, "-v").output


def exported(option: str, suffix: str) -> Callable[[Path, Path], str]:
    def text(trace: Path, folder: Path) -> str:
        call("show", trace, option, folder / f"f{suffix}")
        return (folder / f"f{suffix}").read_text(encoding="utf-8")

    return text


def mined(trace: Path, folder: Path) -> str:
    words = ("--ocel", folder / "o.json", "--json", folder / "m.json", "--svg", folder / "m.svg")
    said = call("mine", trace, "--select", "image=calc.exe", *words).output
    ElementTree.parse(folder / "m.svg")
    texts = [(folder / name).read_text(encoding="utf-8") for name in ("o.json", "m.json")]
    assert all(isinstance(json.loads(text), dict) for text in texts)
    return "\n".join([said, *texts])


def new_scenario(trace: Path, folder: Path) -> str:
    return call("new", "scenario", "--from", trace, "--process", "calc.exe").output


def results() -> list[RunResult]:
    left = Release(True, "its clock moved")
    return [
        RunResult(
            "s", Path("s.yaml"), seed, Verdict(Outcome.BROKEN, f"no {name}", notes=(name,)), release=left
        )
        for seed, name in enumerate(NAMES)
    ]


def junit(trace: Path, folder: Path) -> str:
    write_junit(folder / "j.xml", results())
    ElementTree.parse(folder / "j.xml")
    return (folder / "j.xml").read_text(encoding="utf-8")


DOORS: dict[str, Callable[[Path, Path], str]] = {
    "tree": shown(),
    "verbose tree": shown("-v"),
    "table": shown("--table"),
    "json": shown("-v", "--json"),
    "followed": shown("--follow"),
    "beside itself": lambda trace, folder: call("show", trace, trace).output,
    "check": checked,
    "csv": exported("--csv", ".csv"),
    "perfetto": exported("--perfetto", ".json"),
    "mine": mined,
    "new scenario": new_scenario,
    "junit": junit,
}


@pytest.mark.parametrize("door", DOORS)
def test_nobody_who_reads_it_obeys_it(door: str, trace: Path, tmp_path: Path) -> None:
    text = DOORS[door](trace, tmp_path)
    assert text
    assert OBEYED.search(text) is None
    if door not in ("json", "perfetto", "mine"):  # read by programs; each line of theirs begins otherwise
        assert COMMAND.search(text) is None


def test_no_cell_is_a_formula_and_every_row_is_a_line(trace: Path, tmp_path: Path) -> None:
    text = exported("--csv", ".csv")(trace, tmp_path)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(events()) == len(text.splitlines()) - 1
    assert {len(row) for row in rows} == {len(text.splitlines()[0].split(","))}
    cells = [cell for row in rows for cell in row.values()]
    for delimiter in ",;":
        read = [cell for row in csv.reader(io.StringIO(text), delimiter=delimiter) for cell in row]
        assert not [cell for cell in read if FORMULA.match(cell)]
    assert max(map(len, cells)) == MAX_CELL
    images = {row["image"] for row in rows}
    assert {"'=cmd|'/C calc'!A0", "'-2", "'@SUM(A1)", "\\t=1", NAMES[0]} <= images
    assert {row["base"] for row in rows if row["kind"] == "image_load"} >= {"0xfffff8033000000a"}


def test_a_document_says_the_names_as_they_are(trace: Path, tmp_path: Path) -> None:
    processes = json.loads(call("show", trace, "--json").stdout)["processes"]
    programs = {process["program"] for process in processes}
    assert {NAMES[2], NAMES[3], "@SUM(A1)"} <= programs


def test_the_step_summary_keeps_names_inside_of_their_cells() -> None:
    text = summary_markdown(results())
    assert "<script>" not in text and "<img" not in text
    assert OBEYED.search(text) is None


def test_half_a_surrogate_pair_is_damage(tmp_path: Path, trace: Path) -> None:
    lines = trace.read_bytes().splitlines(keepends=True)
    half = {"kind": "process_create", "index": 0, "pid": 8, "image": "\ud800"}
    path = tmp_path / "half.jsonl"
    path.write_bytes(b"".join([lines[0], json.dumps(half).encode() + b"\n", *lines[2:]]))
    with pytest.raises(TraceError, match=r"half\.jsonl:2: damaged"):
        call("show", path)


def test_a_parquet_table_has_the_names_as_they_are(pyarrow: ModuleType, trace: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    call("show", trace, "--parquet", tmp_path / "f.parquet")
    images = parquet.read_table(tmp_path / "f.parquet").column("image").to_pylist()
    assert set(NAMES) <= set(images)
