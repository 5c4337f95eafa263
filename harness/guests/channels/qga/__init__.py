"""The QEMU guest agent as a way into a guest ("QEMU Guest Agent Protocol Reference")."""

from harness.guests.channels.qga.channel import QgaChannel
from harness.guests.channels.qga.link import Agent

__all__ = ["Agent", "QgaChannel"]
