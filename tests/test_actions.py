"""The table of actions, and all that must agree with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.actions import ACTIONS, Action, FieldType
from harness.runs.steps import argv_of, describe
from harness.scenario import parse
from harness.scenario.model import ActorStep, names_of
from harness.virtual.nt.actions import IMPLEMENTED

HELPER = Path(__file__).parent.parent / "driver" / "actor"
ROWS = list(ACTIONS.values())
EXAMPLES = {
    FieldType.DEVICE_NAME: r"\\.\Name",
    FieldType.DEVICE: "$d",
    FieldType.CONTROL_CODE: '"CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)"',
    FieldType.BUFFER: '{hex: "01 ff"}',
    FieldType.FLAG: "true",
    FieldType.FILE: Path(__file__).name,
    FieldType.PROGRAM: "a.exe",
    FieldType.LIBRARY: "a.dll",
    FieldType.PROCESS: "8",
    FieldType.NUMBER: "7",
    FieldType.DURATION: "20ms",
    FieldType.ARGUMENTS: "[x, 1]",
}
WORDS = {
    FieldType.DEVICE_NAME: [r"\\.\Name"],
    FieldType.DEVICE: ["9"],
    FieldType.CONTROL_CODE: [str(0x22_2000)],
    FieldType.BUFFER: ["01ff"],
    FieldType.FLAG: ["1"],
    FieldType.FILE: [r"C:\work\test.exe"],
    FieldType.PROGRAM: [r"C:\work\a.exe"],
    FieldType.LIBRARY: [r"C:\work\a.dll"],
    FieldType.PROCESS: ["8"],
    FieldType.NUMBER: ["7"],
    FieldType.DURATION: ["20"],
    FieldType.ARGUMENTS: ["x", "1"],
}
PATHS = {Path(__file__).name: r"C:\work\test.exe", "a.exe": r"C:\work\a.exe", "a.dll": r"C:\work\a.dll"}


def helper_source(name: str) -> str:
    return (HELPER / name).read_text(encoding="utf-8")


def step_of(written: str) -> ActorStep:
    steps = f"  - open_device: {{name: x, as: d}}\n  - {written}\n"
    text = f"scenario: t\nsummary: t.\nsteps:\n{steps}expect:\n  never: [process_exit: any]\n"
    _, step = parse(text, Path(__file__).with_name("t.yaml")).steps
    assert isinstance(step, ActorStep)
    return step


def test_the_helper_knows_the_actions_of_the_table() -> None:
    entries = re.findall(r'\{L"([\w-]+)", "([\w-]+)", \w+\}', helper_source("actions.c"))
    assert entries == [(action.word, action.word) for action in ROWS]


def test_the_helpers_usage_is_the_tables() -> None:
    usage = re.search(r"Usage =(.*?);", helper_source("actor.c"), re.DOTALL)
    assert usage is not None
    text = "".join(re.findall(r'"(.*?)"', usage[1]))
    assert text == "usage: actor.exe [--id N] " + " | ".join(action.usage for action in ROWS)


def test_the_helpers_commands_are_no_actions_and_stand_in_its_usage() -> None:
    entries = re.findall(r'\{L"([\w-]+)", "([\w-]+)", \w+\}', helper_source("commands.c"))
    words = [word for word, _ in entries]
    assert entries and entries == [(word, word) for word in words]
    assert not {action.word for action in ROWS} & set(words)
    usage = re.search(r"UsageOfCommands =(.*?);", helper_source("actor.c"), re.DOTALL)
    assert usage is not None
    text = "".join(re.findall(r'"(.*?)"', usage[1]))
    assert re.findall(r"(?:^ +actor.exe \[--id N\]|\|) ([a-z][a-z-]*)", text) == words


def test_what_a_name_stands_for_is_in_the_helpers_result() -> None:
    members = set(re.findall(r'PutMember\(&Line, "(\w+)"', helper_source("actor.c")))
    assert {made for action in ROWS for _, made in action.binds} <= members


def test_the_nt_model_does_every_action() -> None:
    assert set(IMPLEMENTED) == {action.word for action in ROWS}


@pytest.mark.parametrize("action", ROWS, ids=lambda action: action.key)
def test_a_step_with_every_field_is_the_command_line_in_the_tables_order(action: Action) -> None:
    fields = ", ".join(f"{field.name}: {EXAMPLES[field.type]}" for field in action.fields)
    step = step_of(f"{action.key}: {{{fields}}}" if fields else action.key)
    words = [word for field in action.fields for word in WORDS[field.type]]
    assert argv_of(step, {"d": 9}, PATHS) == [action.word, *words]
    assert describe(step).split()[0] == action.key


@pytest.mark.parametrize("action", ROWS, ids=lambda action: action.key)
def test_a_step_binds_what_the_table_says(action: Action) -> None:
    fields = ", ".join(f"{field.name}: {EXAMPLES[field.type]}" for field in action.fields if field.required)
    name = ", as: x" if action.binds else ""
    step = step_of(f"{action.key}: {{{(fields + name + ', by: y').removeprefix(', ')}}}")
    made = {f"x{suffix}" for suffix, _ in action.binds}
    assert set(names_of((step,))) == {"agent", "y", *made}


@pytest.mark.parametrize("action", ROWS, ids=lambda action: action.key)
def test_a_main_field_is_one_that_can_stand_alone(action: Action) -> None:
    others = [field for field in action.fields if field.name != action.main]
    if action.main is None:
        return
    assert len(others) == len(action.fields) - 1
    assert not any(field.required for field in others)
    value = EXAMPLES[FieldType.FILE] if action.main == "file" else action.example
    if value == "$NAME":
        value = "$d" if action.fields[0].type is FieldType.DEVICE else "8"
    assert step_of(f"{action.key}: {value}").action is action
