"""The page: its structure, what stands in it of runs, and that what a target says is text in it.

``--update`` rewrites the golden file, which has what is packed unpacked, and the page's own script and style
left out.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from judged_runs import rejudged
from recordings import HOSTILE, LIFE, events_of, generated, life, numbered, page_of, reported, skipped

from harness.debuggers.base import Release
from harness.events import Bugcheck, Event, ImageLoad, Print, ProcessCreate, RuleBroken
from harness.outcome import Outcome
from harness.report.frequency import frequencies
from harness.report.html import frame
from harness.report.html.page import html_page, recording_page
from harness.report.html.selection import MAX_EVENTS, MAX_ROWS, MAX_TIMELINES
from harness.report.html.textroom import SHORT, TextRoom
from harness.report.html.timeline import Timeline
from harness.report.html.writing import write_html
from harness.runs.result import RunResult
from harness.trace.lives import Lives
from harness.verdict.judge import Verdict
from harness.verdict.judgedrun import JudgedRun
from harness.witness import Agreement, Disagreement, Fault

SHOWN = Path(__file__).with_name("shown")
GOOD = numbered(life(200))
BAD = numbered(life(200, exits=False))
PASSED = Verdict(Outcome.PASSED)
LOST = Verdict(Outcome.RIG, "the link died")
_VOID = frozenset({"meta", "input", "br"})
_PAYLOAD = re.compile(r'(?<=<script type="application/octet-stream">)[^<]*')


class Parsed(HTMLParser):
    """The elements of a page; every one is closed, and in the order in which they were opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.comments: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style"):
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]


def payloads(page: str) -> list[dict[str, Any]]:
    """What the page's script reads, one for each timeline."""
    return [json.loads(zlib.decompress(base64.b64decode(found))) for found in _PAYLOAD.findall(page)]


def test_a_small_page(tmp_path: Path, update: bool) -> None:
    page = page_of([reported(tmp_path, BAD), reported(tmp_path, GOOD, seed=2)], events_of(BAD))
    shown = _PAYLOAD.sub(
        lambda found: json.dumps(payloads(f'<script type="application/octet-stream">{found[0]}')[0]), page
    )
    shown = re.sub(r"(?s)(?<=<style>).*?(?=</style>)", "", shown)
    shown = re.sub(r"(?s)(?<=<script>).*?(?=</script>)", "", shown)
    shown = re.sub(r"'sha256-[^']*'", "'sha256-'", shown).replace("><", ">\n<")
    golden = SHOWN / "small.html"
    if update:
        golden.write_text(shown, encoding="utf-8", newline="\n")
    assert shown == golden.read_text(encoding="utf-8")


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    run = reported(tmp_path, BAD)
    assert page_of([run], events_of(BAD)) == page_of([run], events_of(BAD))


def test_nothing_may_be_loaded(tmp_path: Path) -> None:
    page = Parsed(page_of([reported(tmp_path, BAD)], events_of(BAD)))
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy["content"]).split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    for source in (rules["script-src"], rules["style-src"]):
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", source)
    for _, attributes in page.tags:
        assert attributes.keys().isdisjoint({"src", "srcset", "style", "action"})
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_the_pages_own_script_and_style_end_no_element() -> None:
    assets = sorted((Path(frame.__file__).parent / "assets").iterdir())
    assert {path.name for path in assets} == {*frame.SCRIPTS, frame.STYLE}
    for path in assets:
        text = path.read_text(encoding="utf-8")
        assert "</" not in text and "<!--" not in text
        assert not re.search(
            r"\b(?:eval|innerHTML|outerHTML|insertAdjacentHTML|fetch|XMLHttpRequest)\b", text
        )


