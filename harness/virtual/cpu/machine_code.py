"""The few hand-assembled instructions of the synthetic kernel.

Two pieces of real code keep the way between Python and the driver short: the *call gate*, which loads a
call's arguments from the transfer block and calls, and the *service gate*, to which every export stub
jumps and which stores the arguments there before it traps. One ``emu_start`` a callback and one hook a
call of an export are all that is left to the emulator's interface.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = [
    "BREAK_INSTRUCTION",
    "CALL_GATE_INSTRUCTIONS",
    "STUB_SIZE",
    "TRANSFER_SIZE",
    "Transfer",
    "call_gate",
    "guard_routine",
    "service_gate",
    "stub",
]

BREAK_INSTRUCTION: Final = b"\xcc"
STUB_SIZE: Final = 16
CALL_GATE_INSTRUCTIONS: Final = 6
"""Of :func:`call_gate`, up to the call and with it."""
_GUARD_ICALL_CHECK_FAILURE: Final = 10
"""FAST_FAIL_GUARD_ICALL_CHECK_FAILURE (winnt.h)."""


class Transfer:
    """Offsets of the transfer block's 64-bit words."""

    TARGET: Final = 0x00
    """Call gate: function (0 once it has returned), RSP, four register arguments; then the result."""
    RSP: Final = 0x08
    RCX: Final = 0x10
    RDX: Final = 0x18
    R8: Final = 0x20
    R9: Final = 0x28
    RESULT: Final = 0x30
    SERVICE: Final = 0x40
    """Service gate: the export's number, its RSP and register arguments; then what it returns."""
    SERVICE_RSP: Final = 0x48
    SERVICE_RCX: Final = 0x50
    SERVICE_RDX: Final = 0x58
    SERVICE_R8: Final = 0x60
    SERVICE_R9: Final = 0x68
    SERVICE_RESULT: Final = 0x70
    BREAK_IN: Final = 0x78
    """Not 0: the service gate passes through DbgBreakPointWithStatus before it returns."""


TRANSFER_SIZE: Final = 0x80

_LOAD: Final = {
    "rsp": b"\x48\x8b\x25",
    "rcx": b"\x48\x8b\x0d",
    "rdx": b"\x48\x8b\x15",
    "r8": b"\x4c\x8b\x05",
    "r9": b"\x4c\x8b\x0d",
    "rax": b"\x48\x8b\x05",
}
"""``mov reg, [rip+disp32]`` without the displacement."""
_STORE: Final = {register: bytes((code[0], 0x89, code[2])) for register, code in _LOAD.items()}
_CALL_INDIRECT: Final = b"\xff\x15"
_CALL: Final = b"\xe8"
_NOP: Final = b"\x90"
_HLT: Final = b"\xf4"
_RET: Final = b"\xc3"


class _Code:
    """Bytes that know their address, for RIP-relative operands into the transfer block."""

    def __init__(self, address: int, transfer: int) -> None:
        self.code = b""
        self._address = address
        self._transfer = transfer

    @property
    def here(self) -> int:
        return self._address + len(self.code)

    def raw(self, code: bytes) -> None:
        self.code += code

    def relative(self, opcode: bytes, target: int, immediate: bytes = b"") -> None:
        after = self.here + len(opcode) + 4 + len(immediate)
        self.code += opcode + struct.pack("<i", target - after) + immediate

    def word(self, opcode: bytes, offset: int, immediate: bytes = b"") -> None:
        self.relative(opcode, self._transfer + offset, immediate)


def call_gate(address: int, transfer: int) -> tuple[bytes, int]:
    """The gate's code when it lies at ``address``, and an address behind it at which nothing ever arrives.

    HLT ends a call. An address that the emulator stops at would do, but then it translates what leads there
    anew for each call.
    """
    code = _Code(address, transfer)
    code.word(_LOAD["rsp"], Transfer.RSP)
    code.word(_LOAD["rcx"], Transfer.RCX)
    code.word(_LOAD["rdx"], Transfer.RDX)
    code.word(_LOAD["r8"], Transfer.R8)
    code.word(_LOAD["r9"], Transfer.R9)
    code.word(_CALL_INDIRECT, Transfer.TARGET)
    code.word(_STORE["rax"], Transfer.RESULT)
    code.word(b"\x48\xc7\x05", Transfer.TARGET, struct.pack("<I", 0))  # mov qword [TARGET], 0
    code.raw(_HLT + _NOP)
    behind = code.here
    return code.code, behind


