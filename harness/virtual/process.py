"""The virtual target as a process: ``python -m harness.virtual.process``.

Driven by JSON lines on stdin (:mod:`harness.virtual.control`), seen by a debugger over KDNET or KDCOM. One
thread does everything in turn: commands, the model, the emulator, the link. Commands wait while the target
is halted in the debugger; ``status``, ``calls``, ``broken_rules`` and ``stop`` are answered at any time,
``stop`` also from inside a command that stands still.

==================  ========================================  =============================================
call                arguments                                 result
==================  ========================================  =============================================
``boot``            seed, profile, policy, choices (pairs of  {}: the target dials the debugger, or its
                    step and index, or null), processors,     serial port is open
                    print_masks, connection, hostip
``put``             name, data (base64)                       path
``load_driver``     name, path                                status (NTSTATUS)
``unload_driver``   name                                      status
``act``             argv, step                                the helper's JSON object
``settle``          quiet, max (100 ns units)                 time
``status``                                                    state, time, detail
``calls``           first, count                              calls (of callbacks, from number first on, at
                                                              most count), beyond (how many are not
                                                              remembered), hidden (prints that the print
                                                              filter kept back), uncalled (sentences about
                                                              callbacks that are registered and never called)
``broken_rules``                                              broken_rules: rule, driver, message of each
``cancel``                                                    {}: commands that have not begun are refused
``stop``                                                      {}: off; a new boot starts clean
==================  ========================================  =============================================

Errors: ``bugcheck`` (code, parameters, module), ``hang`` (address), ``refused``, ``dead``. The process ends
when stdin does.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import select
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from harness.connection import parse_connection
from harness.errors import (
    DriverBugcheck,
    DriverHang,
    MissingImport,
    ProcnotifyError,
    RigError,
    TargetLost,
    UsageError,
)
from harness.virtual.control import ControlServer, Request
from harness.virtual.dispatcher.schedule import ReplayPolicy
from harness.virtual.kdport import KdPort, open_kd_port
from harness.virtual.served import ServedTarget
from harness.virtual.stub.stub import RebootedByDebugger, TargetCrashed, TargetEnded

__all__ = ["TargetProcess", "main"]

_IMMEDIATE: Final = frozenset({"status", "calls", "broken_rules", "stop", "cancel"})


class _Stopped(TargetEnded):
    """``stop`` arrived while the target was busy."""


class TargetProcess:
    """The process's main loop.

    :param control: the guest channel.
    :param now: a monotonic clock in seconds.
    :param random_bytes: source of nonces; no model decision depends on it.
    """

    def __init__(
        self,
        control: ControlServer,
        *,
        now: Callable[[], float] = time.perf_counter,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._control = control
        self._now = now
        self._random_bytes = random_bytes
        self._waiting: deque[Request] = deque()
        self._settings: dict[str, Any] = {}
        self._port: KdPort | None = None
        self._target: ServedTarget | None = None
        self._crash = ""
        self._calls: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "boot": self._boot,
            "put": self._put,
            "load_driver": self._load_driver,
            "unload_driver": self._unload_driver,
            "act": self._act,
            "settle": self._settle,
        }

    def run(self) -> None:
        """Serve until the channel closes."""
        while not self._control.closed:
            try:
                if self._waiting:
                    self._execute(self._waiting.popleft())
                elif self._target is not None:
                    self._target.idle(lambda: bool(self._waiting))
                else:
                    select.select([self._control.wake], [], [])
                    self._take_requests()
            except TargetEnded as end:
                self._end_boot(end)
        self._power_off()

    # Requests

    def _take_requests(self) -> None:
        """What has come on the channel; called whenever it is readable, at any depth of a command."""
        for request in self._control.receive():
            if request.call in _IMMEDIATE:
                self._answer_at_once(request)
            else:
                self._waiting.append(request)
        if self._control.closed:
            raise _Stopped("the harness is gone")

    def _answer_at_once(self, request: Request) -> None:
        if request.call == "status":
            self._control.answer(request, self._status())
            return
        if request.call == "calls":
            self._answer_calls(request)
            return
        if request.call == "broken_rules":
            told = self._target.broken_rules() if self._target is not None else ()
            self._control.answer(request, {"broken_rules": [list(broken) for broken in told]})
            return
        while self._waiting:
            self._control.refuse(self._waiting.popleft(), "refused", f"taken back by {request.call!r}")
        self._control.answer(request, {})
        if request.call == "stop":
            raise _Stopped("stopped")

    def _status(self) -> dict[str, Any]:
        if self._target is None:
            return {"state": "off", "time": 0, "detail": ""}
        status = self._target.status()
        if self._crash:
            return {"state": "bugchecked", "time": status.time, "detail": self._crash}
        return {"state": status.state, "time": status.time, "detail": status.detail}

    def _answer_calls(self, request: Request) -> None:
        """Also of a target that has died."""
        try:
            first, count = int(request.args["first"]), int(request.args["count"])
        except (KeyError, TypeError, ValueError) as error:
            self._control.refuse(request, "refused", f"calls: bad arguments ({error!r})")
            return
        if self._target is None:
            self._control.refuse(request, "refused", "calls: the target is off")
            return
        log = self._target.calls
        entries = msgspec.to_builtins(log.entries(first, count))
        self._control.answer(
            request, {"calls": entries, "beyond": log.beyond, "hidden": log.hidden, "uncalled": log.uncalled}
        )

    def _execute(self, request: Request) -> None:
        handler = self._calls.get(request.call)
        if handler is None:
            known = ", ".join(sorted({*self._calls, *_IMMEDIATE}))
            self._control.refuse(request, "refused", f"unknown call {request.call!r}; known are {known}")
            return
        try:
            self._control.answer(request, handler(request.args))
        except TargetEnded as end:
            self._control.refuse(request, "dead", str(end))
            raise
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            self._control.refuse(request, "refused", f"{request.call}: bad arguments ({error!r})")
        except ProcnotifyError as error:
            kind, more = _describe(error)
            self._control.refuse(request, kind, str(error), **more)

    # Calls

    def _boot(self, args: dict[str, Any]) -> dict[str, Any]:
        self._power_off()
        self._settings = dict(args)
        self._power_on()
        return {}

    def _put(self, args: dict[str, Any]) -> dict[str, Any]:
        data = base64.b64decode(str(args["data"]), validate=True)
        return {"path": self._running().put(str(args["name"]), data)}

    def _load_driver(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"status": self._running().load_driver(str(args["name"]), str(args["path"]))}

    def _unload_driver(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"status": self._running().unload_driver(str(args["name"]))}

    def _act(self, args: dict[str, Any]) -> dict[str, Any]:
        return self._running().act([str(word) for word in args["argv"]], int(args["step"]))

    def _settle(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"time": self._running().settle(int(args["quiet"]), int(args["max"]))}

    def _running(self) -> ServedTarget:
        if self._target is None:
            raise TargetLost("the target is off", hint="boot it")
        if self._crash:
            raise TargetLost(self._crash, hint="boot it again")
        return self._target

    # Power

    def _power_on(self) -> None:
        settings = self._settings
        connection = parse_connection(str(settings["connection"]))
        self._port = port = open_kd_port(
            connection, str(settings["hostip"]), now=self._now, random_bytes=self._random_bytes
        )
        choices = settings.get("choices")
        port.wire.watch(self._control.wake, self._take_requests)
        self._target = ServedTarget(
            port.session(),
            port.wire,
            now=self._now,
            seed=int(settings["seed"]),
            profile=str(settings["profile"]),
            policy=(
                str(settings["policy"])
                if choices is None
                else ReplayPolicy({int(step): int(chosen) for step, chosen in choices})
            ),
            processors=int(settings["processors"]),
            print_masks={str(name): int(mask) for name, mask in settings["print_masks"].items()},
        )

    def _power_off(self) -> None:
        self._target = None
        self._crash = ""
        port, self._port = self._port, None
        if port is not None:
            port.wire.close()

    def _end_boot(self, end: TargetEnded) -> None:
        if isinstance(end, RebootedByDebugger):
            self._power_off()
            self._power_on()
        elif isinstance(end, TargetCrashed):
            self._crash = str(end)
        else:
            self._power_off()


def _describe(error: ProcnotifyError) -> tuple[str, dict[str, Any]]:
    """An error as the channel's ``kind`` and what belongs to it."""
    if isinstance(error, DriverBugcheck):
        return "bugcheck", {"code": error.code, "parameters": error.parameters, "module": error.module}
    if isinstance(error, DriverHang):
        return "hang", {"address": error.address}
    if isinstance(error, MissingImport):
        return "missing", {"name": error.name, "story": error.message, "hint": error.hint}
    if isinstance(error, TargetLost):
        return "dead", {}
    assert isinstance(error, UsageError | RigError)
    return "refused", {}


def main() -> None:
    """Serve the harness that started this process."""
    process = TargetProcess(ControlServer(sys.stdin.buffer, sys.stdout.buffer))
    try:
        process.run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
