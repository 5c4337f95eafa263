"""What the filter manager keeps of drivers: the file name information that it has lent them."""

from __future__ import annotations

__all__ = ["FilterManager"]


class FilterManager:
    """Of one boot."""

    def __init__(self) -> None:
        self.names: dict[int, int] = {}
        """By the address of each FLT_FILE_NAME_INFORMATION how many references there are to it."""
