"""The processes of the guest helper that keep devices open, and the actions that ask them.

Follows ``driver/actor/devices.c``: ``open-device`` starts another process of the helper, which opens the
device; every further action is a process of its own that hands its request to that one and waits for the
answer. The files are opened for overlapped I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from harness.actions import MAX_BUFFER, MAX_DWORD
from harness.virtual.dispatcher.program import Program, Signal
from harness.virtual.interfaces import DeviceRequests, UserBuffer
from harness.virtual.nt.arguments import take_buffer, take_number, take_word
from harness.virtual.nt.devices import DeviceCall, Devices
from harness.virtual.nt.images import win32_path
from harness.virtual.nt.objects import Process, Thread
from harness.virtual.nt.system import NtSystem
from harness.virtual.nt.win32 import ERROR_INVALID_PARAMETER, SYSTEM_CALL, Call, Result, Win32
from harness.virtual.windows.status import STATUS_PENDING, failed
from harness.virtual.windows.win32errors import win32_error

__all__ = ["DEVICE_ACTIONS", "KEEP_DEVICE", "MAX_PENDING", "DeviceKeepers"]

KEEP_DEVICE: Final = "keep-device"
"""The helper's command, which is no action: open a device and do what one is asked."""
MAX_PENDING: Final = 8
"""Requests that a device can be left with at a time."""
DEVICE_ACTIONS: Final = (
    *("open-device", "ioctl", "read-device", "write-device", "await-io", "cancel-io", "close-device"),
)
ERROR_NOT_FOUND: Final = 1168
"""There is no pending request to wait for, or to cancel."""
ERROR_TOO_MANY_CMDS: Final = 56
ERROR_IO_PENDING: Final = 997
ERROR_BROKEN_PIPE: Final = 109
"""The process that kept the device open ended before it answered."""


_Do = Callable[[Thread, "_Keeper"], Program[DeviceCall | Result]]


@dataclass(eq=False)
class _Order:
    """What a keeper is asked for."""

    do: _Do
    last: bool = False
    """The keeper ends when it is done."""
    result: Result | None = None
    done: Signal = field(default_factory=Signal)


@dataclass(eq=False)
class _Keeper:
    """A process that has a device open."""

    orders: deque[_Order] = field(default_factory=deque)
    called: Signal = field(default_factory=Signal)
    handle: int = 0
    """Of the device; 0: it is not open."""
    pending: deque[int] = field(default_factory=deque)
    """Requests that were left pending, oldest first."""


