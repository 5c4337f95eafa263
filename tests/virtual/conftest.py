"""Kernels and compiled drivers to test them with."""

from __future__ import annotations

from pathlib import Path

import pytest
from booted import Booted

from harness.toolchain import Arch, build_driver, default_driver

HERE = Path(__file__).parent
DRIVERS = HERE.parent / "drivers"


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
def executions(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The drivers of executions/, compiled."""
    out = tmp_path_factory.mktemp("executions") / "executions.sys"
    build_driver(HERE / "executions", Arch.X64, out)
    return out.read_bytes()


@pytest.fixture(scope="session")
def procnotify() -> bytes:
    """The project's own driver, compiled."""
    return default_driver().path.read_bytes()


@pytest.fixture(scope="session")
def null_reader(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The faulty driver that reads from NULL in its image callback, compiled."""
    out = tmp_path_factory.mktemp("faulty") / "faulty.sys"
    build_driver(DRIVERS / "dereferences_null_image_name", Arch.X64, out)
    return out.read_bytes()