def test_what_broke_stands_first(tmp_path: Path) -> None:
    page = Parsed(page_of([reported(tmp_path, GOOD), reported(tmp_path, BAD, seed=2)], events_of(BAD)))
    lines = [line for text in page.text[1:] if (line := text.strip())]
    begin = lines.index("Broken promise: 1 of 2 runs, 1 passed")
    assert lines[begin + 1 : begin + 3] == ["OnProcess", ":"]
    assert "process 200 ends while its thread 204 lives" in lines[begin + 3]
    assert lines[begin + 4 : begin + 7] == ["event 3", BAD[3], "in life (seed 2)"]
    titles = [attributes["class"] for attributes in page.all("article")]
    assert titles == ["run broken-promise", "run passed"]
    assert [attributes.get("open") for attributes in page.all("details")[1:]] == ["open", None]


def test_readers_of_screens_find_their_way(tmp_path: Path) -> None:
    page = Parsed(page_of([reported(tmp_path, BAD)], events_of(BAD)))
    assert page.all("html", lang="en")
    assert [len(page.all(tag)) for tag in ("header", "main", "nav", "footer", "h1")] == [1] * 5
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        if named := attributes.get("aria-labelledby"):
            assert named in ids
        if (href := attributes.get("href")) is not None:
            assert href[1:] in ids
    assert len(page.all("table")) == len(page.all("caption")) == 4
    assert all("scope" in attributes for attributes in page.all("th"))


def test_the_order_stands_beside_what_happened(tmp_path: Path) -> None:
    page = page_of([reported(tmp_path, BAD)], events_of(BAD))
    rows = re.findall(r'<tr class="([a-z-]+)"><th scope="row">(\d+)</th>', page)
    assert {int(number): state for state, number in rows} == {
        6: "plain",
        **dict.fromkeys((7, 8, 9), "held"),
        10: "broken",  # the thread's exit never came
        11: "not-reached",
    }
    (drawn,) = payloads(page)
    assert drawn["proofs"][0]["broken"]
    assert [3, "breaking", None] in drawn["proofs"][0]["at"]
    assert "no event of that kind came at all" in drawn["proofs"][1]["words"]
    assert [2, "claimed", 9] in drawn["proofs"][1]["at"]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_target_says_is_text(tmp_path: Path, name: str) -> None:
    harmless = Parsed(page_of([reported(tmp_path, BAD)], events_of(BAD)))
    events: list[Event] = [
        ImageLoad(index=0, pid=200, image=name, line=f"[x] {name}"),
        Print(index=1, line=name),
    ]
    run = reported(tmp_path, BAD)
    verdict = replace(run.verdict, reason=name, notes=(name,), not_judged_lines=(name,))
    hostile = RunResult(
        name,
        Path(name.replace("/", "")),
        1,
        verdict,
        0.5,
        trace=Path(name.replace("\0", "")),
        release=Release(True, name),
    )
    text = page_of([hostile], events, text=LIFE.replace("$child", name))
    text.encode("utf-8")
    page = Parsed(text)
    kinds = {tag for tag, _ in page.tags}
    assert kinds == {tag for tag, _ in harmless.tags} | {"li", "ul"}
    assert page.comments == []
    assert {key for _, attributes in page.tags for key in attributes} <= {
        key for _, attributes in harmless.tags for key in attributes
    }
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", text
    )
    (drawn,) = payloads(text)
    for form in drawn["lines"]["forms"]:
        assert not re.search("[\x01-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", form)
        assert len(form) < 6 * 2_100


def test_ten_thousand_events_have_room_in_300_kb(tmp_path: Path) -> None:
    events = list(islice(generated(10_000), 10_000))
    page = page_of([reported(tmp_path, BAD)], events)
    assert len(page.encode()) <= 300_000
    (drawn,) = payloads(page)
    assert len(drawn["kind"]) == 10_000
    assert len(drawn["lanes"]["name"]) == 1 + 10_000 // 10


