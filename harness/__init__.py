"""procnotify: kernel-debugger automation and trace extraction for Windows drivers.

What a program calls is here; docs/api.md shows it at work::

    import harness

    series = harness.run("scenarios", driver="mine.sys")
    for result in series.results:
        print(result.scenario, result.outcome.words, result.reason)

A name is imported when it is first asked for, so that ``import harness`` alone costs next to nothing.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.api import Recorded, check, load_scenario, open_trace, record, run
    from harness.errors import (
        ConnectionFailed,
        DebuggerDied,
        DriverBugcheck,
        DriverFault,
        DriverFileError,
        DriverHang,
        GrammarError,
        GuestError,
        InternalError,
        LinesLost,
        MachineError,
        MachineFileError,
        MissingImport,
        ProcnotifyError,
        ProjectFileError,
        RigError,
        ScenarioError,
        SearchBudgetError,
        TargetLost,
        ToolchainError,
        TraceError,
        UsageError,
        UserFileError,
    )
    from harness.events import (
        KINDS,
        Bugcheck,
        Disconnect,
        Driver,
        Event,
        ImageLoad,
        Marker,
        Print,
        ProcessCreate,
        ProcessExit,
        Reboot,
        RuleBroken,
        Stop,
        ThreadCreate,
        ThreadExit,
        kind_of,
    )
    from harness.order import CheckResult
    from harness.outcome import Outcome
    from harness.runs.result import RunResult
    from harness.runs.runner import RunInterrupted
    from harness.runs.series import Series
    from harness.scenario import Scenario
    from harness.trace.sources import TraceSource
    from harness.verdict.judge import Verdict

__all__ = [
    "KINDS",
    "Bugcheck",
    "CheckResult",
    "ConnectionFailed",
    "DebuggerDied",
    "Disconnect",
    "Driver",
    "DriverBugcheck",
    "DriverFault",
    "DriverFileError",
    "DriverHang",
    "Event",
    "GrammarError",
    "GuestError",
    "ImageLoad",
    "InternalError",
    "LinesLost",
    "MachineError",
    "MachineFileError",
    "Marker",
    "MissingImport",
    "Outcome",
    "Print",
    "ProcessCreate",
    "ProcessExit",
    "ProcnotifyError",
    "ProjectFileError",
    "Reboot",
    "Recorded",
    "RigError",
    "RuleBroken",
    "RunInterrupted",
    "RunResult",
    "Scenario",
    "ScenarioError",
    "SearchBudgetError",
    "Series",
    "Stop",
    "TargetLost",
    "ThreadCreate",
    "ThreadExit",
    "ToolchainError",
    "TraceError",
    "TraceSource",
    "UsageError",
    "UserFileError",
    "Verdict",
    "check",
    "kind_of",
    "load_scenario",
    "open_trace",
    "record",
    "run",
]

__version__ = "0.1.0"

_HOMES = {
    "harness.api": ("Recorded", "check", "load_scenario", "open_trace", "record", "run"),
    "harness.events": (
        *("KINDS", "Bugcheck", "Disconnect", "Driver", "Event", "ImageLoad", "Marker", "Print", "RuleBroken"),
        *("ProcessCreate", "ProcessExit", "Reboot", "Stop", "ThreadCreate", "ThreadExit", "kind_of"),
    ),
    "harness.order": ("CheckResult",),
    "harness.outcome": ("Outcome",),
    "harness.runs.result": ("RunResult",),
    "harness.runs.runner": ("RunInterrupted",),
    "harness.runs.series": ("Series",),
    "harness.scenario": ("Scenario",),
    "harness.trace.sources": ("TraceSource",),
    "harness.verdict.judge": ("Verdict",),
}
"""Module → what is offered of it; all else is an error of :mod:`harness.errors`."""

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until asked


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "harness.errors")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
