"""The emulator's own interface, as far as the target uses it, with types.

Unicorn's package picks its binding at import time and types little of it; this protocol states what we call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import unicorn
from unicorn.unicorn_py3.arch.intel import UcIntel
from unicorn.unicorn_py3.unicorn import UcError

__all__ = ["CodeEngine", "EngineError", "UnicornEngine"]

EngineError = UcError
"""What the engine raises; ``errno`` is one of ``UC_ERR_*``."""


class CodeEngine(Protocol):
    """One emulated x64 processor with flat virtual memory (``unicorn.Uc``)."""

    def mem_map_ptr(self, address: int, size: int, perms: int, ptr: int) -> None: ...

    def mem_protect(self, address: int, size: int, perms: int) -> None: ...

    def mem_unmap(self, address: int, size: int) -> None: ...

    def ctl_set_tlb_mode(self, mode: int) -> None: ...

    def ctl_remove_cache(self, lbound: int, ubound: int) -> None: ...

    def reg_read(self, reg_id: int, aux: Any = None) -> Any: ...

    def reg_write(self, reg_id: int, value: Any) -> None: ...

    def context_save(self) -> Any: ...

    def context_restore(self, context: Any) -> None: ...

    def hook_add(
        self, htype: int, callback: Callable[..., Any], user_data: Any = None, begin: int = 1, end: int = 0
    ) -> int: ...

    def hook_del(self, handle: int) -> None: ...

    def emu_start(self, begin: int, until: int, timeout: int = 0, count: int = 0) -> None: ...

    def emu_stop(self) -> None: ...

    def reset(self) -> None:
        """As at power-on: registers, and no hooks. Mapped memory stays, and the code that was translated."""


class UnicornEngine(UcIntel):
    """Unicorn's x64 processor; accepts kernel addresses, which fault in its default TLB mode."""

    def __new__(cls) -> UnicornEngine:
        """Unicorn's own chooses the class by the architecture."""
        return object.__new__(cls)

    def __init__(self) -> None:
        super().__init__(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        self._at_power_on = self.context_save()
        self._handles: set[int] = set()

    def hook_add(
        self,
        htype: int,
        callback: Callable[..., Any],
        user_data: Any = None,
        begin: int = 1,
        end: int = 0,
        aux1: int = 0,
        aux2: int = 0,
    ) -> int:
        """See :class:`CodeEngine`. A hook of instructions is part of the translated code: what was translated
        without it is forgotten."""
        handle = int(super().hook_add(htype, callback, user_data, begin, end, aux1, aux2))
        self._handles.add(handle)
        if htype & unicorn.UC_HOOK_CODE and begin <= end:
            self.ctl_remove_cache(begin, end + 1)
        return handle

    def hook_del(self, handle: int) -> None:
        """See :class:`CodeEngine`."""
        super().hook_del(handle)
        self._handles.remove(handle)

    def reset(self) -> None:
        """See :class:`CodeEngine`."""
        for handle in list(self._handles):
            self.hook_del(handle)
        self.context_restore(self._at_power_on)
