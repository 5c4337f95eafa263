"""Build a prefix in stages, each whole or not at all, with a stamp for each that is done.

A stage that was finished with the same ingredients is not repeated; a setup that was interrupted goes on
where it stood.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.locks import HeldElsewhere, held_alone
from harness.wine.errors import PrefixError
from harness.wine.prefix import WinePrefix

__all__ = ["alone", "fresh", "is_done", "stage", "write_stamp"]


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """No two setups at a time in one place."""
    if sys.platform == "win32":
        raise PrefixError("there is no Wine on Windows", hint="pykd runs there without it")
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(held_alone(root / "lock"))
        except HeldElsewhere:
            raise PrefixError(f"another setup is at work in {root}", hint="wait for its end") from None
        yield


def stage(prefix: WinePrefix, name: str, fingerprint: str, build: Callable[[], None]) -> None:
    """Do a stage unless it was done with the same ingredients; the proof of an earlier setup ends with it."""
    if is_done(prefix, name, fingerprint):
        return
    for later in (name, "verified"):
        (prefix.stamps / later).unlink(missing_ok=True)
    build()
    write_stamp(prefix, name, fingerprint)


def is_done(prefix: WinePrefix, name: str, fingerprint: str) -> bool:
    """Whether a stage was done with these ingredients."""
    stamp = prefix.stamps / name
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint


def write_stamp(prefix: WinePrefix, name: str, text: str) -> None:
    """Note that a stage is done."""
    prefix.stamps.mkdir(parents=True, exist_ok=True)
    fresh = prefix.stamps / f".{name}"
    fresh.write_text(text, encoding="utf-8", newline="\n")
    fresh.replace(prefix.stamps / name)


@contextlib.contextmanager
def fresh(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``target`` when the block ended well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left, ignore_errors=True)  # of a setup that was killed
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
        folder = Path(temporary) / target.name
        folder.mkdir()
        yield folder
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)
