"""The order checker: pattern → frozen operations → pure search → witness or explanation; lifecycle rules."""

from harness.order.check import CheckResult, check
from harness.order.lifecycle import Lifecycle, Violation
from harness.order.search import Match, Standing

__all__ = ["CheckResult", "Lifecycle", "Match", "Standing", "Violation", "check"]
