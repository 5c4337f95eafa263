"""The guest helper's actions: what a scenario's step may ask of it.

One table for everything that must know them: the reader of scenarios, the names that steps bind, the
helper's command line, the words for people, the NT model's own helper, the page about scenarios. The helper
itself (``driver/actor``) is held to it by a test. A new action is a row here, a function in
``driver/actor/actions.c`` and one in :mod:`harness.virtual.nt.actions`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

__all__ = [
    "ACTIONS",
    "MAX_BUFFER",
    "MAX_DWORD",
    "MAX_GUEST_FILE",
    "NO_BUFFER",
    "Action",
    "ActionField",
    "FieldType",
]

MAX_DWORD = 0xFFFF_FFFF
"""Of PIDs and exit codes."""
MAX_BUFFER = 4096
"""Bytes of each buffer that a step hands to a driver, and of its answer: two of them in hexadecimal fit into
the command line, which Windows limits to 32,767 characters."""
NO_BUFFER = "-"
"""A buffer that there is none of, on the helper's command line."""


class FieldType(Enum):
    """What a field holds, and how the helper's command line carries it."""

    PROGRAM = "program"
    """A file name; where the harness has put that file in the guest, its full path."""
    LIBRARY = "library"
    """The same, of a DLL."""
    PROCESS = "process"
    """A PID, or a variable that an earlier step has bound to one."""
    NUMBER = "number"
    """A DWORD."""
    DURATION = "duration"
    """100 ns units in a scenario, milliseconds on the command line."""
    ARGUMENTS = "arguments"
    """Texts and numbers, each a word of its own."""
    DEVICE_NAME = "device name"
    """What CreateFile opens, ``\\\\.\\Name``."""
    DEVICE = "device"
    """A variable that an earlier step has bound to an open device: the PID of the process that has it."""
    CONTROL_CODE = "control code"
    """See :func:`harness.controlcodes.control_code`."""
    BUFFER = "buffer"
    """Bytes, at most :data:`MAX_BUFFER`, in hexadecimal on the command line; or an address, there
    ``@ADDRESS:LENGTH``, of whatever lies at it."""
    FILE = "file"
    """The path of a file of the host, which the harness puts into the guest; its full path there on the
    command line."""
    FLAG = "flag"
    """``true`` or ``false``, 1 or 0 on the command line."""


@dataclass(frozen=True)
class ActionField:
    """A field of a step, and the words of the helper's command line that come of it."""

    name: str
    type: FieldType
    usage: str
    """How the helper's own usage text writes it; in brackets where the helper can do without."""
    required: bool = True
    minimum: int = 0
    """Of a NUMBER; ``maximum`` likewise, both ends included."""
    maximum: int = MAX_DWORD
    default: int = 0
    """Of a NUMBER that is not written."""
    spoken: str | None = "{}"
    """How it is told to people; None: it is not. Left out where it has its default, unless it is the main
    field."""
    called: str = ""
    """Its name in an error message, where that is not the field's own."""


@dataclass(frozen=True)
class Action:
    """One thing that the helper does, in a process of its own."""

    key: str
    """Of the step."""
    fields: tuple[ActionField, ...]
    """In the order of the helper's command line."""
    does: str
    """For the page about scenarios."""
    main: str | None = None
    """The field that a value alone is for: ``sleep: 10ms``."""
    example: str = ""
    """Such a value."""
    binds: tuple[tuple[str, str], ...] = ()
    """What ``as: NAME`` binds: (what is put behind NAME, which number of the helper's result)."""
    binds_words: str = ""
    """The same for the page about scenarios."""
    answer: tuple[str, ...] = ()
    """Which of ``output``, ``returned`` and ``code`` a step may say of what comes of it."""
    asks_driver: bool = False
    """What it comes to is the driver's doing."""

    @property
    def word(self) -> str:
        """The action on the helper's command line and in its markers."""
        return self.key.replace("_", "-")

    @property
    def usage(self) -> str:
        """The action as the helper's usage text shows it."""
        return " ".join((self.word, *(field.usage for field in self.fields)))


_PROCESS = ActionField("process", FieldType.PROCESS, "PID")
_DEVICE = ActionField("device", FieldType.DEVICE, "PID")
_INPUT = ActionField("input", FieldType.BUFFER, "INPUT", required=False, spoken=None)
_BUFFER = ActionField("buffer", FieldType.BUFFER, "BUFFER", required=False, spoken=None)
_LENGTH = ActionField(
    *("length", FieldType.NUMBER, "LENGTH"), required=False, maximum=MAX_BUFFER, spoken="for {} bytes"
)
_OFFSET = ActionField("offset", FieldType.NUMBER, "OFFSET", required=False, spoken="at {}")
_PENDING = ActionField("pending", FieldType.FLAG, "PENDING", required=False, spoken=None)
_ANSWER = ("output", "returned")
MAX_GUEST_FILE = 64 << 20
"""Bytes of a file that a step puts into the guest."""
_MINUTE = 600_000_000
_NEW_THREAD = (("", "new_tid"),)