def service_gate(address: int, transfer: int, break_point: int) -> tuple[bytes, int]:
    """The gate's code when it lies at ``address``, and the address of the instruction to hook.

    :param break_point: address of DbgBreakPointWithStatus.
    """
    code = _Code(address, transfer)
    code.word(_STORE["rax"], Transfer.SERVICE)
    code.word(_STORE["rsp"], Transfer.SERVICE_RSP)
    code.word(_STORE["rcx"], Transfer.SERVICE_RCX)
    code.word(_STORE["rdx"], Transfer.SERVICE_RDX)
    code.word(_STORE["r8"], Transfer.SERVICE_R8)
    code.word(_STORE["r9"], Transfer.SERVICE_R9)
    trap = code.here
    code.raw(_NOP)
    code.word(b"\x83\x3d", Transfer.BREAK_IN, b"\x00")  # cmp dword [BREAK_IN], 0
    code.raw(b"\x75\x08")  # jne over the plain return below
    code.word(_LOAD["rax"], Transfer.SERVICE_RESULT)
    code.raw(_RET)
    code.word(b"\xc7\x05", Transfer.BREAK_IN, struct.pack("<I", 0))  # mov dword [BREAK_IN], 0
    code.raw(b"\x48\x83\xec\x28")  # sub rsp, 28h: shadow space, and 16-byte alignment
    code.raw(b"\xb9" + struct.pack("<I", 1))  # mov ecx, DBG_STATUS_CONTROL_C
    code.relative(_CALL, break_point)
    code.raw(b"\x48\x83\xc4\x28")  # add rsp, 28h
    code.word(_LOAD["rax"], Transfer.SERVICE_RESULT)
    code.raw(_RET)
    return code.code, trap


def stub(address: int, number: int, gate: int) -> bytes:
    """One export's entry: ``mov eax, number; jmp gate``, padded to :data:`STUB_SIZE`."""
    code = b"\xb8" + struct.pack("<I", number) + b"\xe9" + struct.pack("<i", gate - (address + 10))
    return code.ljust(STUB_SIZE, BREAK_INSTRUCTION)


def guard_routine(address: int, asked: int, *, dispatches: bool) -> bytes:
    """A control-flow guard's routine when it lies at ``address``: ends with ``int 29h`` where the service
    ``asked``, which takes the target and returns whether it is one, says no.

    :param dispatches: the target is in RAX and is jumped to; else it is in RCX, and the routine returns. No
        other register changes either way.
    """
    code = _Code(address, 0)
    code.raw(b"\x50\x51\x52\x41\x50\x41\x51\x41\x52\x41\x53")  # push rax, rcx, rdx, r8 to r11
    if dispatches:
        code.raw(b"\x48\x89\xc1")  # mov rcx, rax
    code.raw(b"\x48\x83\xec\x20")  # sub rsp, 20h: shadow space; seven registers align the stack
    code.relative(_CALL, asked)
    code.raw(b"\x48\x83\xc4\x20")  # add rsp, 20h
    code.raw(b"\x84\xc0")  # test al, al
    code.raw(b"\x41\x5b\x41\x5a\x41\x59\x41\x58\x5a\x59\x58")  # pop r11 to r8, rdx, rcx, rax
    code.raw(b"\x75\x07")  # jne over the fast fail
    code.raw(b"\xb9" + struct.pack("<I", _GUARD_ICALL_CHECK_FAILURE))  # mov ecx, ...
    code.raw(b"\xcd\x29")  # int 29h
    code.raw(b"\xff\xe0" if dispatches else _RET)  # jmp rax
    return code.code
