"""An explanation as values that JSON has; ``docs/json.md`` has the shape."""

from __future__ import annotations

from harness.order.refutation import ForbiddenCame, OrderRefuted, Proof, RuleBreach
from harness.order.result import Explanation

__all__ = ["explanation_as_json"]


def explanation_as_json(said: Explanation) -> dict[str, object]:
    """Why a promise was broken."""
    return {
        "contradiction": said.contradiction,
        "callback": said.callback or None,
        "promises": [
            {
                "line": promise.line,
                "words": promise.words,
                "status": promise.status.value,
                "event": promise.index,
                "why": promise.why,
            }
            for promise in said.promises
        ],
        "lanes": [{"pid": lane.pid, "image": lane.image or None} for lane in said.lanes],
        "rows": [
            {
                "event": row.event.index,
                "lane": row.lane,
                "mark": row.mark.value,
                "line": row.line,
                "folded": row.folded,
            }
            for row in said.rows
        ],
        "folded_after": said.folded_after,
        "irrelevant": list(said.irrelevant),
        "proof": None if said.proof is None else _proof(said.proof),
        "unproved": said.unproved or None,
    }


def _proof(proof: Proof) -> dict[str, object]:
    match proof:
        case OrderRefuted(scopes=scopes):
            return {"kind": "order", "branches": sum(len(refuted.branches) for refuted in scopes)}
        case ForbiddenCame(index=index):
            return {"kind": "forbidden", "event": index}
        case RuleBreach(index=index, earlier=earlier):
            return {"kind": "rule", "event": index, "earlier": earlier}