class DeviceKeepers:
    """All such processes.

    :param requests: the kernel's I/O manager.
    """

    def __init__(self, system: NtSystem, requests: DeviceRequests, win32: Win32) -> None:
        self._system = system
        self._win32 = win32
        self._devices = Devices(system, requests)
        self._keepers: dict[Process, _Keeper] = {}

    def act(self, thread: Thread, action: str, words: list[str]) -> Call:
        """Do an action in the process of ``thread``; see :class:`harness.virtual.nt.actions.Actor`."""
        if action == "open-device":
            return (yield from self._open(thread, take_word(words)))
        process = self._system.find_process(take_number(words))
        order = _Order(self._request(action, words), last=action == "close-device")
        keeper = None if process is None else self._keepers.get(process)
        if process is None or keeper is None:
            yield self._pause()
            return Result(ERROR_INVALID_PARAMETER)
        result = yield from self._ask(process, keeper, order)
        if order.last:
            yield self._win32.ended(process)
        return result

    def keep(self, thread: Thread) -> Program[None]:
        """The process of ``thread`` does what it is asked, until it has no device open any more."""
        keeper = self._keepers.setdefault(thread.process, _Keeper())
        ending = False
        while not ending:
            while not keeper.orders:
                keeper.called = Signal()
                yield keeper.called
            order = keeper.orders.popleft()
            came = yield from order.do(thread, keeper)
            order.result = came if isinstance(came, Result) else _result(came)
            order.done.set()
            ending = order.last or not keeper.handle
        self._win32.exit_process(thread.process, 0)

    def _open(self, thread: Thread, name: str) -> Call:
        path = win32_path(thread.process.image)
        started = yield from self._win32.create_process(thread, path, (KEEP_DEVICE, name))
        if started.status:
            return started
        process = self._system.processes[int(started.values["child_pid"])]
        keeper = self._keepers.setdefault(process, _Keeper())

        def do(thread: Thread, keeper: _Keeper) -> Program[DeviceCall | Result]:
            opened = yield from self._devices.create_file(thread, name)
            keeper.handle = opened.handle
            return opened

        result = yield from self._ask(process, keeper, _Order(do))
        if result.status:
            yield self._win32.ended(process)
            return result
        return Result(0, started.values)

    def _ask(self, process: Process, keeper: _Keeper, order: _Order) -> Call:
        """Hand over an order and wait for the answer, or for the end of the process."""
        yield self._pause()
        self._win32.ended(process).when_set(order.done.set)
        keeper.orders.append(order)
        keeper.called.set()
        yield order.done
        return Result(ERROR_BROKEN_PIPE) if order.result is None else order.result

    def _request(self, action: str, words: list[str]) -> _Do:
        """What the words ask a keeper to do."""
        devices = self._devices
        if action == "await-io":
            return self._await
        if action == "cancel-io":
            return self._cancel
        if action == "close-device":
            return lambda thread, keeper: devices.close_handle(thread, keeper.handle)
        send: Callable[[Thread, int, bool], Program[DeviceCall]]
        if action == "ioctl":
            code, given, into = _ioctl(words)
            send = lambda thread, handle, wait: devices.device_io_control(  # noqa: E731
                thread, handle, code, given, into, wait=wait
            )
        elif action == "read-device":
            size, offset = take_number(words, MAX_BUFFER), take_number(words)
            send = lambda thread, handle, wait: devices.read_file(  # noqa: E731
                thread, handle, size, offset, wait=wait
            )
        else:
            content, offset = take_buffer(words), take_number(words)
            send = lambda thread, handle, wait: devices.write_file(  # noqa: E731
                thread, handle, content, offset, wait=wait
            )
        wait = not take_number(words, 1)

        def do(thread: Thread, keeper: _Keeper) -> Program[DeviceCall | Result]:
            if len(keeper.pending) == MAX_PENDING:
                return Result(ERROR_TOO_MANY_CMDS)
            call = yield from send(thread, keeper.handle, wait)
            if call.status == STATUS_PENDING:
                keeper.pending.append(call.request)
            return call

        return do

    def _await(self, thread: Thread, keeper: _Keeper) -> Program[DeviceCall | Result]:
        if not keeper.pending:
            return Result(ERROR_NOT_FOUND)
        return (yield from self._devices.finish(thread, keeper.pending.popleft()))

    def _cancel(self, thread: Thread, keeper: _Keeper) -> Program[DeviceCall | Result]:
        for request in keeper.pending:
            yield from self._devices.cancel_io(thread, request)
        return Result(0 if keeper.pending else ERROR_NOT_FOUND)

    def _pause(self) -> int:
        return self._system.rng.randrange(*SYSTEM_CALL)


def _ioctl(words: list[str]) -> tuple[int, UserBuffer, UserBuffer]:
    """Control code, input and output buffer."""
    code, given = take_number(words), take_buffer(words)
    length, into = take_number(words, MAX_BUFFER), take_buffer(words)
    return code, given, into if into.address is not None else into._replace(size=max(length, into.size))


def _result(call: DeviceCall) -> Result:
    """What the helper reports of a call."""
    values: dict[str, int | str] = {"returned": call.information & MAX_DWORD}
    if call.output:
        values["output"] = call.output.hex()
    if call.status == STATUS_PENDING:
        return Result(ERROR_IO_PENDING)
    return Result(win32_error(call.status) if failed(call.status) else 0, values)
