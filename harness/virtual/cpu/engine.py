"""The emulator's own interface, as far as the target uses it, with types.

Unicorn's package picks its binding at import time and types little of it; this protocol states what we call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import unicorn
from unicorn.unicorn_py3.unicorn import Uc, UcError

__all__ = ["CodeEngine", "EngineError", "open_engine"]

EngineError = UcError
"""What the engine raises; ``errno`` is one of ``UC_ERR_*``."""


class CodeEngine(Protocol):
    """One emulated x64 processor with flat virtual memory (``unicorn.Uc``)."""

    def mem_map_ptr(self, address: int, size: int, perms: int, ptr: int) -> None: ...

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


def open_engine() -> CodeEngine:
    """A fresh x64 processor that accepts kernel addresses (in Unicorn's default TLB mode they fault)."""
    engine = cast(CodeEngine, Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64))
    engine.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
    return engine
