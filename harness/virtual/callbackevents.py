"""What the kernel remembers of its callback calls, as events whose witness is the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from harness.callbacks import CALLBACK_KINDS
from harness.events import Call, Event, Marker
from harness.lines import MARKERS
from harness.virtual.callbackcalls import CallbackCall, Entry, HelperLine

__all__ = ["callback_events"]


def callback_events(entries: Iterable[Entry], driver: str) -> list[Event]:
    """The calls of one driver's routines and the guest helper's markers among them, in the order in which
    they were entered, with indices from 0.

    :param driver: file name, letter case aside.
    """
    name = driver.casefold()
    events: list[Event] = []
    for entry in entries:
        if isinstance(entry, HelperLine):
            events.extend(_markers(entry, len(events)))
        elif entry.driver.casefold() == name:
            events.append(_event(entry, len(events)))
    return events


def _markers(said: HelperLine, index: int) -> Iterator[Event]:
    for number, line in enumerate(said.text.splitlines()):
        for form in MARKERS:
            if (fields := form.fields(line)) is not None:
                yield Marker(
                    index=index + number,
                    line=line,
                    time=said.time,
                    cpu=said.processor,
                    witness="target",
                    **fields,
                )
                break


_TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "process_create": ("pid", "parent_pid", "image"),
    "process_exit": ("pid",),
    "thread_create": ("pid", "tid"),
    "thread_exit": ("pid", "tid"),
    "image_load": ("pid", "image", "base", "size"),
}
"""Kind → which arguments its routines are told; they are named as the event's fields are."""


def _event(call: CallbackCall, index: int) -> Event:
    kind = CALLBACK_KINDS[call.kind]
    process, thread = kind.context_fields
    fields: dict[str, Any] = {name: getattr(call.told, name) for name in _TOLD[call.kind]}
    fields |= {process: call.context.pid, thread: call.context.tid}
    return kind.event(
        index=index,
        time=call.entered,
        cpu=call.context.cpu,
        witness="target",
        call=Call(
            driver=call.driver,
            routine=call.routine,
            irql=call.context.irql,
            left=call.left,
            answer=call.answer,
        ),
        **fields,
    )
