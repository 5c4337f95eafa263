"""What a call says: the routines that it registers, and what a notify routine is told, on x64 and x86."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from memory_image import MemoryImage

from harness.breakpoints.callframe import CallFrame
from harness.breakpoints.debugregisters import place_of
from harness.breakpoints.registrations import MAX_OPERATIONS, REGISTRATIONS, registered_routines
from harness.breakpoints.seen import RoutineRegistered, called_with
from harness.breakpoints.targetreader import MAX_STRING, TargetReader
from harness.callbacks import CALLBACK_KINDS
from harness.kd.contexts import (
    MACHINE_AMD64,
    MACHINE_I386,
    Amd64Context,
    Amd64SpecialRegisters,
    I386Context,
)

STACK = 0x7000_0000
RETURN = 0x6000_1234
DATA = 0x5000_0000
TEXT = 0x4000_0000
PROGRAM = "\\Device\\HarddiskVolume1\\Windows\\notepad.exe"


class Machine:
    """One of the two, with the layouts that it has."""

    def __init__(self, pointer_size: int) -> None:
        self.word = pointer_size
        self.memory = MemoryImage()
        self.reader = TargetReader(self.memory.read, pointer_size)

    def call(self, *arguments: int) -> CallFrame:
        """A call with these arguments; above them, what some other call left."""
        letter = "Q" if self.word == 8 else "I"
        if self.word == 8:
            words = (RETURN, 0xAAAA, 0xAAAA, 0xAAAA, 0xAAAA, *arguments[4:])
        else:
            words = (RETURN, *arguments)
        words = (*words, *[0xEEEE] * 8)
        self.memory.put(STACK, f"<{len(words)}{letter}", *words)
        if self.word == 4:
            return CallFrame(I386Context(esp=STACK, ecx=0xBBBB, edx=0xBBBB), self.reader)
        rcx, rdx, r8, r9 = (*arguments, 0, 0, 0, 0)[:4]
        return CallFrame(Amd64Context(rsp=STACK, rcx=rcx, rdx=rdx, r8=r8, r9=r9), self.reader)

    def text(self, text: str) -> int:
        self.memory.put_text(TEXT, text, pointer_size=self.word)
        return TEXT

    def create_info(self, image: int) -> int:
        words = (0x48, 1, 1200, 1300, 1304, 0xF11E, image, 0, 0)
        self.memory.put(DATA, "<QQQQQQQQQ" if self.word == 8 else "<IIIIIIIII", *words)
        return DATA

    def image_info(self, base: int, size: int) -> int:
        if self.word == 8:
            self.memory.put(DATA, "<IxxxxQIxxxxQI", 0x403, base, 0, size, 0)
        else:
            self.memory.put(DATA, "<IIIII", 0x403, base, 0, size, 0)
        return DATA


@pytest.fixture(params=[8, 4], ids=["x64", "x86"])
def machine(request: pytest.FixtureRequest) -> Machine:
    return Machine(request.param)


def told(machine: Machine, group: str, frame: CallFrame, *, extended: bool = False) -> tuple[str, Any]:
    return called_with(group, frame, machine.reader, (4, 88), extended=extended)


def test_arguments_and_return_address(machine: Machine) -> None:
    frame = machine.call(11, 12, 13, 14, 15, 16, 17)
    assert [frame.argument(number) for number in range(7)] == [11, 12, 13, 14, 15, 16, 17]
    assert (frame.return_address, frame.stack_pointer) == (RETURN, STACK)


class TestRegistrations:
    @pytest.mark.parametrize(
        ("export", "arguments", "routines"),
        [
            ("PsSetCreateProcessNotifyRoutine", (0x9000, 0), (0x9000,)),
            ("PsSetCreateProcessNotifyRoutine", (0x9000, 1), ()),
            ("PsSetCreateProcessNotifyRoutineEx", (0x9000, 0xAB00), (0x9000,)),
            ("PsSetCreateProcessNotifyRoutineEx", (0x9000, 0xAB01), ()),
            ("PsSetCreateProcessNotifyRoutineEx2", (0, 0x9000, 0), (0x9000,)),
            ("PsSetCreateProcessNotifyRoutineEx2", (0, 0x9000, 1), ()),
            ("PsSetCreateThreadNotifyRoutine", (0x9000,), (0x9000,)),
            ("PsSetCreateThreadNotifyRoutineEx", (1, 0x9000), (0x9000,)),
            ("PsSetLoadImageNotifyRoutine", (0x9000,), (0x9000,)),
            ("PsSetLoadImageNotifyRoutine", (0,), ()),
            ("PsSetLoadImageNotifyRoutineEx", (0x9000, 1), (0x9000,)),
            ("CmRegisterCallbackEx", (0x9000, 0, 0, 0, 0, 0), (0x9000,)),
        ],
    )
    def test_what_a_call_registers(
        self, machine: Machine, export: str, arguments: tuple[int, ...], routines: tuple[int, ...]
    ) -> None:
        (row,) = (row for row in REGISTRATIONS if row.name == export)
        # An argument of one byte leaves the rest of its word as it was.
        assert registered_routines(row, machine.call(*arguments), machine.reader) == routines

    def test_object_callbacks(self, machine: Machine) -> None:
        self._object_registration(machine, count=2)
        frame = machine.call(DATA, DATA + 0x800)
        (row,) = (row for row in REGISTRATIONS if row.name == "ObRegisterCallbacks")
        assert registered_routines(row, frame, machine.reader) == (0x9000, 0x9100, 0x9200)

    def test_more_object_callbacks_than_there_can_be(self, machine: Machine) -> None:
        self._object_registration(machine, count=0xFFFF)
        frame = machine.call(DATA, DATA + 0x800)
        (row,) = (row for row in REGISTRATIONS if row.name == "ObRegisterCallbacks")
        assert len(registered_routines(row, frame, machine.reader)) == 3
        assert MAX_OPERATIONS < 0xFFFF

    def _object_registration(self, machine: Machine, *, count: int) -> None:
        operations = DATA + 0x100
        if machine.word == 8:
            machine.memory.put(DATA, "<HHxxxxQQQQ", 0x100, count, 0, 0, 0, operations)
            operation = struct.Struct("<QIxxxxQQ")
        else:
            machine.memory.put(DATA, "<HHIIII", 0x100, count, 0, 0, 0, operations)
            operation = struct.Struct("<IIII")
        rows = [(0x77, 3, 0x9000, 0x9100), (0x78, 1, 0x9200, 0)] + [(0, 0, 0, 0)] * (MAX_OPERATIONS - 2)
        machine.memory.regions[operations] = b"".join(operation.pack(*row) for row in rows)

    def test_a_registration_of_which_nothing_is_seen_says_why(self) -> None:
        quiet = RoutineRegistered("CmRegisterCallbackEx", "my.sys", 0x1200, unseen="no event")
        assert str(quiet) == (
            "my.sys+0x1200 was registered with CmRegisterCallbackEx; its calls are not seen: no event"
        )


class TestCalls:
    def test_a_process_is_created(self, machine: Machine) -> None:
        kind, fields = told(machine, "process", machine.call(1200, 1560, 0xAB01))
        assert (kind, fields) == (
            "process_create",
            {"pid": 1560, "parent_pid": 1200, "creating_pid": 4, "creating_tid": 88},
        )

    def test_a_process_ends(self, machine: Machine) -> None:
        kind, fields = told(machine, "process", machine.call(1200, 1560, 0xAB00))
        assert (kind, fields) == ("process_exit", {"pid": 1560, "context_pid": 4, "context_tid": 88})

    def test_a_process_is_created_as_an_ex_routine_is_told(self, machine: Machine) -> None:
        info = machine.create_info(machine.text(PROGRAM))
        kind, fields = told(machine, "process", machine.call(0x1, 1560, info), extended=True)
        assert (kind, fields) == (
            "process_create",
            {
                "pid": 1560,
                "parent_pid": 1200,
                "creating_pid": 1300,
                "creating_tid": 1304,
                "image": PROGRAM,
            },
        )

    def test_without_a_name(self, machine: Machine) -> None:
        frame = machine.call(0x1, 1560, machine.create_info(0))
        assert told(machine, "process", frame, extended=True)[1]["image"] is None

    def test_a_process_ends_as_an_ex_routine_is_told(self, machine: Machine) -> None:
        kind, fields = told(machine, "process", machine.call(0x1, 1560, 0), extended=True)
        assert (kind, fields["pid"]) == ("process_exit", 1560)

    @pytest.mark.parametrize(
        ("create", "kind", "context"), [(1, "thread_create", "creating"), (0, "thread_exit", "context")]
    )
    def test_a_thread(self, machine: Machine, create: int, kind: str, context: str) -> None:
        found, fields = told(machine, "thread", machine.call(1560, 1564, create))
        assert found == kind
        assert fields == {"pid": 1560, "tid": 1564, f"{context}_pid": 4, f"{context}_tid": 88}

    def test_an_image_is_mapped(self, machine: Machine) -> None:
        info = machine.image_info(0x1000_0000, 0x3000)
        kind, fields = told(machine, "image", machine.call(machine.text(PROGRAM), 1560, info))
        assert kind == "image_load"
        assert fields == {
            "pid": 1560,
            "image": PROGRAM,
            "base": 0x1000_0000,
            "size": 0x3000,
            "context_pid": 4,
            "context_tid": 88,
        }

    def test_an_image_without_a_name(self, machine: Machine) -> None:
        frame = machine.call(0, 1560, machine.image_info(0x1000_0000, 0x3000))
        assert told(machine, "image", frame)[1]["image"] is None

    def test_what_cannot_be_read_is_not_known(self, machine: Machine) -> None:
        _, image = told(machine, "image", machine.call(0xBAD0, 1560, 0xBAD0))
        assert (image["pid"], image["image"], image["base"], image["size"]) == (1560, None, None, None)
        kind, process = told(machine, "process", machine.call(0x1, 1560, 0xBAD0), extended=True)
        assert (kind, process["pid"], process.get("image")) == ("process_create", 1560, None)

    def test_a_context_that_is_not_known_is_left_open(self, machine: Machine) -> None:
        _, fields = called_with("thread", machine.call(1560, 1564, 1), machine.reader, None, extended=False)
        assert fields == {"pid": 1560, "tid": 1564, "creating_pid": None, "creating_tid": None}

    def test_a_name_without_end_is_cut(self, machine: Machine) -> None:
        frame = machine.call(machine.text("x" * 0x4000), 1560, machine.image_info(0, 0))
        image = told(machine, "image", frame)[1]["image"]
        assert image == "x" * (MAX_STRING // 2)

    def test_half_a_character_at_the_end_is_left_out(self, machine: Machine) -> None:
        address = machine.text("ab")
        region = bytearray(machine.memory.regions[address])
        region[0] = 3
        machine.memory.regions[address] = bytes(region)
        assert machine.reader.unicode_string(address) == "a"

    def test_the_fields_are_those_of_the_events(self, machine: Machine) -> None:
        calls = {
            "process_create": ("process", (1, 2, 1)),
            "thread_exit": ("thread", (1, 2, 0)),
            "image_load": ("image", (0, 2, 0)),
        }
        for kind, (group, arguments) in calls.items():
            found, fields = told(machine, group, machine.call(*arguments))
            assert found == kind
            assert set(fields) <= set(CALLBACK_KINDS[kind].event.__struct_fields__)


class TestDebugRegisters:
    def test_on_x64_they_lie_in_the_special_registers(self) -> None:
        place = place_of(MACHINE_AMD64)
        assert place is not None
        before = Amd64SpecialRegisters(cr3=0x1AB000, kernel_dr1=5, kernel_dr6=0xFFFF0FF0, kernel_dr7=0x400)
        data = before.encode()[: place.size]
        patched = place.patched(data, (1 << 63, 2, 3, 4), 0x455)
        after = Amd64SpecialRegisters.decode(patched.ljust(Amd64SpecialRegisters.SIZE, b"\0"))
        assert (after.kernel_dr0, after.kernel_dr3, after.kernel_dr7) == (1 << 63, 4, 0x455)
        assert (after.cr3, after.kernel_dr6) == (0x1AB000, 0xFFFF0FF0)
        assert place.read(patched) == ((1 << 63, 2, 3, 4), 0x455)

    def test_on_x86_they_lie_behind_the_context(self) -> None:
        place = place_of(MACHINE_I386)
        assert place is not None
        assert place.address == I386Context.SIZE + 0x10
        patched = place.patched(struct.pack("<6I", 0, 0, 0, 0, 0xFFFF0FF0, 0x400), (-1 << 31, 2, 3, 4), 0x455)
        assert struct.unpack("<6I", patched) == (0x8000_0000, 2, 3, 4, 0xFFFF0FF0, 0x455)

    def test_of_another_machine_nothing_is_known(self) -> None:
        assert place_of(0xAA64) is None
