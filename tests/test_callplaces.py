"""The place of a call as it is told."""

from __future__ import annotations

from harness.callplaces import CallPlace


def test_a_site_is_the_call_and_those_that_led_to_it() -> None:
    place = CallPlace("x.sys", "ExAllocatePoolWithTag", (0x12, 0x345), "DriverEntry")
    assert place.site == "x.sys+0x12 <- x.sys+0x345"
    assert place._replace(stack=(0x12,)).site == "x.sys+0x12"
    assert place != place._replace(during="process_exit")
