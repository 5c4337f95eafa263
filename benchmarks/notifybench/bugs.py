"""The bugs of NotifyBench: where each was found, and what a run of its driver says."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from harness.outcome import Outcome
from harness.runs.result import RunResult

__all__ = ["BUGS", "Bug"]


class Bug(NamedTuple):
    """One bug of a notify driver."""

    source: str
    """``owner/repository#number`` of the report."""
    kind: str
    """Its class."""
    outcomes: tuple[Outcome, ...]
    """How a run ends in which it shows."""
    told: str
    """Pattern of what is said of it then: the rule or the bugcheck, and the function."""

    def shows_in(self, result: RunResult) -> bool:
        """The run found this bug, and says so."""
        return result.outcome in self.outcomes and re.search(self.told, said(result)) is not None


def said(result: RunResult) -> str:
    """All that a run says of its driver, a line for each fault."""
    return "\n".join([result.reason, *(f"{broken.rule}: {broken.message}" for broken in result.broken_rules)])


_B, _C = Outcome.BROKEN, Outcome.BUGCHECK

BUGS: Final[dict[str, Bug]] = {
    "keeps-process-references": Bug(
        "cheat-engine/cheat-engine#273",
        "reference leak",
        (_B,),
        r"UnloadReferences: .*PsLookupProcessByProcessId at .*OnProcess",
    ),
    "keeps-thread-references": Bug(
        "3a1/Zodiak#10",
        "reference leak",
        (_B,),
        r"UnloadReferences: .*PsLookupThreadByThreadId at .*OnThread",
    ),
    "removes-itself": Bug(
        "MicrosoftDocs/windows-driver-docs-ddi#1073",
        "self removal",
        (_B,),
        r"CallbackRemovesItself: .*process callback from inside .*OnProcess",
    ),
    "forgets-image-callback": Bug(
        "jussihi/PUBG-map-hack#45",
        "callback leak",
        (_C,),
        r"0x000000ce(.*\n)*.*UnloadCallbacks: .*PsSetLoadImageNotifyRoutine at .*DriverEntry",
    ),
}
"""Name, which is that of the folder with the driver and the scenario → bug."""
