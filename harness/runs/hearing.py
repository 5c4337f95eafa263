"""Runs of a driver without a scenario, to learn how it prints: its prints, each with the callback call it was
made in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from subprocess import list2cmdline
from typing import Final

from harness.debuggers.bugchecks import CrashEvidence
from harness.errors import DriverFileError, DriverHang
from harness.kd.debugio import MAX_PRINT_BYTES
from harness.learning import PROGRAM, HeardCall, HeardPrint, HeardRun
from harness.printmasks import COMPONENTS, MAX_MASK
from harness.runs.directport import module_of
from harness.runs.steps import GuestDriver
from harness.virtual.banner import bugcheck_banner
from harness.virtual.boot import Booted, boot
from harness.virtual.callbackcalls import CallbackCall
from harness.virtual.callbackevents import callback_events
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.interfaces import ImageModule
from harness.virtual.nt.images import win32_path
from harness.virtual.windows.status import STATUS_ACCESS_DENIED

__all__ = ["MAX_PRINTS", "hear"]

MAX_PRINTS: Final = 100_000
"""Of one run. A driver that prints more than that while next to nothing happens prints without end."""
_ROUNDS: Final = 1
_QUIET, _AT_MOST = 3_000_000, 200_000_000
"""100 ns units: what is waited for between two actions."""
_OPEN_MASKS: Final = dict.fromkeys(COMPONENTS, MAX_MASK)


class _Ear:
    """The debugger's place in the target: notes every print, and in which call it was made.

    :param driver: file name of the driver under test.
    """

    def __init__(self, driver: str) -> None:
        self._driver = driver.casefold()
        self._booted: Booted | None = None
        self._evidence = CrashEvidence()
        self._seen = 0
        self._open: defaultdict[int, list[CallbackCall]] = defaultdict(list)
        """TID → the calls that it is in, the innermost last."""
        self._numbers: dict[int, int] = {}
        """``id`` of a call → its number among those of the driver."""
        self._texts: dict[int, dict[str, str]] = {}
        self.calls: list[CallbackCall] = []
        self.prints: list[HeardPrint] = []
        self.loading = False
        self.deaf = False
        """What is printed outside of the driver's callbacks is another's."""

    def attach(self, booted: Booted) -> None:
        """The target is up; it has printed nothing so far."""
        self._booted = booted

    def print_string(self, text: bytes, cpu: int) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        assert self._booted is not None
        if text.startswith(b"[actor] "):
            return
        self.take_calls()
        opened = self._open[self._booted.kernel.context.tid]
        while opened and opened[-1].left is not None:
            opened.pop()
        number = None
        if opened:
            number = self._numbers.get(id(opened[-1]))
        if number is None and (opened or self.deaf):
            return  # of another driver
        if number is not None and number not in self._texts:
            self._texts[number] = self._known_texts(opened[-1])
        self.prints.append(HeardPrint(text[:MAX_PRINT_BYTES], cpu, number, self.loading))
        if len(self.prints) > MAX_PRINTS:
            raise DriverHang(
                f"the driver printed more than {MAX_PRINTS} times while next to nothing happened",
                address=self._booted.kernel.caller,
            )

    def take_calls(self) -> None:
        """Take note of the callbacks that were called since the last time."""
        assert self._booted is not None
        for entry in self._booted.kernel.calls.entries(self._seen):
            self._seen += 1
            if isinstance(entry, CallbackCall):
                self._open[entry.context.tid].append(entry)
                if entry.driver.casefold() == self._driver:
                    self._numbers[id(entry)] = len(self.calls)
                    self.calls.append(entry)

    def heard(self, seed: int) -> HeardRun:
        """All of it."""
        self.take_calls()
        calls = []
        for number, call in enumerate(self.calls):
            (event,) = callback_events([call], call.driver)
            calls.append(HeardCall(event, self._texts.get(number, {})))
        return HeardRun(seed, calls, self.prints)

    def _known_texts(self, call: CallbackCall) -> dict[str, str]:
        """Asked while the call is under way, because processes end."""
        assert self._booted is not None
        processes = self._booted.target.system.processes
        texts: dict[str, str] = {}
        for what, pid in (
            ("the process's program", call.told.pid),
            ("the parent's program", call.told.parent_pid),
            ("the program of the context", call.context.pid),
        ):
            process = None if pid is None else processes.get(pid)
            if pid == call.told.pid and texts:
                continue  # the process's own program once more
            if process is not None and process.image:
                texts[what] = process.image
                if pid == call.told.pid:
                    command = [win32_path(process.image), *process.arguments]
                    texts["the command line"] = list2cmdline(command)
        if call.kind == "image_load":
            return texts if call.told.image is None else {**texts, PROGRAM: call.told.image}
        program = texts.pop("the process's program", None) or call.told.image
        if program is not None:
            texts[PROGRAM] = program
        return texts

    # What a debugger would do

    def load_symbols(self, module: ImageModule, *, unload: bool, cpu: int) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`."""
        self._evidence.see_modules([module_of(module)])

    def exception(
        self, code: int, address: int, *, information: tuple[int, ...], first_chance: bool, cpu: int
    ) -> bool:
        """See :class:`~harness.virtual.interfaces.DebugPort`: nobody handles it."""
        return False

    def bugcheck(
        self, code: int, parameters: tuple[int, int, int, int], *, module: str | None, cpu: int
    ) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`.

        :raises DriverBugcheck: always.
        """
        assert self._booted is not None
        for line in bugcheck_banner(code, parameters, module):
            self._evidence.see_print(line.decode("utf-8", "backslashreplace"))
        raise self._evidence.bugcheck(code, parameters, kernel_base=self._booted.kernel.kernel_base).error()

    def poll(self) -> None:
        """See :class:`~harness.virtual.interfaces.DebugPort`: nobody breaks in."""


def hear(
    driver: GuestDriver,
    seed: int,
    *,
    helper: bytes,
    probe: bytes,
    other: GuestDriver | None = None,
    hardware: Hardware | None = None,
    told: Callable[[str], None] = lambda what: None,
) -> HeardRun:
    """Run a driver once on the virtual target, with every print let through.

    :param helper: the guest helper.
    :param probe: the library that it loads.
    :param other: a driver that is loaded and unloaded meanwhile: an image that the System process maps.
    :param hardware: to boot on.
    :param told: what is being done, in words.
    :raises ProcnotifyError: the driver does not load, or brings the target down.
    """
    ear = _Ear(driver.file)
    booted = boot(ear, seed=seed, print_masks=_OPEN_MASKS, hardware=hardware)
    ear.attach(booted)
    target = booted.target
    target.put("actor.exe", helper)
    library = target.put("probe.dll", probe)
    told("load")
    ear.loading = True
    status = target.load_driver(driver.service, target.put(driver.file, driver.image))
    ear.loading = False
    if status:
        raise DriverFileError(
            f"{driver.file} was not loaded: its DriverEntry ended with 0x{status:08x}",
            hint=(
                "link it with /INTEGRITYCHECK, without which its process callback is refused"
                if status == STATUS_ACCESS_DENIED
                else "a driver that does not load prints nothing to learn from"
            ),
        )
    _exercise(ear, booted, library, other, told)
    told("unload")
    ear.loading = True
    target.unload_driver(driver.service)
    ear.loading = False
    return ear.heard(seed)


def _exercise(
    ear: _Ear, booted: Booted, library: str, other: GuestDriver | None, told: Callable[[str], None]
) -> None:
    """Let something of every kind happen, and what tells fields apart: a parent that is not the creator, a
    thread that another process made, an image of the kernel."""
    target = booted.target
    explorer = target.system.named("explorer.exe").pid
    step = 0

    def act(*words: str) -> int:
        nonlocal step
        step += 1
        answer = target.act(words, step)
        target.settle(_QUIET, _AT_MOST)
        return int(answer.get("child_pid", 0))

    for number in range(_ROUNDS):
        told(f"round {number + 1} of {_ROUNDS}")
        victim = act("launch", "notepad.exe")
        act("create-remote-thread", str(victim))
        act("inject", str(victim), library)
        act("terminate", str(victim), str(number))
        act("load-library", "version.dll")
        act("create-thread")
        act("launch", "actor.exe", "launch", "actor.exe", "sleep", "20")
        act("launch", "whoami.exe")
        adopted = target.launch_for(explorer, "cmd.exe")
        target.settle(_QUIET, _AT_MOST)
        act("terminate", str(adopted))
        if other is not None:
            ear.deaf = True
            target.load_driver(other.service, target.put(other.file, other.image))
            target.unload_driver(other.service)
            ear.deaf = False
