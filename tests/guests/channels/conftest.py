"""Servers that guest channels talk to, on this host."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    collect_ignore = ["test_contract.py", "test_qga.py", "test_ssh.py"]  # the servers are a Linux guest's
else:
    from guest_servers import AgentServer, SerialServer, SshServer

    @pytest.fixture
    def agent(program: Callable[[str], str], tmp_path: Path) -> Iterator[AgentServer]:
        """A guest agent that was not started yet."""
        server = AgentServer(program("qemu-ga"), tmp_path)
        yield server
        server.kill()

    @pytest.fixture
    def helper(tmp_path: Path) -> Iterator[SerialServer]:
        """A guest helper at a serial port that was not started yet."""
        server = SerialServer(tmp_path)
        yield server
        server.kill()

    @pytest.fixture
    def sshd(program: Callable[[str], str], tmp_path: Path) -> Iterator[SshServer]:
        """An SSH server that was not started yet."""
        server = SshServer(program("sshd"), tmp_path)
        yield server
        server.kill()
