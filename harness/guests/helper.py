"""The guest of any machine that programs can be run on: all is done by the guest helper's command line.

::

    HELPER --id N ACTION ARGUMENTS...      one action of a scenario
    HELPER start NAME PATH                 the kernel service NAME for the driver at PATH is made and started
    HELPER stop NAME                       ... stopped and deleted

Each answers with one line of JSON on its standard output; ``status`` in it is 0 or a Win32 error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from harness.actions import MAX_DWORD
from harness.errors import GuestError
from harness.guests.base import ActionResult
from harness.guests.channels.base import GuestChannel, ProgramResult
from harness.guests.paths import guest_path, is_windows_path
from harness.toolchain import default_actor
from harness.toolchain.windows_errors import ntstatus_from_win32

__all__ = ["MAX_ANSWER", "SERVICE_SECONDS", "HelperGuest"]

MAX_ANSWER = 64 * 1024
"""Longest answer of the helper that is read, in bytes; its own are shorter than 512."""
SERVICE_SECONDS = 300.0
"""What the service manager may take to start or stop a driver, in seconds, however slowly a debugger hears
its prints. The caller watches for silence; this bound only makes sure that nobody waits for ever."""
FOLDER_SECONDS = 60.0
"""What making the work folder may take, in seconds."""
ACTOR = "actor.exe"

_STARTED = {
    1: 0xC000_0010,  # ERROR_INVALID_FUNCTION: STATUS_INVALID_DEVICE_REQUEST
    2: 0xC000_0034,  # ERROR_FILE_NOT_FOUND: STATUS_OBJECT_NAME_NOT_FOUND
    3: 0xC000_003A,  # ERROR_PATH_NOT_FOUND: STATUS_OBJECT_PATH_NOT_FOUND
    5: 0xC000_0022,  # ERROR_ACCESS_DENIED: STATUS_ACCESS_DENIED
    8: 0xC000_0017,  # ERROR_NOT_ENOUGH_MEMORY: STATUS_NO_MEMORY
    31: 0xC000_0001,  # ERROR_GEN_FAILURE: STATUS_UNSUCCESSFUL
    50: 0xC000_00BB,  # ERROR_NOT_SUPPORTED: STATUS_NOT_SUPPORTED
    87: 0xC000_000D,  # ERROR_INVALID_PARAMETER: STATUS_INVALID_PARAMETER
    127: 0xC000_0263,  # ERROR_PROC_NOT_FOUND: STATUS_DRIVER_ENTRYPOINT_NOT_FOUND
    182: 0xC000_0262,  # ERROR_INVALID_ORDINAL: STATUS_DRIVER_ORDINAL_NOT_FOUND
    183: 0xC000_0035,  # ERROR_ALREADY_EXISTS: STATUS_OBJECT_NAME_COLLISION
    193: 0xC000_007B,  # ERROR_BAD_EXE_FORMAT: STATUS_INVALID_IMAGE_FORMAT
    577: 0xC000_0428,  # ERROR_INVALID_IMAGE_HASH: STATUS_INVALID_IMAGE_HASH
    1056: 0xC000_010E,  # ERROR_SERVICE_ALREADY_RUNNING: STATUS_IMAGE_ALREADY_LOADED
    1275: 0xC000_036C,  # ERROR_DRIVER_BLOCKED: STATUS_DRIVER_BLOCKED
    1450: 0xC000_009A,  # ERROR_NO_SYSTEM_RESOURCES: STATUS_INSUFFICIENT_RESOURCES
}
"""Win32 error of the service manager → the NTSTATUS of loading the driver that it was made of
(RtlNtStatusToDosError): several share an error, this is the one that a driver or the loader usually means."""
_STOPPED = {
    1052: 0xC000_0010,  # ERROR_INVALID_SERVICE_CONTROL: STATUS_INVALID_DEVICE_REQUEST, no unload routine
    1060: 0xC000_0034,  # ERROR_SERVICE_DOES_NOT_EXIST: STATUS_OBJECT_NAME_NOT_FOUND
}
"""The same of unloading one."""


class HelperGuest:
    """The :class:`~harness.guests.base.Guest` over any channel, of one boot.

    :param channel: the guest answers on it; it stays the caller's to close.
    :param folder: work folder in the guest, where every file goes; made where it is missing. Its form decides
        how the guest's paths are written, see :func:`harness.guests.paths.is_windows_path`.
    :param helper: path of a guest helper that is in the guest already; None: ``actor.exe`` in ``folder``, put
        there with the first need unless the caller has put it.
    :param files: name → content of what is put with the helper; None: the project's own guest helper and its
        ``probe.dll``, built where the cache does not have them.
    """

    def __init__(
        self,
        channel: GuestChannel,
        *,
        folder: str,
        helper: str | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.channel = channel
        self.folder = folder
        self._helper = helper
        self._files = files
        self._folder_is_there = False

    def put(self, name: str, data: bytes) -> str:
        """See :meth:`harness.guests.base.Guest.put`."""
        if not name or name in (".", "..") or any(mark in name for mark in "\\/:\0"):
            raise GuestError(f"{name!r} is no name of a file in the guest's work folder")
        path = guest_path(self.folder, name)
        if self._folder_is_there:
            self.channel.put(path, data)
        else:
            self._put_first(path, data)
        if self._helper is None and name == ACTOR:
            self._helper = path
        return path

    def load_driver(self, name: str, path: str) -> int:
        """See :meth:`harness.guests.base.Guest.load_driver`; an NTSTATUS that carries the Win32 error
        (0xC007nnnn) where the service manager's error does not tell which one it was."""
        return _ntstatus(self._service("start", name, path), _STARTED)

    def unload_driver(self, name: str) -> int:
        """See :meth:`harness.guests.base.Guest.unload_driver`; the same."""
        return _ntstatus(self._service("stop", name), _STOPPED)

    def act(self, argv: list[str], *, step: int, timeout: float) -> ActionResult:
        """See :meth:`harness.guests.base.Guest.act`."""
        done = self.channel.run([self._helper_path(), "--id", str(step), *argv], timeout=timeout)
        return _result(done, argv[0], step)

    def _service(self, *words: str) -> int:
        done = self.channel.run([self._helper_path(), *words], timeout=SERVICE_SECONDS)
        return _result(done, words[0], 0).status

    def _helper_path(self) -> str:
        if self._helper is None:
            files = _own_files() if self._files is None else self._files
            for name, data in files.items():
                self.put(name, data)
        if self._helper is None:
            raise GuestError(f"there is no {ACTOR} among the files for the guest", hint="name a helper in it")
        return self._helper

    def _put_first(self, path: str, data: bytes) -> None:
        """The folder may be missing, and only some channels can tell that from other refusals."""
        try:
            self.channel.put(path, data)
        except GuestError:
            make = ["cmd.exe", "/d", "/c", "mkdir"] if is_windows_path(self.folder) else ["mkdir", "-p"]
            made = self.channel.run([*make, self.folder], timeout=FOLDER_SECONDS)
            try:
                self.channel.put(path, data)
            except GuestError as error:
                if made.exit_code:
                    error.add_note(f"making {self.folder}: {_said(made)}")
                raise
        self._folder_is_there = True


