"""``procnotify wine setup``: build the prefix in stages, each whole or not at all, and prove that it works.

A stage that was finished with the same ingredients is not repeated; a setup that was interrupted goes on
where it stood. Downloads are kept until the setup is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from harness.wine import pieces
from harness.wine.archives import unpack_deb, unpack_zip
from harness.wine.command import run_command
from harness.wine.debian import fetch_debs
from harness.wine.errors import DownloadError, PrefixError, WineMissing, one_line_errors
from harness.wine.launcher import build_launcher, launcher_fingerprint
from harness.wine.prefix import WinePrefix, find_wine, find_wineserver
from harness.wine.pypi import fetch_wheel
from harness.wine.report import Reporter

__all__ = ["remove", "setup"]

BOOT_TIMEOUT: Final = 300.0
VERIFY_TIMEOUT: Final = 120.0

_PYTHON_DLLS: Final = ("python39", "libffi", "libcrypto", "libssl", "sqlite3")


def setup(prefix: WinePrefix, reporter: Reporter, *, source: Path | None = None) -> dict[str, str]:
    """Build what is missing in ``prefix``; the versions of Python and pykd that it then holds.

    :param source: a folder that holds the pieces, instead of the registries.
    :raises WineMissing, DownloadError, PrefixError, ToolchainError: one of each stage's reasons.
    """
    wine = find_wine()
    with one_line_errors(), _alone(prefix.root):
        version = _wine_version(wine)
        _stage(prefix, "prefix", version, lambda: _replace_prefix(prefix, wine, reporter))
        if source is not None or not _unpacked(prefix):
            _unpack(prefix, _gather(prefix, source, reporter), reporter)
        _stage(prefix, "launcher", launcher_fingerprint(), lambda: _make_launcher(prefix, reporter))
        facts = _verify(prefix, reporter)
        _write_stamp(prefix, "verified", json.dumps(facts))
        shutil.rmtree(prefix.downloads, ignore_errors=True)
    return facts


def remove(prefix: WinePrefix) -> bool:
    """End what still runs in the prefix and delete it; whether there was one.

    :raises PrefixError: a debugger is at work there, what runs cannot be ended, or something could not be
        deleted.
    """
    if not any(path.exists() for path in (prefix.prefix, prefix.python, prefix.downloads, prefix.stamps)):
        return False
    with one_line_errors(), _alone(prefix.root), prefix.alone():
        with contextlib.suppress(WineMissing):  # without Wine nothing runs there
            prefix.end_programs()
        for path in (prefix.stamps, prefix.python, prefix.downloads, prefix.prefix):
            shutil.rmtree(path, ignore_errors=True)
    left = [path.name for path in (prefix.python, prefix.downloads, prefix.prefix) if path.exists()]
    if left:
        raise PrefixError(f"{prefix.root} could not be deleted: {', '.join(left)} is still there")
    return True


def _wine_version(wine: Path) -> str:
    try:
        return run_command([str(wine), "--version"], timeout=VERIFY_TIMEOUT).last_line()
    except OSError as error:
        raise WineMissing(f"{wine} cannot be started: {error.strerror}") from error


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """No two setups at a time in one place."""
    if sys.platform == "win32":
        raise PrefixError("there is no Wine on Windows", hint="pykd runs there without it")
    import fcntl

    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PrefixError(f"another setup is at work in {root}", hint="wait for its end") from None
        yield


def _stage(prefix: WinePrefix, name: str, fingerprint: str, build: Callable[[], None]) -> None:
    """Do a stage unless it was done with the same ingredients."""
    stamp = prefix.stamps / name
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint:
        return
    for later in (name, "verified"):
        (prefix.stamps / later).unlink(missing_ok=True)
    build()
    _write_stamp(prefix, name, fingerprint)


def _write_stamp(prefix: WinePrefix, name: str, text: str) -> None:
    prefix.stamps.mkdir(parents=True, exist_ok=True)
    fresh = prefix.stamps / f".{name}"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(prefix.stamps / name)


def _replace_prefix(prefix: WinePrefix, wine: Path, reporter: Reporter) -> None:
    with prefix.alone():
        _make_prefix(prefix, wine, reporter)


def _make_prefix(prefix: WinePrefix, wine: Path, reporter: Reporter) -> None:
    reporter.step("creating the Wine prefix")
    server = str(find_wineserver(wine))
    prefix.end_programs()
    shutil.rmtree(prefix.prefix, ignore_errors=True)
    prefix.prefix.mkdir(parents=True)
    environment = prefix.environment(os.environ)
    # Without these Wine would offer to download Mono and Gecko, in a window.
    environment["WINEDLLOVERRIDES"] = "mscoree,mshtml=;winemenubuilder.exe=d"
    booted = run_command([str(wine), "wineboot", "-i"], timeout=BOOT_TIMEOUT, environment=environment)
    # The server writes the registry when it ends.
    waited = run_command([server, "-w"], timeout=BOOT_TIMEOUT, environment=environment)
    if booted.code != 0 or waited.code != 0 or not (prefix.prefix / "system.reg").is_file():
        failed = waited if booted.code == 0 and waited.code != 0 else booted
        raise PrefixError(
            f"Wine could not create its prefix in {prefix.prefix}: {failed.why()}",
            hint="is the 64-bit Wine installed (Debian: wine64), and is there 1 GB of disk space?",
        )
    _fence(prefix)


def _fence(prefix: WinePrefix) -> None:
    """Leave the prefix drive C: alone, without links to the host's files, and with the Python in it."""
    for link in (prefix.prefix / "dosdevices").iterdir():
        if link.name != "c:":
            link.unlink()
    drive = prefix.prefix / "drive_c"
    for folder, names, files in os.walk(drive / "users"):
        # A link to what is not there yet counts as a file.
        for path in (Path(folder) / name for name in (*names, *files)):
            if path.is_symlink():
                path.unlink()
                path.mkdir()
    (drive / "procnotify").symlink_to(Path("..", "..", prefix.python.name), target_is_directory=True)


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
    _drop_damaged(folder)
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


