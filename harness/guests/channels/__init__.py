"""Ways into a guest that put files there and run programs, whatever it runs."""

from harness.guests.channels.base import GuestChannel, ProgramResult

__all__ = ["GuestChannel", "ProgramResult"]
