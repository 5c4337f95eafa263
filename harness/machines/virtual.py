"""The virtual target as a machine, booted afresh for every run: in a child process, or without a debugger in
this one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

import harness
from harness.callplaces import CalledPlaces
from harness.connection import NetConnection, free_connection
from harness.errors import ProcnotifyError, TargetLost, UsageError
from harness.events import Event
from harness.guests.base import Guest
from harness.guests.control import ControlChannel
from harness.guests.inprocess import InProcessGuest
from harness.guests.virtual import VirtualGuest
from harness.kd.contexts import MACHINE_AMD64
from harness.machines.base import BootOptions, DirectBoot, MachineStatus, SeenCalls
from harness.printmasks import print_masks_words
from harness.virtual.boot import boot as boot_target
from harness.virtual.callbackcalls import MAX_REMEMBERED, CallLog, Entry
from harness.virtual.callbackevents import callback_events
from harness.virtual.cpu.hardware import Hardware
from harness.virtual.dispatcher.policies import POLICIES, check_policy, make_policy
from harness.virtual.dispatcher.policy import Policy
from harness.virtual.dispatcher.schedule import REPLAY, ReplayPolicy
from harness.virtual.interfaces import MAX_PROCESSORS, DebugPort
from harness.virtual.kernel.callfailures import CallFailures
from harness.virtual.kernel.loader import check_driver_file
from harness.virtual.nt.profile import profile_names
from harness.virtual.target import PROCESSORS
from harness.virtual.windows.symbols18362 import BUILD_NUMBER

__all__ = ["DEFAULT_PROFILE", "VirtualMachine"]

DEFAULT_PROFILE = "win10-1903"
WHAT = "the virtual target"
BOOT_SECONDS = 60.0
"""Deadline of a boot: the child's imports (Unicorn among them) on a slow machine."""
STATUS_SECONDS = 2.0
STOP_SECONDS = 5.0
_CALLS_AT_ONCE = 2_000
"""Remembered calls in one answer of the child, some 200 bytes each."""


