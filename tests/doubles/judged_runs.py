"""Runs with another verdict than was come to."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from harness.verdict.judgedrun import JudgedRun

Run = TypeVar("Run", bound=JudgedRun)


def rejudged(run: Run, **changes: object) -> Run:
    """The run, with these fields of its verdict changed."""
    return replace(run, verdict=replace(run.verdict, **changes))