def _own_files() -> dict[str, bytes]:
    built = default_actor()
    return {ACTOR: built.exe.path.read_bytes(), "probe.dll": built.probe.path.read_bytes()}


def _ntstatus(code: int, exact: Mapping[int, int]) -> int:
    return exact.get(code) or ntstatus_from_win32(code)


def _result(done: ProgramResult, action: str, step: int) -> ActionResult:
    """The helper's line, which comes from the guest and is not trusted."""
    answer = _answer(done, action)
    if answer.get("action") != action or answer.get("id") != step:
        raise GuestError(
            f"the guest helper was asked for {action!r} with id {step} and answered {done.stdout!r:.200}",
            hint="is the guest helper in the guest of the same version?",
        )
    pid, status = (_dword(answer, key, action) for key in ("pid", "status"))
    values = {
        key: value
        for key, value in answer.items()
        if key not in ("action", "id", "pid", "status") and _is_value(value)
    }
    return ActionResult(action=action, pid=pid, status=status, values=values)


def _answer(done: ProgramResult, action: str) -> dict[str, Any]:
    line = done.stdout.strip()
    if not line:
        raise GuestError(f"the guest helper had no answer to {action!r}: {_said(done)}")
    if len(line) > MAX_ANSWER:
        raise GuestError(f"the guest helper answered {action!r} with {len(line)} bytes: {line!r:.80}")
    try:
        answer = json.loads(line)
    # Brackets nested without end exhaust the parser's stack; digits without end are no integer to Python.
    except (ValueError, RecursionError) as error:
        raise GuestError(
            f"the guest helper answered {action!r} with {line!r:.200}, which is no line of JSON ({error})"
        ) from None
    if not isinstance(answer, dict):
        raise GuestError(f"the guest helper answered {action!r} with {line!r:.200}, which is no object")
    return answer


def _dword(answer: dict[str, Any], key: str, action: str) -> int:
    value = answer.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_DWORD:
        raise GuestError(f"the guest helper answered {action!r} without a proper {key!r}: {answer!r:.200}")
    return value


def _is_value(value: object) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and 0 <= value <= MAX_DWORD
    return isinstance(value, str)


def _said(done: ProgramResult) -> str:
    words = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace")
    code = done.exit_code & MAX_DWORD
    ended = f"it ended with exit code {code}" if code < 256 else f"it ended with exit code 0x{code:08x}"
    return f"{ended}: {words:.400}" if words else f"{ended} and said nothing"
