"""JSON lines to a child process: one request, one answer, matched by number.

The child reads ``{"id": 1, "call": "boot", "args": {...}}`` on its stdin and answers on its stdout with
``{"id": 1, "result": {...}}`` or ``{"id": 1, "error": {"kind": "...", "message": "..."}}``; its stderr is for
people. It ends when its stdin does, so a harness that was killed leaves no orphan behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from queue import SimpleQueue
from typing import IO, Any

from harness.errors import DriverBugcheck, DriverHang, GuestError, ProcnotifyError, TargetLost

__all__ = ["ControlChannel"]

MAX_LINE = 16 * 1024 * 1024
"""Longest answer that is accepted, in bytes."""
STDERR_LINES = 20
"""How much of the child's last words is kept."""


class ControlChannel:
    """A running child and the questions that it has not answered yet. Calls may come from several threads.

    :param argv: the child's command line.
    :param what: what the child is, for messages ("the virtual target").
    """

    def __init__(self, argv: Sequence[str], *, what: str) -> None:
        self._what = what
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **_own_process_group(),
        )
        self._lock = threading.Lock()
        self._next_id = 1
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._lost: str | None = None
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        self._last_words: deque[str] = deque(maxlen=STDERR_LINES)
        self._threads = [
            threading.Thread(target=run, args=(stream,), name=f"control-{name}", daemon=True)
            for name, run, stream in (
                ("stdin", self._write_requests, self._process.stdin),
                ("stdout", self._read_answers, self._process.stdout),
                ("stderr", self._read_stderr, self._process.stderr),
            )
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs and may be asked."""
        return self._lost is None and self._process.poll() is None

    def call(self, name: str, args: dict[str, Any], *, timeout: float) -> dict[str, Any]:
        """Ask, and wait for the answer.

        :param timeout: seconds.
        :raises TargetLost: the child ended, speaks nonsense, or did not answer in time.
        :raises GuestError: the child refused.
        :raises DriverBugcheck, DriverHang: the driver in the child did wrong.
        """
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            if self._lost is not None:
                raise TargetLost(self._lost)
            number = self._next_id
            self._next_id += 1
            self._waiting[number] = future
        request = {"id": number, "call": name, "args": args}
        self._outgoing.put(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        try:
            return future.result(timeout)
        except FutureTimeoutError:
            with self._lock:
                self._waiting.pop(number, None)
            state = "runs" if self._process.poll() is None else "has ended"
            raise TargetLost(
                f"{self._what} did not answer {name!r} within {timeout:g} s (process {self.pid} {state})"
            ) from None

    def close(self, *, timeout: float = 2.0) -> None:
        """End the child: by closing its stdin, after ``timeout`` seconds by killing it. Idempotent."""
        self._outgoing.put(None)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._lose(f"{self._what} was stopped")
        for thread in self._threads:
            thread.join(timeout)

    def _write_requests(self, stream: IO[bytes]) -> None:
        with stream:
            while (request := self._outgoing.get()) is not None:
                try:
                    stream.write(request)
                    stream.flush()
                except OSError:
                    return  # the child is gone; the reader of its stdout tells everybody

    def _read_answers(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(MAX_LINE):
                try:
                    self._settle_answer(line)
                except (ValueError, KeyError, TypeError) as error:
                    self._lose(f"{self._what} answered {_shortened(line)}, which is no answer ({error})")
                    return
        self._threads[2].join(1.0)
        words = " | ".join(self._last_words) or "nothing on stderr"
        self._lose(f"{self._what} ended with exit code {self._process.wait()}: {words}")

    def _settle_answer(self, line: bytes) -> None:
        answer = json.loads(line)
        number = answer["id"]
        error = _error(answer["error"], self._what) if "error" in answer else None
        result = answer["result"] if error is None else {}
        if not isinstance(result, dict):
            raise TypeError("the result is not an object")
        with self._lock:
            future = self._waiting.pop(number, None)
        if future is None:
            return  # its caller stopped waiting
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def _read_stderr(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(MAX_LINE):
                if text := line.decode("utf-8", "replace").strip():
                    self._last_words.append(text)

    def _lose(self, reason: str) -> None:
        with self._lock:
            if self._lost is None:
                self._lost = reason
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(TargetLost(reason))


def _own_process_group() -> dict[str, Any]:
    """Ctrl-C in a terminal goes to the whole group; the child is ended by us, in order."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"process_group": 0}


def _error(error: dict[str, Any], what: str) -> ProcnotifyError:
    kind, message = error["kind"], str(error["message"])
    if kind == "bugcheck":
        first, second, third, fourth = (int(value) for value in error["parameters"])
        return DriverBugcheck(int(error["code"]), (first, second, third, fourth), module=error.get("module"))
    if kind == "hang":
        return DriverHang(message, address=int(error["address"]))
    if kind == "dead":
        return TargetLost(f"{what}: {message}")
    return GuestError(message)


def _shortened(line: bytes) -> str:
    return repr(line if len(line) <= 80 else line[:80] + b"...")