def test_of_many_runs_those_that_failed_are_shown_and_the_first_that_passed(tmp_path: Path) -> None:
    good, bad = reported(tmp_path, GOOD), reported(tmp_path, BAD)
    runs = [replace(bad if seed % 50 == 7 else good, seed=seed) for seed in range(10_000)]
    text = page_of(runs, events_of(BAD))
    page = Parsed(text)
    assert "Broken promise: 200 of 10000 runs, 9800 passed" in page.text
    assert len(page.all("article")) == len(page.all("figure")) == MAX_TIMELINES
    assert len(page.all("a")) - 1 == MAX_TIMELINES
    assert len(text) < 3_000_000
    told = " ".join(page.text)
    assert f"{200 - MAX_TIMELINES + 1} of 200 runs that failed have no timeline here" in told
    assert f"{10_000 - MAX_ROWS} of 10000 runs are counted in the table and not listed in it" in told


def test_how_often_a_cause_came_is_said_of_each_of_its_runs(tmp_path: Path) -> None:
    results = [RunResult("a", Path("a.yaml"), seed, LOST if seed % 2 else PASSED) for seed in range(1, 6)]
    page = Parsed(page_of(results, events_of(GOOD), often=frequencies(results)))
    words = "how often: 3 of 5 runs (seeds 1, 3, 5)"
    assert sum(words in text for text in page.text) == 4
    assert f"in a (seed 1); {words}" in page.text


def test_each_cause_has_a_timeline_however_often_others_came(tmp_path: Path) -> None:
    bad = reported(tmp_path, BAD)
    other = JudgedRun("other", Path("b.yaml"), 1, LOST)
    passed = JudgedRun("passes", Path("c.yaml"), 1, PASSED)
    page = Parsed(page_of([*[bad] * 500, other, passed], events_of(BAD)))
    outcomes = [attributes["data-outcome"] for attributes in page.all("article")]
    assert outcomes == [*["broken promise"] * (MAX_TIMELINES - 2), "rig failed", "passed"]


def test_a_few_runs_that_failed_leave_room_for_one_that_passed(tmp_path: Path) -> None:
    good, bad = reported(tmp_path, GOOD), reported(tmp_path, BAD, seed=0)
    runs = [bad, *(replace(good, seed=seed) for seed in range(1, 5))]
    page = Parsed(page_of(runs, events_of(GOOD)))
    assert [attributes["data-outcome"] for attributes in page.all("article")] == ["broken promise", "passed"]
    assert "3 runs that did not fail have no timeline here" in " ".join(page.text)


