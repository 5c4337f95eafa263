"""Calls the registered notify routines, one after another, in the thread that something happened in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from harness.callbacks import CALLBACK_KINDS
from harness.virtual.callbackcalls import Told
from harness.virtual.dispatcher.program import Program
from harness.virtual.interfaces import ThreadContext
from harness.virtual.kernel.callbacks import Callback
from harness.virtual.kernel.execution import CallbackKey, HeldUp
from harness.virtual.kernel.notifydata import NotifyData
from harness.virtual.kernel.system import System
from harness.virtual.windows.status import STATUS_SUCCESS

__all__ = ["Notifications"]

_IDLE: Final = 4
"""So many blocks lie idle at least, so that what a driver has kept of one is not at once another's."""
_CALLBACK_WORDS: Final = {
    "process": "a process callback",
    "thread": "a thread callback",
    "image": "an image callback",
}


class Notifications:
    """What the model reports, as the registered routines are told it.

    :param change: makes a change of the kernel's lists, which a driver can have broken.
    """

    def __init__(self, system: System, change: Callable[..., Any]) -> None:
        self._system = system
        self._change = change
        self._data = deque([self._new_data()])
        """Blocks that no notification uses, the one that has lain idle longest first."""

    def process(
        self,
        parent_pid: int,
        pid: int,
        create: bool,
        context: ThreadContext,
        image: str | None,
        command_line: str | None,
    ) -> Program[int]:
        """Call the process callbacks; of a creation, what they left in CreationStatus.

        All Ex callbacks of one creation are handed the same structure: each sees what those before it wrote,
        and what stands there in the end counts.
        """
        objects = self._system.objects
        if create:
            process = objects.start_process(pid, parent_pid)
            process.image_path = image = image or process.image_path
            process.command_line = command_line = command_line or process.command_line
        process_object = objects.process(pid).address
        data = self._take_data()
        info, kind = 0, "process_create" if create else "process_exit"
        told = named = Told(pid, parent_pid=parent_pid)
        if create:
            info = data.process(parent_pid, (context.pid, context.tid), image, command_line)
            named = told._replace(image=image)
        for callback in self._system.callbacks.of("process"):
            extended = callback.extended
            yield from self._call(
                kind,
                callback,
                (process_object, pid, info) if extended else (parent_pid, pid, int(create)),
                named if extended else told,
                context,
                HeldUp(pid) if create else None,
                answer=data.creation_status if extended and create else None,
            )
        status = data.creation_status() if create else STATUS_SUCCESS
        self._give_back(data)
        if not create:
            self._change(objects.exit_process, pid)
            self._system.user_space.forget(pid)
            self._system.user_blocks.forget(pid)
        return status

    def thread(self, pid: int, tid: int, create: bool, context: ThreadContext) -> Program[None]:
        """Call the thread callbacks; of a creation not those that the new thread runs by itself."""
        self._system.objects.thread(pid, tid)
        kind, told = "thread_create" if create else "thread_exit", Told(pid, tid)
        for callback in self._system.callbacks.of("thread"):
            if not (create and callback.extended):
                held_up = HeldUp(pid, tid) if create else None
                arguments = (pid, tid, int(create))
                yield from self._call(kind, callback, arguments, told, context, held_up)
        if not create:
            yield from self._system.apcs.run_down(context)
            self._change(self._system.objects.exit_thread, pid, tid)

    def thread_start(self, pid: int, tid: int, context: ThreadContext) -> Program[None]:
        """Call those that run in the new thread (PSCREATETHREADNOTIFYTYPE, PsCreateThreadNotifyNonSystem)."""
        for callback in self._system.callbacks.of("thread"):
            if callback.extended:
                yield from self._call("thread_create", callback, (pid, tid, 1), Told(pid, tid), context)

    def image(
        self, name: str | None, pid: int, base: int, size: int, system_mode: bool, context: ThreadContext
    ) -> Program[None]:
        """Call the image callbacks."""
        if pid and name is not None:
            self._learn_executable(pid, name, base)
        if pid:
            self._system.user_space.add(pid, base, size, name or "")
        data, told = self._take_data(), Told(pid, image=name, base=base, size=size)
        for callback in self._system.callbacks.of("image"):
            full_name, info = data.image(name, base, size, system_mode=system_mode)
            yield from self._call("image_load", callback, (full_name, pid, info), told, context)
        self._give_back(data)

    def _learn_executable(self, pid: int, path: str, base: int) -> None:
        """The first image a process maps is its executable."""
        objects = self._system.objects
        process = objects.process(pid)
        if not process.image_base:
            objects.set_image_base(process, base)
        if not process.name:
            process.image_path = process.image_path or path
            objects.set_name(process, path.rsplit("\\", 1)[-1])

    def _call(
        self,
        kind: str,
        callback: Callback,
        arguments: tuple[int, ...],
        told: Told,
        context: ThreadContext,
        held_up: HeldUp | None = None,
        answer: Callable[[], int] | None = None,
    ) -> Program[None]:
        """Call one routine.

        :param told: what the arguments say.
        :param answer: what the routine has answered, once it has returned.
        """
        system, routine = self._system, callback.routine
        group = CALLBACK_KINDS[kind].group.name
        if callback not in system.callbacks.of(group):
            return  # removed while one before it stood in the middle
        driver = system.module_at(routine)
        base = 0 if driver is None else driver.module.base
        call = system.calls.enter(kind, callback.driver, routine - base, told, context)
        system.stops_at_entry = system.before_callback()
        yield from system.enter(
            routine,
            arguments,
            context,
            context.irql,
            what=_CALLBACK_WORDS[group],
            callback=CallbackKey(group, routine),
            kind=kind,
            holds_up=held_up,
        )
        system.calls.leave(call, None if answer is None else answer())

    def _take_data(self) -> NotifyData:
        return self._data.popleft() if len(self._data) >= _IDLE else self._new_data()

    def _give_back(self, data: NotifyData) -> None:
        data.take_back()
        self._data.append(data)

    def _new_data(self) -> NotifyData:
        system = self._system
        return NotifyData(system.memory, system.heap, system.file_objects.of)
