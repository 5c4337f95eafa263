"""The lifecycle rules: what every trace is held to without being asked.

Each rule has a name (to switch it off: ``lifecycle: {off: [name]}``), a sentence, and the source that makes
it a promise of Windows. :mod:`harness.order.lifecycle` holds traces to them. A source is a page of the
Windows driver documentation, named by its routine; "recorded" is what every recording of a real NT kernel
shows that this project tests against. Processes and threads that were alive before the trace began have no
creation in it; nothing is held against them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True)
class Rule:
    """One promise."""

    name: str
    sentence: str
    source: str


_PROCESS = "PCREATE_PROCESS_NOTIFY_ROUTINE"
_THREAD = "PCREATE_THREAD_NOTIFY_ROUTINE"
_IDS = "an ID is valid, and not given out again, until its process or thread ends"

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "process_created_once",
            "A PID is created again only after its process ended.",
            f"Process Handles and Identifiers: {_IDS}",
        ),
        Rule(
            "process_created_first",
            "A process's threads and images come after its creation.",
            "PsSetCreateProcessNotifyRoutine, the first thread runs after the callback; recorded",
        ),
        Rule(
            "nothing_after_process_exit",
            "After a process ended nothing happens in its PID until it is created anew.",
            f"{_PROCESS}: at exit the last thread has terminated and the address space is about to go",
        ),
        Rule(
            "thread_created_once",
            "A TID is created again only after its thread ended.",
            f"Thread Handles and Identifiers: {_IDS}",
        ),
        Rule(
            "thread_created_before_exit",
            "A thread of a process born in the trace ends once, after its creation.",
            f"{_THREAD}: called when a thread is created and when it is deleted",
        ),
        Rule(
            "thread_keeps_its_process",
            "A thread ends in the process it was created in.",
            f"{_THREAD}: ProcessId is the process of the thread",
        ),
        Rule(
            "threads_exit_before_process",
            "When a process ends, every thread seen created in it has ended.",
            f"{_PROCESS}: at exit the last thread has terminated; recorded",
        ),
        Rule(
            "thread_exit_context",
            "A thread's end is reported in its own context.",
            f"{_THREAD}: on deletion the routine runs in the context of the exiting thread",
        ),
        Rule(
            "process_exit_context",
            "A process's end is reported in its own context; process 0, the idle process, never ends.",
            f"{_PROCESS}: at exit it runs in the context of the last thread to exit from the process",
        ),
        Rule(
            "callbacks_only_while_registered",
            "No event comes of a kind whose registration failed or, threads and images, was removed.",
            "PsRemoveCreateThreadNotifyRoutine, PsRemoveLoadImageNotifyRoutine: return after running "
            "callbacks have ended",
        ),
        Rule(
            "driver_unregisters",
            "A driver that prints its totals at unload has removed every callback it registered.",
            "PsSetCreateProcessNotifyRoutine, PsSetCreateThreadNotifyRoutine, PsSetLoadImageNotifyRoutine: "
            "a driver must remove its callbacks before it is unloaded",
        ),
        Rule(
            "seq_unique",
            "No two lines carry the same sequence number.",
            "the driver's own counter",
        ),
        Rule(
            "time_follows_seq",
            "A later sequence number has no earlier time; a second's slack, as callbacks are interrupted.",
            "the driver takes both at callback entry; KUSER_SHARED_DATA.InterruptTime never goes back",
        ),
        Rule(
            "no_lost_lines",
            "No number is missing and no line that the totals count, or the trace is not judged.",
            "the driver's own counters",
        ),
        Rule(
            "totals_count_every_line",
            "The totals at unload count every callback line of the driver, and none comes after them.",
            "the driver's own counters",
        ),
    )
}
"""Name → rule."""
