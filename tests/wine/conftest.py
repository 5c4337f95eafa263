"""A private Wine prefix for the session: somebody else's Windows, to try the C programs on."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.toolchain import default_actor, default_driver

BOOT_SECONDS = 180.0
"""A first boot takes 16 s on an idle machine."""
COMMAND_SECONDS = 60.0


class Prefix:
    """Runs programs in the prefix; what any of its processes says to a debugger goes to one log."""

    def __init__(self, wine: str, root: Path) -> None:
        self._wine = wine
        self._server = shutil.which("wineserver") or str(Path(wine).resolve().with_name("wineserver"))
        self._root = root
        self._log = root / "debug.log"
        self._log.touch()
        self._awake: subprocess.Popen[bytes] | None = None
        self._environment = {k: v for k, v in os.environ.items() if k != "DISPLAY"} | {
            "WINEPREFIX": str(root / "prefix"),
            # No offers to install Mono or Gecko, and nothing in the user's own menus.
            "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
            "WINEDEBUG": "-all,+debugstr",
        }

    @property
    def work(self) -> Path:
        """``C:\\procnotify``, the guest's work folder."""
        return self._root / "prefix" / "drive_c" / "procnotify"

    def boot(self) -> None:
        self.run("wineboot", "-i", seconds=BOOT_SECONDS)
        # The boot's own service manager ends after it, and takes along what is registered meanwhile.
        subprocess.run([self._server, "-w"], env=self._environment, timeout=COMMAND_SECONDS, check=True)
        self.work.mkdir()

    def keep_awake(self, *arguments: str) -> None:
        """Run a program that lasts: while there is one, Wine's service manager stays the same process."""
        self._awake = self.start(*arguments)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A program that is not waited for; it is the caller's to end."""
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [self._wine, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def run(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[bytes]:
        """Files, not pipes: Wine's background processes would keep a pipe open."""
        output = self._root / "stdout"
        with output.open("wb") as out, self._log.open("ab") as log:
            code = subprocess.run(
                [self._wine, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                timeout=seconds,
                check=False,
            ).returncode
        return subprocess.CompletedProcess(arguments, code, output.read_bytes())

    def said(self) -> str:
        """Everything said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, *, after: int = 0, seconds: float = 20.0) -> str:
        """What was said after the mark ``after`` as soon as ``text`` is in it; fails after ``seconds``."""
        deadline = time.monotonic() + seconds
        while text not in (said := self.said()[after:]):
            assert time.monotonic() < deadline, f"{text!r} was not said; said was:\n{said}"
            time.sleep(0.05)
        return said

    def end(self) -> None:
        """Every process of the prefix ends."""
        subprocess.run([self._server, "-k"], env=self._environment, timeout=COMMAND_SECONDS, check=False)
        if self._awake is not None:
            self._awake.kill()
            self._awake.wait(COMMAND_SECONDS)


@pytest.fixture(scope="session")
def prefix(wine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefix]:
    """Booted, with the driver, the guest helper and its DLL in the work folder."""
    prefix = Prefix(wine, tmp_path_factory.mktemp("wine"))
    try:
        prefix.boot()
        shutil.copy(default_driver().path, prefix.work / "procnotify.sys")
        actor = default_actor()
        shutil.copy(actor.exe.path, prefix.work / "actor.exe")
        shutil.copy(actor.probe.path, prefix.work / "probe.dll")
        prefix.keep_awake(r"C:\procnotify\actor.exe", "--id", "1", "sleep", "3600000")
        prefix.wait_for("[actor] begin sleep id=1")
        yield prefix
    finally:
        prefix.end()
