"""The status codes KD carries: NTSTATUS (Microsoft, [MS-ERREF] 2.3.1), DBG_* and break-in codes."""

from __future__ import annotations

from typing import Final

__all__ = [
    "DBG_CONTINUE",
    "DBG_EXCEPTION_HANDLED",
    "DBG_EXCEPTION_NOT_HANDLED",
    "DBG_STATUS_BUGCHECK_FIRST",
    "DBG_STATUS_BUGCHECK_SECOND",
    "DBG_STATUS_CONTROL_C",
    "DBG_STATUS_FATAL",
    "DBG_STATUS_SYSRQ",
    "STATUS_ACCESS_VIOLATION",
    "STATUS_BREAKPOINT",
    "STATUS_END_OF_FILE",
    "STATUS_INVALID_PARAMETER",
    "STATUS_NOT_FOUND",
    "STATUS_NO_SUCH_FILE",
    "STATUS_PENDING",
    "STATUS_SINGLE_STEP",
    "STATUS_SUCCESS",
    "STATUS_UNSUCCESSFUL",
]

STATUS_SUCCESS: Final = 0x00000000
STATUS_PENDING: Final = 0x00000103
"""What the status field of a request holds."""
STATUS_UNSUCCESSFUL: Final = 0xC0000001
"""A target's answer to everything that it cannot do."""
STATUS_ACCESS_VIOLATION: Final = 0xC0000005
STATUS_INVALID_PARAMETER: Final = 0xC000000D
STATUS_NO_SUCH_FILE: Final = 0xC000000F
"""A host's answer to a file request for a path that it does not map."""
STATUS_END_OF_FILE: Final = 0xC0000011
"""A host's answer to a read that begins behind the file's end."""
STATUS_NOT_FOUND: Final = 0xC0000225
STATUS_BREAKPOINT: Final = 0x80000003
STATUS_SINGLE_STEP: Final = 0x80000004

DBG_EXCEPTION_HANDLED: Final = 0x00010001
DBG_CONTINUE: Final = 0x00010002
DBG_EXCEPTION_NOT_HANDLED: Final = 0x80010001

DBG_STATUS_CONTROL_C: Final = 1
"""First argument of DbgBreakPointWithStatus: the debugger asked for the break."""
DBG_STATUS_SYSRQ: Final = 2
DBG_STATUS_BUGCHECK_FIRST: Final = 3
DBG_STATUS_BUGCHECK_SECOND: Final = 4
DBG_STATUS_FATAL: Final = 5
