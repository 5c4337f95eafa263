"""QEMU's monitor, over QMP by the ``qemu.qmp`` library, for code that is not asynchronous.

Source: QEMU QMP Reference Manual; ``savevm`` and ``loadvm`` are commands of the Human Monitor Interface,
which ``human-monitor-command`` passes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final, TypeVar

from qemu.qmp import ConnectError, ExecuteError, Message, QMPClient, QMPError

from harness.errors import MachineError
from harness.guests.channels.eventloop import EventLoopThread, LoopEndedError

__all__ = ["Monitor"]

CONNECT_PAUSE: Final = 0.02
END_SECONDS: Final = 5.0
"""How long the end of a QEMU may take that has closed its sockets."""
ANSWER_SECONDS: Final = 10.0
"""What a command may take that only asks or switches."""
EVENTS: Final = frozenset({"STOP", "RESET"})
"""What QEMU may be made to do behind our back; a snapshot that is loaded while the guest runs makes it stop
and go on."""
SNAPSHOT_SECONDS: Final = 300.0
"""What taking or loading a snapshot may take: all the guest's memory goes through the disk."""
T = TypeVar("T")
# It logs as an error what is tried again or told by an exception.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class Monitor:
    """A connection to a running QEMU. An error is a :class:`harness.errors.MachineError`; after one the
    connection is of no further use.

    :param path: the Unix socket, which QEMU makes when it starts.
    :param ended: why QEMU does not run any more; None while it does.
    :param timeout: seconds until QEMU must answer.
    """

    def __init__(self, path: Path, ended: Callable[[], str | None], *, timeout: float) -> None:
        self._ended = ended
        self._client = QMPClient("procnotify")
        self._heard: Counter[str] = Counter()
        self._client.events.event_filter = self._hear
        self._thread = EventLoopThread("QEMU's monitor")
        try:
            self._wait("its monitor", lambda: self._connect(path), timeout)
        except BaseException:
            self.close()
            raise

    def execute(
        self, command: str, arguments: dict[str, object] | None = None, *, timeout: float = ANSWER_SECONDS
    ) -> Any:
        """The answer to a QMP command."""
        return self._wait(f"the command {command}", lambda: self._client.execute(command, arguments), timeout)

    def heard(self, event: str) -> int:
        """How often QEMU has told that event, one of :data:`EVENTS`, up to now."""
        return self._heard[event]

    def screenshot(self, path: Path, form: str) -> None:
        """Have QEMU write what the guest's screen shows.

        :param form: ``png`` or ``ppm``.
        """
        self.execute("screendump", {"filename": str(path), "format": form})

    def save_snapshot(self, name: str) -> None:
        """Save disks, memory and devices under ``name`` in the disk's image."""
        self._human(f"savevm {name}")

    def load_snapshot(self, name: str) -> None:
        """Go back to a snapshot; the guest runs afterwards if it does now."""
        self._human(f"loadvm {name}")

    def close(self) -> None:
        """Free the connection. Idempotent."""
        with contextlib.suppress(LoopEndedError, TimeoutError):
            self._thread.call(_within(ANSWER_SECONDS, lambda: _disconnect(self._client)))
        self._thread.end()

    def _hear(self, message: Message) -> bool:
        """False: the library need not keep the event, and would for ever."""
        if (name := str(message["event"])) in EVENTS:
            self._heard[name] += 1
        return False

    def _human(self, line: str) -> None:
        said = self.execute("human-monitor-command", {"command-line": line}, timeout=SNAPSHOT_SECONDS)
        if said.strip():  # these commands say nothing when they succeed
            raise MachineError(
                f"QEMU refused {line!r}: {' '.join(said.split())}",
                hint="snapshot: false in the machine file does without, with a cold start for every run",
            )

    async def _connect(self, path: Path) -> None:
        while True:
            if self._ended() is not None:
                raise EOFError("it has ended")
            try:
                await self._client.connect(str(path))
                return
            except ConnectError as error:
                # The socket is not there yet, or is there and nobody listens yet.
                if not isinstance(error.exc, FileNotFoundError | ConnectionRefusedError):
                    raise
            await asyncio.sleep(CONNECT_PAUSE)

    def _wait(self, what: str, work: Callable[[], Coroutine[Any, Any, T]], timeout: float) -> T:
        try:
            return self._thread.call(_within(timeout, work))
        except TimeoutError:
            raise MachineError(self._ended() or f"QEMU did not answer {what} within {timeout:g} s") from None
        except ExecuteError as error:
            raise MachineError(f"QEMU refused {what}: {error}") from None
        except (QMPError, OSError, EOFError, LoopEndedError) as error:
            raise MachineError(self._end() or f"QEMU's monitor was lost at {what}: {error}") from None

    def _end(self) -> str | None:
        """Why QEMU does not run any more, of one that does not answer: its sockets close before it has
        ended."""
        deadline = monotonic() + END_SECONDS
        while (end := self._ended()) is None and monotonic() < deadline:
            sleep(CONNECT_PAUSE)
        return end


async def _within(timeout: float, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await asyncio.wait_for(work(), timeout)


async def _disconnect(client: QMPClient) -> None:
    try:
        await client.disconnect()
    except (QMPError, OSError, EOFError):
        return  # QEMU was gone already
    except AssertionError:
        return  # the library asserts that nobody broke its connecting off, and Ctrl-C does
