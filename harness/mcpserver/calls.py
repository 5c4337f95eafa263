"""One command of ours, called in a process of its own; its document is the answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import Process

from harness.errors import RigError
from harness.files import CONFINING_VARIABLE

__all__ = ["MAX_OUTPUT", "call_command"]

MAX_OUTPUT: Final = 64 << 20
"""Bytes of a document that are read."""
_SAID: Final = 2_000
"""Characters of standard error that an error tells."""
_PATIENCE: Final = 10.0
"""Seconds that a command has to let its target go."""


async def call_command(words: Sequence[str], folder: Path, *, seconds: float) -> dict[str, Any]:
    """What ``procnotify WORDS --json`` prints, called in ``folder`` and held to it: it takes no project's
    file, and no file outside that a scenario or a replay file names.

    A call that is cancelled, or takes too long, ends the command as Ctrl-C would: its target is let go.

    :param words: the command and its options; ``--json`` is added.
    :param seconds: how long it may take.
    :raises RigError: it took longer, or gave no document; with what it said.
    """
    argv = [sys.executable, "-m", "harness", words[0], "--json", *words[1:]]
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        options["start_new_session"] = True  # Ctrl-C in the terminal is for the server; it ends its commands
    environment = {**os.environ, "PYTHONUTF8": "1", CONFINING_VARIABLE: str(folder)}
    process = await anyio.open_process(argv, cwd=folder, stdin=subprocess.DEVNULL, env=environment, **options)
    heard: dict[str, bytes] = {}
    try:
        with anyio.move_on_after(seconds) as deadline:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_hear, process, "stdout", heard)
                tasks.start_soon(_hear, process, "stderr", heard)
                await process.wait()
        if deadline.cancelled_caught:
            raise RigError(
                f"it was not done after {seconds:g} s and was ended",
                hint="ask for fewer seeds, or start the server with a longer --timeout",
            )
    finally:
        await _end(process)
    try:
        document = json.loads(heard["stdout"])
    except ValueError:
        said = heard["stderr"].decode("utf-8", "replace").strip()[-_SAID:]
        raise RigError(
            said or "it said nothing", hint="see what the same command says in a terminal"
        ) from None
    if not isinstance(document, dict):
        raise RigError("the command's document is no object")
    return document


async def _hear(process: Process, name: str, heard: dict[str, bytes]) -> None:
    stream = getattr(process, name)
    data = bytearray()
    async for chunk in stream:
        if len(data) < MAX_OUTPUT:
            data += chunk
    heard[name] = bytes(data)


async def _end(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            process.terminate()
            with anyio.move_on_after(_PATIENCE):
                await process.wait()
        if process.returncode is None:
            process.kill()
        await process.aclose()
