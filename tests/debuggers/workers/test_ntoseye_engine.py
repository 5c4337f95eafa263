"""What the worker for ntoseye makes of what ntoseye reads, without its link."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

from harness.debuggers.workers.link import WORKER
from tests.doubles.booted import Booted


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, ntoseye: ModuleType) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(WORKER))
    yield importlib.import_module("ntoseye_engine")
    del sys.modules["ntoseye_engine"], sys.modules["engine"]


class Memory:
    """The memory of a booted kernel; the first ``blank`` reads find nothing but zeros."""

    def __init__(self, booted: Booted, blank: int) -> None:
        self._booted, self._blank = booted, blank

    def read(self, address: int, size: int) -> bytes:
        if self._blank:
            self._blank -= 1
            return bytes(size)
        return self._booted.kernel.memory.read(address, size)


def modules(worker: ModuleType, blank: int) -> list[str]:
    booted = Booted()
    engine = worker.NtoseyeEngine(lambda *said, **values: None)
    engine._debugger = SimpleNamespace(memory=Memory(booted, blank))
    engine._base = booted.kernel.kernel_base
    return [name for name, _, _ in engine.modules()]


@pytest.mark.parametrize("blank", [0, 1, 6])
def test_the_kernel_is_always_among_the_images(worker: ModuleType, blank: int) -> None:
    assert modules(worker, blank) == ["ntoskrnl.exe"]


def test_a_list_without_the_kernel_is_refused_not_empty(worker: ModuleType) -> None:
    with pytest.raises(worker.Refused, match="not even the kernel at 0x"):
        modules(worker, 1000)
