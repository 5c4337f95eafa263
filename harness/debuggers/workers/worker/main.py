"""A debugger in a process of its own, driven by JSON lines: ``python main.py pykd|ntoseye [FOLDER]``.

DbgEng cannot be interrupted while it waits for its first connection, and a debugger that crashes takes its
process with it; so it gets one that can be killed. Requests come on stdin as ``{"id", "call", "args"}``;
answers go to stdout as ``{"id", "result"}`` or ``{"id", "error": {"kind", "message"}}``.

============  ==================  ===========================================================================
call          arguments           result
============  ==================  ===========================================================================
``attach``    connection          build, machine_type, processors, kernel_base, version; the target is halted
``go``                            {}: the target runs until it stops (event ``stopped``)
``break_in``                      {}: asked for, at any time; the stop is an event, or ends ``execute``
``answer``    text                {}: typed at the target's prompt (event ``prompt``), at any time
``execute``   command             output, failed, bugcheck, gone
``modules``                       modules: [[name, base, size], ...]
``time``                          time: the target's interrupt time in 100 ns, None where it cannot be read
``clear``                         {}: no breakpoint is left
``map_file``  path, file          {}: the target gets ``file`` when it asks for ``path``
``let_go``                        {}: the session is over and the target runs
============  ==================  ===========================================================================

Events: ``listening``; ``print`` and ``prompt`` (text, its bytes as Latin-1); ``output`` (what the debugger
itself says); ``stopped`` (code, address, first_chance, bugcheck, break_in, command, kind); ``loaded`` (name,
base, size); ``unloaded`` (name, base); ``rebooted``; ``served`` (file, which the debugger has opened for the
target); ``lost`` (prints that the debugger had no room for);
``gone`` (the debugger has lost the target).

The process ends when stdin does; if the target is halted then, it is let go first.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from typing import IO, Any, Callable  # noqa: UP035 - collections.abc has no subscripts in 3.7

from engine import Engine, Refused

BREAK_IN_AGAIN = 0.25
"""Seconds between two break-ins: one that comes before the target has begun to run is lost."""
LEAVE_SECONDS = 5.0
"""How long a target may take to be let go once the harness is gone."""


class Wire:
    """Writes answers and events, from any thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, message: dict[str, Any]) -> None:
        """One line."""
        data = json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            self._stream.write(data)
            self._stream.flush()

    def emit(self, event: str, **fields: Any) -> None:
        """Something happened."""
        fields["event"] = event
        self.write(fields)


class Worker:
    """Does the calls, all on the thread that made it, which is the only one that the engine sees.

    :param open_engine: makes the debugger; called for the first request, so that its failure is an answer.
    """

    def __init__(self, open_engine: Callable[[], Engine], wire: Wire) -> None:
        self._open_engine = open_engine
        self._wire = wire
        self._requests: queue.Queue[Any] = queue.Queue()
        self._halted = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        """Set when the target has stopped, or the command has ended; a new one for every time."""

    def listen(self, lines: IO[bytes]) -> None:
        """Take requests until ``lines`` ends; runs on a thread of its own."""
        for line in iter(lines.readline, b""):
            request = json.loads(line.decode("utf-8"))
            if request["call"] == "break_in":
                self._wire.write({"id": request["id"], "result": {}})
                threading.Thread(target=self._break_in, args=(self._over,), daemon=True).start()
            elif request["call"] == "answer":
                self._wire.write(self._answer(request))
            else:
                if request["call"] in ("go", "execute"):
                    self._over = threading.Event()
                self._requests.put(request)
        self._requests.put(None)
        # An engine that waits for its target cannot be told; one that is idle leaves by itself.
        threading.Event().wait(LEAVE_SECONDS if self._halted else 0.0)
        os._exit(0)

    def run(self) -> None:
        """Serve until the harness has gone."""
        for request in iter(self._requests.get, None):
            if request["call"] == "go":
                self._wire.write({"id": request["id"], "result": {}})
                self._wait(self._over)
            else:
                self._wire.write(self._answer(request))
        if self._halted:
            self._engine.let_go()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        number = request["id"]
        try:
            result = getattr(self, "call_" + request["call"])(request["args"]) or {}
        except Refused as reason:
            return {"id": number, "error": {"kind": "refused", "message": str(reason)}}
        return {"id": number, "result": result}

    def call_attach(self, args: dict[str, Any]) -> Any:
        self._engine = self._open_engine()
        facts = self._engine.attach(args["connection"])
        self._halted = True
        return facts

    def call_answer(self, args: dict[str, Any]) -> None:
        self._engine.answer(args["text"])

    def call_execute(self, args: dict[str, Any]) -> Any:
        over = self._over
        try:
            output, failed = self._engine.execute(args["command"])
        finally:
            with self._lock:
                over.set()
        gone = self._engine.gone()
        if not gone:
            self._engine.settle()
        bugcheck = None if gone else self._engine.bugcheck()
        return {"output": output, "failed": failed, "bugcheck": bugcheck, "gone": gone}

    def call_modules(self, args: dict[str, Any]) -> Any:
        return {"modules": self._engine.modules()}

    def call_time(self, args: dict[str, Any]) -> Any:
        return {"time": self._engine.interrupt_time()}

    def call_clear(self, args: dict[str, Any]) -> None:
        self._engine.clear_breakpoints()

    def call_map_file(self, args: dict[str, Any]) -> None:
        self._engine.map_file(args["path"], args["file"])

    def call_let_go(self, args: dict[str, Any]) -> None:
        self._engine.let_go()
        self._halted = False

    def _break_in(self, over: threading.Event) -> None:
        """Until this run is over; under the lock, so that no break-in comes behind its stop."""
        while True:
            with self._lock:
                if over.is_set():
                    return
                try:
                    self._engine.break_in()
                except Refused as reason:
                    self._wire.emit("output", text=str(reason))
                    return
            over.wait(BREAK_IN_AGAIN)

    def _wait(self, over: threading.Event) -> None:
        self._halted = False
        stopped = self._engine.wait()
        with self._lock:
            over.set()
        self._halted = stopped
        if stopped:
            self._engine.settle()
            self._wire.emit("stopped", **self._engine.stop())
        else:
            self._wire.emit("gone")


def protocol_streams() -> tuple[IO[bytes], IO[bytes]]:
    """The real stdin and stdout, for the protocol alone.

    Whatever else reads finds nothing, and whatever else prints goes to stderr. A read that waits on the real
    stdin would also hold up every DLL that looks at it.
    """
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def open_engine(name: str, wire: Wire, folder: str) -> Engine:
    """The debugger with that name."""
    if name == "pykd":
        from pykd_engine import PykdEngine

        return PykdEngine(wire.emit, folder)
    from ntoseye_engine import NtoseyeEngine

    return NtoseyeEngine(wire.emit)


def main() -> None:
    """Serve the harness that started this process."""
    requests, answers = protocol_streams()
    wire = Wire(answers)
    name, folder = sys.argv[1], "".join(sys.argv[2:3])
    worker = Worker(lambda: open_engine(name, wire, folder), wire)
    threading.Thread(target=worker.listen, args=(requests,), daemon=True).start()
    code = 1
    try:
        worker.run()
        code = 0
    finally:
        # Not by returning: an engine's own threads and destructors must not delay the end.
        if code:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
