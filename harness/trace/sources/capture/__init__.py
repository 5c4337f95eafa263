"""Network captures of a KDNET session."""

from harness.trace.sources.capture.kdnet import KdnetCapture
from harness.trace.sources.capture.packets import claims_capture

__all__ = ["KdnetCapture", "claims_capture"]
