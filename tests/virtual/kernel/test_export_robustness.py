"""Any export, called with any arguments, ends in a result or in a trap that the kernel understands."""

from __future__ import annotations

import pytest
from booted import Booted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.virtual.cpu.traps import TrapError
from harness.virtual.kernel.exports import EXPORTS
from harness.virtual.kernel.varargs import VarArgs

BOOTED = Booted()
SYSTEM = BOOTED.kernel._system
BUFFER = SYSTEM.heap.put(bytes(range(1, 128)) * 4)
STRING = SYSTEM.heap.unicode_string("some text")
SYSTEM.service_rsp = SYSTEM.stack.high - 0x200

WORDS = st.one_of(
    st.sampled_from([0, 1, 2, 8, 16, BUFFER, STRING, BUFFER + 64, SYSTEM.objects.process(4).address]),
    st.sampled_from([0xFFFF_FFFF_FFFF_FFFF, 0x8000_0000, 0xFFFF_A000_0000_0000, 0x1234_0000_0000_0000]),
    st.integers(0, 300),
    st.integers(0, (1 << 64) - 1),
)


@pytest.mark.parametrize("name", sorted(EXPORTS))
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(data=st.data())
def test_every_export_survives_any_arguments(name: str, data: st.DataObject) -> None:
    export = EXPORTS[name]
    arguments: list[object] = [data.draw(WORDS) for _ in range(export.arguments)]
    if export.variadic:
        arguments.append(VarArgs(SYSTEM.memory, (data.draw(WORDS),), BUFFER))
    SYSTEM.cpu.irql = data.draw(st.sampled_from([0, 0, 1, 2]))
    try:
        result = export.handler(SYSTEM, *arguments)
    except TrapError:
        return
    assert result is None or isinstance(result, int)
