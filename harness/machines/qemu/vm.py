"""One running QEMU with its throw-away disk; process and files are gone when it is closed, or when we are."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.errors import MachineError
from harness.machines.qemu.commandline import Places, command_line
from harness.machines.qemu.monitor import EVENTS, Monitor
from harness.machines.qemu.settings import QemuSettings
from harness.processes import KeptProcess, run_child
from harness.processes.kept import read_end

__all__ = ["VirtualHardware"]

_log = logging.getLogger(__name__)

MONITOR_SECONDS: Final = 30.0
"""How long QEMU may take until its monitor answers."""
OVERLAY_SECONDS: Final = 60.0
LONGEST_SOCKET_PATH: Final = 100
"""Bytes of a Unix socket's path that every system takes."""
SCREEN_FORMATS: Final = ("png", "ppm")
"""QEMU has known PNG since 7.1, and only where it was built with it."""
_STATES: Final = {"running": "running", "guest-panicked": "bugchecked", "shutdown": "off"}
"""QEMU's RunState → a machine's."""


class VirtualHardware:
    """The machine, switched on.

    :param places: makes where it and the host meet, in a fresh folder.
    :param kvm: see :func:`harness.machines.qemu.commandline.command_line`.
    :raises MachineError: it cannot be started.
    """

    def __init__(self, settings: QemuSettings, places: Callable[[Path], Places], *, kvm: bool) -> None:
        self._settings = settings
        self.accelerator = "kvm" if kvm else "tcg"
        self._console_begin = 0
        self._heard_before = dict.fromkeys(EVENTS, 0)

        def words(folder: Path) -> list[str]:
            self.places = places(folder)
            self._make_overlay()
            return command_line(settings, self.places, kvm=kvm)

        try:
            self._process = KeptProcess(words, cwd=settings.folder)
        except OSError as error:
            raise MachineError(f"{settings.name} cannot be started: {error.strerror}") from None
        try:
            self.monitor = Monitor(self.places.monitor, self.ended, timeout=MONITOR_SECONDS)
            self.version = self._version()
        except BaseException:
            self._process.close()
            raise

    def ended(self) -> str | None:
        """Why QEMU does not run any more; None while it does."""
        code = self._process.exit_code
        if code is None:
            return None
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        said = " ".join(self._process.output.decode("utf-8", "replace").split())
        return f"QEMU of {self._settings.name} {how}: {said[-300:] or 'it said nothing'}"

    def state(self) -> str:
        """What it does, as QEMU knows it."""
        word = str(self.monitor.execute("query-status")["status"])
        return _STATES.get(word, word)

    def begin_run(self) -> None:
        """What happened up to now, and what the guest's console said, is not the next run's."""
        self._heard_before = {event: self.monitor.heard(event) for event in EVENTS}
        self._console_begin = self.places.console.stat().st_size if self.places.console.exists() else 0

    def interference(self, state: str) -> str:
        """What somebody else, or the guest, has made QEMU do since the run began; empty where nothing.

        :param state: what it does now; it is not paused by us.
        """
        heard = {event for event in EVENTS if self.monitor.heard(event) > self._heard_before[event]}
        if "RESET" in heard:
            return "it was reset in the middle of the run"
        if "STOP" in heard and state == "running":
            return "it was stopped and went on in the middle of the run, as when it goes back to a snapshot"
        return ""

    def screenshot(self) -> dict[str, bytes]:
        """What the guest's screen shows: file name → content. Nothing where it has no screen, or where QEMU
        does not answer any more."""
        for form in SCREEN_FORMATS:
            path = self.places.folder / f"screen.{form}"
            try:
                self.monitor.screenshot(path, form)
                return {path.name: path.read_bytes()}
            except (MachineError, OSError) as error:
                _log.info("no picture of the screen as %s: %s", form, error)
        return {}

    def artifacts(self) -> dict[str, bytes]:
        """What the guest wrote to its console in this run, and what QEMU said."""
        found = {
            "console.log": read_end(self.places.console, self._console_begin),
            "qemu.log": self._process.output,
        }
        return {name: data for name, data in found.items() if data}

    def close(self) -> None:
        """Switch it off. Idempotent."""
        self.monitor.close()
        self._process.close()

    def _version(self) -> str:
        version = self.monitor.execute("query-version")["qemu"]
        return ".".join(str(version[part]) for part in ("major", "minor", "micro"))

    def _make_overlay(self) -> None:
        if len(str(self.places.monitor)) > LONGEST_SOCKET_PATH:
            raise MachineError(
                f"the folder {self.places.folder} has too long a name for sockets",
                hint="set TMPDIR to a shorter one",
            )
        image = self._settings.image
        info = _run_qemu_img(["info", "--output=json", str(image)], self.places.folder)
        form = _format_of(info, image)
        _run_qemu_img(
            ["create", "-q", "-f", "qcow2", "-F", form, "-b", str(image), str(self.places.overlay)],
            self.places.folder,
        )


def _run_qemu_img(words: list[str], folder: Path) -> bytes:
    errors = folder / "qemu-img.log"
    try:
        with errors.open("wb") as said:
            code, output = run_child(
                ["qemu-img", *words],
                timeout=OVERLAY_SECONDS,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
            )
    except OSError as error:
        raise MachineError(f"qemu-img cannot be run: {error.strerror}", hint="install qemu-utils") from None
    except subprocess.TimeoutExpired:
        raise MachineError(f"qemu-img {words[0]} did not end within {OVERLAY_SECONDS:g} s") from None
    if code != 0:
        said_text = " ".join(read_end(errors).decode("utf-8", "replace").split())
        raise MachineError(f"qemu-img {words[0]} failed: {said_text:.300}")
    return output


def _format_of(info: bytes, image: Path) -> str:
    """The format of an image, in the words of ``qemu-img info``."""
    try:
        return str(json.loads(info)["format"])
    except (ValueError, KeyError, TypeError):
        raise MachineError(f"qemu-img does not say what {image} is: {info!r:.200}") from None