def _drop_damaged(folder: Path) -> None:
    """Remove what an earlier download left half finished."""
    for piece in (*pieces.WHEELS, *pieces.DEBS):
        for path in folder.glob(piece.pattern):
            try:
                piece.check(path)
            except DownloadError:
                path.unlink()


def _unpack(prefix: WinePrefix, found: pieces.Pieces, reporter: Reporter) -> None:
    def python() -> None:
        reporter.step("unpacking Python 3.9 for Windows")
        with _fresh(prefix, "DLLs") as folder:
            unpack_zip(found.python, folder, _python_module)
            if not (folder / "python39.dll").is_file():
                raise DownloadError(f"{found.python.name} holds no deploy_libs/python39.dll")
        with _fresh(prefix, "Lib") as folder:
            for deb in found.library:
                unpack_deb(deb, folder, _library_module)
        # Beside python.exe, where it is looked for first.
        (prefix.python / "DLLs" / "python39.dll").replace(prefix.python / "python39.dll")

    def pykd() -> None:
        reporter.step("unpacking pykd and DbgEng")
        with _fresh(prefix, "site-packages") as folder:
            unpack_zip(found.pykd, folder, lambda name: name)

    _stage(prefix, "python", found.fingerprint([found.python, *found.library]), python)
    _stage(prefix, "pykd", found.fingerprint([found.pykd]), pykd)


def _python_module(name: PurePosixPath) -> PurePosixPath | None:
    """Python's own binaries; the wheel's other contents and the C runtime, which Wine has, are left out."""
    wanted = name.parent == PurePosixPath("deploy_libs") and (
        name.suffix == ".pyd" or name.name.startswith(_PYTHON_DLLS)
    )
    return PurePosixPath(name.name) if wanted else None


def _library_module(name: PurePosixPath) -> PurePosixPath | None:
    """The Python files of the standard library; Linux binaries are left out."""
    parts = [part for part in name.parts if part != "."]
    if parts[:3] != ["usr", "lib", "python3.9"] or name.suffix != ".py":
        return None
    return PurePosixPath(*parts[3:])


@contextlib.contextmanager
def _fresh(prefix: WinePrefix, name: str) -> Iterator[Path]:
    """A new folder that takes the place of ``python/NAME`` when the block ended well."""
    prefix.python.mkdir(parents=True, exist_ok=True)
    for left in prefix.python.glob(f".{name}-*"):
        shutil.rmtree(left, ignore_errors=True)  # of a setup that was killed
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=prefix.python) as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        yield folder
        target = prefix.python / name
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)


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
    command = prefix.python_command("-S", "-c", pieces.IMPORT_PYKD)
    try:
        with prefix.use():
            done = run_command(
                command,
                timeout=VERIFY_TIMEOUT,
                environment=prefix.environment(os.environ),
                cwd=prefix.python,
            )
    except BaseException:
        (prefix.stamps / "verified").unlink(missing_ok=True)
        raise
    try:
        facts = json.loads(done.last_line())
    except ValueError:
        facts = None
    if done.code != 0 or not isinstance(facts, dict):
        (prefix.stamps / "verified").unlink(missing_ok=True)
        raise PrefixError(
            f"pykd cannot be imported in {prefix.prefix}: {done.why()}",
            hint="run `procnotify wine remove`, then `procnotify wine setup`",
        )
    return {str(name): str(value) for name, value in facts.items()}
