"""``procnotify mine``: from traces to summary, JSON, picture, scenario and OCEL."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from launches import launch, write_trace

import harness.report.mining.svg as svg
from harness.cli import cli
from harness.errors import LinesLost, TraceError, UsageError
from harness.events import Driver, Event
from harness.scenario import load
from harness.trace import Header, TraceWriter


def mine(*words: object) -> Result:
    return CliRunner().invoke(cli, ["mine", *map(str, words)], standalone_mode=False)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three launches, of which the second maps its libraries the other way round."""
    lives = ["+ t a.exe b.dll c.dll x1 -", "+ t a.exe c.dll b.dll x1 -", "+ t a.exe b.dll c.dll d.dll x1 -"]
    return write_trace(
        tmp_path / "three.jsonl",
        [event for number, words in enumerate(lives) for event in launch(words, 1000 * (number + 1))],
    )


def test_the_summary_says_the_order_and_how_sure_it_is(three: Path) -> None:
    done = mine(three, "--select", "image=a.exe")
    assert done.exception is None
    lines = done.stdout.splitlines()
    assert lines[0] == "3 instances of image=a.exe in 1 recording"
    assert "7 events in all of them; 20 of 21 pairs always in one order" in lines
    assert "what all of them share fails in at most 63 % of all others (95 % confidence)" in lines
    start = lines.index("  process_create  by parent")
    assert lines[start : start + 8] == [
        "  process_create  by parent",
        "  thread_create:thread1  by parent",
        "  image_load:a.exe  by thread1",
        "  in any order:",
        "    - image_load:b.dll  by thread1",
        "    - image_load:c.dll  by thread1",
        "  thread_exit:thread1",
        "  process_exit  by thread1",
    ]
    assert "  image_load:b.dll before image_load:c.dll in 2, after it in 1" in lines
    assert "  image_load:d.dll in 1 of 3" in lines
    assert any(line.startswith("seen enough: no; 2 of 3 instances alone showed") for line in lines)


def test_the_document_has_all_pairs(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "order.json"
    assert mine(three, "--select", "image=a.exe", "--json", out).exception is None
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["format"], found["command"], found["instances"], found["exit_code"]) == (1, "mine", 3, 0)
    assert found["events"]["image_load:b.dll"] == {
        "instances": 3,
        "least": 1,
        "most": 1,
        "by": {"thread1": 3},
    }
    assert list(found["occasional_events"]) == ["image_load:d.dll"]
    pairs = {(pair["a"], pair["b"]): pair for pair in found["pairs"]}
    assert len(pairs) == len(list(combinations(range(8), 2)))
    assert pairs["image_load:b.dll", "image_load:c.dll"] == {
        "a": "image_load:b.dll",
        "b": "image_load:c.dll",
        "relation": "mixed",
        "before": 2,
        "after": 1,
        "fails_at_most": None,
    }
    assert ["thread_exit:thread1", "process_exit"] in found["order"]
    printed = mine(three, "--select", "image=a.exe", "--json", "-")
    assert json.loads(printed.stdout) == found
    assert "3 instances" in printed.stderr


