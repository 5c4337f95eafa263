"""A debugger in a process of its own, driven by JSON lines: ``python main.py pykd|ntoseye [FOLDER]``.

DbgEng cannot be interrupted while it waits for its first connection, and a debugger that crashes takes its
process with it; so it gets one that can be killed. Requests come on stdin as ``{"id", "call", "args"}``;
answers go to stdout as ``{"id", "result"}`` or ``{"id", "error": {"kind", "message"}}``.

============  ==================  ===========================================================================
call          arguments           result
============  ==================  ===========================================================================
``attach``    connection          build, machine_type, processors, kernel_base, version; the target is halted
``go``                            {}: the target runs until it stops (event ``stopped``)
``break_in``                      {}: asked for, at any time; the stop is an event
``answer``    text                {}: typed at the target's prompt (event ``prompt``), at any time
``execute``   command             output, failed, bugcheck, gone
``modules``                       modules: [[name, base, size], ...]
``time``                          time: the target's interrupt time in 100 ns, None where it cannot be read
``clear``                         {}: no breakpoint is left
``let_go``                        {}: the session is over and the target runs
============  ==================  ===========================================================================

Events: ``listening``; ``print`` and ``prompt`` (text, its bytes as Latin-1); ``output`` (what the debugger
itself says); ``stopped`` (code, address, first_chance, bugcheck, command); ``loaded`` (name, base, size);
``unloaded`` (name, base); ``rebooted``; ``gone`` (the debugger has lost the target).

The process ends when stdin does; if the target is halted then, it is let go first.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import IO, Any

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
    """Does the calls, all on the thread that made it, which is the only one that the engine sees."""

    def __init__(self, engine: Engine, wire: Wire) -> None:
        self._engine = engine
        self._wire = wire
        self._requests: queue.Queue[Any] = queue.Queue()
        self._halted = False
        self._stopped = threading.Event()
        self._calls: dict[str, Any] = {
            "attach": self._attach,
            "execute": self._execute,
            "modules": lambda args: {"modules": engine.modules()},
            "time": lambda args: {"time": engine.interrupt_time()},
            "clear": lambda args: engine.clear_breakpoints(),
            "let_go": self._let_go,
        }

    def listen(self, lines: IO[bytes]) -> None:
        """Take requests until ``lines`` ends; runs on a thread of its own."""
        for line in iter(lines.readline, b""):
            request = json.loads(line.decode("utf-8"))
            if request["call"] == "break_in":
                self._wire.write({"id": request["id"], "result": {}})
                threading.Thread(target=self._break_in, daemon=True).start()
            elif request["call"] == "answer":
                self._engine.answer(request["args"]["text"])
                self._wire.write({"id": request["id"], "result": {}})
            else:
                self._requests.put(request)
        self._requests.put(None)
        # An engine that waits for its target cannot be told; one that is idle leaves by itself.
        threading.Event().wait(LEAVE_SECONDS if self._halted else 0.0)
        os._exit(0)

    def run(self) -> None:
        """Serve until the harness has gone."""
        for request in iter(self._requests.get, None):
            if request["call"] == "go":
                self._stopped.clear()
                self._wire.write({"id": request["id"], "result": {}})
                self._wait()
            else:
                self._wire.write(self._answer(request))
        if self._halted:
            self._engine.let_go()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        number = request["id"]
        try:
            result = self._calls[request["call"]](request["args"]) or {}
        except Refused as reason:
            return {"id": number, "error": {"kind": "refused", "message": str(reason)}}
        return {"id": number, "result": result}

    def _attach(self, args: dict[str, Any]) -> Any:
        facts = self._engine.attach(args["connection"])
        self._halted = True
        return facts

    def _execute(self, args: dict[str, Any]) -> Any:
        output, failed = self._engine.execute(args["command"])
        gone = self._engine.gone()
        bugcheck = None if gone else self._engine.bugcheck()
        return {"output": output, "failed": failed, "bugcheck": bugcheck, "gone": gone}

    def _let_go(self, args: dict[str, Any]) -> None:
        self._engine.let_go()
        self._halted = False

    def _break_in(self) -> None:
        while not self._stopped.is_set():
            self._engine.break_in()
            self._stopped.wait(BREAK_IN_AGAIN)

    def _wait(self) -> None:
        self._halted = False
        stop = self._engine.wait()
        self._halted = stop is not None
        self._stopped.set()
        if stop is None:
            self._wire.emit("gone")
        else:
            self._wire.emit("stopped", **stop)


def protocol_stream() -> IO[bytes]:
    """The real stdout, for the protocol alone: whatever else prints goes to stderr."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream


def open_engine(name: str, wire: Wire, folder: str) -> Engine:
    """The debugger with that name."""
    if name == "pykd":
        from pykd_engine import PykdEngine

        return PykdEngine(wire.emit, folder)
    from ntoseye_engine import NtoseyeEngine

    return NtoseyeEngine(wire.emit)


def main() -> None:
    """Serve the harness that started this process."""
    wire = Wire(protocol_stream())
    worker = Worker(open_engine(sys.argv[1], wire, "".join(sys.argv[2:3])), wire)
    threading.Thread(target=worker.listen, args=(sys.stdin.buffer,), daemon=True).start()
    worker.run()
    # Not by returning: an engine's own threads and destructors must not delay the end.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
