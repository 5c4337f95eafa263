"""How far witnesses agree, as values that JSON has (``docs/json.md``)."""

from __future__ import annotations

from harness.witness import Agreement

__all__ = ["agreement_as_json"]


def agreement_as_json(agreement: Agreement | None) -> dict[str, object] | None:
    """None where they were not held against one another."""
    if agreement is None:
        return None
    return {
        "compared": agreement.compared,
        "findings": [
            {
                "fault": finding.fault.value,
                "message": finding.message,
                "printed": finding.printed,
                "called": finding.called,
            }
            for finding in agreement.findings
        ],
        "more": agreement.more,
        "not_judged": list(agreement.not_judged),
    }
