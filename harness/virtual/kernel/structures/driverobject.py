"""DRIVER_OBJECT and DRIVER_EXTENSION: where things lie in them. Layouts of build 18362."""

from __future__ import annotations

from typing import Final

__all__ = ["DRIVER_EXTENSION", "DRIVER_UNLOAD", "SERVICE_KEY_NAME"]

DRIVER_EXTENSION: Final = 0x30
"""Offset of DRIVER_OBJECT.DriverExtension."""
DRIVER_UNLOAD: Final = 0x68
"""Offset of DRIVER_OBJECT.DriverUnload."""
SERVICE_KEY_NAME: Final = 0x18
"""Offset of DRIVER_EXTENSION.ServiceKeyName."""
