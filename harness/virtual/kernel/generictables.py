"""What a generic table holds, beside the RTL_GENERIC_TABLE or RTL_AVL_TABLE that the driver sees."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["GenericTable"]


@dataclass
class GenericTable:
    """Addresses of the elements, headers included."""

    ordered: list[int] = field(default_factory=list)
    """As the driver's routine compares them."""
    inserted: list[int] = field(default_factory=list)
    """The oldest first."""
    next: int = 0
    """Where RtlEnumerateGenericTable goes on in the order."""
