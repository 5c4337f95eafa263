"""Commands to CI services, read again as the services read them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_runs import rejudged

from harness.order import CheckResult, Failure
from harness.order.result import Explanation, Place, Unjudged
from harness.outcome import Outcome
from harness.report.ci import azure, github
from harness.report.ci.annotations import (
    MESSAGE_LENGTH,
    TITLE_LENGTH,
    Annotation,
    annotations_of,
)
from harness.report.place import place_of
from harness.runs.result import RunResult
from harness.verdict.judge import Verdict

WILD = Path("scenarios/wild.yaml")
BROKEN = RunResult("wild", WILD, 1, Verdict(Outcome.BROKEN, f"{WILD}:7: no exit of 1552"))
HOSTILE = (
    "<script>alert(1)</script>",
    "\"quoted\" 'and' `ticked`",
    "two\nlines\r\nand more",
    "right \u202eto left \u061c",
    "x\n::error::forged",
    "x\u2028::set-output name=a::forged",
    "##vso[task.complete result=Succeeded]forged",
    "##[add-mask]e",
    "half \ud800 of a pair",
    "100% %0A%3B%AZP25 ; ] : , |",
    "\x1b[2J\x00",
    "n" * 32_767,
)


def read_by_github(line: str) -> tuple[dict[str, str], str]:
    """Properties and message of the command that is the whole line."""
    found = re.fullmatch(r"::error ([^\r\n]*?)::([^\r\n]*)", line)
    assert found is not None
    properties = dict(one.split("=", 1) for one in found[1].split(","))
    return {name: unquote(value) for name, value in properties.items()}, unquote(found[2])


def read_by_azure(line: str) -> tuple[dict[str, str], str]:
    found = re.fullmatch(r"##vso\[task\.logissue ([^]\r\n]*)\]([^\r\n]*)", line)
    assert found is not None
    properties = dict(one.split("=", 1) for one in found[1].split(";"))
    return {name: _meant(value) for name, value in properties.items()}, _meant(found[2])


def _meant(text: str) -> str:
    for written, character in (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")):
        text = text.replace(written, character)
    return text


def test_a_cause_is_one_annotation_at_the_line_of_its_first_run() -> None:
    again = rejudged(replace(BROKEN, seed=2), reason=f"{WILD}:7: no exit of 1660")
    other = RunResult("lost", Path("lost.yaml"), 1, Verdict(Outcome.RIG, "the link died"))
    found = annotations_of([BROKEN, replace(BROKEN, verdict=Verdict(Outcome.PASSED)), again, other])
    assert [one.place for one in found] == [Place(WILD, 7), Place(Path("lost.yaml"), 1)]
    assert [one.title for one in found] == ["broken promise: wild (seed 1)", "rig failed: lost (seed 1)"]
    assert found[0].message.splitlines()[:2] == [BROKEN.reason, "how often: 2 of 3 runs (seeds 1, 2)"]
    assert found[1].message.splitlines()[0] == "the link died"
    assert annotations_of([rejudged(BROKEN, outcome=Outcome.SKIPPED)]) == []


WHY = Explanation("it must exit; but it does not", "", (), (), (), 0)
FAILURE = Failure("no exit", WHY, place=Place(WILD, 12))
RULE = Failure("1552 is created late", WHY)
UNJUDGED = Unjudged("too ambiguous", Place(WILD, 9))


@pytest.mark.parametrize(
    ("failures", "unjudged", "reason", "line"),
    [
        ((FAILURE,), (UNJUDGED,), "no exit", 12),
        ((), (UNJUDGED,), "too ambiguous", 9),
        ((RULE,), (UNJUDGED,), "1552 is created late", 1),
        ((), (), f"{WILD}:31: launch: no such file", 31),
        ((), (), f"{WILD}:0: of no line", 1),
        ((), (), "other.yaml:31: of another file", 1),
        ((), (), f"{WILD}:{'9' * 5000}: of no line", 1),
    ],
)
def test_the_place_is_the_line_of_the_promise_or_of_the_step(
    failures: tuple[Failure, ...], unjudged: tuple[Unjudged, ...], reason: str, line: int
) -> None:
    check = CheckResult((), failures, unjudged, (), 20)
    assert place_of(rejudged(BROKEN, check=check, reason=reason)) == Place(WILD, line)


def test_a_run_that_was_not_checked_is_at_the_first_line() -> None:
    assert place_of(rejudged(BROKEN, check=None, reason="the target bugchecked")) == Place(WILD, 1)


@pytest.mark.parametrize(
    ("text", "data", "in_property"),
    [
        ("plain", "plain", "plain"),
        ("100%", "100%25", "100%25"),
        ("%0A", "%250A", "%250A"),
        ("a\r\nb", "a%0D%0Ab", "a%0D%0Ab"),
        ("a:b,c", "a:b,c", "a%3Ab%2Cc"),
    ],
)
def test_github_gets_its_characters_escaped(text: str, data: str, in_property: str) -> None:
    assert (github.escaped_data(text), github.escaped_property(text)) == (data, in_property)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("100%", "100%AZP25"),
        ("%3B", "%AZP253B"),
        ("a;b]c", "a%3Bb%5Dc"),
        ("a\r\nb", "a%0D%0Ab"),
        ("[:,", "[:,"),
    ],
)
def test_azure_gets_its_characters_escaped(text: str, written: str) -> None:
    assert azure.escaped(text) == written


def test_a_file_of_the_repository_is_named_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "really").mkdir()
    file = tmp_path / "really" / "a,b" / "s.yaml"
    annotation = Annotation(Place(file, 3), "t", "m")
    assert (
        github.error_command(annotation, tmp_path / "really") == "::error file=a%2Cb/s.yaml,line=3,title=t::m"
    )
    outside = github.escaped_property(file.as_posix())
    for elsewhere in (tmp_path / "other", None):
        assert github.error_command(annotation, elsewhere) == f"::error file={outside},line=3,title=t::m"
    absolute = azure.escaped(str(file))
    assert azure.error_command(annotation) == (
        f"##vso[task.logissue type=error;sourcepath={absolute};linenumber=3]t%0Am"
    )
    assert (
        azure.summary_command(Path("a;b.md"))
        == f"##vso[task.uploadsummary]{azure.escaped(str(Path('a;b.md').absolute()))}"
    )


def test_a_repository_that_is_named_through_a_link_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "really").mkdir()
    try:
        (tmp_path / "link").symlink_to(tmp_path / "really", target_is_directory=True)
    except OSError as error:
        pytest.skip(f"no links here: {error}")
    if (tmp_path / "link").resolve() != (tmp_path / "really").resolve():
        pytest.skip("Wine says that it has made a link, and follows none")
    for file, workspace in (("link", "really"), ("really", "link")):
        annotation = Annotation(Place(tmp_path / file / "s.yaml", 3), "t", "m")
        assert github.error_command(annotation, tmp_path / workspace).startswith(
            "::error file=s.yaml,line=3,"
        )


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_inside_of_their_command(name: str) -> None:
    _hold_inside(name)


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_whatever_the_name_is_it_stays_inside_of_its_command(name: str) -> None:
    _hold_inside(name)


def _hold_inside(name: str) -> None:
    # What bytes of a file's name are no text has this form in Python.
    of_file = (
        name[:200].replace("\0", "0").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    )
    path = Path("scenarios") / f"{of_file}.yaml"
    verdict = Verdict(Outcome.BROKEN, f"nothing came of {name}", notes=(name,))
    result = RunResult(name, path, 1, verdict)
    (annotation,) = annotations_of([result])
    properties, message = read_by_github(github.error_command(annotation, Path.cwd()))
    assert set(properties) == {"file", "line", "title"}
    assert (properties["line"], properties["title"], message) == ("1", annotation.title, annotation.message)
    properties, message = read_by_azure(azure.error_command(annotation))
    assert (properties["type"], properties["linenumber"]) == ("error", "1")
    assert set(properties) == {"type", "sourcepath", "linenumber"}
    assert message == f"{annotation.title}\n{annotation.message}"
    # Each character may have become its escape, of six at most.
    assert len(annotation.title) <= 6 * TITLE_LENGTH and len(annotation.message) <= 6 * MESSAGE_LENGTH
    assert not re.search(r"^\s*::|##\[|##vso\[", annotation.message, re.MULTILINE)
