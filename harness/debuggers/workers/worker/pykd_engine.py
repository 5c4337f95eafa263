"""Microsoft's DbgEng through pykd, as :mod:`main` wants a debugger. Windows, or Wine.

Sources: pykd 0.3.4.15 as its module lists itself; DbgEng 10.0.15063 as it was seen to behave; Microsoft,
"Features of Secure Mode" and "DEBUG_OUTPUT_XXX".
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import re
from pathlib import Path
from typing import Any, Callable, Iterator  # noqa: UP035 - collections.abc has no subscripts in 3.7

from console import Console
from engine import DEBUGGER_EXCEPTIONS, Engine, Refused
from seal import Seal, Unsealable

DEBUGGEE = 0x80
"""DEBUG_OUTPUT_DEBUGGEE: what the target printed."""
STATUS_BREAKPOINT = 0x80000003
NO_EVENT = 0
"""The type that a stop without any event has; pykd has no name for it."""
MODULE = re.compile(r"^([0-9a-f`]+)\s+([0-9a-f`]+)\s+\S+\s+(.+?)\s*$", re.MULTILINE)
"""A line of ``lm k f``, and what follows ``ModLoad:``, which has no module name."""
MODULE_LOADED = re.compile(r"ModLoad: ([0-9a-f`]+) ([0-9a-f`]+)\s+(\S.*?)\s*$")
BUGCHECK = re.compile(r"Bugcheck code ([0-9A-F]+)\s+Arguments ((?:[0-9a-f`]+\s*){4})")
PROCESSORS = re.compile(r"\((\d+) procs?\)")
MACHINE_AMD64 = 0x8664
MACHINE_TYPES = {"AMD64": MACHINE_AMD64, "I386": 0x14C, "ARM64": 0xAA64}
BREAK_IN_STATUSES = (0, 1)
"""DBG_STATUS_CONTROL_C, or not known."""
SHARED_DATA = {0x14C: 0xFFDF0000}
"""KUSER_SHARED_DATA of the kernels that do not have it at the usual address."""
SHARED_DATA_64 = 0xFFFFF78000000000


def load_pykd(engine_folder: str) -> Any:
    """pykd, on its own DbgEng or on the one in ``engine_folder``."""
    spec = importlib.util.find_spec("pykd")
    if spec is None or spec.origin is None:
        raise Refused("this Python has no pykd")
    own = str(Path(spec.origin).parent)
    if hasattr(os, "add_dll_directory"):
        os.add_dll_directory(own)
    else:
        os.environ["PATH"] = own + os.pathsep + os.environ["PATH"]
    try:
        if engine_folder:
            # Loaded by their full path first, they are the ones that pykd's imports then find.
            for name in ("dbgcore.dll", "dbghelp.dll", "dbgmodel.dll", "dbgeng.dll"):
                path = Path(engine_folder, name)
                if path.exists():
                    ctypes.CDLL(str(path))
        import pykd
    except (ImportError, OSError) as error:
        raise Refused("pykd cannot be loaded: " + str(error)) from None
    return pykd


class PykdEngine(Engine):
    """See :class:`engine.Engine`."""

    def __init__(self, emit: Callable[..., None], engine_folder: str) -> None:
        self._emit = emit
        self._captured: list[str] | None = None
        self._waiting = self._hostile = self._asked = self._interrupted = False
        self._pykd = pykd = load_pykd(engine_folder)
        try:
            self._seal: Seal | None = Seal(self._on_denied, self._on_served)
        except Unsealable as reason:
            self._seal, self._unsealable = None, str(reason)
        pykd.initialize()
        pykd.setOutputMask(pykd.outputFlag.All)  # the default leaves the target's prints out
        self._console = Console()
        self._line = ""
        self._printed = ""
        self._names: dict[int, str] = {}
        self._handler = self._make_handler()
        if self._seal is not None:
            self._seal.closed = True
        # Before there is a target, so that no command of one comes first.
        for command in (".secure 1", ".noshell"):
            output, failed = self.execute(command)
            if failed:
                raise Refused("DbgEng refuses " + command + ": " + output)

    def attach(self, connection: str) -> dict[str, Any]:
        """See :class:`engine.Engine`."""
        if self._seal is None:
            raise Refused("this DbgEng cannot be kept from its target: " + self._unsealable)
        try:
            self._pykd.attachKernel(connection)
        except self._pykd.DbgException as error:
            raise Refused(self._last_words(error)) from None
        version, _ = self.execute("vertarget")
        processors = PROCESSORS.search(version)
        self._machine = MACHINE_TYPES.get(str(self._pykd.getCPUType()), 0)
        return {
            "build": self._pykd.getSystemVersion().buildNumber,
            "machine_type": self._machine,
            "processors": int(processors.group(1)) if processors else 1,
            "kernel_base": self._pykd.module("nt").begin(),
            "version": self._version(),
        }

    def wait(self) -> bool:
        """See :class:`engine.Engine`."""
        pykd = self._pykd
        self._waiting, self._hostile = True, False
        try:
            if self._stands_at_foreign_exception():
                # go() passes on a first chance only, and takes a second one for handled.
                pykd.dbgCommand("gn", False)
                status = pykd.getExecutionStatus()
            else:
                status = pykd.go()
        except pykd.DbgException as error:
            self._emit("output", text=self._last_words(error))
            return False
        finally:
            self._waiting = False
        return bool(status == pykd.executionStatus.Break)

    def settle(self) -> None:
        """See :class:`engine.Engine`."""
        if self._interrupted:
            self._interrupted = False
            self._take_user_interrupt()

    def stop(self) -> dict[str, Any]:
        """See :class:`engine.Engine`."""
        pykd = self._pykd
        kind = pykd.getLastEvent().type
        stop: dict[str, Any] = {
            "code": 0,
            "address": 0,
            "first_chance": True,
            "bugcheck": None,
            "break_in": False,
            "command": False,
            "kind": str(kind),
        }
        if kind == pykd.eventType.Exception:
            info = pykd.getLastException()
            stop["code"], stop["address"] = info.exceptionCode, info.exceptionAddress
            stop["first_chance"] = bool(info.firstChance)
        elif kind == pykd.eventType.Breakpoint:
            stop["code"], stop["address"] = STATUS_BREAKPOINT, pykd.getIP()
        else:
            # "<no event>": nothing happened in the target but that it had a command executed.
            stop["command"], stop["address"] = int(kind) == NO_EVENT, pykd.getIP()
        stop["command"] = stop["command"] or self._hostile
        if stop["code"] == STATUS_BREAKPOINT:
            stop["bugcheck"] = self.bugcheck()
            stop["break_in"] = self._asked and self._break_status() in BREAK_IN_STATUSES
            self._asked = self._asked and not stop["break_in"]
        return stop

    def break_in(self) -> None:
        """See :class:`engine.Engine`."""
        self._asked = self._interrupted = True
        try:
            self._pykd.breakin()
        except self._pykd.DbgException as error:
            raise Refused(self._last_words(error)) from None

    def answer(self, text: str) -> None:
        """See :class:`engine.Engine`."""
        self._console.return_input(text)

    def execute(self, command: str) -> tuple[str, bool]:
        """See :class:`engine.Engine`."""
        with self._capturing() as captured:
            try:
                self._pykd.dbgCommand(command, False)
                failed = False
            except self._pykd.DbgException as error:
                captured.append("" if captured else self._last_words(error))
                failed = True
        return "".join(captured), failed

    def gone(self) -> bool:
        """See :class:`engine.Engine`."""
        return bool(self._pykd.getExecutionStatus() == self._pykd.executionStatus.NoDebuggee)

    def bugcheck(self) -> list[int] | None:
        """See :class:`engine.Engine`."""
        found = BUGCHECK.search(self.execute(".bugcheck")[0])
        if found is None or not int(found.group(1), 16):
            return None
        return [int(found.group(1), 16)] + [_address(word) for word in found.group(2).split()]

    def modules(self) -> list[list[Any]]:
        """See :class:`engine.Engine`."""
        output, _ = self.execute("lm k f")
        found = []
        for start, end, path in MODULE.findall(output):
            base = _address(start)
            found.append([_file_name(path), base, _address(end) - base])
        return found

    def interrupt_time(self) -> int | None:
        """See :class:`engine.Engine`."""
        for _ in range(2):
            try:
                return int(self._pykd.ptrQWord(self._interrupt_time_address))
            except self._pykd.MemoryException:
                self._take_user_interrupt()
        return None

    def clear_breakpoints(self) -> None:
        """See :class:`engine.Engine`."""
        self.execute("bc *")

    def map_file(self, path: str, file: str) -> None:
        """See :class:`engine.Engine`."""
        assert self._seal is not None, "there is no target without it"
        self._seal.serve(file)
        output, failed = self.execute(f'.kdfiles -m "{path}" "{file}"')
        if failed or "Added mapping for" not in output or "error" in output:
            raise Refused("DbgEng does not map " + path + ": " + output)

    def let_go(self) -> None:
        """See :class:`engine.Engine`."""
        output, failed = self.execute("qd")
        if failed:
            raise Refused("DbgEng did not let the target go: " + output)

    def _make_handler(self) -> Any:
        engine, pykd = self, self._pykd

        base: Any = pykd.eventHandler

        class Handler(base):  # type: ignore[misc]  # pykd is untyped
            def __init__(self) -> None:
                base.__init__(self)

            def onDebugOutput(self, text: str, flag: Any) -> None:  # noqa: N802 - pykd's name
                engine._on_output(text, int(flag))

            def onStartInput(self) -> None:  # noqa: N802 - pykd's name
                engine._emit("prompt", text=engine._printed)

            def onException(self, info: Any) -> Any:  # noqa: N802 - pykd's name
                return pykd.eventResult.Break

            def onUnloadModule(self, address: int, name: str) -> Any:  # noqa: N802 - pykd's name
                engine._emit("unloaded", base=address, name=engine._names.pop(address, name))
                return pykd.eventResult.NoChange

        return Handler()

    def _on_output(self, text: str, flag: int) -> None:
        if flag == DEBUGGEE:
            # DbgEng has read the target's bytes in the process's ANSI code page: undo that.
            self._printed = text.encode("mbcs", "replace").decode("latin-1")
            self._emit("print", text=self._printed)
            return
        if self._captured is not None:
            self._captured.append(text)
        self._line += text
        while "\n" in self._line:
            line, _, self._line = self._line.partition("\n")
            self._on_line(line)

    def _on_line(self, line: str) -> None:
        loaded = MODULE_LOADED.search(line)
        if loaded:
            base, name = _address(loaded.group(1)), _file_name(loaded.group(3))
            self._names[base] = name
            self._emit("loaded", name=name, base=base, size=_address(loaded.group(2)) - base)
        if line.startswith("Waiting to reconnect"):
            self._emit("listening")
        if line.startswith("Shutdown occurred"):
            self._emit("rebooted")
        if self._captured is None:
            self._emit("output", text=line)

    def _on_denied(self, function: str, argument: str, commanded: bool) -> None:
        text = "refused to the target: " + function + " " + argument
        self._emit("output", text=text)
        if self._captured is not None:
            self._captured.append(text + "\n")
        elif self._waiting and commanded:
            # A command that ends in "g" would run on, and nobody would know.
            self._hostile = self._interrupted = True
            self._pykd.breakin()

    def _on_served(self, file: str) -> None:
        self._emit("served", file=file)

    def _take_user_interrupt(self) -> None:
        """After a break-in DbgEng now and then (2 of 1,000) ends the next look at memory with "User
        interrupt", whoever takes it; seldom that comes late. This look is taken for nothing else."""
        self.execute(f"dq 0x{self._interrupt_time_address:x} L1")

    @property
    def _interrupt_time_address(self) -> int:
        return SHARED_DATA.get(self._machine, SHARED_DATA_64) + 8

    def _stands_at_foreign_exception(self) -> bool:
        """The last event was an exception that is not the debugger's own."""
        pykd = self._pykd
        return bool(
            pykd.getLastEvent().type == pykd.eventType.Exception
            and pykd.getLastException().exceptionCode not in DEBUGGER_EXCEPTIONS
        )

    def _break_status(self) -> int:
        """What DbgBreakPointWithStatus, at which the target stands, was called with; 0 where that is not in a
        register."""
        return int(self._pykd.reg("rcx")) if self._machine == MACHINE_AMD64 else 0

    def _version(self) -> str:
        found = re.search(r"Windows Debugger Version ([\d.]+)", self.execute("version")[0])
        engine = found.group(1) if found else "of unknown version"
        return "pykd " + str(self._pykd.__version__) + ", DbgEng " + engine

    @contextlib.contextmanager
    def _capturing(self) -> Iterator[list[str]]:
        captured: list[str] = []
        self._captured = captured
        try:
            yield captured
        finally:
            self._captured = None

    def _last_words(self, error: Exception) -> str:
        return " ".join(str(error).split())


def _address(text: str) -> int:
    return int(text.replace("`", ""), 16)


def _file_name(path: str) -> str:
    return path.replace("/", "\\").rpartition("\\")[2]
