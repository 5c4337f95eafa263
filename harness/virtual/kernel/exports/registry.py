"""How an export is declared: of ntoskrnl.exe and hal.dll, or of another module.

::

    @export("PsGetProcessId", 1)
    def ps_get_process_id(system: System, process: int) -> int: ...

The function gets the kernel's state and its arguments as unsigned 64-bit words; what it returns goes to
RAX (None for a function without a result). A function with ``variadic=True`` gets a
:class:`~harness.virtual.kernel.varargs.VarArgs` last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

__all__ = ["DATA", "EXPORTS", "FILTER_MANAGER", "KERNEL", "MAX_WORDS", "Export", "data", "export"]

MAX_WORDS: Final = 16
"""Most arguments an export may have."""

KERNEL: Final = "ntoskrnl.exe"
"""The module of what ntoskrnl.exe and hal.dll export."""
FILTER_MANAGER: Final = "fltmgr.sys"
Handler = Callable[..., int | None]
_F = TypeVar("_F", bound=Callable[..., Any])


class Export(NamedTuple):
    """One exported function."""

    name: str
    arguments: int
    handler: Handler
    variadic: bool
    module: str
    """Which drivers import it from; hal.dll's are the kernel's."""


EXPORTS: dict[str, Export] = {}
"""Every exported function by name."""

DATA: dict[str, tuple[int, int]] = {}
"""Every exported variable: its size in bytes and what it holds at first."""


def export(*names: str | int, variadic: bool = False, module: str = KERNEL) -> Callable[[_F], _F]:
    """Declare the decorated function as the export of these names; the last argument is how many
    arguments it takes.

    :param module: what exports it.
    """
    *aliases, arguments = names
    if not isinstance(arguments, int) or arguments > MAX_WORDS:
        raise TypeError("export(NAME..., number of arguments)")

    def declare(handler: _F) -> _F:
        for name in aliases:
            if not isinstance(name, str) or name in EXPORTS:
                raise ValueError(f"{name} is exported twice")
            EXPORTS[name] = Export(name, arguments, handler, variadic, module)
        return handler

    return declare


def data(name: str, size: int = 8, value: int = 0) -> None:
    """Declare an exported variable of ``size`` bytes."""
    DATA[name] = (size, value)
