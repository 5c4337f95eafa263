"""Keys of an SSH connection, from the text or the file that a user names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import asyncssh

from harness.errors import UsageError

__all__ = ["ANY_HOST_KEY", "host_key_algorithms", "key_words", "private_key", "public_key"]

ANY_HOST_KEY: Final = "any"
"""In place of a host key: whoever answers is the guest. For a network that nobody else is on."""
_ALGORITHMS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


def host_key_algorithms(pinned: asyncssh.SSHKey) -> list[str]:
    """What to ask a server for: the pinned key's algorithms first. The others come behind them so that a
    server without such a key shows what it has; otherwise it would only hang up."""
    return sorted(_ALGORITHMS, key=lambda name: name.encode() not in pinned.sig_algorithms)


def public_key(text: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise UsageError(
            f"{text!r:.100} is no public key: {error}",
            hint=f"copy the guest's ssh_host_ed25519_key.pub, or write '{ANY_HOST_KEY}'",
        ) from error


def private_key(path: Path) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(path)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror}") from error
    except (asyncssh.KeyImportError, ValueError) as error:
        raise UsageError(
            f"{path} is no private key that can be read: {error}",
            hint="one with a passphrase must be in the SSH agent",
        ) from error


def key_words(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
