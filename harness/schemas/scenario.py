"""The JSON Schema of scenario files, from the tables that their reader uses."""

from __future__ import annotations

import re
from typing import Final

from harness.actions import ACTIONS, MAX_BUFFER, MAX_DWORD, Action, ActionField, FieldType
from harness.events import KINDS
from harness.printmasks import MAX_MASK
from harness.scenario.buffers import FORMS, MAX_ADDRESS, WIDTHS
from harness.scenario.expect import ITEMS, MAX_BRANCHES, MAX_ROUNDS
from harness.scenario.fields import all_fields
from harness.scenario.keys import EXPECT_KEYS, OPTIONAL_KEYS, REQUIRED_KEYS
from harness.scenario.load import MAX_PROCESSORS, MAX_SEED, NAME
from harness.scenario.rules import RULES
from harness.scenario.steps import HARNESS_STEPS, MAX_STEPS, VARIABLE
from harness.scenario.steps import NAME as BOUND_NAME
from harness.schemas.patterns import CONSTRAINTS, constraint, event_pattern, one_or_several
from harness.schemas.values import (
    BOOLEAN,
    DURATION_TEXT,
    TEXT,
    JsonSchema,
    any_of,
    described,
    integer,
    items,
    matching,
    ref,
    section,
    single_key,
)
from harness.standingrules import STANDING_RULES

__all__ = ["scenario_schema"]

_EMPTY: Final = any_of({"type": "null"}, section({}))
_NAMED: Final = matching(re.compile(rf"\$?(?:{VARIABLE.pattern.removeprefix(re.escape('$'))})"))
"""A variable, with its dollar sign or without."""
_FIELD_TYPES: Final[dict[FieldType, JsonSchema]] = {
    FieldType.PROGRAM: TEXT,
    FieldType.LIBRARY: TEXT,
    FieldType.PROCESS: any_of(integer(1, MAX_DWORD), _NAMED),
    FieldType.DURATION: DURATION_TEXT,
    FieldType.ARGUMENTS: items({"type": ["string", "integer"]}, least=0),
    FieldType.DEVICE_NAME: TEXT,
    FieldType.DEVICE: _NAMED,
    FieldType.CONTROL_CODE: any_of(integer(0, MAX_DWORD), TEXT),
    FieldType.BUFFER: ref("buffer"),
    FieldType.FILE: TEXT,
    FieldType.FLAG: BOOLEAN,
}
"""All but NUMBER, which has a range of its own."""
_ANSWER: Final[dict[str, JsonSchema]] = {
    "output": one_or_several(ref("bytes")),
    "returned": integer(0, MAX_DWORD),
    "code": integer(0, MAX_DWORD),
}
_BIND: Final = matching(re.compile(rf"\$?(?:{BOUND_NAME.pattern})"))
_BESIDE: Final[dict[str, JsonSchema]] = {"by": _BIND, "status": integer(1, MAX_DWORD)}
"""What every action may have."""


_ABOUT: Final = {
    "scenario": "Its name: small letters, digits and -.",
    "summary": "What it is, for people.",
    "expect": "What is to be told of, and in which order.",
    "observe": "In place of expect: nothing is expected; what holds of every driver is judged.",
    "steps": "What happens on the target, one after the other.",
    "lifecycle": "Lifecycle rules that the driver is not held to.",
    "seed": "Used where the command line gives none.",
    "profile": "The Windows that the virtual target is like.",
    "policy": "Who goes first in the virtual target where the order is open.",
    "processors": "How many the virtual target has; without it 2.",
    "print_mask": "Which debug prints pass, by a mask of DEFAULT or one for each component.",
    "lines": "A line grammar file, relative to the folder of this one.",
    "requires": "Without an event of the recording for each of these nothing of it is judged.",
    "rules": "Standing rules that the drivers are not held to.",
}
_ABOUT_EXPECT: Final = {
    "requires": "Without an event of the recording for each of these the block is not judged.",
    "scope": "Which events the block is about.",
    "free": "Variables that no step binds, however like another name they are.",
    "order": "What comes, in this order; other events may come between.",
    "never": "What must not come.",
    "only": "Whether every event in scope must stand for something in the order.",
}


