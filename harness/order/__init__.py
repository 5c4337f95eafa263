"""The order checker: pattern → frozen operations → pure search → witness or explanation; lifecycle rules."""

from harness.order.check import Check, check
from harness.order.lifecycle import Lifecycle, Violation
from harness.order.observation import Observation
from harness.order.result import CheckResult, Failure, Match, Unjudged, Unobserved, Witness

__all__ = [
    "Check",
    "CheckResult",
    "Failure",
    "Lifecycle",
    "Match",
    "Observation",
    "Unjudged",
    "Unobserved",
    "Violation",
    "Witness",
    "check",
]
