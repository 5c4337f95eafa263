"""What the kernel remembers of its callback calls, as events whose witness is the target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from harness.events import (
    Call,
    Event,
    ImageLoad,
    Marker,
    ProcessCreate,
    ProcessExit,
    ThreadCreate,
    ThreadExit,
)
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
            events.append(_EVENTS[entry.kind](entry, len(events)))
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


def _call(call: CallbackCall) -> Call:
    return Call(
        driver=call.driver,
        routine=call.routine,
        irql=call.context.irql,
        left=call.left,
        answer=call.answer,
    )


def _process_create(call: CallbackCall, index: int) -> Event:
    return ProcessCreate(
        index=index,
        time=call.entered,
        cpu=call.context.cpu,
        witness="target",
        call=_call(call),
        pid=call.told.pid,
        parent_pid=call.told.parent_pid,
        creating_pid=call.context.pid,
        creating_tid=call.context.tid,
        image=call.told.image,
    )


def _process_exit(call: CallbackCall, index: int) -> Event:
    return ProcessExit(
        index=index,
        time=call.entered,
        cpu=call.context.cpu,
        witness="target",
        call=_call(call),
        pid=call.told.pid,
        context_pid=call.context.pid,
        context_tid=call.context.tid,
    )


def _thread_create(call: CallbackCall, index: int) -> Event:
    assert call.told.tid is not None
    return ThreadCreate(
        index=index,
        time=call.entered,
        cpu=call.context.cpu,
        witness="target",
        call=_call(call),
        pid=call.told.pid,
        tid=call.told.tid,
        creating_pid=call.context.pid,
        creating_tid=call.context.tid,
    )


def _thread_exit(call: CallbackCall, index: int) -> Event:
    assert call.told.tid is not None
    return ThreadExit(
        index=index,
        time=call.entered,
        cpu=call.context.cpu,
        witness="target",
        call=_call(call),
        pid=call.told.pid,
        tid=call.told.tid,
        context_pid=call.context.pid,
        context_tid=call.context.tid,
    )


def _image_load(call: CallbackCall, index: int) -> Event:
    return ImageLoad(
        index=index,
        time=call.entered,
        cpu=call.context.cpu,
        witness="target",
        call=_call(call),
        pid=call.told.pid,
        image=call.told.image,
        base=call.told.base,
        size=call.told.size,
        context_pid=call.context.pid,
        context_tid=call.context.tid,
    )


_EVENTS: Final[dict[str, Callable[[CallbackCall, int], Event]]] = {
    "process_create": _process_create,
    "process_exit": _process_exit,
    "thread_create": _thread_create,
    "thread_exit": _thread_exit,
    "image_load": _image_load,
}
