"""Runs the tests with one change after the other, in a copy of the working tree."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from tools.mutants.mutation import Mutation, MutationError

__all__ = ["Fate", "Trial", "copy_tree"]

PYTEST_PASSED = 0
PYTEST_MISUSED = (4, 5)
"""pytest's exit codes for a wrong command line and for no test at all."""


class Fate(Enum):
    """What became of a change."""

    NOTICED = "noticed"
    SURVIVED = "survived"
    TIMED_OUT = "noticed (the tests did not end in time)"


def copy_tree(root: Path, folder: Path) -> Path:
    """A copy of what git tracks or would track in ``root``; where it lies."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in listed.stdout.decode("utf-8").split("\0"):
        if name and (root / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target)
    return folder


class Trial:
    """Tries changes in one copy of the tree.

    :param folder: a copy that may be written into.
    :param seconds: time limit of one run of the tests.
    """

    def __init__(self, folder: Path, *, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds

    def require_passing(self, tests: Sequence[str]) -> None:
        """Make sure that tests pass without any change, else they would notice everything.

        :raises MutationError: they do not, or not within the time limit.
        """
        fate, output = self._run(tests)
        if fate is not Fate.SURVIVED:
            raise MutationError(f"{' '.join(tests)}: does not pass as it is: {fate.value}\n{output}")

    def fate_of(self, mutation: Mutation) -> Fate:
        """Make the change, run its tests, undo it."""
        file = self._folder / mutation.path
        if file.read_text(encoding="utf-8") != mutation.before:
            raise MutationError(f"{mutation.path} is not what the change was made for")
        try:
            file.write_text(mutation.after, encoding="utf-8", newline="\n")
            fate, _ = self._run(mutation.tests)
        finally:
            file.write_text(mutation.before, encoding="utf-8", newline="\n")
        return fate

    def _run(self, tests: Sequence[str]) -> tuple[Fate, str]:
        # No .pyc: a change within the same second and of the same length would go unseen.
        search = os.pathsep.join(filter(None, (str(self._folder), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {"PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"}
        child = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output = child.communicate(timeout=self._seconds)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            return Fate.TIMED_OUT, ""
        finally:
            _end(child)
        if child.returncode in PYTEST_MISUSED:
            raise MutationError(f"pytest found no test to run in {' '.join(tests)}\n{output[-2000:]}")
        return (Fate.SURVIVED if child.returncode == PYTEST_PASSED else Fate.NOTICED), output[-2000:]


def _end(child: subprocess.Popen[bytes]) -> None:
    """End what is left of a test run, children of its tests too."""
    if child.poll() is None:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
