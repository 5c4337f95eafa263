"""How the worker for pykd answers a prompt, without DbgEng."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from harness.debuggers.workers.link import WORKER

S_OK, S_FALSE, E_FAIL = 0, 1, -0x7FFFBFFB


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(WORKER))
    yield importlib.import_module("console")
    del sys.modules["console"], sys.modules["engine"]


@pytest.mark.parametrize("results", [[S_OK], [S_FALSE, S_OK], [S_FALSE] * 5 + [S_OK]])
def test_an_answer_is_given_until_it_is_taken(console: ModuleType, results: list[int]) -> None:
    given: list[bytes] = []
    pauses: list[float] = []

    def give(answer: bytes) -> int:
        given.append(answer)
        return results[len(given) - 1]

    console.give_answer(give, "i\xe9", pauses.append)
    assert given == [b"i?"] * len(results)
    assert pauses == [console.BETWEEN_ANSWERS] * (len(results) - 1)


def test_an_answer_that_is_never_taken_is_given_up(console: ModuleType) -> None:
    pauses: list[float] = []
    console.give_answer(lambda answer: S_FALSE, "", pauses.append)
    assert len(pauses) == console.ANSWERS


def test_an_engine_that_fails_is_told(console: ModuleType) -> None:
    with pytest.raises(sys.modules["engine"].Refused, match="HRESULT 0x80004005"):
        console.give_answer(lambda answer: E_FAIL, "i", lambda seconds: None)
