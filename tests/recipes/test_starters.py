"""What ``procnotify new`` writes: commented files that pass ``lint`` and do their work as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.errors import UsageError
from harness.events import KINDS
from harness.trace.reader import TraceReader


def call(*words: str | Path) -> Result:
    done = CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done


def document(*words: str | Path) -> dict[str, object]:
    answer = json.loads(call(*words, "--json").stdout)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize(
    ("kind", "key"), [("scenario", "scenario"), ("grammar", "lines"), ("machine", "machine")]
)
def test_a_file_passes_lint_and_is_not_written_over(tmp_path: Path, kind: str, key: str) -> None:
    file = tmp_path / "mine.yaml"
    told = document("new", kind, "--out", file)
    assert told["written"] == [str(file)] and told["text"] == file.read_text(encoding="utf-8")
    assert sum(line.lstrip().startswith("#") for line in str(told["text"]).splitlines()) > 8
    assert document("lint", file)["files"] == [{"file": str(file), "kind": key}]
    file.write_text("mine\n", encoding="utf-8", newline="\n")
    with pytest.raises(UsageError, match="already; --force writes over it"):
        call("new", kind, "--out", file)
    assert file.read_text(encoding="utf-8") == "mine\n"
    call("new", kind, "--out", file, "--force")
    assert document("lint", file)["exit_code"] == 0


def test_the_scenario_runs_with_any_seed(tmp_path: Path) -> None:
    file = tmp_path / "first.yaml"
    file.write_text(call("new", "scenario").stdout, encoding="utf-8", newline="\n")
    told = document("run", file, "--debugger", "none", "--seeds", "1-10", "--trace-dir", tmp_path / "t")
    assert [result["outcome"] for result in told["results"]] == ["passed"] * 10


def test_the_grammar_reads_the_lines_above_its_forms(tmp_path: Path) -> None:
    text = call("new", "grammar").stdout
    printed = re.findall(r"^ +# (\[mydriver\] .*)$", text, re.MULTILINE)
    file, log = tmp_path / "mydriver.lines.yaml", tmp_path / "windbg.log"
    file.write_text(text, encoding="utf-8", newline="\n")
    log.write_text("".join(f"{line}\n" for line in printed), encoding="utf-8", newline="\n")
    told = document("lines", log, "--lines", file)
    assert [form["count"] for form in told["forms"]] == [1] * 6
    assert {form["kind"] for form in told["forms"]} == set(list(KINDS)[:6])
    assert (told["ignored"], told["left"]) == (1, 0)


def test_each_machine_has_a_key_of_its_own() -> None:
    keys = {re.findall(r"key[=:](\S+)", call("new", "machine").stdout)[-1] for _ in range(2)}
    assert len(keys) == 2 and "KEY" not in keys


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest traces of some scenarios."""
    folder = tmp_path_factory.mktemp("traces")
    names = ("inject", "wow64-process", "create-thread", "short-lived-process")
    scenarios = [Path("scenarios", f"{name}.yaml") for name in names]
    call("run", *scenarios, "--debugger", "none", "--trace-dir", folder, "-q")
    return folder / "latest"


@pytest.mark.parametrize("name", ["inject", "wow64-process"])
def test_a_recording_gives_a_scenario_that_holds(traces: Path, tmp_path: Path, name: str) -> None:
    file, trace = tmp_path / "recorded.yaml", traces / f"{name}-1.jsonl"
    call("new", "scenario", "--from", trace, "--out", file)
    assert document("lint", file)["exit_code"] == 0
    bindings = TraceReader(trace).footer.bindings
    again = tmp_path / "again"
    told = document("run", file, "--debugger", "none", "--seeds", "1-10", "--trace-dir", again)
    assert [result["outcome"] for result in told["results"]] == ["passed"] * 10
    pid = f"notepad={bindings.get('victim', bindings.get('program'))}"
    launcher = f"launcher={bindings['launcher']}"
    tid = f"notepad.tid={bindings.get('victim.tid', bindings.get('program.tid'))}"
    held = document("check", trace, file, "--bind", pid, "--bind", launcher, "--bind", tid)
    assert held["outcome"] == "passed"


def test_a_recording_with_a_broken_order_gives_one_that_does_not_hold(traces: Path, tmp_path: Path) -> None:
    file = tmp_path / "recorded.yaml"
    text = call("new", "scenario", "--from", traces / "inject-1.jsonl").stdout
    swapped = re.sub(r"(      - image_load.*ntdll.*\n)(      - image_load.*\n)", r"\2\1", text)
    assert swapped != text
    file.write_text(swapped, encoding="utf-8", newline="\n")
    told = document("run", file, "--debugger", "none", "--trace-dir", tmp_path / "t")
    assert told["exit_code"] == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--from", "create-thread-1.jsonl"], "a process that is no guest helper"),
        (["--from", "inject-1.jsonl", "--process", "calc.exe"], "the process 'calc.exe'"),
        (["--process", "calc.exe"], "add --from TRACE"),
        (["--from", "inject-1.jsonl", "--out", "inject-1.jsonl", "--force"], "would write over"),
    ],
)
def test_what_cannot_be_written_says_why(
    traces: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], error: str
) -> None:
    monkeypatch.chdir(traces)
    with pytest.raises(UsageError, match=error):
        call("new", "scenario", *words)
