"""Guests of machine files: the virtual target behind a guest agent, on this host and in a virtual machine."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GUEST = Path(__file__).parent / "guest"
sys.path.insert(0, str(GUEST))

if sys.platform != "win32":
    from build import build_helper
    from guest_servers import AgentServer, wait_until

    @pytest.fixture(scope="session")
    def guest_helper(tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The Linux guest's helper, compiled."""
        helper = tmp_path_factory.mktemp("helper") / "helper"
        build_helper(helper)
        return helper

    @pytest.fixture
    def existing_machine(
        program: Callable[[str], str], guest_helper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Path]:
        """The file of a machine that runs: this host with a guest agent, and the virtual target as its
        kernel."""
        port, key, target_socket = free_udp_port(), "1.2.3.4", str(tmp_path / "target.sock")
        monkeypatch.setenv("TARGET_SOCKET", target_socket)
        agent = AgentServer(program("qemu-ga"), tmp_path)
        with subprocess.Popen(
            [sys.executable, str(GUEST / "target.py"), target_socket, "127.0.0.1", str(port), key]
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


def free_udp_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