def test_the_picture_is_a_file_of_its_own_and_hostile_names_are_harmless(tmp_path: Path) -> None:
    events = launch("+ t a.exe <script>&\"'\x1b].dll " + "y" * 90 + " -")
    out = tmp_path / "order.svg"
    done = mine(write_trace(tmp_path / "a.jsonl", events), "--select", "image=a.exe", "--svg", out)
    assert "\x1b" not in done.stdout
    text = out.read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    titles = [title.text for title in tree.iter(f"{space}title")]
    assert "image_load:<script>&\"'\\x1b].dll" in titles
    assert len(list(tree.iter(f"{space}path"))) == 5
    assert not list(tree.iter(f"{space}script"))
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_log_has_the_shape_of_ocel(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "log.json"
    assert mine(three, "--select", "image=a.exe", "--ocel", out).exception is None
    log = json.loads(out.read_text(encoding="utf-8"))
    assert set(log) == {"objectTypes", "eventTypes", "objects", "events"}
    declared = {
        side: {each["name"]: {a["name"]: a["type"] for a in each["attributes"]} for each in log[side]}
        for side in ("objectTypes", "eventTypes")
    }
    kinds = {"string": str, "integer": int}
    objects = {each["id"]: each for each in log["objects"]}
    assert len(objects) == len(log["objects"])
    for each in log["objects"]:
        assert set(each) == {"id", "type", "attributes", "relationships"}
        for attribute in each["attributes"]:
            assert set(attribute) == {"name", "value", "time"}
            assert type(attribute["value"]) is kinds[declared["objectTypes"][each["type"]][attribute["name"]]]
    for each in log["events"]:
        assert set(each) == {"id", "type", "time", "attributes", "relationships"}
        for attribute in each["attributes"]:
            assert set(attribute) == {"name", "value"}
            assert type(attribute["value"]) is kinds[declared["eventTypes"][each["type"]][attribute["name"]]]
        for relation in each["relationships"]:
            assert set(relation) == {"objectId", "qualifier"}
            assert relation["objectId"] in objects
    assert len({each["id"] for each in log["events"]}) == len(log["events"]) == 22
    times = [each["time"] for each in log["events"]]
    assert times == sorted(times)
    assert times[1] == "1970-01-01T00:00:00.0000010Z"
    (image,) = (each for each in log["events"] if each["type"] == "image_load:d.dll")
    assert {relation["qualifier"]: relation["objectId"] for relation in image["relationships"]} == {
        "instance": "instance 3",
        "process": "instance 3/process",
        "image": "image d.dll",
        "by": "instance 3/process/thread1",
    }


@pytest.mark.parametrize(
    ("select", "says"),
    [
        (["image=b.exe"], "no whole instance of image=b.exe"),
        ([], "no whole instance of each scenario run .not of a scenario run."),
        (["scenario=x"], "no whole instance of scenario=x"),
        (["marker=a...b"], "no whole instance of marker=a...b"),
        (["image=a.exe", "tree=a.exe"], "contradict each other"),
    ],
)
def test_nothing_to_be_mined_is_the_users_mistake_and_nothing_is_written(
    three: Path, tmp_path: Path, select: list[str], says: str
) -> None:
    words = [word for text in select for word in ("--select", text)]
    out = tmp_path / "order.json"
    done = mine(three, *words, "--json", out)
    assert isinstance(done.exception, UsageError)
    assert says.replace(".", "") in str(done.exception).replace("(", "").replace(")", "").replace(".", "")
    assert not out.exists()


def test_runs_of_a_scenario_are_instances_and_others_are_left_out(tmp_path: Path) -> None:
    runs = [
        write_trace(
            tmp_path / f"{name}.jsonl", launch("+ t a.exe -"), scenario=name[0], complete=name != "x3"
        )
        for name in ("x1", "x2", "x3", "y1")
    ]
    done = mine(*runs, "--select", "scenario=x")
    assert done.exception is None
    assert done.stdout.splitlines()[:3] == [
        "2 instances of scenario=x in 4 recordings",
        "left out: 1 instance, not over when the recording ended",
        "left out: 1 recording of the scenario y",
    ]
    assert mine(tmp_path).stdout.startswith("3 instances of each scenario run in 4 recordings")


def test_missing_lines_are_not_mined(tmp_path: Path) -> None:
    path = tmp_path / "lost.jsonl"
    registered = Driver(
        index=0, function="DriverEntry", routine="PsSetLoadImageNotifyRoutine", status=0, seq=1
    )
    events: list[Event] = [registered, *launch("+ t a.exe -")]
    numbered = [
        msgspec.structs.replace(event, index=n, seq=n + 1 if n < 3 else n + 2)
        for n, event in enumerate(events)
    ]
    with TraceWriter(path, Header()) as writer:
        writer.write(numbered)
        writer.finish()
    done = mine(path, "--select", "image=a.exe")
    assert isinstance(done.exception, LinesLost)
    assert "seq 4" in str(done.exception)
    done = mine(path, "--select", "image=a.exe", "--partial")
    assert done.exception is None
    assert "never arrived (seq 4)" in done.stdout


def test_what_is_no_trace_and_what_cannot_be_written_is_said(three: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("nothing\n", encoding="utf-8", newline="\n")
    assert isinstance(mine(text, "--select", "image=a.exe").exception, TraceError)
    assert isinstance(mine(tmp_path / "none.jsonl").exception, TraceError)
    nowhere = three / "order.svg"
    done = mine(three, "--select", "image=a.exe", "--svg", nowhere)
    assert isinstance(done.exception, UsageError)
    assert "choose another --svg" in str(done.exception)


def test_a_recording_of_windows(shared_data: Path, tmp_path: Path) -> None:
    recording = shared_data / "procmon" / "win10-1903-x64-process-events.csv.xz"
    out, scenario = tmp_path / "order.json", tmp_path / "mined.yaml"
    done = mine(recording, "--select", "image=notepad.exe", "--json", out, "--scenario", scenario)
    assert done.exception is None
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["instances"] == 30
    images = {name for name in found["events"] if name.startswith("image_load:")}
    assert len(images) == 40
    pairs = [pair for pair in found["pairs"] if {pair["a"], pair["b"]} <= images]
    mixed = [pair for pair in pairs if pair["relation"] != "always"]
    assert len(pairs) == 780
    assert [(pair["a"], pair["b"], pair["before"], pair["after"]) for pair in mixed] == [
        ("image_load:mpr.dll", "image_load:wintypes.dll", 23, 7)
    ]
    always = {(pair["a"], pair["b"]) for pair in found["pairs"] if pair["relation"] == "always"}
    assert ("process_create", "thread_create:thread1") in always
    assert all(("thread_create:thread1", image) in always for image in images)
    assert load(scenario).name == "mined-notepad-exe"


def test_lines_go_around_boxes_as_far_as_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = ("t b.dll c.dll d.dll", "b.dll c.dll d.dll t", "b.dll t c.dll d.dll")
    events = [e for n, life in enumerate(lives) for e in launch(f"+ t a.exe {life} -", 1000 * (n + 1))]
    path = write_trace(tmp_path / "t.jsonl", events)

    def drawn() -> list[str]:
        out = tmp_path / "order.svg"
        assert mine(path, "--select", "image=a.exe", "--svg", out).exception is None
        return [
            str(path.get("d")) for path in ElementTree.parse(out).iter("{http://www.w3.org/2000/svg}path")
        ]

    around = [path for path in drawn() if "L" in path]
    assert len(around) == 1  # from the second thread to the exit, past two images
    monkeypatch.setattr(svg, "MAX_CROSSINGS", 1)
    assert [path for path in drawn() if "L" in path] == []


def test_nothing_is_written_over_a_trace_that_is_read_nor_over_another_result(
    three: Path, tmp_path: Path
) -> None:
    was = three.read_bytes()
    for option in ("--json", "--svg", "--scenario", "--ocel"):
        done = mine(tmp_path, "--select", "image=a.exe", option, tmp_path / "." / three.name)
        assert isinstance(done.exception, UsageError)
        assert str(done.exception).startswith(f"{option} would write over ")
    assert three.read_bytes() == was
    one = tmp_path / "one"
    done = mine(three, "--select", "image=a.exe", "--svg", one, "--scenario", one)
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith("--svg and --scenario both write ")
    assert not one.exists()


def test_a_damaged_recording_without_an_instance_says_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    path.write_text(
        '"Time of Day","Process Name","PID","Operation","Path","Result","Detail"\n'
        '"7:37:19.0000001 AM","a.exe","8","Process Start","","SUCCESS","Parent PID: 4"\n'
        '"7:37:19.0000002 AM","a.ex',
        encoding="utf-8",
    )
    done = mine(path, "--select", "image=a.exe")
    assert isinstance(done.exception, UsageError)
    assert "only the events before a damage: " in str(done.exception)
