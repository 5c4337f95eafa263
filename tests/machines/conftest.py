"""Guests of machine files: the virtual target behind a guest agent, on this host and in a virtual machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GUEST = Path(__file__).parent / "guest"
sys.path.insert(0, str(GUEST))

if sys.platform == "win32":
    # Their machines are a POSIX system's.
    posix = ("command_machine", "existing_machine", "libvirt_*", "linux_guest", "machine_faults")
    collect_ignore_glob = ["qemu/*", *(f"test_{name}.py" for name in posix)]
else:
    from build import build_helper, linux_guest
    from guest_servers import AgentServer, wait_until
    from lab import Lab, free_udp_port, machine_file

    @pytest.fixture(scope="session")
    def guest_helper(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The Linux guest's helper, compiled."""
        helper = tmp_path_factory.mktemp("helper") / "helper"
        build_helper(helper)
        return helper

    @pytest.fixture
    def udp_port() -> int:
        """A port of loopback that was free a moment ago."""
        return free_udp_port()

    @pytest.fixture
    def existing_machine(
        program: Callable[[str], str],
        guest_helper: Path,
        udp_port: int,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[Path]:
        """The file of a machine that runs: this host with a guest agent, and the virtual target as its
        kernel."""
        port, key, target_socket = udp_port, "1.2.3.4", str(tmp_path / "target.sock")
        monkeypatch.setenv("TARGET_SOCKET", target_socket)
        agent = AgentServer(program("qemu-ga"), tmp_path)
        with subprocess.Popen(
            [
                *(sys.executable, str(GUEST / "target.py"), target_socket, "127.0.0.1"),
                f"net:port={port},key={key}",
            ]
        ) as target:
            try:
                agent.start()
                wait_until(Path(target_socket).exists, "the target is not up")
                file = tmp_path / "existing.yaml"
                file.write_text(
                    f"machine: host\ntype: existing\nconnection: net:port={port},key={key}\n"
                    f"guest: {{channel: qga, address: {agent.where}, folder: {tmp_path / 'files'},"
                    f" helper: {guest_helper}}}\n",
                    encoding="utf-8",
                    newline="\n",
                )
                yield file
            finally:
                agent.kill()
                target.kill()

    @pytest.fixture(scope="module")
    def make_lab(
        program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Callable[..., Lab]]:
        """Makes the lab of a guest channel and a debugger's link; in the end nothing may be left of it."""
        for name in ("qemu-system-x86_64", "qemu-img", "mke2fs", "qemu-ga", "sshd"):
            program(name)
        guest = linux_guest()
        made: list[Lab] = []

        def make(channel: str, link: str = "kdnet") -> Lab:
            folder = tmp_path_factory.mktemp("lab")
            made.append(Lab(folder, lambda port: machine_file(guest, channel, port, link)))
            return made[-1]

        yield make
        for lab in made:
            lab.require_nothing_left()