def test_a_timeline_without_room_for_all_shows_where_it_broke(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.report.html.page.MAX_EVENTS", 40)
    events: list[Event] = [Print(index=n, line=f"line {n}") for n in range(100)]
    events[70] = Bugcheck(index=70, code=0x50, parameters=(0, 0, 0, 0), line="bugcheck")
    run = JudgedRun("a", Path("a.yaml"), 1, Verdict(Outcome.BUGCHECK, "the target bugchecked"))
    page = html_page([run, run], recorded=lambda run: events, text_of=lambda path: "")
    (drawn,) = payloads(page)
    assert drawn["index"][0] == 50 and len(drawn["index"]) == 40
    assert drawn["proofs"] == [
        {"words": "the target bugchecked", "broken": True, "at": [[70, "breaking", None]]}
    ]
    assert "The timeline has 40 of 100 events." in page
    assert f"No timeline: those of a page have {MAX_EVENTS} events at most." in page


def test_lines_for_which_a_page_has_no_room_are_shortened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.report.html.page.TextRoom", lambda: TextRoom(20_000))
    letters = Random(1)
    names = ["".join(letters.choices("abcdefghij0123456789é\u202e", k=1_900)) for _ in range(500)]
    events: list[Event] = [
        ProcessCreate(index=n, pid=n, image=name, line=name) for n, name in enumerate(names)
    ]
    run = JudgedRun("a", Path("a.yaml"), 1, Verdict(Outcome.BROKEN, "a.sys hangs"))
    other = JudgedRun("b", Path("b.yaml"), None, PASSED)
    text = html_page([run, other], recorded=lambda run: events, text_of=lambda path: "")
    first, second = payloads(text)
    for drawn in (first, second):
        assert len(drawn["kind"]) == 500
        assert max(len(name) for name in drawn["lanes"]["name"]) <= SHORT
        cut = [
            place
            for form, places in zip(drawn["lines"]["forms"], drawn["lines"]["places"], strict=True)
            for place in places
            if form == "\0"
        ]
        assert all(len(line) == SHORT and line.endswith("...") for line in cut[0][0])
    assert 0 < len(first["lines"]["forms"]) < 5 and second["lines"]["forms"] == ["\0"]
    told = re.findall(r"(\d+) lines are cut at 40 characters", text)
    assert told == [str(501 - len(first["lines"]["forms"])), "500"]
    whole = html_page([run], recorded=lambda run: events[:5], text_of=lambda path: "")
    assert len(whole.encode()) < len(text.encode())


def test_a_page_of_a_recording_says_how_many_lines_are_short() -> None:
    lives = Lives()
    timeline = Timeline(lives, TextRoom(100))
    for event in events_of(GOOD):
        timeline.take(event, lives.take(event))
    page = Parsed(recording_page("a.jsonl", ["5 events"], timeline))
    assert page.all("p", **{"class": "left-out"})
    assert any(text.startswith("4 lines are cut at 40 characters: ") for text in page.text)


def test_of_a_bugcheck_that_stands_first_which_names_the_function() -> None:
    rule = RuleBroken(
        index=1, rule="NullCheck", module="a.sys", message="a.sys uses a NULL pointer (OnImage)"
    )
    code = Bugcheck(index=0, code=0x3B, parameters=(1, 2, 3, 4), module="a.sys")
    verdict = Verdict(Outcome.BUGCHECK, "it bugchecked", broken_rules=(rule,))
    run = JudgedRun("a", Path("a.yaml"), 1, verdict)
    page = Parsed(html_page([run], recorded=lambda run: [code, rule], text_of=lambda path: ""))
    lines = [line for text in page.text[1:] if (line := text.strip())]
    begin = lines.index("Bugcheck: 1 of 1 run")
    told = ["a.sys uses a NULL pointer (OnImage)", "it bugchecked", "event 0"]
    assert lines[begin + 1 : begin + 5] == [*told, "bugcheck: 0x3b (0x1, 0x2, 0x3, 0x4), a.sys"]


def test_a_run_that_ended_without_a_bugcheck_shows_its_last_event(tmp_path: Path) -> None:
    run = JudgedRun("a", Path("a.yaml"), 1, Verdict(Outcome.BROKEN, "a.sys hangs"))
    text = html_page([run], recorded=lambda run: events_of(GOOD), text_of=lambda path: "")
    assert f"last event {len(GOOD) - 1}" in Parsed(text).text
    (drawn,) = payloads(text)
    assert drawn["proofs"] == [{"words": "a.sys hangs", "broken": True, "at": [[4, "last", None]]}]


def test_what_could_not_be_judged_says_why(tmp_path: Path) -> None:
    run = skipped(reported(tmp_path, GOOD))
    why = "not judged: creating_tid (line 9 of life.yaml): no line carries it"
    page = Parsed(page_of([rejudged(run, not_judged_lines=(why,))], events_of(GOOD)))
    assert page.all("section", **{"class": "not-judged"})
    assert why.removeprefix("not judged: ") in page.text


CUT = "the recording has no footer"


def test_what_a_part_of_a_trace_cannot_prove_is_not_shown_as_broken(tmp_path: Path) -> None:
    run = reported(tmp_path, GOOD[:-1], cut=CUT)
    assert (run.outcome, run.reason[:12]) == (Outcome.RIG, "not judged: ")
    text = page_of([run], events_of(GOOD[:-1]))
    page = Parsed(text)
    first = text.partition('<section aria-label="What went wrong first"')[2].partition("</section>")[0]
    assert "what was not recorded may hold it" in first and "event" not in first
    rows = dict(re.findall(r'<tr class="([a-z-]+)"><th scope="row">(\d+)</th>', text))
    assert rows["not-judged"] == "11" and "broken" not in rows
    assert page.all("section", **{"class": "not-judged-part"})
    assert not page.all("section", **{"class": "broken-part"})
    assert "breaks it" not in page.text
    (drawn,) = payloads(text)
    assert [(proof["words"], proof["broken"]) for proof in drawn["proofs"]] == [(run.reason, False)]
    assert not any(mark in ("breaking", "last") for _, mark, _ in drawn["proofs"][0]["at"])


def test_what_a_part_of_a_trace_proves_stands_before_what_it_does_not(tmp_path: Path) -> None:
    second = (
        "  - order:\n      - process_create: {pid: 300}\n  - never:\n      - image_load: {image: a.exe}\n"
    )
    run = reported(tmp_path, GOOD, scenario=LIFE + second, cut=CUT)
    assert run.outcome is Outcome.BROKEN and run.check is not None
    assert [failure.waited for failure in run.check.failures] == [True, False]
    (drawn,) = payloads(page_of([run], events_of(GOOD), text=LIFE + second))
    told = [(proof["words"], proof["broken"]) for proof in drawn["proofs"]]
    assert told[0][1] and "image_load" in told[0][0]
    assert not told[1][1] and told[1][0].startswith("not judged: life.yaml:13: not found: process_create")


def test_what_outweighs_a_line_that_does_not_agree_leads(tmp_path: Path) -> None:
    finding = Disagreement(Fault.NOT_CALLED, "process_create pid 200", printed=0)
    code = Bugcheck(index=1, code=0x3B, parameters=(1, 2, 3, 4), module="a.sys")
    verdict = Verdict(Outcome.BUGCHECK, "it bugchecked", agreement=Agreement(findings=(finding,)))
    run = JudgedRun("a", Path("a.yaml"), 1, verdict)
    text = html_page([run], recorded=lambda run: [*events_of(GOOD)[:1], code], text_of=lambda path: "")
    (drawn,) = payloads(text)
    assert [(proof["words"], proof["broken"], proof["at"]) for proof in drawn["proofs"]] == [
        ("it bugchecked", True, [[1, "breaking", None]]),
        (f"not judged: {finding}", False, [[0, "nearest", None]]),
    ]


def test_a_broken_promise_to_which_no_event_came_near_is_told_once(tmp_path: Path) -> None:
    scenario = LIFE.partition("  - order:")[0] + "  - order:\n      - print: {text: it}\n"
    run = reported(tmp_path, GOOD, scenario=scenario)
    assert run.outcome is Outcome.BROKEN
    text = page_of([run], events_of(GOOD), text=scenario)
    (drawn,) = payloads(text)
    assert [(proof["broken"], proof["at"]) for proof in drawn["proofs"]] == [(True, [])]
    assert len(Parsed(text).all("section", **{"class": "broken-part"})) == 1


def test_a_file_is_written_also_without_a_trace(tmp_path: Path) -> None:
    run = reported(tmp_path, GOOD)
    (tmp_path / "cut.jsonl").write_bytes(b"no trace")
    gone = replace(run, trace=tmp_path / "gone.jsonl")
    cut = replace(run, scenario="b", trace=tmp_path / "cut.jsonl")
    none = replace(run, scenario="c", trace=None)
    write_html(tmp_path / "new" / "report.html", [gone, cut, none])
    told = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert told.count("No timeline: ") == 3
    assert "No timeline: this run has no trace." in told


def test_nothing_ran() -> None:
    assert "nothing ran" in Parsed(html_page([], recorded=lambda run: "", text_of=lambda path: "")).text
