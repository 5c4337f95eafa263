"""Which processes of this build are protected, by their names."""

from __future__ import annotations

from typing import Final

__all__ = ["PROTECTED_PROCESSES"]

PROTECTED_PROCESSES: Final = frozenset(
    {"System", "Registry", "smss.exe", "csrss.exe", "wininit.exe", "services.exe", "MsMpEng.exe"}
)
"""Those that are protected light, too: nobody may open them for termination or for writing."""
