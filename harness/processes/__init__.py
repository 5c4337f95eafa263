"""Child processes, ended whole."""

from harness.processes.child import ChildProcess, run_child
from harness.processes.kept import KeptProcess

__all__ = ["ChildProcess", "KeptProcess", "run_child"]
