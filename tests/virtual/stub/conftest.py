"""The two links that a target may be debugged over."""

from __future__ import annotations

import pytest
from kd_debugger import MemoryDebugger


@pytest.fixture(params=["kdnet", "kdcom"])
def any_link(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The link of the test's :class:`MemoryDebugger`."""
    monkeypatch.setattr(MemoryDebugger, "link", request.param)
    return str(request.param)


@pytest.fixture
def kdcom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's :class:`MemoryDebugger` is on a serial line."""
    monkeypatch.setattr(MemoryDebugger, "link", "kdcom")
