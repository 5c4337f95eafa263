"""A connection to libvirt's daemon, whose calls have deadlines and hear Ctrl-C.

Source: libvirt's API reference and its Python binding (``libvirt-python``), whose calls are synchronous.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from types import ModuleType
from typing import Any, Final, TypeVar

from harness.errors import MachineError
from harness.waiting import is_done_within

__all__ = ["ANSWER_SECONDS", "Hypervisor", "LibvirtRefusal", "binding"]

ANSWER_SECONDS: Final = 30.0
"""What a call may take that only asks or switches."""
CLOSE_SECONDS: Final = 2.0
"""How long the daemon may take to take leave."""
T = TypeVar("T")


class LibvirtRefusal(MachineError):
    """libvirt ended a call with an error of its own.

    :param code: of libvirt's ``virErrorNumber``.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class Hypervisor:
    """Connects when it is needed, anew after the connection was lost.

    :param uri: libvirt's name of it: ``qemu:///system``.
    :raises MachineError: the Python binding is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.library = binding("libvirt")
        self._connecting = threading.Lock()
        self._connection: Any = None
        self._under_way: Future[Any] = Future()
        """The last call, and until when it may take."""
        self._under_way.set_result(None)
        self._deadline = 0.0

    def call(self, what: str, work: Callable[[Any], T], *, timeout: float = ANSWER_SECONDS) -> T:
        """What ``work`` returns of libvirt's connection. The call before it has ended first, also one that
        nobody waits for any more: only so it is known what that has done.

        :param what: for messages: "<what> of the domain lab".
        :param timeout: seconds.
        :raises LibvirtRefusal: libvirt refuses, or its daemon cannot be reached.
        :raises MachineError: it does not answer in time.
        """
        if not is_done_within([self._under_way], self._deadline - monotonic()):
            raise MachineError(f"libvirt at {self.uri} has not ended an earlier call, so not {what} either")
        self._under_way = future = self.begin(work)
        self._deadline = monotonic() + timeout
        if not is_done_within([future], timeout):
            raise MachineError(f"libvirt at {self.uri} did not end {what} within {timeout:g} s")
        try:
            return future.result()
        except self.library.libvirtError as error:
            words = " ".join(str(error).split())
            raise LibvirtRefusal(
                f"{what} at {self.uri} failed: {words}", code=error.get_error_code()
            ) from None

    def begin(self, work: Callable[[Any], T]) -> Future[T]:
        """Have it done beside the calls; its error is the binding's own."""
        return _in_thread(lambda: work(self._connected()))

    def close(self) -> None:
        """End the connection. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            is_done_within([_in_thread(connection.close)], CLOSE_SECONDS)

    def _connected(self) -> Any:
        with self._connecting:
            if self._connection is None or not self._connection.isAlive():
                self._connection = self.library.open(self.uri)
            return self._connection


def binding(name: str) -> ModuleType:
    """A module of libvirt's Python binding, which is not typed and need not be installed."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise MachineError(
            f"libvirt's Python binding cannot be used: {error}",
            hint="python -m pip install 'libvirt-python>=9,<13', with libvirt-dev, pkg-config and gcc there",
        ) from None
    if hasattr(module, "registerErrorHandler"):
        # Without one every error is printed to standard error, also one that is tried again.
        module.registerErrorHandler(lambda context, error: None, None)
    return module


def _in_thread(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it
            future.set_exception(error)

    # A thread that the interpreter does not wait for: a daemon that hangs would keep it from its end.
    threading.Thread(target=run, name="libvirt", daemon=True).start()
    return future