class VirtualMachine:
    """Keeps one child process (``python -m harness.virtual.process``) and boots it once a run; without a
    debugger one piece of hardware in this process.

    :param profile: which Windows it is like, where a scenario does not ask for another.
    :param argv: the child's command line, for tests.
    """

    name = "virtual"
    deterministic = True

    def __init__(self, profile: str = DEFAULT_PROFILE, *, argv: Sequence[str] | None = None) -> None:
        self._profile = profile
        self._argv = argv or (sys.executable, "-m", "harness.virtual.process")
        self._channel: ControlChannel | None = None
        self._booted = False
        self._hardware: Hardware | None = None
        """Of the targets in this process."""
        self._direct: CallLog | None = None
        """Of the last boot, where that was in this process."""
        self._failures: CallFailures | None = None
        """The same, where it records the calls that may fail."""
        self._running_profile, self._running_policy = profile, POLICIES[0]
        self._running_masks = ""

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        return self._channel.pid if self._channel is not None else None

    def check_driver(self, image: bytes) -> tuple[str, ...]:
        """See :class:`harness.machines.base.DriverChecker`."""
        return check_driver_file(image)

    def connection(self) -> NetConnection:
        """See :meth:`harness.machines.base.Machine.connection`: a free port on loopback and a new key."""
        return free_connection()

    def start(self, boot: BootOptions) -> None:
        """See :meth:`harness.machines.base.Machine.start`."""
        profile, policy, processors = self._like(boot)
        assert boot.connection is not None, "without a debugger it is started with start_direct"
        self.stop()
        self._direct = None
        if self._channel is None:
            self._channel = ControlChannel(self._argv, what=WHAT)
        self._channel.call(
            "boot",
            {
                "seed": boot.seed,
                "profile": profile,
                "policy": policy,
                "choices": None if boot.choices is None else sorted(boot.choices.items()),
                "processors": processors,
                "print_masks": dict(boot.print_masks),
                "connection": str(boot.connection),
                "hostip": "127.0.0.1",
            },
            timeout=BOOT_SECONDS,
        )
        self._booted = True
        self._running_profile, self._running_policy = profile, policy
        self._running_masks = print_masks_words(boot.print_masks)

    def start_direct(self, boot: BootOptions, port: DebugPort) -> DirectBoot:
        """See :class:`harness.machines.base.DirectMachine`: each boot ends the one before."""
        profile, policy, processors = self._like(boot)
        if self._hardware is None:
            self._hardware = Hardware()
        self._direct = None
        chooser: Policy
        chooser = make_policy(policy, boot.seed) if boot.choices is None else ReplayPolicy(boot.choices)
        self._failures = CallFailures(boot.fails) if boot.tells_calls else None
        recording = None if boot.scheduling is None else boot.scheduling(chooser)
        booted = boot_target(
            port,
            seed=boot.seed,
            profile=profile,
            policy=recording or chooser,
            processors=processors,
            print_masks=boot.print_masks,
            hardware=self._hardware,
            call_failures=self._failures,
        )
        self._running_profile, self._running_policy = profile, policy
        self._running_masks = print_masks_words(boot.print_masks)
        facts = {
            "build": str(BUILD_NUMBER),
            "machine_type": f"0x{MACHINE_AMD64:x}",
            "processors": str(booted.kernel.processors),
        }
        self._direct = booted.kernel.calls
        schedule = None if recording is None else recording.schedule
        return DirectBoot(InProcessGuest(booted.target), booted.kernel, facts, schedule)

    def calls(self, driver: str) -> SeenCalls:
        """See :class:`harness.machines.base.WitnessingMachine`."""
        if self._direct is not None:
            log = self._direct
            return SeenCalls(callback_events(log.entries(), driver), log.beyond, log.hidden, log.uncalled)
        entries: list[Entry] = []
        while True:
            asked = {"first": len(entries), "count": _CALLS_AT_ONCE}
            answer = self._running().call("calls", asked, timeout=STATUS_SECONDS)
            try:
                more = msgspec.convert(answer["calls"], list[Entry])
                beyond, hidden = int(answer["beyond"]), int(answer["hidden"])
                uncalled = msgspec.convert(answer["uncalled"], tuple[str, ...])
            except (KeyError, ValueError, TypeError):
                raise TargetLost(f"{WHAT} gave no proper account of its calls: {answer!r:.200}") from None
            entries += more
            if not more or len(entries) > MAX_REMEMBERED:
                return SeenCalls(callback_events(entries, driver), beyond, hidden, uncalled)

    def call_under_way(self, driver: str) -> Event | None:
        """The callback of one driver, by its file name, that runs in the target of this process, as
        :meth:`calls` will tell it but for its end and its index; None: none does."""
        call = None if self._direct is None else self._direct.under_way()
        return None if call is None else next(iter(callback_events([call], driver)), None)

    def called_places(self) -> CalledPlaces:
        """See :class:`harness.machines.base.CallFailingMachine`."""
        return CalledPlaces((), 0, None) if self._failures is None else self._failures.called

    @property
    def calls_entered(self) -> int:
        """How many callbacks the target of this process has called by now, of whichever driver."""
        return 0 if self._direct is None else self._direct.entered

    def _like(self, boot: BootOptions) -> tuple[str, str, int]:
        """The profile, the policy and the number of processors of the boot.

        :raises UsageError: there is no such one.
        """
        profile = boot.profile or self._profile
        if profile not in profile_names():
            raise UsageError(
                f"the virtual target has no profile {profile!r}", hint=f"known: {', '.join(profile_names())}"
            )
        policy = REPLAY if boot.choices is not None else boot.policy or POLICIES[0]
        if boot.choices is None:
            try:
                check_policy(policy)
            except ValueError as error:
                raise UsageError(f"the virtual target: {error}") from None
        processors = boot.processors or PROCESSORS
        if not 1 <= processors <= MAX_PROCESSORS:
            raise UsageError(
                f"the virtual target cannot have {processors} processors",
                hint=f"it has 1 to {MAX_PROCESSORS}",
            )
        return profile, policy, processors

    def guest(self) -> Guest:
        """See :meth:`harness.machines.base.Machine.guest`."""
        return VirtualGuest(self._running())

    def status(self) -> MachineStatus:
        """See :meth:`harness.machines.base.Machine.status`; TargetLost when the child does not answer."""
        answer = self._running().call("status", {}, timeout=STATUS_SECONDS)
        try:
            return MachineStatus(str(answer["state"]), int(answer["time"]), str(answer.get("detail", "")))
        except (KeyError, ValueError, TypeError):
            raise TargetLost(f"{WHAT} gave no proper status: {answer!r:.200}") from None

    def describe(self) -> dict[str, str]:
        """See :meth:`harness.machines.base.Machine.describe`."""
        return {
            "type": self.name,
            "profile": self._running_profile,
            "policy": self._running_policy,
            **({"print_masks": self._running_masks} if self._running_masks else {}),
            "version": harness.__version__,
        }

    def stop(self) -> None:
        """See :meth:`harness.machines.base.Machine.stop`. A child that cannot be stopped in order is killed,
        and the next start makes a new one."""
        if self._channel is None or not self._booted:
            return
        self._booted = False
        try:
            self._channel.call("stop", {}, timeout=STOP_SECONDS)
        except ProcnotifyError:
            self.close()

    def close(self) -> None:
        """See :meth:`harness.machines.base.Machine.close`."""
        self._booted, self._hardware, self._direct = False, None, None
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _running(self) -> ControlChannel:
        if self._channel is None:
            raise TargetLost(f"{WHAT} is not started")
        return self._channel
