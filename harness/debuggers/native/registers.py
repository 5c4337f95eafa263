"""The registers of a halted target's processors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.debuggers.native.targetmemory import REQUEST_SECONDS, UnreadableMemory
from harness.errors import UsageError
from harness.kd.contexts import CONTEXTS, Amd64Context, Context, I386Context
from harness.kd.errors import ProtocolError
from harness.kd.manipulate import GetContext, Manipulate, SetContext

__all__ = ["Registers"]


class Registers:
    """Reads and writes registers. Every method raises :class:`UnreadableMemory` where the target refuses, and
    :class:`~harness.errors.UsageError` where its registers are not known, or it runs.

    :param machine_type: PE machine type of the target.
    :param halted_processor: which processor reported the stop.
    """

    def __init__(
        self,
        ask: Callable[[Manipulate, float], Manipulate],
        machine_type: int,
        halted_processor: Callable[[], int],
    ) -> None:
        self._ask = ask
        self._machine_type = machine_type
        self._halted_processor = halted_processor
        self.written = False
        """The user of the debugger gave the halted processor registers, and it goes on with these."""

    def read(self, processor: int | None = None) -> Context:
        """The registers of a processor; None: of the one that reported the stop."""
        layout = CONTEXTS.get(self._machine_type)
        if layout is None:
            raise UsageError(f"registers of machine type 0x{self._machine_type:x} are not known")
        if processor is None:
            processor = self._halted_processor()
        request = GetContext(processor=processor, context_flags=Amd64Context.FULL)
        reply = self._ask(request, REQUEST_SECONDS)
        assert isinstance(reply, GetContext)
        if not reply.succeeded:
            raise UnreadableMemory(f"the target refuses GetContext (status 0x{reply.status:08x})")
        try:
            return layout.decode(reply.data)
        except ProtocolError as error:
            raise UnreadableMemory(f"the target's context is damaged: {error.message}") from error

    def write(self, context: Context) -> None:
        """Write the registers of the processor that reported the stop."""
        request = SetContext(
            processor=self._halted_processor(), context_flags=context.context_flags, data=context.encode()
        )
        reply = self._ask(request, REQUEST_SECONDS)
        if not reply.succeeded:
            raise UnreadableMemory(f"the target refuses SetContext (status 0x{reply.status:08x})")

    def move_to(self, program_counter: int) -> None:
        """Have the processor that reported the stop go on there."""
        match self.read():
            case Amd64Context() as context:
                self.write(replace(context, rip=program_counter))
            case I386Context() as context:
                self.write(replace(context, eip=program_counter & 0xFFFFFFFF))

    def first_argument(self) -> int:
        """What the function at whose first instruction the processor stands was called with; 0 on processors
        that do not pass arguments in registers."""
        context = self.read()
        return context.rcx if isinstance(context, Amd64Context) else 0
