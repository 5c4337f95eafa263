"""From a switched-off virtual machine to a checked trace: a real QEMU with a small Linux in it, where the
virtual target dials the host over KDNET through QEMU's network.

``PROCNOTIFY_MACHINE_MATRIX=1`` runs every shipped scenario through each guest channel with each debugger;
otherwise a few are run. ``PROCNOTIFY_MACHINE_RUNS=200`` makes so many runs in a row from the snapshot.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from this_system import SHELL

pytestmark = SHELL
SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"
MATRIX = bool(os.environ.get("PROCNOTIFY_MACHINE_MATRIX"))
RUNS = int(os.environ.get("PROCNOTIFY_MACHINE_RUNS", "3"))
KEY = "1.2.3.4"
SECONDS = 3000.0 if MATRIX or RUNS > 10 else 600.0
"""How long a call may take; the guest is emulated in software, and the machine has other things to do."""
SLOW = ("--timeout", "120", "--step-timeout", "600")


class Lab:
    """A machine file, and what calls of ``procnotify run`` leave behind."""

    def __init__(self, folder: Path, text: Callable[[int], str]) -> None:
        self.folder = folder
        self.file = folder / "lab.yaml"
        self.temporary = folder / "t"
        self.temporary.mkdir()
        self.port = _free_udp_port()
        self.file.write_text(text(self.port), encoding="utf-8", newline="\n")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """``procnotify run`` under way."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "harness", "run", "--machine", str(self.file), "--json", *SLOW),
                *("--trace-dir", str(self.folder / "traces"), *words),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            start_new_session=True,
        )

    def run(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, JSON document and what went to standard error."""
        with self.start(*words) as done:
            try:
                document, said = done.communicate(timeout=SECONDS)
            except BaseException:
                done.send_signal(signal.SIGTERM)
                raise
        return done.returncode, json.loads(document or "{}"), said

    def require_nothing_left(self) -> None:
        """No process, no file, no port."""
        assert list(self.temporary.iterdir()) == []
        assert self.processes() == []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
            port.bind(("127.0.0.1", self.port))

    def processes(self) -> list[int]:
        """Everything that runs with something of this lab on its command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue  # it has ended meanwhile
                if os.fsencode(self.temporary) in words:
                    found.append(int(entry.name))
        return found

    def qemu(self) -> int:
        """Process id of the machine's QEMU."""
        (pid,) = (pid for pid in self.processes() if _program(pid).startswith("qemu-system"))
        return pid


def _program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def lab(program: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[[str], Lab]]:
    """Makes the lab of a guest channel."""
    for name in ("qemu-system-x86_64", "qemu-img", "mke2fs", "qemu-ga", "sshd"):
        program(name)
    from build import linux_guest

    guest = linux_guest()

    def text(channel: str, port: int) -> str:
        host_key = guest.ssh_host_key.read_text(encoding="utf-8").strip()
        own = {"qga": "", "ssh": f", user: root, key_file: {guest.ssh_key}, host_key: {host_key}"}[channel]
        return (
            f"machine: linux\ntype: qemu\nimage: {guest.disk}\ndisk: virtio\nmemory: 256\nprocessors: 1\n"
            f"connection: net:port={port},key={KEY}\nkdnet: virtio-net-pci\ncommand_network: virtio-net-pci\n"
            f"accelerator: tcg\nboot_timeout: 10m\n"
            f"guest: {{channel: {channel}, folder: /run/procnotify, helper: /opt/guest/helper{own}}}\n"
            f"arguments: [-kernel, {guest.kernel}, -initrd, {guest.initrd},"
            f" -append, 'console=ttyS0 quiet kdnet={port},{KEY}']\n"
        )

    made: list[Lab] = []

    def make(channel: str) -> Lab:
        made.append(Lab(tmp_path, lambda port: text(channel, port)))
        return made[-1]

    yield make
    for one in made:
        one.require_nothing_left()


def scenarios(*names: str) -> list[str]:
    return [str(SCENARIOS)] if MATRIX else [str(SCENARIOS / f"{name}.yaml") for name in names]


def test_from_cold_over_the_guest_agent(lab: Callable[[str], Lab]) -> None:
    one = lab("qga")
    image = one.file.read_text(encoding="utf-8").split("image: ")[1].split("\n")[0]
    before = Path(image).stat()
    wanted = scenarios("notepad-launch", "load-library-twice", "create-thread")
    code, document, said = one.run(*wanted)
    assert code == 0, said
    results = document["results"]
    assert [result["outcome"] for result in results] == ["passed"] * (11 if MATRIX else 3)
    assert all(result["events"] > 20 for result in results)
    after = Path(image).stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert not list((one.folder / "traces" / "latest").glob("*.log")), "nothing is kept of what passed"


def test_from_cold_over_ssh(lab: Callable[[str], Lab]) -> None:
    code, document, said = lab("ssh").run(*scenarios("create-thread", "notepad-launch"))
    assert code == 0, said
    assert {result["outcome"] for result in document["results"]} == {"passed"}


@pytest.mark.parametrize("channel", ["qga", "ssh"] if MATRIX else ["qga"])
def test_from_cold_with_microsofts_debugger(lab: Callable[[str], Lab], pykd: str, channel: str) -> None:
    code, document, said = lab(channel).run(*scenarios("create-thread"), "--debugger", pykd)
    assert code == 0, said
    assert {result["outcome"] for result in document["results"]} == {"passed"}