def scenario_schema() -> JsonSchema:
    """Of a scenario file."""
    top: dict[str, JsonSchema] = {
        "scenario": matching(NAME),
        "summary": TEXT,
        "expect": one_or_several(ref("expect")),
        "observe": {"const": True},
        "steps": ref("steps"),
        "lifecycle": _off(list(RULES)),
        "seed": integer(0, MAX_SEED),
        "profile": TEXT,
        "policy": TEXT,
        "processors": integer(1, MAX_PROCESSORS),
        "print_mask": any_of(
            integer(0, MAX_MASK), {"type": "object", "additionalProperties": integer(0, MAX_MASK)}
        ),
        "lines": TEXT,
        "requires": one_or_several(ref("pattern")),
        "rules": _off(list(STANDING_RULES)),
    }
    return {
        "title": "procnotify scenario",
        **section(
            described({key: top[key] for key in (*REQUIRED_KEYS, *OPTIONAL_KEYS)}, _ABOUT),
            required=[key for key in REQUIRED_KEYS if key != "expect"],
        ),
        "oneOf": [{"required": ["expect"]}, {"required": ["observe"]}],
        "$defs": {
            "steps": items(ref("step")),
            "step": _step(),
            "bytes": _bytes(),
            "buffer": _buffer(),
            "expect": _expect(),
            "item": _item(),
            "branch": any_of(ref("item"), items(ref("item"))),
            "pattern": event_pattern(KINDS),
            **CONSTRAINTS,
        },
    }


def _off(rules: list[str]) -> JsonSchema:
    return section({"off": items({"enum": rules})}, required=("off",))


# --- steps ---


def _step() -> JsonSchema:
    own: dict[str, JsonSchema] = {
        "settle": section({"quiet": DURATION_TEXT, "max": DURATION_TEXT}, required=("quiet", "max")),
        "load_driver": _EMPTY,
        "unload_driver": _EMPTY,
        "repeat": section(
            {"times": integer(1, MAX_STEPS), "steps": ref("steps")}, required=("times", "steps")
        ),
    }
    steps = {key: {**_action(action), "description": action.does} for key, action in ACTIONS.items()}
    steps |= {key: {**own[key], "description": does} for key, (_, does) in HARNESS_STEPS.items()}
    bare = [key for key, action in ACTIONS.items() if not any(field.required for field in action.fields)]
    bare += [key for key in HARNESS_STEPS if own[key] is _EMPTY]
    return any_of({"enum": bare}, single_key(steps))


def _action(action: Action) -> JsonSchema:
    fields = {field.name: _field(field) for field in action.fields}
    answer = {key: _ANSWER[key] for key in action.answer}
    required = [field.name for field in action.fields if field.required]
    binds = {"as": _BIND} if action.binds else {}
    written = [section({**fields, **answer, **binds, **_BESIDE}, required=required)]
    if action.main is not None:
        written.append(fields[action.main])
    if not required:
        written.append({"type": "null"})
    return any_of(*written)


def _field(field: ActionField) -> JsonSchema:
    if field.type is FieldType.NUMBER:
        return integer(field.minimum, field.maximum)
    return _FIELD_TYPES[field.type]


def _bytes() -> JsonSchema:
    forms: dict[str, JsonSchema] = {
        "hex": {"type": "string"},
        "text": TEXT,
        "utf16": TEXT,
        "zeros": integer(0, MAX_BUFFER),
        **{form: integer(-(1 << 8 * width - 1), (1 << 8 * width) - 1) for form, width in WIDTHS.items()},
    }
    return single_key({form: forms[form] for form in FORMS})


def _buffer() -> JsonSchema:
    lying = {"address": integer(0, MAX_ADDRESS), "length": integer(0, MAX_BUFFER)}
    return any_of(one_or_several(ref("bytes")), section(lying, required=lying))


# --- the order ---


def _expect() -> JsonSchema:
    fields = section({name: constraint(wanted) for name, wanted in all_fields().items()}, least=1)
    keys: dict[str, JsonSchema] = {
        "requires": one_or_several(ref("pattern")),
        "scope": one_or_several(any_of(ref("pattern"), fields)),
        "free": items(_NAMED),
        "order": items(ref("item")),
        "never": one_or_several(ref("pattern")),
        "only": BOOLEAN,
    }
    return {
        **section(described({key: keys[key] for key in EXPECT_KEYS}, _ABOUT_EXPECT)),
        "anyOf": [{"required": ["order"]}, {"required": ["never"]}],
    }


def _item() -> JsonSchema:
    branches = items(ref("branch"), least=2, most=MAX_BRANCHES)
    rounds = {"of": ref("branch"), "min": integer(0, MAX_ROUNDS), "max": integer(1, MAX_ROUNDS)}
    own: dict[str, JsonSchema] = {
        "next": ref("branch"),
        "any_order": branches,
        "one_of": branches,
        "optional": ref("branch"),
        "repeat": section(rounds, required=("of",)),
        "never": one_or_several(ref("pattern")),
        "within": DURATION_TEXT,
    }
    patterns: JsonSchema = event_pattern(KINDS)["properties"]
    return single_key({**patterns, **{key: own[key] for key in ITEMS}})
