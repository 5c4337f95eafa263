"""Several witnesses of one run held against one another: what the target called, and what the driver printed.

A finding is the driver's fault, told without any number of its lines. Nothing is found where it might be
somebody else's: what a line does not carry is not compared, and what may have been lost is not missed.
"""

from harness.witness.compare import compare_witnesses
from harness.witness.findings import Agreement, Disagreement, Fault

__all__ = ["Agreement", "Disagreement", "Fault", "compare_witnesses"]
