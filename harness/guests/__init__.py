"""How commands reach the guest: put files there, load the driver, run the guest helper."""

from harness.guests.base import ActionResult, Guest

__all__ = ["ActionResult", "Guest"]
