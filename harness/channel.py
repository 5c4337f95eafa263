"""JSON lines to a child process: one request, one answer, matched by number; events in between.

The child reads ``{"id": 1, "call": "boot", "args": {...}}`` on its stdin and answers on its stdout with
``{"id": 1, "result": {...}}`` or ``{"id": 1, "error": {"kind": "...", "message": "..."}}``. A line with
``event`` instead of ``id`` is something that happened. Its stderr is for people. It ends when its stdin does,
so a harness that was killed leaves no orphan behind.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from harness.errors import ProcnotifyError
from harness.processes import ChildProcess
from harness.waiting import is_done_within

__all__ = ["JsonChannel"]

MAX_LINE = 16 * 1024 * 1024
"""Longest answer that is accepted, in bytes."""
STDERR_LINES = 20
"""How much of the child's last words is kept."""
READER_SECONDS = 1.0
"""How long a child that has ended is read on: another process may hold its pipes open."""


class JsonChannel:
    """A running child and the questions that it has not answered yet. Calls may come from several threads.

    :param argv: the child's command line.
    :param what: what the child is, for messages ("the virtual target").
    :param lost: makes the error for a child that ended, spoke nonsense or did not answer in time.
    :param refused: makes the error from the ``error`` object of an answer and ``what``.
    :param on_event: called on the reading thread with each event.
    :param on_lost: called once, with the reason, when nothing more can come.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        what: str,
        lost: Callable[[str], ProcnotifyError],
        refused: Callable[[dict[str, Any], str], ProcnotifyError],
        on_event: Callable[[dict[str, Any]], None] = lambda event: None,
        on_lost: Callable[[str], None] = lambda reason: None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._what = what
        self._make_lost = lost
        self._make_refused = refused
        self._on_event = on_event
        self._on_lost = on_lost
        self._process = ChildProcess(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=cwd,
        )
        self._lock = threading.Lock()
        self._next_id = 1
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._lost: str | None = None
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        self._last_words: deque[str] = deque(maxlen=STDERR_LINES)
        self._readers = [
            self._thread(name, run, stream)
            for name, run, stream in (
                ("stdout", self._read_answers, self._process.stdout),
                ("stderr", self._read_stderr, self._process.stderr),
            )
        ]
        self._threads = [
            *self._readers,
            self._thread("stdin", self._write_requests, self._process.stdin),
            self._thread("end", self._await_end),
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

    @property
    def last_words(self) -> list[str]:
        """The last lines of its stderr."""
        return list(self._last_words)

    def ask(self, name: str, args: dict[str, Any]) -> Future[dict[str, Any]]:
        """Ask, and go on; the answer, or one of the errors of :meth:`call`, will be in the future."""
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            if self._lost is not None:
                future.set_exception(self._make_lost(self._lost))
                return future
            number = self._next_id
            self._next_id += 1
            self._waiting[number] = future
        request = {"id": number, "call": name, "args": args}
        self._outgoing.put(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        return future

    def call(self, name: str, args: dict[str, Any], *, timeout: float) -> dict[str, Any]:
        """Ask, and wait for the answer.

        :param timeout: seconds.
        :raises ProcnotifyError: what ``lost`` makes when the child ended, spoke nonsense or did not answer
            in time; what ``refused`` makes when it refused.
        """
        future = self.ask(name, args)
        if is_done_within([future], timeout):
            return future.result()
        with self._lock:
            self._waiting = {number: other for number, other in self._waiting.items() if other is not future}
        state = "runs" if self._process.poll() is None else "has ended"
        raise self._make_lost(
            f"{self._what} did not answer {name!r} within {timeout:g} s (process {self.pid} {state})"
        )

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

    def kill(self) -> None:
        """End the child at once. Its threads end with its pipes, which other processes may hold a little
        longer (a Wine program's console does). Idempotent."""
        self._process.kill()
        self._process.wait()
        self._outgoing.put(None)
        self._lose(f"{self._what} was stopped")

    def _thread(self, name: str, run: Callable[..., None], *args: object) -> threading.Thread:
        return threading.Thread(target=run, args=args, name=f"{self._what}: {name}", daemon=True)

    def _write_requests(self, stream: IO[bytes]) -> None:
        try:
            with stream:
                while (request := self._outgoing.get()) is not None:
                    stream.write(request)
                    stream.flush()
        except OSError:
            return  # the child is gone; whoever waits for its end tells everybody

    def _read_answers(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(MAX_LINE):
                try:
                    self._take(line)
                # Brackets nested without end exhaust the parser's stack; an Infinity is no integer.
                except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                    self._lose(f"{self._what} answered {_shortened(line)}, which is no answer ({error})")
                    return
        self._outgoing.put(None)  # a child that has closed its stdout has nothing more to say

    def _take(self, line: bytes) -> None:
        message = json.loads(line)
        if "event" in message:
            self._on_event(message)
            return
        number = message["id"]
        error = self._make_refused(message["error"], self._what) if "error" in message else None
        result = message["result"] if error is None else {}
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

    def _await_end(self) -> None:
        code = self._process.wait()
        for reader in self._readers:
            reader.join(READER_SECONDS)
        words = " | ".join(self._last_words) or "nothing on stderr"
        self._lose(f"{self._what} ended with exit code {code}: {words}")

    def _lose(self, reason: str) -> None:
        with self._lock:
            first = self._lost is None
            if first:
                self._lost = reason
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(self._make_lost(reason))
        if first:
            self._on_lost(reason)


def _shortened(line: bytes) -> str:
    return repr(line if len(line) <= 80 else line[:80] + b"...")
