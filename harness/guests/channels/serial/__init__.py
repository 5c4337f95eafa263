"""The way into a guest over a serial port of its own, which the guest helper serves: ``actor.exe serve``."""

from harness.guests.channels.serial.channel import GuestClock, SerialChannel

__all__ = ["GuestClock", "SerialChannel"]
