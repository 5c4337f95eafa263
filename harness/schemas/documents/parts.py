"""What the documents of several commands have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, get_args

from harness.events import KINDS, WitnessName
from harness.outcome import Outcome
from harness.schemas.values import JsonSchema, any_of, ref

__all__ = [
    "CHANGED_EVENT",
    "CHANGED_ORDER",
    "COUNT",
    "EXIT_CODE",
    "FAULT_MATRICES",
    "FLAG",
    "FORM",
    "INTERPRETER",
    "JUDGED",
    "MINED_EVENTS",
    "MISFIT",
    "NEW",
    "NUMBER",
    "OUTCOME",
    "RECORDING",
    "REMOVED",
    "SELECTED",
    "SHARED",
    "SIGNATURE",
    "SIGNED",
    "TEXT",
    "TEXTS",
    "VERDICT",
    "list_of",
    "mapping_of",
    "object_with",
    "or_null",
]

SIGNED: Final[JsonSchema] = {"type": "integer"}
COUNT: Final[JsonSchema] = {"type": "integer", "minimum": 0}
NUMBER: Final[JsonSchema] = {"type": "number"}
TEXT: Final[JsonSchema] = {"type": "string"}
FLAG: Final[JsonSchema] = {"type": "boolean"}
NULL: Final[JsonSchema] = {"type": "null"}
ADDRESS: Final[JsonSchema] = {"type": "string", "pattern": "^0x[0-9a-f]+$"}
OUTCOME: Final[JsonSchema] = {"enum": [outcome.words for outcome in Outcome]}
EXIT_CODE: Final[JsonSchema] = {"enum": [*map(int, Outcome), 130]}
WITNESS: Final[JsonSchema] = {"enum": list(get_args(WitnessName))}
KIND: Final[JsonSchema] = {"enum": list(KINDS)}


def or_null(schema: JsonSchema) -> JsonSchema:
    return any_of(schema, NULL)


def list_of(schema: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": schema}


def mapping_of(schema: JsonSchema) -> JsonSchema:
    """Names that the command line, a scenario or a recording gave, each with such a value."""
    return {"type": "object", "additionalProperties": schema}


def object_with(properties: Mapping[str, JsonSchema], optional: Iterable[str] = ()) -> JsonSchema:
    """An object that has these keys, but for the optional ones in any case."""
    left = set(optional)
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in left],
    }


TEXTS: Final = list_of(TEXT)
BINDINGS: Final = mapping_of(any_of(SIGNED, FLAG, TEXT, NULL))
"""A variable has the value of whatever field it stands for."""
PROMISES: Final = object_with({"held": COUNT, "not_judged": COUNT, "why": TEXTS})
RELEASE: Final = object_with({"running": any_of(FLAG, NULL), "crashed": FLAG, "proof": TEXT})
BROKEN_RULES: Final = list_of(object_with({"rule": TEXT, "driver": TEXT, "message": TEXT}))
AGREEMENT: Final = object_with(
    {
        "compared": COUNT,
        "findings": list_of(
            object_with(
                {
                    "fault": TEXT,
                    "message": TEXT,
                    "printed": or_null(COUNT),
                    "called": or_null(COUNT),
                }
            )
        ),
        "more": COUNT,
        "not_judged": TEXTS,
    }
)
EVENT: Final = {
    "type": "object",
    "description": "As a line of a trace has it.",
    "properties": {"kind": KIND, "index": COUNT},
    "required": ["kind", "index"],
    "additionalProperties": True,
}
CHECK: Final = object_with(
    {
        "passed": FLAG,
        "failures": list_of(
            object_with(
                {
                    "reason": TEXT,
                    "rule": or_null(TEXT),
                    "file": or_null(TEXT),
                    "line": or_null(COUNT),
                    "bindings": BINDINGS,
                    "events": list_of(object_with({"index": COUNT, "mark": or_null(TEXT)})),
                    "why": or_null(ref("explanation")),
                }
            )
        ),
        "unjudged": list_of(object_with({"reason": TEXT, "hint": TEXT})),
        "unobserved": list_of(
            object_with({"what": TEXT, "why": TEXT, "line": or_null(COUNT), "promises": COUNT})
        ),
        "witnesses": list_of(
            object_with(
                {
                    "line": COUNT,
                    "bindings": BINDINGS,
                    "matches": list_of(object_with({"line": COUNT, "event": COUNT})),
                }
            )
        ),
        "explanation": TEXT,
    }
)
LOSS: Final = object_with(
    {
        "lost": COUNT,
        "gaps": list_of(list_of(COUNT)),
        "repeated": COUNT,
        "before": COUNT,
        "miscounted": TEXTS,
        "went_back": TEXTS,
        "uncounted": TEXTS,
        "unproved": TEXTS,
    }
)
COUNTS: Final = mapping_of(COUNT)
VERDICT: Final = {
    "outcome": OUTCOME,
    "exit_code": EXIT_CODE,
    "reason": TEXT,
    "hint": TEXT,
    "partial": or_null(TEXT),
    "witness": WITNESS,
    "agreement": or_null(ref("agreement")),
    "events": COUNT,
    "counts": COUNTS,
    "loss": LOSS,
    "boots": COUNT,
    "stops": COUNT,
    "unhandled": or_null(EVENT),
    "bugcheck": or_null(EVENT),
    "observed": or_null(TEXT),
    "broken_rules": ref("broken_rules"),
    "notes": TEXTS,
    "promises": ref("promises"),
    "check": or_null(ref("check_result")),
}
RESULT: Final = object_with(
    {
        "scenario": TEXT,
        "file": TEXT,
        "seed": COUNT,
        "outcome": OUTCOME,
        "exit_code": EXIT_CODE,
        "reason": TEXT,
        "explanation": TEXT,
        "retries": COUNT,
        "notes": TEXTS,
        "promises": ref("promises"),
        "witness": WITNESS,
        "observed": or_null(TEXT),
        "broken_rules": ref("broken_rules"),
        "agreement": or_null(ref("agreement")),
        "events": COUNT,
        "seconds": NUMBER,
        "trace": or_null(TEXT),
        "release": or_null(ref("release")),
    }
)
FAULT_MATRICES: Final = {
    "matrices": list_of(
        object_with(
            {
                "scenario": TEXT,
                "seed": COUNT,
                "exit_code": EXIT_CODE,
                "outcome": OUTCOME,
                "unharmed": TEXTS,
                "calls": list_of(
                    object_with(
                        {
                            "routine": TEXT,
                            "during": TEXT,
                            "site": TEXT,
                            "returned": or_null(TEXT),
                            "happened": TEXT,
                            "exit_code": EXIT_CODE,
                            "followed": TEXTS,
                        }
                    )
                ),
                "places_beyond": COUNT,
                "interrupted": FLAG,
            }
        )
    )
}
TREE_ROW: Final = object_with({"what": TEXT, "prints": TEXTS, "below": list_of(ref("tree_row"))})
MOMENT: Final = or_null(object_with({"index": COUNT, "time": or_null(SIGNED)}))
PROCESS: Final = object_with(
    {
        "number": COUNT,
        "parent": or_null(COUNT),
        "boot": COUNT,
        "pid": COUNT,
        "program": TEXT,
        "created": MOMENT,
        "ended": MOMENT,
        "duration": or_null(SIGNED),
        "events": COUNT,
        "threads": COUNT,
        "ended_threads": COUNT,
        "images": COUNT,
        "thread_list": list_of(
            object_with({"tid": COUNT, "created": or_null(SIGNED), "ended": or_null(SIGNED)})
        ),
        "image_list": list_of(object_with({"image": TEXT, "base": or_null(ADDRESS)})),
    },
    optional=("thread_list", "image_list"),
)
RECORDING: Final = {
    "recording": TEXT,
    "source": or_null(TEXT),
    "events": COUNT,
    "counts": COUNTS,
    "order": TEXT,
    "unordered": TEXTS,
    "left_out": COUNTS,
    "damage": TEXT,
}
SELECTED: Final = {
    "select": TEXT,
    "recordings": COUNT,
    "left_out": COUNTS,
    "programs_unknown": COUNT,
    "other_scenarios": COUNTS,
    "unordered": TEXTS,
    "notes": TEXTS,
}
MINED_EVENTS: Final = mapping_of(
    object_with({"instances": COUNT, "least": COUNT, "most": COUNT, "by": COUNTS})
)
SIDES: Final = object_with({"before": COUNT, "after": COUNT})
CHANGE_NUMBERS: Final = {"kind": TEXT, "p": NUMBER, "needed": NUMBER}
CHANGED_EVENT: Final = object_with({**CHANGE_NUMBERS, "event": TEXT, "first": COUNT, "second": COUNT})
CHANGED_ORDER: Final = object_with({**CHANGE_NUMBERS, "a": TEXT, "b": TEXT, "first": SIDES, "second": SIDES})
FORM: Final = {"kind": TEXT, "line": COUNT, "text": TEXT}
SIGNATURE: Final = {"image": TEXT, "signer": TEXT, "thumbprint": TEXT, "digest": or_null(TEXT)}
REMOVED: Final = {"folder": TEXT, "removed": FLAG}
INTERPRETER: Final = {"interpreter": TEXTS, "python": TEXT, "pykd": TEXT, "origin": TEXT}
NEW: Final = {"written": TEXTS, "text": TEXT}
JUDGED: Final = {"trace": TEXT, "scenario": TEXT, "file": TEXT}
MISFIT: Final = object_with(
    {"number": COUNT, "line": TEXT, "position": COUNT, "kind": TEXT, "expected": TEXT}
)

SHARED: Final = {
    "promises": PROMISES,
    "release": RELEASE,
    "broken_rules": BROKEN_RULES,
    "agreement": AGREEMENT,
    "check_result": CHECK,
    "result": RESULT,
    "tree_row": TREE_ROW,
    "process": PROCESS,
}
