"""Whether KVM works is tried, not believed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from this_system import SHELL

from harness.machines.qemu.accelerator import BOOT_SECTOR, boots

pytestmark = SHELL


def test_a_guest_of_a_few_bytes_runs_to_its_end(program: Callable[[str], str]) -> None:
    assert boots(program("qemu-system-x86_64"), "tcg", timeout=60)


def test_a_guest_that_hangs_is_no_working_accelerator(
    program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = b"\xeb\xfe".ljust(510, b"\0") + BOOT_SECTOR[510:]
    monkeypatch.setattr("harness.machines.qemu.accelerator.BOOT_SECTOR", hanging)
    assert not boots(program("qemu-system-x86_64"), "tcg", timeout=2)


def test_an_accelerator_that_is_not_there_does_not_work(program: Callable[[str], str]) -> None:
    assert not boots(program("qemu-system-x86_64"), "hvf", timeout=60)


def test_a_qemu_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert not boots(str(tmp_path / "qemu"), "tcg")


@pytest.mark.parametrize("code", [0, 1, 35])
def test_only_the_exit_code_that_the_guest_chose_counts(tmp_path: Path, code: int) -> None:
    fake = tmp_path / "qemu"
    fake.write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8", newline="\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    assert not boots(os.fspath(fake), "kvm", timeout=60)
