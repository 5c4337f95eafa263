"""What is left of a machine when it is switched off and on: the processor and the memory chips."""

from __future__ import annotations

from harness.virtual.cpu.engine import CodeEngine, UnicornEngine
from harness.virtual.cpu.memory import Memory

__all__ = ["Hardware"]


class Hardware:
    """An engine and the memory behind it: one boot after the other uses them.

    What a boot finds differs in nothing from a new one's; what makes the next boot quick is that code which
    lies where it lay is not translated again.
    """

    def __init__(self, engine: CodeEngine | None = None) -> None:
        self.engine: CodeEngine = engine or UnicornEngine()
        self.memory = Memory(self.engine)

    def reset(self) -> None:
        """Power off and on. Whatever ran on it before is dead."""
        self.engine.reset()
        self.memory.reset()
