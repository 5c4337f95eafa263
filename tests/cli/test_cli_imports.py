"""What a command does not use it does not import: that is most of the time that a short one takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

PRINT = "import sys, harness.cli.{}; print(*sys.modules)"


@pytest.mark.parametrize("command", ["record", "check"])
def test_who_starts_no_target_imports_none(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINT.format(command)], capture_output=True, text=True, check=True, timeout=300
    )
    modules = done.stdout.split()
    assert f"harness.cli.{command}" in modules
    rooms = ("harness.machines", "harness.guests", "harness.toolchain", "harness.virtual.kernel", "unicorn")
    assert [name for name in modules if name.startswith(rooms)] == []
