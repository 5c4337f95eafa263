"""OpenSSH's server as a way into a guest."""

from harness.guests.channels.ssh.channel import SshChannel
from harness.guests.channels.ssh.keys import ANY_HOST_KEY

__all__ = ["ANY_HOST_KEY", "SshChannel"]
