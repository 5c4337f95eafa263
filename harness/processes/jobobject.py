"""A job object of Windows: processes that end together. Windows only.

Source: Microsoft, "Job Objects", JOBOBJECT_EXTENDED_LIMIT_INFORMATION, "Nested Jobs".
"""

from __future__ import annotations

import logging
import sys
import weakref

__all__: list[str] = []

_log = logging.getLogger(__name__)

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes
    from typing import Final

    __all__ += ["SUSPENDED", "JobObject"]

    SUSPENDED: Final = 0x00000004
    """CREATE_SUSPENDED: the process does not run before it is resumed."""
    _TERMINATE: Final = 0x0001
    _SET_QUOTA: Final = 0x0100
    _SUSPEND_RESUME: Final = 0x0800
    _EXTENDED_LIMIT_INFORMATION: Final = 9
    _KILL_ON_JOB_CLOSE: Final = 0x00002000

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
            ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_ulonglong * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.CreateJobObjectW.restype = wintypes.HANDLE
    _kernel32.CreateJobObjectW.argtypes = (wintypes.LPVOID, wintypes.LPCWSTR)
    _kernel32.SetInformationJobObject.argtypes = (
        *(wintypes.HANDLE, ctypes.c_int),
        *(wintypes.LPVOID, wintypes.DWORD),
    )
    _kernel32.OpenProcess.restype = wintypes.HANDLE
    _kernel32.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel32.TerminateProcess.argtypes = (wintypes.HANDLE, wintypes.UINT)
    _kernel32.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    _kernel32.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
    _kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
    _ntdll = ctypes.WinDLL("ntdll")
    _ntdll.NtResumeProcess.argtypes = (wintypes.HANDLE,)
    _ntdll.NtResumeProcess.restype = ctypes.c_long

    class JobObject:
        """A job with one process, which was started suspended and runs now, and with all that it starts. They
        end when the last handle to the job is closed, so at the latest with this process.

        A process that may not be put into a job, because it is in one that forbids that, is left as it is.

        :param pid: of a child that was not waited for yet.
        :raises OSError: the child cannot be resumed; it is killed.
        """

        def __init__(self, pid: int) -> None:
            process = _kernel32.OpenProcess(_TERMINATE | _SET_QUOTA | _SUSPEND_RESUME, False, pid)
            self._handle: int | None = _kernel32.CreateJobObjectW(None, None)
            weakref.finalize(self, _kernel32.CloseHandle, self._handle)
            limits = _ExtendedLimits()
            limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
            if not (
                _kernel32.SetInformationJobObject(
                    self._handle, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
                )
                and _kernel32.AssignProcessToJobObject(self._handle, process)
            ):
                _log.warning("no job object for a child: %s", ctypes.WinError(ctypes.get_last_error()))
            status = _ntdll.NtResumeProcess(process)
            if status < 0:
                _kernel32.TerminateProcess(process, 1)
            _kernel32.CloseHandle(process)
            if status < 0:
                raise ctypes.WinError(_ntdll.RtlNtStatusToDosError(status))

        def end(self) -> None:
            """End every process of the job. Idempotent."""
            _kernel32.TerminateJobObject(self._handle, 1)
