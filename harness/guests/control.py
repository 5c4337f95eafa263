"""The guest channel to the virtual target's process: JSON lines, and its errors as this package's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.channel import JsonChannel
from harness.errors import DriverBugcheck, DriverHang, GuestError, MissingImport, ProcnotifyError, TargetLost

__all__ = ["ControlChannel"]


class ControlChannel(JsonChannel):
    """See :class:`harness.channel.JsonChannel`.

    Calls raise TargetLost (the child ended, speaks nonsense, or did not answer in time), GuestError (it
    refused), DriverBugcheck or DriverHang (the driver in it did wrong), MissingImport.

    :param argv: the child's command line.
    :param what: what the child is, for messages ("the virtual target").
    """

    def __init__(self, argv: Sequence[str], *, what: str) -> None:
        super().__init__(argv, what=what, lost=TargetLost, refused=_error)


def _error(error: dict[str, Any], what: str) -> ProcnotifyError:
    kind, message = error["kind"], str(error["message"])
    if kind == "bugcheck":
        first, second, third, fourth = (int(value) for value in error["parameters"])
        return DriverBugcheck(int(error["code"]), (first, second, third, fourth), module=error.get("module"))
    if kind == "hang":
        return DriverHang(message, address=int(error["address"]))
    if kind == "missing":
        return MissingImport(str(error["story"]), name=str(error["name"]), hint=str(error["hint"]))
    if kind == "dead":
        return TargetLost(f"{what}: {message}")
    return GuestError(message)
