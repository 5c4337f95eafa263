"""The doctor: every link of the chain between a machine and a verdict, tried in its order.

What breaks first is named, with its evidence and the way out; what stands behind it was not reached. Whatever
was found, the target is let go and the machine stopped.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from harness.connection import NetConnection
from harness.errors import GuestError, LinesLost, ProcnotifyError, TargetLost
from harness.events import Event, Marker
from harness.guests.base import Guest
from harness.guests.helper import HelperGuest
from harness.guests.paths import is_windows_path
from harness.internal import internal_error
from harness.machines.base import PreparedMachine
from harness.preparation.started import StartedWindows, inspect_windows
from harness.printmasks import OPEN_HINT
from harness.runs.debugged import ATTACH_SECONDS, DETACH_SECONDS
from harness.runs.livetarget import LiveTarget
from harness.runs.rig import Rig
from harness.runs.steps import Markers, start_driver, stop_driver, store_driver

__all__ = ["ChainLink", "Finding", "LinkState", "examine"]

SENTINEL: Final = 1
"""Identifier of the action whose end marker is waited for."""


class ChainLink(enum.StrEnum):
    """What has to hold, in this order, before a run can say anything."""

    MACHINE = "the machine is ready"
    PORT = "the debugger can listen"
    GUEST = "the guest answers"
    SETTINGS = "the guest is set up for kernel debugging"
    CONNECTION = "target and debugger meet"
    HELPER = "the guest helper runs"
    SENTINEL = "the guest helper's print arrives"
    DRIVER = "the driver loads"
    PRINTS = "the driver's prints arrive"
    UNLOAD = "the driver unloads"
    RELEASE = "the target is left running"


class LinkState(enum.StrEnum):
    """What became of a link."""

    SOUND = "sound"
    BROKEN = "broken"
    NOT_REACHED = "not reached"
    NOT_ASKED = "not asked"
    """This machine has nothing to be asked there."""


@dataclass(frozen=True)
class Finding:
    """What was found at one link."""

    link: ChainLink
    state: LinkState
    evidence: str = ""
    error: ProcnotifyError | None = None
    """Why it is broken."""


def examine(rig: Rig, *, seed: int, tell: Callable[[Finding], None]) -> tuple[Finding, ...]:
    """Try every link; one finding each, in their order.

    :param rig: with a debugger.
    :param seed: of the machine's boot.
    :param tell: told each finding when it is made.
    """
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        tell(finding)

    with ExitStack() as closing:
        examination = _Examination(rig, seed, closing)
        for link, ask in examination.links.items():
            try:
                evidence = ask()
            except ProcnotifyError as error:
                note(Finding(link, LinkState.BROKEN, error.message, error))
            except Exception as error:  # noqa: BLE001  # what nobody foresaw breaks the link, and is told
                failed = internal_error(error)
                note(Finding(link, LinkState.BROKEN, failed.message, failed))
            else:
                note(Finding(link, LinkState.SOUND if evidence else LinkState.NOT_ASKED, evidence))
            if findings[-1].error is not None:
                break
    for link in list(ChainLink)[len(findings) :]:
        note(Finding(link, LinkState.NOT_REACHED))
    return tuple(findings)


class _Examination:
    """One boot. What is asked of each link answers with the evidence; empty where nothing is to be asked.

    :param closing: gets what ends the boot, whatever was found.
    """

    def __init__(self, rig: Rig, seed: int, closing: ExitStack) -> None:
        assert rig.open_debugger is not None
        self._rig = rig
        self._machine = rig.machine
        self._closing = closing
        self._markers = Markers()
        self._seconds = f"{rig.watch.lines:g} s"
        self._told: list[Event] = []
        """What the target said besides markers."""
        self._boot_of = partial(rig.boot, seed)
        self._guest: Guest
        self._live: LiveTarget
        self.links: dict[ChainLink, Callable[[], str]] = {
            ChainLink.MACHINE: self._ready,
            ChainLink.PORT: self._listen,
            ChainLink.GUEST: self._start,
            ChainLink.SETTINGS: self._settings,
            ChainLink.CONNECTION: self._meet,
            ChainLink.HELPER: self._act,
            ChainLink.SENTINEL: self._hear_sentinel,
            ChainLink.DRIVER: self._load,
            ChainLink.PRINTS: self._hear_driver,
            ChainLink.UNLOAD: self._unload,
            ChainLink.RELEASE: self._release,
        }

    def _ready(self) -> str:
        self._closing.callback(self._machine.stop)
        if isinstance(self._machine, PreparedMachine):
            self._machine.prepare()
        return ", ".join(f"{key}: {value}" for key, value in self._machine.describe().items())

    def _listen(self) -> str:
        assert self._rig.open_debugger is not None
        self._boot = self._boot_of()
        connection = self._boot.connection
        assert connection is not None
        self._debugger = self._rig.open_debugger(str(connection))
        self._closing.callback(self._debugger.detach, timeout=DETACH_SECONDS)
        if not connection.debugger_first:
            return ""
        self._debugger.listen()
        return f"UDP port {connection.port}" if isinstance(connection, NetConnection) else "its own end"

    def _start(self) -> str:
        connection = self._boot.connection
        assert connection is not None
        self._machine.start(self._boot)
        if not connection.debugger_first:
            self._debugger.listen()
        self._guest = self._machine.guest()
        return f"its files go to {self._guest.folder}" if isinstance(self._guest, HelperGuest) else "it is up"

    def _settings(self) -> str:
        if not isinstance(self._guest, HelperGuest) or not is_windows_path(self._guest.folder):
            return ""
        return _judge_settings(inspect_windows(self._guest.channel))

    def _meet(self) -> str:
        info = self._debugger.attach(timeout=ATTACH_SECONDS)
        self._debugger.go()
        self._live = self._closing.enter_context(
            LiveTarget(self._debugger, self._machine, self._record, self._rig.watch, [self._rig.driver.file])
        )
        return f"{info.debugger_version}; build {info.build}, {info.processors} processor(s)"

    def _act(self) -> str:
        files = {"actor.exe": self._rig.files.actor, "probe.dll": self._rig.files.probe}
        for name, data in files.items():
            self._live.call(f"storing {name}", partial(self._guest.put, name, data))
        seconds = 2 * self._rig.watch.printing
        done = self._live.call(
            "the sentinel", lambda: self._guest.act(["sleep", "0"], step=SENTINEL, timeout=seconds)
        )
        return f"its process was {done.pid}"

    def _hear_sentinel(self) -> str:
        if not self._live.wait_for("the sentinel", lambda: SENTINEL in self._markers.ended):
            raise LinesLost(
                f"the guest helper ran, and nothing that it printed was heard in {self._seconds}",
                hint="does another debugger take the prints? is the guest another machine than the target?",
            )
        return "it begins and ends"

    def _load(self) -> str:
        driver = self._rig.driver
        start_driver(self._live, self._guest, driver, store_driver(self._live, self._guest, driver))
        return self._rig.driver.file

    def _hear_driver(self) -> str:
        if not self._live.wait_for("the driver's first print", lambda: bool(self._told)):
            raise LinesLost(
                f"{self._rig.driver.file} is loaded, and nothing was heard of it in {self._seconds}",
                hint=OPEN_HINT,
            )
        return self._told[0].line

    def _unload(self) -> str:
        stop_driver(self._live, self._guest, self._rig.driver)
        return self._rig.driver.file

    def _release(self) -> str:
        release = self._debugger.detach(timeout=DETACH_SECONDS)
        if not release.running:
            raise TargetLost(str(release), hint=release.way_out)
        return release.proof

    def _record(self, event: Event) -> None:
        self._markers.see(event)
        if not isinstance(event, Marker):
            self._told.append(event)


def _judge_settings(windows: StartedWindows) -> str:
    """In words.

    :raises GuestError: nobody can debug a Windows that was started so.
    """
    if not windows.debugging:
        raise GuestError(
            f"the guest's Windows was started without kernel debugging: {' '.join(windows.options)}",
            hint="`procnotify prepare` sets it; restart the guest afterwards, and take its snapshot then",
        )
    if windows.kdnet_status:
        raise GuestError(
            f"KDNET could not use its network card: 0x{windows.kdnet_status:08x} {windows.kdnet_words}",
            hint="give the guest a card that KDNET supports (QEMU: e1000e), as the first one",
        )
    signing = "on" if windows.test_signing else "off"
    return f"debugging is on, test signing is {signing} {windows.kdnet_words}".strip()
