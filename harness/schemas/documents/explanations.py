"""What a document says of a broken promise (:mod:`harness.report.explanation_json`)."""

from __future__ import annotations

from typing import Final

from harness.order.result import MAX_ROWS, Mark, Status
from harness.schemas.documents.parts import COUNT, TEXT, TEXTS, list_of, object_with, or_null
from harness.schemas.values import any_of

__all__ = ["EXPLANATION"]

_PROOF: Final = any_of(
    object_with({"kind": {"const": "order"}, "branches": COUNT}),
    object_with({"kind": {"const": "forbidden"}, "event": COUNT}),
    object_with({"kind": {"const": "rule"}, "event": COUNT, "earlier": or_null(COUNT)}),
)
EXPLANATION: Final = object_with(
    {
        "contradiction": TEXT,
        "callback": or_null(TEXT),
        "promises": list_of(
            object_with(
                {
                    "line": COUNT,
                    "words": TEXT,
                    "status": {"enum": [status.value for status in Status]},
                    "event": or_null(COUNT),
                    "why": TEXT,
                }
            )
        ),
        "lanes": list_of(object_with({"pid": or_null(COUNT), "image": or_null(TEXT)})),
        "rows": {
            **list_of(
                object_with(
                    {
                        "event": COUNT,
                        "lane": COUNT,
                        "mark": {"enum": [mark.value for mark in Mark]},
                        "line": or_null(COUNT),
                        "folded": COUNT,
                    }
                )
            ),
            "maxItems": MAX_ROWS,
        },
        "folded_after": COUNT,
        "irrelevant": TEXTS,
        "proof": or_null(_PROOF),
        "unproved": or_null(TEXT),
    }
)
