"""A domain's guest agent, asked through libvirt's daemon, which owns the agent's channel."""

from __future__ import annotations

import json
import math
import threading
from concurrent.futures import wait
from time import monotonic
from typing import Any, Final

from harness.errors import GuestError, TargetLost
from harness.machines.libvirt.hypervisor import Hypervisor, binding
from harness.waiting import SLICE_SECONDS

__all__ = ["DomainAgent"]

GRACE_SECONDS: Final = 5.0
"""How long after an agent's own time libvirt's daemon may take to say that nothing came."""


class DomainAgent:
    """See :class:`harness.guests.channels.qga.Agent`. libvirt itself keeps in step with the agent.

    :param domain: its name.
    """

    def __init__(self, hypervisor: Hypervisor, domain: str) -> None:
        self.where = f"the domain {domain}"
        self.closed = threading.Event()
        self._hypervisor = hypervisor
        self._domain = domain
        self._qemu = binding("libvirt_qemu")

    def synchronise(self, timeout: float) -> None:
        """See :meth:`harness.guests.channels.qga.Agent.synchronise`."""
        self.call("guest-ping", timeout=timeout)

    def call(self, command: str, arguments: dict[str, Any] | None = None, *, timeout: float) -> Any:
        """See :meth:`harness.guests.channels.qga.Agent.call`."""
        question = json.dumps({"execute": command, "arguments": arguments or {}})
        seconds = max(1, math.ceil(timeout))
        asked = self._hypervisor.begin(
            lambda connection: self._qemu.qemuAgentCommand(
                connection.lookupByName(self._domain), question, seconds, 0
            )
        )
        deadline = monotonic() + seconds + GRACE_SECONDS
        while not wait([asked], SLICE_SECONDS).done:
            if self.closed.is_set():
                raise TargetLost(
                    f"the guest agent at {self.where}: the channel was closed in the middle of {command}"
                )
            if monotonic() > deadline:
                raise TargetLost(
                    f"libvirt at {self._hypervisor.uri} did not pass on {command} to the guest agent at"
                    f" {self.where} within {seconds} s"
                )
        try:
            answer = asked.result()
        except self._hypervisor.library.libvirtError as error:
            raise self._told(command, error) from None
        try:
            return json.loads(answer)["return"]
        except (ValueError, RecursionError, TypeError, KeyError):
            raise TargetLost(
                f"the guest agent at {self.where} answered {command} with {answer!r:.80}, which is no answer"
            ) from None

    def close(self) -> None:
        """See :meth:`harness.guests.channels.qga.Agent.close`."""
        self.closed.set()

    def _told(self, command: str, error: Any) -> GuestError | TargetLost:
        """What the agent refuses is an internal error to libvirt's QEMU driver; an agent that is not there,
        and a domain that does not run, are errors of their own."""
        library = self._hypervisor.library
        words = " ".join(str(error).split())
        code, origin = error.get_error_code(), error.get_error_domain()
        if (code, origin) == (library.VIR_ERR_INTERNAL_ERROR, library.VIR_FROM_QEMU):
            return GuestError(f"the guest agent at {self.where} refused {command}: {words:.400}")
        return TargetLost(f"the guest agent at {self.where} did not answer {command}: {words:.400}")
