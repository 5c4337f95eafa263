"""Each way to go wrong, and the bugcheck or hang that Windows documents for it."""

from __future__ import annotations

import struct

import pytest
from booted import SYSTEM, USER, Booted

from harness.errors import DriverBugcheck, DriverHang
from harness.virtual.cpu.stops import Faulted
from harness.virtual.kernel.bugcheck import Scene, access_fault

UNMAPPED = 0xFFFF_A000_0000_0000
USER_ADDRESS = 0x10
NON_CANONICAL = 0x1234_0000_0000_0000
ACCESS_VIOLATION = 0xC0000005

CASES = {
    "reads-user-address-in-a-system-call": (10, USER_ADDRESS, 0x3B, {0: ACCESS_VIOLATION}),
    "reads-unmapped-kernel-address": (10, UNMAPPED, 0x50, {0: UNMAPPED, 1: 0}),
    "writes-unmapped-kernel-address": (11, UNMAPPED, 0x50, {0: UNMAPPED, 1: 2}),
    "reads-non-canonical-address": (10, NON_CANONICAL, 0x3B, {0: ACCESS_VIOLATION}),
    "writes-its-own-code": (12, 0, 0xBE, {}),
    "executes-its-own-data": (13, 0, 0xFC, {}),
    "reads-unmapped-at-dispatch-level": (14, UNMAPPED, 0xD1, {0: UNMAPPED, 1: 2, 2: 0}),
    "reads-null-at-dispatch-level": (14, 0, 0xD1, {0: 0, 1: 2, 2: 0}),
    "divides-by-zero": (15, 0, 0x3B, {0: 0xC0000094}),
    "executes-an-invalid-opcode": (16, 0, 0x3B, {0: 0xC000001D}),
    "frees-pool-twice": (17, 0, 0xC2, {0: 7}),
    "returns-at-dispatch-level": (18, 0, 0x4A, {1: 2}),
    "asks-for-a-bugcheck": (20, 0, 0xE2, {0: 1, 1: 2, 2: 3, 3: 4}),
    "fails-fast": (22, 0, 0x139, {0: 7}),
    "recurses-until-the-stack-ends": (23, 0, 0x7F, {0: 8}),
    "hands-an-export-a-bad-pointer": (24, UNMAPPED, 0x50, {0: UNMAPPED}),
    "prints-a-string-that-is-not-there": (32, UNMAPPED, 0x50, {0: UNMAPPED}),
    "writes-behind-its-pool": (27, 0, 0x50, {1: 2}),
    "writes-before-its-pool": (28, 0, 0xC1, {3: 0x23}),
    "frees-with-the-wrong-tag": (29, 0, 0xC2, {0: 0xA}),
    "reads-freed-pool": (30, 0, 0x50, {1: 0}),
}


@pytest.mark.parametrize("name", CASES)
def test_bugcheck(name, misbehave) -> None:
    number, argument, code, parameters = CASES[name]
    booted = Booted()
    booted.load(misbehave)
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(number, argument)
    error = caught.value
    assert (error.code, error.module) == (code, "misbehave.sys")
    assert {index: error.parameters[index] for index in parameters} == parameters
    assert booted.debugger.bugchecks == [(code, error.parameters, "misbehave.sys")]
    data = booted.kernel.memory.read(booted.kernel.symbol("KiBugCheckData"), 40)
    assert struct.unpack("<5Q", data) == (code, *error.parameters)


RULES = {
    "reads-through-null": (
        10,
        0x10,
        ["NullCheck: misbehave.sys uses a NULL pointer, address 0x10, instruction at mis"],
    ),
    "reads-null-at-dispatch-level": (
        14,
        0,
        ["NullCheck: misbehave.sys uses a NULL pointer, address 0x0, instruction at mis"],
    ),
    "writes-behind-its-pool": (27, 0, ["SpecialPool: misbehave.sys writes to what lies behind "]),
    "reads-freed-pool": (
        30,
        0,
        ["SpecialPool: misbehave.sys reads freed pool, instruction at misbehave.sys+0x"],
    ),
    "reads-unmapped-kernel-address": (10, UNMAPPED, []),
}


