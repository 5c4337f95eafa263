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
    "frees-lock-early": Bug(
        "sandboxie-plus/Sandboxie#5329",
        "teardown race",
        (_C,),
        r"(NullCheck|SpecialPool): .*OnImage|0x000000e3 RESOURCE_NOT_OWNED",
    ),
    "reads-global-twice": Bug(
        "yardenshafir/DpcWait#3",
        "lost update",
        (_B, _C),
        r"PoolTracking: .*ExAllocatePoolWithTag at .*Begin|SpecialPool: .* freed pool, instruction at .*End",
    ),
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
    "allocates-in-image-callback": Bug(
        "stormshield/Beholder-Win32#1",
        "forbidden call",
        (_B,),
        r"CallbackCallsMemory: .*ZwAllocateVirtualMemory in its image callback, at .*OnImage",
    ),
    "waits-in-thread-callback": Bug(
        "winsiderss/systeminformer#1761",
        "blocking callback",
        (_B,),
        r"hangs at .*OnThread.* waits for the event",
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
    "unloads-under-thread": Bug(
        "everdox/InfinityHook#9",
        "unload race",
        (_C,),
        r"0x000000ce(.*\n)*.*UnloadThreads: .*PsCreateSystemThread at .*DriverEntry",
    ),
    "trusts-parent-id": Bug(
        "JKornev/hidden#2",
        "identity",
        (_B,),
        r"process_create .*: creating_pid \d+ is printed, \d+ was told",
    ),
    "appends-images-twice": Bug(
        "HydraDragonAntivirus/HydraDragonAntivirus#878",
        "duplicates",
        (_C,),
        r"0x00000050(.*\n)*SpecialPool: .* behind 256 bytes of pool, instruction at .*Append",
    ),
    "opens-at-apc-level": Bug(
        "MicrosoftDocs/windows-driver-docs-ddi#592",
        "IRQL",
        (_B,),
        r"IrqlObPassive: .*ObOpenObjectByPointer at IRQL APC_LEVEL, .*OnThread",
    ),
    "walks-list-unlocked": Bug(
        "sandboxie-plus/Sandboxie#5149",
        "use after free",
        (_C,),
        r"0x00000050(.*\n)*SpecialPool: .* reads freed pool, instruction at .*CountSiblings",
    ),
    "keeps-looked-up-processes": Bug(
        "dearfuture/DriverTutorial",
        "reference leak",
        (_B,),
        r"UnloadReferences: .*PsLookupProcessByProcessId at .*OnProcess",
    ),
}
"""Name, which is that of the folder with the driver and the scenario → bug."""
