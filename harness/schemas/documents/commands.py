"""The document of each command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harness.schemas.documents.parts import (
    CHANGED_EVENT,
    CHANGED_ORDER,
    COUNT,
    EXIT_CODE,
    FAULT_MATRICES,
    FLAG,
    FORM,
    INTERPRETER,
    JUDGED,
    MINED_EVENTS,
    MISFIT,
    NEW,
    NUMBER,
    OUTCOME,
    RECORDING,
    REMOVED,
    SELECTED,
    SIGNATURE,
    SIGNED,
    TEXT,
    TEXTS,
    VERDICT,
    list_of,
    mapping_of,
    object_with,
    or_null,
)
from harness.schemas.values import JsonSchema, any_of, ref

__all__ = ["DOCUMENTS"]

DOCUMENTS: Final[Mapping[str, tuple[Mapping[str, JsonSchema], ...]]] = {
    "run": (
        {"traces": or_null(TEXT), "results": list_of(ref("result")), "interrupted": or_null(ref("result"))},
        FAULT_MATRICES,
    ),
    "try": (
        {
            "driver": TEXT,
            "seed": COUNT,
            "outcome": OUTCOME,
            "reason": TEXT,
            "observed": or_null(TEXT),
            "broken_rules": ref("broken_rules"),
            "notes": TEXTS,
            "tree": list_of(ref("tree_row")),
            "seconds": NUMBER,
        },
        FAULT_MATRICES,
    ),
    "matrix": (
        {
            "folder": TEXT,
            "cells": list_of(
                object_with(
                    {
                        "machine": TEXT,
                        "debugger": TEXT,
                        "driver": or_null(TEXT),
                        "outcome": OUTCOME,
                        "exit_code": EXIT_CODE,
                        "error": TEXT,
                        "seconds": NUMBER,
                        "promises": object_with({"held": COUNT, "not_judged": COUNT}),
                        "folder": TEXT,
                        "results": list_of(ref("result")),
                    }
                )
            ),
        },
    ),
    "doctor": (
        {
            "machine": TEXT,
            "links": list_of(
                object_with(
                    {
                        "link": TEXT,
                        "what": TEXT,
                        "state": {"enum": ["sound", "broken", "not reached", "not asked"]},
                        "evidence": TEXT,
                        "hint": TEXT,
                    }
                )
            ),
        },
    ),
    "explore": (
        {
            "scenario": TEXT,
            "policy": TEXT,
            "seeds": list_of(COUNT),
            "schedules": COUNT,
            "complete": FLAG,
            "interrupted": FLAG,
            "preemptions": or_null(COUNT),
            "proved": FLAG,
            "failed": COUNT,
            "orders": object_with({"distinct": COUNT, "once": COUNT}),
            "encounters": COUNT,
            "failures": list_of(
                object_with(
                    {
                        "outcome": OUTCOME,
                        "exit_code": EXIT_CODE,
                        "reason": TEXT,
                        "count": COUNT,
                        "first_seed": COUNT,
                        "first_schedule": COUNT,
                        "preemptions": or_null(COUNT),
                        "shrunk_seed": or_null(COUNT),
                        "shrunk_to": or_null(COUNT),
                        "replay": or_null(TEXT),
                    }
                )
            ),
            "baseline": or_null(object_with({"schedules": COUNT, "found": FLAG})),
        },
    ),
    "check": (
        {**JUDGED, **VERDICT},
        {
            **JUDGED,
            "outcome": OUTCOME,
            "selected": object_with(SELECTED),
            "recording": object_with(VERDICT),
            "instances": list_of(
                object_with(
                    {
                        "number": COUNT,
                        "pid": or_null(COUNT),
                        "first": COUNT,
                        "last": COUNT,
                        **VERDICT,
                    }
                )
            ),
        },
    ),
    "show": (
        {
            **RECORDING,
            "boots": COUNT,
            "processes": list_of(ref("process")),
            "unlisted": COUNT,
            "beyond": COUNT,
        },
    ),
    "convert": ({**RECORDING, "trace": TEXT},),
    "compare": (
        {
            "first": TEXT,
            "second": TEXT,
            "same": COUNT,
            "differences": list_of(
                object_with({"message": TEXT, "first": or_null(COUNT), "second": or_null(COUNT)})
            ),
            "more": COUNT,
        },
    ),
    "mine": (
        {
            **SELECTED,
            "instances": COUNT,
            "enough": object_with(
                {
                    "enough": FLAG,
                    "alone": COUNT,
                    "news_at_most": NUMBER,
                    "instances_for_enough": COUNT,
                }
            ),
            "events": MINED_EVENTS,
            "occasional_events": MINED_EVENTS,
            "order": list_of(TEXTS),
            "pairs": list_of(
                object_with(
                    {
                        "a": TEXT,
                        "b": TEXT,
                        "relation": {"enum": ["always", "mixed", "never_together"]},
                        "before": COUNT,
                        "after": COUNT,
                        "fails_at_most": or_null(NUMBER),
                    }
                )
            ),
        },
    ),
    "diff": (
        {
            "first": object_with(SELECTED),
            "second": object_with(SELECTED),
            "first_instances": COUNT,
            "second_instances": COUNT,
            "level": NUMBER,
            "compared": COUNT,
            "able": FLAG,
            "events": list_of(CHANGED_EVENT),
            "orders": list_of(CHANGED_ORDER),
            "unproved": list_of(any_of(CHANGED_EVENT, CHANGED_ORDER)),
        },
    ),
    "lines": (
        {
            "log": TEXT,
            "grammar": object_with({"name": TEXT, "sha256": TEXT}),
            "lines": COUNT,
            "forms": list_of(object_with({**FORM, "count": COUNT})),
            "overlaps": list_of(
                object_with({"read_by": object_with(FORM), "fits_too": object_with(FORM), "count": COUNT})
            ),
            "markers": COUNT,
            "ignored": COUNT,
            "left": COUNT,
            "left_lines": list_of(MISFIT),
        },
    ),
    "lint": (
        {
            "files": list_of(object_with({"file": TEXT, "kind": TEXT})),
            "mistakes": list_of(object_with({"file": TEXT, "line": COUNT, "message": TEXT, "hint": TEXT})),
            "left_aside": TEXTS,
        },
        {"kind": TEXT, "schema": TEXT},
    ),
    "learn": (
        {
            "driver": TEXT,
            "written": or_null(TEXT),
            "grammar": or_null(TEXT),
            "forms": list_of(object_with({"kind": TEXT, "text": TEXT, "fields": TEXTS})),
            "not_known": TEXTS,
            "calls": COUNT,
            "read": COUNT,
            "complete": FLAG,
        },
    ),
    "record": (
        {
            **VERDICT,
            "trace": or_null(TEXT),
            "scenario": or_null(TEXT),
            "reboots": COUNT,
            "release": ref("release"),
        },
    ),
    "debug": (
        {
            "debugger": TEXT,
            "commands": list_of(
                object_with({"event": COUNT, "command": TEXT, "output": TEXT}, optional=("event",))
            ),
            "visits": or_null(
                list_of(object_with({"event": COUNT, "kind": TEXT, "line": TEXT, "fingerprint": TEXT}))
            ),
            "release": ref("release"),
        },
    ),
    "serve": ({"bindings": or_null(mapping_of(SIGNED))},),
    "new ci": ({"written": TEXTS},),
    "new scenario": (NEW,),
    "new grammar": (NEW,),
    "new machine": (NEW,),
    "driver build": (
        {
            "image": TEXT,
            "pdb": TEXT,
            "arch": TEXT,
            "bytes": COUNT,
            "sha256": TEXT,
            "warnings": TEXTS,
        },
    ),
    "driver sign": ({**SIGNATURE, "certificate": or_null(TEXT), "verified": FLAG},),
    "driver verify": (SIGNATURE,),
    "keygen": ({"key": TEXT},),
    "prepare": ({"connection": or_null(TEXT), "steps": TEXTS, "written": TEXTS},),
    "wine setup": ({"prefix": TEXT, "python": TEXT, "pykd": TEXT},),
    "wine remove": (REMOVED,),
    "pykd setup": (INTERPRETER,),
    "pykd remove": (REMOVED,),
    "pykd where": (INTERPRETER,),
}
"""The words that call a command → the shapes that its document may have, one of them."""
