"""A program that ends with us, even when we are killed, and a folder that goes with it.

``python -I -S keeper.py FOLDER PROGRAM WORDS...`` is run by :class:`harness.processes.kept.KeptProcess`: it
starts the program, and when its own standard input ends, because whoever holds the other end has closed it or
is gone, it ends the program and deletes the folder. It stays until then also when the program has ended by
itself, so that what that left in the folder can be read. It imports the standard library alone, and POSIX
alone has it.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

__all__ = ["EXIT_CODE", "OUTPUT", "main"]

OUTPUT = "output.log"
"""In the folder: what the program says on its standard output and standard error."""
EXIT_CODE = "exit-code.txt"
"""In the folder, once the program has ended: its exit code, negative for a signal."""
DELETE_TRIES, DELETE_PAUSE = 50, 0.02
"""How often it is tried to delete the folder, and the seconds between."""
END_SECONDS = 5.0
"""How long a program that is asked to end may take, in seconds; then it is killed."""


def main(folder: str, *argv: str) -> int:
    """Keep the program ``argv`` until standard input ends; its exit code 127 when it cannot be started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop, ask_to_stop = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(ask_to_stop, b"!"))
    place = Path(folder)
    try:
        with (place / OUTPUT).open("wb") as output:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    except OSError as error:
        (place / OUTPUT).write_text(f"{argv[0]}: {error.strerror}\n", encoding="utf-8", newline="\n")
        _write_whole(place / EXIT_CODE, "127")
        _await_end_of_input(stop)
    else:
        noting = threading.Thread(target=_note_end, args=(child, place), daemon=True)
        noting.start()
        _await_end_of_input(stop)
        _end(child)
        noting.join(END_SECONDS)  # else it would write into the folder while that is deleted
    _delete(place)
    return 0


def _delete(folder: Path) -> None:
    """Also where somebody writes into it for a moment longer."""
    for _ in range(DELETE_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(DELETE_PAUSE)


def _await_end_of_input(stop: int) -> None:
    while True:
        readable, _, _ = select.select([0, stop], [], [])
        if stop in readable or not os.read(0, 4096):
            return


def _note_end(child: subprocess.Popen[bytes], place: Path) -> None:
    with contextlib.suppress(OSError):  # the folder is gone: nobody asks any more
        _write_whole(place / EXIT_CODE, str(child.wait()))


def _write_whole(path: Path, text: str) -> None:
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    fresh.replace(path)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
