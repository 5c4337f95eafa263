"""What was mined and what differs, as values that JSON has (``docs/json.md``)."""

from __future__ import annotations

from collections.abc import Iterable

from harness.mining.changes import Change, Changes
from harness.mining.partialorder import PartialOrder
from harness.mining.relations import Relations
from harness.mining.roles import EventName
from harness.report.verdict import verdict_as_json
from harness.verdict.instances import Instances
from harness.verdict.perinstance import PerInstance

__all__ = ["changes_as_json", "instances_as_json", "per_instance_as_json", "relations_as_json"]


def instances_as_json(found: Instances) -> dict[str, object]:
    """What was selected, and what was left out."""
    return {
        "select": str(found.selection),
        "recordings": found.recordings,
        "left_out": dict(sorted(found.left_out.items())),
        "programs_unknown": found.programs_unknown,
        "other_scenarios": dict(sorted(found.other_scenarios.items())),
        "unordered": sorted(found.unordered),
        "notes": list(found.notes),
    }


def relations_as_json(relations: Relations) -> dict[str, object]:
    """All that was counted."""
    return {
        "instances": relations.instances,
        "enough": {
            "enough": relations.enough,
            "alone": relations.alone,
            "news_at_most": relations.news_at_most,
            "instances_for_enough": relations.instances_for_enough,
        },
        "events": _events(relations, relations.shared),
        "occasional_events": _events(relations, relations.occasional),
        "order": [[str(a), str(b)] for a, b in PartialOrder(relations).edges],
        "pairs": [
            {
                "a": str(pair.a),
                "b": str(pair.b),
                "relation": pair.relation,
                "before": pair.before,
                "after": pair.after,
                "fails_at_most": relations.fails_at_most(pair),
            }
            for pair in relations.pairs()
        ],
    }


def _events(relations: Relations, names: Iterable[EventName]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in names:
        least, most = relations.multiplicity(name.first)
        found[str(name)] = {
            "instances": relations.counts[name],
            "least": least,
            "most": most,
            "by": dict(relations.actors.get(name, {})),
        }
    return found


def per_instance_as_json(judged: PerInstance) -> dict[str, object]:
    """The recording as a whole, and each instance."""
    return {
        "exit_code": int(judged.outcome),
        "outcome": judged.outcome.words,
        "selected": instances_as_json(judged.found),
        "recording": verdict_as_json(judged.recording),
        "instances": [
            {
                "number": each.number,
                "pid": each.pid,
                "first": each.first,
                "last": each.last,
                **verdict_as_json(each.verdict),
            }
            for each in judged.instances
        ],
    }


def changes_as_json(changes: Changes) -> dict[str, object]:
    """All that differs."""
    return {
        "first_instances": changes.first,
        "second_instances": changes.second,
        "level": changes.level,
        "compared": changes.compared,
        "able": changes.able,
        "events": [_change(each) for each in changes.events],
        "orders": [_change(each) for each in changes.orders],
        "unproved": [_change(each) for each in changes.unproved],
    }


def _change(found: Change) -> dict[str, object]:
    table = found.table
    if found.b is None:
        counts = {"first": table.first, "second": table.second}
        return {"kind": found.kind, "event": str(found.a), **counts, "p": found.p, "needed": found.needed}
    return {
        "kind": found.kind,
        "a": str(found.a),
        "b": str(found.b),
        "first": {"before": table.first, "after": table.first_not},
        "second": {"before": table.second, "after": table.second_not},
        "p": found.p,
        "needed": found.needed,
    }
