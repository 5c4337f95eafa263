"""What the debugger adds between the driver's lines: a stop, a reboot, a connection that was closed."""

from __future__ import annotations

from harness.events import Disconnect, Print, Reboot, Stop
from harness.grammars import builtin_grammar
from harness.lines import EventAssembler


def test_a_stop_comes_after_the_line_that_was_unfinished() -> None:
    assembler = EventAssembler(builtin_grammar())
    assembler.feed("half a line")
    assert assembler.stop(0xC0000005, 0x1000, first_chance=False, module="a.sys") == [
        Print(index=0, line="half a line"),
        Stop(index=1, code=0xC0000005, address=0x1000, first_chance=False, module="a.sys"),
    ]


def test_a_reboot_leaves_no_line_half_done_for_the_next_boot() -> None:
    assembler = EventAssembler(builtin_grammar())
    assembler.feed("half ")
    assert assembler.reboot() == [Print(index=0, line="half "), Reboot(index=1)]
    assert assembler.feed("whole\n") == [Print(index=2, line="whole")]


def test_a_line_that_the_closing_cut_off_is_not_joined_with_what_comes_after() -> None:
    assembler = EventAssembler(builtin_grammar())
    assembler.feed("half ")
    assert assembler.disconnect() == [Print(index=0, line="half "), Disconnect(index=1)]
    assert assembler.feed("whole\n") == [Print(index=2, line="whole")]
