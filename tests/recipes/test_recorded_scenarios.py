"""A scenario from a recording: its process, its steps, and names that are no friends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.events import Event, ImageLoad, Marker, ProcessCreate, ProcessExit, ThreadCreate, ThreadExit
from harness.order import check
from harness.recipes.recorded import MAX_IMAGES, recorded_scenario
from harness.scenario import Scenario, parse

HELPER, PID, TID = 100, 200, 204
BOUND = {"launcher": HELPER, "process": PID, "process.tid": TID}


def marker(action: str, phase: str = "begin") -> Event:
    return Marker(index=0, action=action, phase="begin" if phase == "begin" else "end", step=1, pid=HELPER)


def life(*images: str, last: Sequence[Event] = ()) -> list[Event]:
    """A helper launches a program, which maps images and ends."""
    events: list[Event] = [
        ProcessCreate(index=0, pid=HELPER, parent_pid=4, creating_pid=4),
        ImageLoad(index=0, pid=HELPER, image="actor.exe"),
        marker("launch"),
        ProcessCreate(index=0, pid=PID, parent_pid=HELPER, creating_pid=HELPER),
        ThreadCreate(index=0, pid=PID, tid=TID, creating_pid=HELPER),
        marker("launch", "end"),
        *(ImageLoad(index=0, pid=PID, image=image) for image in images),
        *last,
        ThreadExit(index=0, pid=PID, tid=TID),
        ProcessExit(index=0, pid=PID),
    ]
    return [type(event)(**{**fields(event), "index": index}) for index, event in enumerate(events)]


def fields(event: Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def read(events: Sequence[Event], process: str | None = None) -> tuple[Scenario, str]:
    text = recorded_scenario(events, recording="run.jsonl", process=process)
    return parse(text, Path("recorded.yaml")), text


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=5))
def test_whatever_the_images_are_called_the_recording_holds_to_its_scenario(images: list[str]) -> None:
    events = life("!.exe", *images)
    scenario, text = read(events)
    assert text.isascii()
    assert check(scenario, events, BOUND).passed


@pytest.mark.parametrize(
    "name", ["<script>.exe", '"quoted".exe', "$notepad", "a*[b]?.exe", "\u202egnp.exe", "\U0001f600.exe"]
)
def test_a_program_of_any_name_is_launched_by_it(name: str) -> None:
    scenario, _ = read(life(rf"\Device\{name}"))
    assert getattr(scenario.steps[0], "values")[0] == name  # noqa: B009  # of a step of the helper's alone
    assert check(scenario, life(rf"\Device\{name}"), BOUND).passed


@pytest.mark.parametrize(
    ("last", "ends"),
    [((), False), ((marker("terminate"),), True), ((marker("terminate"), marker("terminate", "end")), False)],
)
def test_who_was_not_ended_by_a_step_ends_by_itself(last: tuple[Event, ...], ends: bool) -> None:
    scenario, text = read(life("a b.exe", last=last))
    assert (len(scenario.steps) == 3) is ends
    assert ("# - terminate: $process" in text) is not ends


def test_further_images_and_the_recordings_other_steps_are_told() -> None:
    images = [f"{number}.dll" for number in range(MAX_IMAGES + 3)]
    _, text = read(life("p.exe", *images, "p.exe", last=[marker("inject")]))
    assert "images that are not here: 5," in text
    assert "to be written here: inject" in text


def test_what_a_recording_says_again_and_again_is_promised_once() -> None:
    again = [ThreadExit(index=0, pid=PID, tid=TID), ProcessExit(index=0, pid=PID)] * 50
    _, text = read(life("p.exe", last=[*again, *[marker("inject")] * 50]))
    assert (text.count("thread_exit:"), text.count("process_exit:"), text.count("inject")) == (1, 1, 1)


def test_the_program_asked_for_is_told_of() -> None:
    events = life("p.exe")
    scenario, text = read([*events, *life("other.exe")], "OTHER")
    assert scenario.name == "recorded-other"
    assert "process 200" in text
