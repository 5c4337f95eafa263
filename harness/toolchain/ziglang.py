"""The compiler: clang, lld and mingw-w64's headers, all from the ``ziglang`` package of PyPI."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import ToolchainError
from harness.processes import run_child

__all__ = ["CompilerRefusal", "package_dir", "run_tool", "version"]

TOOL_SECONDS = 120.0
"""Deadline of one compiler or linker call; the slowest known takes under two seconds."""

_HINT = "install it with: python -m pip install ziglang"

_STEERING = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "CCC_OVERRIDE_OPTIONS", "LIB", "LINK", "_LINK_")
"""Environment variables by which clang and lld would let the user's shell change the result."""


class CompilerRefusal(ToolchainError):
    """The compiler or linker refused its input.

    The message is the first error; ``output`` is everything it said.
    """

    def __init__(self, message: str, *, output: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.output = output


@functools.cache
def package_dir() -> Path:
    """The folder of the installed ``ziglang`` package; ToolchainError without one."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        raise ToolchainError("the ziglang package is not installed", hint=_HINT)
    return Path(spec.submodule_search_locations[0])


@functools.cache
def version() -> str:
    """Version of the installed ``ziglang`` package."""
    try:
        return importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        raise ToolchainError("the ziglang package is not installed", hint=_HINT) from None


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.upper() not in _STEERING}
    return kept | {"SOURCE_DATE_EPOCH": "0"}


def run_tool(tool: str, arguments: Sequence[str], *, cwd: Path) -> str:
    """Run ``clang``, ``lld-link`` or ``dlltool`` in ``cwd``; what it printed.

    The program calls itself by the tool's bare name: lld writes that name into the .pdb, and the .pdb's hash
    into the image, so an absolute path would make the image depend on where Python is installed.

    :raises CompilerRefusal: it ended with an error.
    :raises ToolchainError: it could not be started, or did not end.
    """
    program = package_dir() / ("zig.exe" if sys.platform == "win32" else "zig")
    try:
        code, said = run_child(
            [tool, tool, *arguments],
            executable=program,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TOOL_SECONDS,
        )
    except OSError as error:
        raise ToolchainError(f"cannot run the compiler: {error}", hint=_HINT) from error
    except subprocess.TimeoutExpired:
        raise ToolchainError(
            f"the compiler ({tool}) did not end within {TOOL_SECONDS:.0f} s",
            hint="try again on an idle machine",
        ) from None
    output = said.decode("utf-8", "replace")
    if code != 0:
        raise _refusal(tool, code, output)
    return output


def _refusal(tool: str, code: int, output: str) -> CompilerRefusal:
    errors = [line.strip() for line in output.splitlines() if "error:" in line]
    first = errors[0] if errors else (output.strip().splitlines() or [f"{tool} ended with {code}"])[0]
    hint = f"{len(errors)} errors in all" if len(errors) > 1 else ""
    return CompilerRefusal(first, output=output, hint=hint)
