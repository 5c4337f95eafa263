"""``procnotify wine setup`` for tests side by side: the command does not wait for another, so they do."""

from __future__ import annotations

import subprocess
import sys

from harness.resources import cache_dir

__all__ = ["wine_setup"]


def wine_setup() -> subprocess.CompletedProcess[str]:
    """Run ``procnotify wine setup`` on the cache's prefix once no other test process is at it."""
    if sys.platform == "win32":
        raise NotImplementedError("there is no Wine on Windows")
    import fcntl

    argv = [sys.executable, "-m", "harness", "wine", "setup"]
    with (cache_dir() / "tests-wine-setup").open("w", encoding="ascii") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        return subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
