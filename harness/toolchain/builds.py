"""The project's own driver and guest helper, built once and then taken from the user's cache."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.errors import ToolchainError, UsageError
from harness.files import patiently
from harness.resources import CacheError, cache_dir, driver_sources
from harness.toolchain import compile, driver, link, program, ziglang
from harness.toolchain.actor import ACTOR_DEFINES, ActorBuild, build_actor
from harness.toolchain.arch import Arch
from harness.toolchain.compile import Progress
from harness.toolchain.result import BuildResult, describe

__all__ = ["default_actor", "default_driver"]


def default_driver(arch: Arch = Arch.X64, *, progress: Progress | None = None) -> BuildResult:
    """The project's driver, ``procnotify.sys``; built if the cache does not have it.

    :raises harness.errors.ToolchainError: see :func:`harness.toolchain.driver.build_driver`.
    """
    sources = driver_sources() / "procnotify"

    def build(folder: Path) -> None:
        driver.build_driver(sources, arch, folder / "procnotify.sys", progress=progress)

    folder = _cached("driver", arch, ("procnotify", "wdk", "runtime"), build)
    return describe(folder / "procnotify.sys", folder / "procnotify.pdb")


def default_actor(arch: Arch = Arch.X64, *, progress: Progress | None = None) -> ActorBuild:
    """The guest helper, ``actor.exe`` and ``probe.dll``; built if the cache does not have it.

    :raises harness.errors.ToolchainError: see :func:`harness.toolchain.program.build_program`.
    """

    def build(folder: Path) -> None:
        build_actor(arch, folder, progress=progress)

    folder = _cached("actor", arch, ("actor", "runtime"), build)
    return ActorBuild(
        describe(folder / "actor.exe", folder / "actor.pdb"),
        describe(folder / "probe.dll", folder / "probe.pdb"),
    )


def _key(arch: Arch, rooms: tuple[str, ...]) -> str:
    """A hash over everything that decides the result: sources, compiler, flags."""
    defines = (driver.DRIVER_DEFINES, program.USER_DEFINES, ACTOR_DEFINES)
    flags = (
        compile.FLAGS,
        compile.DRIVER_FLAGS,
        compile.CPLUSPLUS_FLAGS,
        arch.names,
        link.FLAGS,
        *map(dict, defines),
    )
    digest = hashlib.sha256(repr((ziglang.version(), flags)).encode())
    root = driver_sources()
    for room in rooms:
        for path in sorted((root / room).rglob("*.*")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _cached(what: str, arch: Arch, rooms: tuple[str, ...], build: Callable[[Path], None]) -> Path:
    """The cache folder for this build, made by ``build`` if missing.

    Safe beside other processes: the folder gets its final name by one rename when it is complete, and the
    first one wins.
    """
    parent = cache_dir("builds")
    final = parent / f"{what}-{arch}-{_key(arch, rooms)}"
    if final.is_dir():
        return final
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{what}-", dir=parent))
    except OSError as error:
        raise CacheError(parent, error) from None
    try:
        build(temporary)
        _publish(temporary, final)
    except UsageError as error:  # these sources are ours, and so is what is wrong with them
        raise ToolchainError(error.message, hint=error.hint) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def _publish(temporary: Path, final: Path) -> None:
    """Give a build its name, unless somebody else was faster: their result is the same."""

    def rename() -> None:
        if not final.is_dir():
            temporary.rename(final)

    try:
        patiently(rename)
    except OSError as error:
        if not final.is_dir():
            raise ToolchainError(
                f"the finished build cannot be renamed to {final}: {error.strerror or error}",
                hint="a virus scanner may hold it: try again, or exempt the cache folder",
            ) from error
