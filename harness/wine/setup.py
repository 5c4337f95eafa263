"""``procnotify wine setup``: build the prefix in stages, and prove that pykd can be imported in it.

Downloads are kept until the setup is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Final

from harness.wine import pieces
from harness.wine.archives import unpack_zip
from harness.wine.boot import make_prefix, wine_version
from harness.wine.command import Finished, run_command
from harness.wine.debian import fetch_debs
from harness.wine.errors import DownloadError, PrefixError, WineMissing, one_line_errors
from harness.wine.interpreter import unpack_interpreter
from harness.wine.launcher import build_launcher, launcher_fingerprint
from harness.wine.prefix import WinePrefix, find_wine
from harness.wine.pypi import fetch_wheel
from harness.wine.report import Reporter
from harness.wine.stages import alone, fresh, stage, write_stamp

__all__ = ["remove", "setup"]

VERIFY_TIMEOUT: Final = 120.0


def setup(prefix: WinePrefix, reporter: Reporter, *, source: Path | None = None) -> dict[str, str]:
    """Build what is missing in ``prefix``; the versions of Python and pykd that it then holds.

    :param source: a folder that holds the pieces, instead of the registries.
    :raises WineMissing, DownloadError, PrefixError, ToolchainError: one of each stage's reasons.
    """
    wine = find_wine()
    with one_line_errors(), alone(prefix.root):
        stage(prefix, "prefix", wine_version(wine), lambda: _replace_prefix(prefix, wine, reporter))
        if source is not None or not _unpacked(prefix):
            _unpack(prefix, _gather(prefix, source, reporter), reporter)
        stage(prefix, "launcher", launcher_fingerprint(), lambda: _make_launcher(prefix, reporter))
        facts = _verify(prefix, reporter)
        write_stamp(prefix, "verified", json.dumps(facts))
        shutil.rmtree(prefix.downloads, ignore_errors=True)
    return facts


def remove(prefix: WinePrefix) -> bool:
    """End what still runs in the prefix and delete it; whether there was one.

    :raises PrefixError: a debugger is at work there, what runs cannot be ended, or something could not be
        deleted.
    """
    if not any(path.exists() for path in (prefix.prefix, prefix.python, prefix.downloads, prefix.stamps)):
        return False
    with one_line_errors(), alone(prefix.root), prefix.alone():
        with contextlib.suppress(WineMissing):  # without Wine nothing runs there
            prefix.end_programs()
        for path in (prefix.stamps, prefix.python, prefix.downloads, prefix.prefix):
            shutil.rmtree(path, ignore_errors=True)
    left = [path.name for path in (prefix.python, prefix.downloads, prefix.prefix) if path.exists()]
    if left:
        raise PrefixError(f"{prefix.root} could not be deleted: {', '.join(left)} is still there")
    return True


def _replace_prefix(prefix: WinePrefix, wine: Path, reporter: Reporter) -> None:
    with prefix.alone():
        make_prefix(prefix, wine, reporter)


def _unpacked(prefix: WinePrefix) -> bool:
    return all((prefix.stamps / name).is_file() for name in ("python", "pykd"))


def _gather(prefix: WinePrefix, source: Path | None, reporter: Reporter) -> pieces.Pieces:
    """All pieces, from the user's folder or downloaded."""
    if source is not None:
        found, missing = pieces.find_pieces(source)
        if found is None:
            wanted = ", ".join(piece.pattern for piece in missing)
            raise DownloadError(f"{source} lacks {wanted}", hint="or leave out --from to download them")
        return found
    folder = prefix.downloads
    folder.mkdir(parents=True, exist_ok=True)
    pieces.drop_damaged((*pieces.WHEELS, *pieces.DEBS), folder)
    _, missing = pieces.find_pieces(folder)
    debs = [piece for piece in missing if isinstance(piece, pieces.Deb)]
    if debs:
        fetch_debs(debs, folder, reporter)
    for piece in missing:
        if isinstance(piece, pieces.Wheel):
            fetch_wheel(piece, folder, reporter)
    found, missing = pieces.find_pieces(folder)
    if found is None:
        raise DownloadError(f"{missing[0].pattern} is not among what was downloaded")
    return found


def _unpack(prefix: WinePrefix, found: pieces.Pieces, reporter: Reporter) -> None:
    def python() -> None:
        reporter.step("unpacking Python 3.9 for Windows")
        unpack_interpreter(prefix, pieces.BULLSEYE.python, found.python, found.library)

    def pykd() -> None:
        reporter.step("unpacking pykd and DbgEng")
        with fresh(prefix.python / "site-packages") as folder:
            unpack_zip(found.pykd, folder, lambda name: name)

    stage(prefix, "python", found.fingerprint([found.python, *found.library]), python)
    stage(prefix, "pykd", found.fingerprint([found.pykd]), pykd)


def _make_launcher(prefix: WinePrefix, reporter: Reporter) -> None:
    reporter.step("building the launcher")
    build_launcher(prefix.python)


def _verify(prefix: WinePrefix, reporter: Reporter) -> dict[str, str]:
    """Import pykd in the prefix."""
    reporter.step("importing pykd in the prefix")
    if not prefix.complete:
        # Nobody else uses it yet. A program that was killed while it started the prefix's services leaves a
        # server that lets the next program wait for ever.
        with prefix.alone():
            prefix.end_programs()
    try:
        done = _import_pykd(prefix)
        if done.json_object() is None:
            # A server that was just ending may take with it the program that found it there.
            done = _import_pykd(prefix)
    except BaseException:
        (prefix.stamps / "verified").unlink(missing_ok=True)
        raise
    facts = done.json_object()
    if done.code != 0 or facts is None:
        (prefix.stamps / "verified").unlink(missing_ok=True)
        raise PrefixError(
            f"pykd cannot be imported in {prefix.prefix}: {done.why()}",
            hint="run `procnotify wine remove`, then `procnotify wine setup`",
        )
    return {str(name): str(value) for name, value in facts.items()}


def _import_pykd(prefix: WinePrefix) -> Finished:
    with prefix.use():
        return run_command(
            prefix.python_command("-S", "-c", pieces.IMPORT_PYKD),
            timeout=VERIFY_TIMEOUT,
            environment=prefix.environment(os.environ),
            cwd=prefix.python,
        )
