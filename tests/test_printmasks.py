"""Print masks as users write them."""

from __future__ import annotations

import pytest

from harness.printmasks import COMPONENTS, component_of, parse_print_mask, print_masks_words


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0xf", ("DEFAULT", 15)),
        ("8", ("DEFAULT", 8)),
        (" 0XFFFFFFFF ", ("DEFAULT", 0xFFFF_FFFF)),
        ("IHVDRIVER=0xff", ("IHVDRIVER", 255)),
        ("ihvbus=0", ("IHVBUS", 0)),
        ("Kd_DEFAULT_Mask=0xf", ("DEFAULT", 15)),
        ("WIN2000=0xf", ("WIN2000", 15)),
    ],
)
def test_a_mask_is_of_default_unless_it_names_its_component(text: str, meant: tuple[str, int]) -> None:
    assert parse_print_mask(text) == meant


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no print mask"),
        ("f", "no print mask"),
        ("-1", "no print mask"),
        ("0x1ffffffff", "no print mask"),
        ("4294967296", "a mask is 0 to 0xffffffff, not 4294967296"),
        ("IHVDRIVR=1", "no component 'IHVDRIVR'; known: SYSTEM"),
        ("WIN2000=2", "needs bit 0"),
        ("DEFAULT=", "no print mask"),
    ],
)
def test_what_is_no_mask_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_print_mask(text)


def test_every_component_is_found_by_its_name_and_its_masks() -> None:
    for name in COMPONENTS:
        assert component_of(name) == component_of(f"Kd_{name}_Mask") == name
    assert component_of("Kd_Mask") is None
    assert print_masks_words({"LDR": 3}) == "Kd_LDR_Mask=0x3"
