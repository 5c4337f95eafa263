"""Kernels and compiled drivers to test them with."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted

from harness.toolchain import Arch, build_driver, default_driver

HERE = Path(__file__).parent


@pytest.fixture
def booted() -> Booted:
    return Booted()


@pytest.fixture(scope="session")
def misbehave(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """misbehave/misbehave.c, compiled."""
    out = tmp_path_factory.mktemp("misbehave") / "misbehave.sys"
    build_driver(HERE / "misbehave", Arch.X64, out)
    return out.read_bytes()


@pytest.fixture(scope="session")
def procnotify() -> bytes:
    """The project's own driver, compiled."""
    return default_driver().path.read_bytes()