@pytest.mark.parametrize("name", RULES)
def test_a_bugcheck_breaks_the_rule_about_the_memory_that_it_is_for(name, misbehave) -> None:
    number, argument, beginnings = RULES[name]
    booted = Booted()
    booted.load(misbehave)
    with pytest.raises(DriverBugcheck):
        booted.create(number, argument)
    told = [f"{broken.rule}: {broken.message}" for broken in booted.kernel.broken_rules]
    assert [line[: len(begin)] for line, begin in zip(told, beginnings, strict=True)] == beginnings


HANGS = {
    "acquires-a-spin-lock-twice": (19, "spins on the spin lock"),
    "waits-for-an-event-without-end": (25, "which nobody will signal"),
    "removes-its-callback-from-inside": (26, "removes its process callback from inside it"),
}


@pytest.mark.parametrize("name", HANGS)
def test_hang(name, misbehave) -> None:
    number, reason = HANGS[name]
    booted = Booted()
    booted.load(misbehave)
    with pytest.raises(DriverHang, match=reason) as caught:
        booted.create(number)
    module = booted.kernel.modules[1]
    assert module.base < caught.value.address < module.base + module.size
    assert "misbehave.sys+0x" in str(caught.value)


def test_the_same_fault_in_a_system_thread_is_0x7e(booted, misbehave) -> None:
    booted.load(misbehave)
    with pytest.raises(DriverBugcheck) as caught:
        booted.create(10, USER_ADDRESS, context=SYSTEM)
    code, address, record, context = caught.value.code, *caught.value.parameters[1:]
    assert code == 0x7E
    memory = booted.kernel.memory
    status, _, _, at, count, _, access, fault = struct.unpack("<IIQQIIQQ", memory.read(record, 48))
    assert (status, at, count, access, fault) == (ACCESS_VIOLATION, address, 2, 0, USER_ADDRESS)
    assert struct.unpack("<Q", memory.read(context + 0xF8, 8)) == (address,)


def test_the_verifier_names_pool_faults(misbehave) -> None:
    for number, code in ((30, 0xD5), (27, 0xD6)):
        booted = Booted(verifier=True)
        booted.load(misbehave)
        with pytest.raises(DriverBugcheck) as caught:
            booted.create(number)
        assert caught.value.code == code


def test_the_verifier_demands_freed_pool_at_unload(misbehave) -> None:
    booted = Booted(verifier=True)
    booted.load(misbehave)
    booted.create(31)
    with pytest.raises(DriverBugcheck) as caught:
        booted.kernel.unload_driver(name="misbehave.sys", context=SYSTEM)
    assert (caught.value.code, caught.value.parameters[0], caught.value.parameters[3]) == (0xC4, 0x62, 1)


def test_without_the_verifier_left_pool_is_let_be(booted, misbehave) -> None:
    booted.load(misbehave)
    booted.create(31)
    assert booted.kernel.unload_driver(name="misbehave.sys", context=SYSTEM) == 0


def test_a_dead_machine_repeats_its_death(booted, misbehave) -> None:
    booted.load(misbehave)
    with pytest.raises(DriverBugcheck) as first:
        booted.create(20)
    with pytest.raises(DriverBugcheck) as second:
        booted.kernel.thread_notify(pid=8, tid=8, create=True, context=USER)
    assert first.value is second.value
    assert len(booted.debugger.bugchecks) == 1


def test_a_fault_inside_the_kernel_at_dispatch_level_is_0x0a(booted) -> None:
    scene = Scene(2, False, True, False, lambda _: None, lambda _: None, 1, 2, lambda _: False)
    raised = access_fault(Faulted(UNMAPPED, "write", False, 0x77), scene)
    assert (raised.code, raised.parameters) == (0x0A, (UNMAPPED, 2, 1, 0x77))
