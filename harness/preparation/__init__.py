"""How a Windows guest is made ready for the harness: boot settings, print filter, certificate, helper."""

from harness.preparation.settings import GuestSettings, NetworkDebugging, SerialDebugging
from harness.preparation.steps import OutputCheck, PreparationStep, preparation_steps

__all__ = [
    "GuestSettings",
    "NetworkDebugging",
    "OutputCheck",
    "PreparationStep",
    "SerialDebugging",
    "preparation_steps",
]
