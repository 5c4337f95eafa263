"""Where the traces of one call go: a folder of its own, so that no run writes over another's."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from harness.errors import TraceError
from harness.files import cannot_write, patiently
from harness.outcome import Outcome, worst
from harness.trace.reader import TraceReader

__all__ = ["KEPT_PASSING", "LATEST", "TraceFolder", "passed_before", "through_latest"]

KEPT_PASSING = 20
"""So many folders of the newest calls in which everything passed are kept; older ones of that kind are
deleted when a call ends. A folder with a run that did not pass, or whose call did not end, is never deleted.
"""
LATEST = "latest"
"""Beside the folders: a symbolic link to the newest, or a file with its name where links cannot be made."""
_OUTCOME = "outcome.txt"
"""In a folder whose call has ended: the worst outcome, in words."""
_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
_NAME_LENGTH = 22
_NUMBER = re.compile(r"~[0-9]+$")
_ATTEMPTS = 100
_STEM_BYTES = 150
"""Of a scenario file's name at most so many bytes begin the trace's name: file systems allow 255."""

_log = logging.getLogger(__name__)


class TraceFolder:
    """The folder ``TIME-ID`` below ``root``, made when the first trace is.

    :param root: what the user named; made if missing.
    :param now: the time, for the folder's name.
    :param token: six random hexadecimal digits, for the folder's name.
    """

    def __init__(self, root: Path, *, now: Callable[[], datetime], token: Callable[[], str]) -> None:
        self.root = root
        self.path: Path | None = None
        """None before the first trace."""
        self._now = now
        self._token = token
        self._given: set[str] = set()
        self._outcomes: list[Outcome] = []

    def new_trace(self, scenario: Path, seed: int) -> Path:
        """Where the trace of the next run goes; no two runs get one name, in whatever letter case.

        :raises ProcnotifyError: the folder cannot be made.
        """
        if self.path is None:
            self.path = self._make()
        stem = os.fsdecode(os.fsencode(scenario.stem)[:_STEM_BYTES])
        name, number = f"{stem}-{seed}.jsonl", 1
        while name.casefold() in self._given:
            number += 1
            name = f"{stem}-{seed}~{number}.jsonl"
        self._given.add(name.casefold())
        return self.path / name

    def note(self, outcome: Outcome) -> None:
        """Take note of how a run ended: a folder is as good as its worst."""
        self._outcomes.append(outcome)

    def close(self) -> None:
        """The call has ended: write down its outcome, and delete what is old and passed."""
        if self.path is None or not self._outcomes:
            return
        try:
            (self.path / _OUTCOME).write_text(
                f"{worst(self._outcomes).words}\n", encoding="utf-8", newline="\n"
            )
            self._prune()
        except OSError as error:
            _log.warning("cannot tidy up %s: %s", self.root, error.strerror)

    def _make(self) -> Path:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for _ in range(_ATTEMPTS):
                stamp = self._now().astimezone(UTC).strftime("%Y%m%d-%H%M%S")
                path = self.root / f"{stamp}-{self._token()}"
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    self._point(path.name)
                    return path
        except OSError as error:
            raise cannot_write(self.root, error, hint="choose another --trace-dir") from None
        raise AssertionError(f"the names of {_ATTEMPTS} trace folders are taken: the token is not random")

    def _point(self, name: str) -> None:
        """Let ``latest`` stand for the folder. Whatever lay there is replaced, never followed."""
        temporary = self.root / f".{LATEST}-{name}"
        try:
            try:
                temporary.symlink_to(name, target_is_directory=True)
                if not temporary.is_symlink():
                    raise NotImplementedError  # Wine says that it has made one
            except (OSError, NotImplementedError):
                temporary.write_text(f"{name}\n", encoding="utf-8", newline="\n")
            patiently(partial(_replace, temporary, self.root / LATEST))
        except OSError as error:
            temporary.unlink(missing_ok=True)
            _log.warning("%s does not stand for %s: %s", self.root / LATEST, name, error.strerror)

    def _prune(self) -> None:
        passed = f"{Outcome.PASSED.words}\n"
        old = [
            path
            for path in sorted(self.root.iterdir(), reverse=True)
            if _NAME.fullmatch(path.name)
            and not path.is_symlink()
            and _text_of(path / _OUTCOME, len(passed)) == passed
        ]
        for path in old[KEPT_PASSING:]:
            # Something that is not ours to delete was put there, or somebody has a trace open on Windows: the
            # outcome goes last, so that the next call finds what is left.
            with contextlib.suppress(OSError):
                for file in [*path.glob("*.jsonl"), path / _OUTCOME]:
                    file.unlink(missing_ok=True)
                path.rmdir()


def through_latest(trace: Path) -> Path:
    """``trace``; where it leads through a :data:`LATEST` that is a file, through the folder that it names."""
    link = trace.parent
    if link.name == LATEST and link.is_file():
        name = _text_of(link, _NAME_LENGTH).strip()
        if _NAME.fullmatch(name):
            return link.with_name(name) / trace.name
    return trace


def passed_before(trace: Path, scenario: str, seed: int) -> Path | None:
    """The trace of the same run in the newest folder before its own whose call has passed; None: there is
    none, or its folder is no folder of a :class:`TraceFolder`. At most :data:`KEPT_PASSING` folders that
    passed are looked into.

    :param scenario: the name that the trace's header has to have, and
    :param seed: its seed. The driver may be another one: who looks for what broke a promise has changed it.
    """
    folder = trace.parent
    if not _NAME.fullmatch(folder.name):
        return None
    passed = f"{Outcome.PASSED.words}\n"
    looked = 0
    try:
        for path in sorted(folder.parent.iterdir(), reverse=True):
            if path.name >= folder.name or not _NAME.fullmatch(path.name) or path.is_symlink():
                continue
            if _text_of(path / _OUTCOME, len(passed)) != passed:
                continue
            # Of scenario files of one name in several folders the first has the name without a number.
            for file in sorted(path.iterdir(), key=lambda file: (len(file.name), file.name)):
                if _unnumbered(file) == _unnumbered(trace) and _is_of(file, scenario, seed):
                    return file
            looked += 1
            if looked == KEPT_PASSING:
                break
    except OSError as error:
        _log.debug("cannot look into %s: %s", folder.parent, error.strerror)
    return None


def _unnumbered(trace: Path) -> str:
    """The name of the trace's file without what tells it from others of one call."""
    return _NUMBER.sub("", trace.stem).casefold()


def _is_of(trace: Path, scenario: str, seed: int) -> bool:
    """Does the header say that it is of this scenario with this seed?"""
    if trace.is_symlink() or not trace.is_file():
        return False
    try:
        header = TraceReader(trace).header
    except TraceError:
        return False
    return header.scenario == scenario and header.seed == seed


def _replace(fresh: Path, link: Path) -> None:
    """Let ``fresh`` take the place of ``link``, which may be a link to a folder: that is a folder to Windows,
    and nothing takes the place of a folder by being renamed."""
    try:
        fresh.replace(link)
    except PermissionError:
        if not link.is_symlink():
            raise
        link.unlink()
        fresh.replace(link)


def _text_of(path: Path, length: int) -> str:
    """The beginning of a file that is one and can be read; empty otherwise."""
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(length + 1)
    except OSError:
        return ""
