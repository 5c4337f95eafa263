"""The summary, rendered and read again; and how a service is told."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from judged_runs import rejudged
from markdown_it import MarkdownIt
from test_ci_annotations import BROKEN, HOSTILE

from harness.outcome import Outcome
from harness.report.ci.summary import (
    SUMMARY_BYTES,
    TABLE_ROWS,
    summary_markdown,
)
from harness.report.ci.telling import tell_ci
from harness.report.text import one_line, shortened
from harness.runs.result import RunResult
from harness.verdict.judge import Verdict

PASSED = RunResult("calm", Path("calm.yaml"), 1, Verdict(Outcome.PASSED, events=3, held=12), 0.25)
OWN_TAGS = {"h2", "h3", "p", "code", "pre", "strong", "table", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """What a browser makes of it."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[list[str]] = []
        self.text = ""
        self._in_cell = False
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.cells[-1][-1] += data


def test_the_summary_has_a_row_a_scenario_and_each_cause_once() -> None:
    alike = rejudged(replace(BROKEN, seed=2), reason=BROKEN.reason.replace("1552", "1660"), held=3)
    text = summary_markdown([PASSED, rejudged(replace(BROKEN, seconds=1.5), held=5, events=20), alike])
    page = Page(text)
    assert page.text.startswith("procnotify: 1 passed, 2 broken promise in 1.75 s")
    assert page.cells[1:3] == [
        ["wild", "broken promise", "2", "0", "3-5", "0", "1.50", "20"],
        ["calm", "passed", "1", "1", "12", "0", "0.25", "3"],
    ]
    assert page.text.count("no exit of") == 1
    assert "broken promise: wild, seed 1" in page.text
    assert "how often: 2 of 2 runs (seeds 1, 2)" in page.text


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text(name: str) -> None:
    markup = "\n\n# Heading | cell | [link](http://e) ![i](x) www.e.com @somebody #1 </pre></code><b>"
    verdict = Verdict(Outcome.BROKEN, f"nothing: {name}{markup}", notes=(f"</pre>\n\n{markup}",))
    hostile = replace(BROKEN, scenario=name + markup, verdict=verdict)
    text = summary_markdown([hostile])
    page = Page(text)
    assert page.tags <= OWN_TAGS
    assert page.cells[1][0] == one_line(shortened(name + markup, 200))
    assert len(page.cells) == 2 and len(page.cells[1]) == 8
    assert not re.search("[\u202e\u061c\u2028\ud800-\udfff\x00\x1b\r]", text)


def test_the_table_is_cut_and_what_failed_stays() -> None:
    many = [replace(PASSED, scenario=f"s{number}") for number in range(TABLE_ROWS + 5)]
    page = Page(summary_markdown([*many, BROKEN]))
    assert page.cells[1][0] == "wild"
    assert "and 6 more scenarios" in page.text


@pytest.mark.parametrize("limit", [0, 10, 60, 200, 400, 1000, 3000, SUMMARY_BYTES])
def test_it_is_never_longer_than_there_is_room(limit: int) -> None:
    causes = [rejudged(BROKEN, reason=f"cause {'é' * number}: " + "é<" * 9000) for number in range(70)]
    text = summary_markdown(causes, limit=limit)
    assert len(text.encode()) <= limit
    assert ("The log has the rest" in text) == (limit >= 60)
    assert text.count("<pre>") == text.count("</pre>")


class Told:
    """What a service heard of some results."""

    def __init__(self, environment: dict[str, str], *results: RunResult) -> None:
        self.commands: list[str] = []
        self.warnings: list[str] = []
        tell_ci(environment, results, command=self.commands.append, warn=self.warnings.append)


def test_github_gets_annotations_and_the_summary_below_what_is_there(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    told = Told(environment, PASSED, BROKEN)
    assert [command.partition(" ")[0] for command in told.commands] == ["::error"]
    first = summary.read_text(encoding="utf-8")
    assert first == summary_markdown([PASSED, BROKEN])
    Told(environment, PASSED)
    assert summary.read_text(encoding="utf-8") == f"{first}\n\n{summary_markdown([PASSED])}"


def test_the_summary_of_a_step_does_not_grow_beyond_its_limit(tmp_path: Path) -> None:
    summary = tmp_path / "summary"
    summary.write_bytes(b"x" * (SUMMARY_BYTES - 300))
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    for _ in range(4):
        assert Told(environment, PASSED, BROKEN).warnings == []
        assert summary.stat().st_size <= SUMMARY_BYTES
    assert b"The log has the rest" in summary.read_bytes()


def test_azure_gets_annotations_and_a_file_to_upload(tmp_path: Path) -> None:
    told = Told({"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(tmp_path)}, PASSED, BROKEN)
    (file,) = tmp_path.iterdir()
    assert file.read_text(encoding="utf-8") == summary_markdown([PASSED, BROKEN])
    assert told.commands[0].startswith("##vso[task.logissue type=error;")
    assert told.commands[1:] == [f"##vso[task.uploadsummary]{file}"]


@pytest.mark.parametrize(
    "environment",
    [
        {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "{}/none/summary"},
        {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": "{}/none"},
    ],
)
def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path: Path, environment: dict[str, str]) -> None:
    told = Told({name: value.format(tmp_path) for name, value in environment.items()}, BROKEN)
    assert len(told.commands) == 1
    (warning,) = told.warnings
    assert "summary cannot be written to" in warning and "none" in warning


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "false", "TF_BUILD": ""}, {"CI": "true"}])
def test_elsewhere_nothing_is_told(environment: dict[str, str]) -> None:
    told = Told(environment, BROKEN)
    assert (told.commands, told.warnings) == ([], [])


def test_without_results_nothing_is_told(tmp_path: Path) -> None:
    told = Told({"GITHUB_ACTIONS": "true", "TF_BUILD": "True", "GITHUB_STEP_SUMMARY": str(tmp_path / "s")})
    assert (told.commands, told.warnings, list(tmp_path.iterdir())) == ([], [], [])
