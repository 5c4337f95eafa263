"""Child processes, ended whole."""

from harness.processes.child import ChildProcess, run_child

__all__ = ["ChildProcess", "run_child"]
