"""The order checker: pattern → frozen operations → pure search → witness or explanation; lifecycle rules."""

from harness.order.check import Check, check
from harness.order.lifecycle import Lifecycle, Violation
from harness.order.result import CheckResult, Failure, Match, Unjudged, Witness

__all__ = [
    "Check",
    "CheckResult",
    "Failure",
    "Lifecycle",
    "Match",
    "Unjudged",
    "Violation",
    "Witness",
    "check",
]