ACTIONS: dict[str, Action] = {
    action.key: action
    for action in (
        Action(
            "launch",
            (
                ActionField("image", FieldType.PROGRAM, "IMAGE"),
                ActionField("args", FieldType.ARGUMENTS, "[ARGUMENTS]", required=False),
            ),
            "starts a program",
            main="image",
            example="notepad.exe",
            binds=(("", "child_pid"), (".tid", "child_tid")),
            binds_words="`$NAME` its PID, `$NAME.tid` its first TID",
        ),
        Action(
            "launch_for",
            (
                _PROCESS,
                ActionField("image", FieldType.PROGRAM, "IMAGE"),
                ActionField("args", FieldType.ARGUMENTS, "[ARGUMENTS]", required=False),
            ),
            "starts a program as another process's child, as PROC_THREAD_ATTRIBUTE_PARENT_PROCESS does",
            binds=(("", "child_pid"), (".tid", "child_tid")),
            binds_words="`$NAME` its PID, `$NAME.tid` its first TID",
        ),
        Action(
            "run",
            (
                ActionField(
                    *("timeout", FieldType.DURATION, "MS"), required=False, default=_MINUTE, spoken=None
                ),
                ActionField("file", FieldType.FILE, "IMAGE"),
                ActionField("arguments", FieldType.ARGUMENTS, "[ARGUMENTS]", required=False),
            ),
            "puts a program into the guest, starts it and waits for its end",
            main="file",
            example="mytest.exe",
            binds=(("", "child_pid"), (".tid", "child_tid")),
            binds_words="`$NAME` its PID, `$NAME.tid` its first TID",
            answer=("code",),
        ),
        Action(
            "terminate",
            (_PROCESS, ActionField("code", FieldType.NUMBER, "[CODE]", required=False, spoken=None)),
            "ends a process",
            main="process",
            example="$NAME",
        ),
        Action(
            "create_thread",
            (),
            "a thread in the helper itself",
            binds=_NEW_THREAD,
            binds_words="the new TID",
        ),
        Action(
            "create_remote_thread",
            (_PROCESS,),
            "a thread in another process",
            main="process",
            example="$NAME",
            binds=_NEW_THREAD,
            binds_words="the new TID",
        ),
        Action(
            "load_library",
            (
                ActionField("path", FieldType.LIBRARY, "PATH"),
                ActionField(
                    *("times", FieldType.NUMBER, "[TIMES]"),
                    required=False,
                    minimum=1,
                    maximum=1000,
                    default=1,
                    spoken="{} times",
                ),
            ),
            "LoadLibraryW in the helper, `times` in a row",
            main="path",
            example="version.dll",
        ),
        Action(
            "free_library",
            (ActionField("path", FieldType.LIBRARY, "PATH"),),
            "LoadLibraryW, then FreeLibrary in the helper",
            main="path",
            example="version.dll",
        ),
        Action(
            "inject",
            (_PROCESS, ActionField("dll", FieldType.LIBRARY, "PATH")),
            "CreateRemoteThread on LoadLibraryW in another process",
            binds=_NEW_THREAD,
            binds_words="the new TID",
        ),
        Action(
            "sleep",
            (ActionField("for", FieldType.DURATION, "MS", called="sleep"),),
            "the helper sleeps",
            main="for",
            example="10ms",
        ),
        Action(
            "exit",
            (ActionField("code", FieldType.NUMBER, "CODE", required=False),),
            "the helper ends with that code",
            main="code",
            example="7",
        ),
        Action(
            "open_device",
            (ActionField("name", FieldType.DEVICE_NAME, "NAME"),),
            "CreateFileW, for reading and writing, in a process of its own that keeps the device open",
            main="name",
            example=r"\\.\Name",
            binds=(("", "child_pid"),),
            binds_words="the device for the steps below: the PID of the process that keeps it open",
            asks_driver=True,
        ),
        Action(
            "ioctl",
            (
                _DEVICE,
                ActionField("code", FieldType.CONTROL_CODE, "CODE"),
                _INPUT,
                _LENGTH,
                _BUFFER,
                _PENDING,
            ),
            "DeviceIoControl",
            answer=_ANSWER,
            asks_driver=True,
        ),
        Action(
            "read_device",
            (_DEVICE, replace(_LENGTH, required=True), _OFFSET, _PENDING),
            "ReadFile",
            answer=_ANSWER,
            asks_driver=True,
        ),
        Action(
            "write_device",
            (_DEVICE, replace(_INPUT, required=True), _OFFSET, _PENDING),
            "WriteFile",
            answer=("returned",),
            asks_driver=True,
        ),
        Action(
            "await_io",
            (_DEVICE,),
            "waits for the oldest request that was left pending",
            main="device",
            example="$NAME",
            answer=_ANSWER,
            asks_driver=True,
        ),
        Action(
            "cancel_io",
            (_DEVICE,),
            "CancelIo: what is pending is cancelled; `await_io` hears how it ended",
            main="device",
            example="$NAME",
            asks_driver=True,
        ),
        Action(
            "close_device",
            (_DEVICE,),
            "CloseHandle, and the process that kept the device open ends",
            main="device",
            example="$NAME",
            asks_driver=True,
        ),
    )
}
"""Key → action, in the order of the helper's usage text."""
