"""KDNET listened to from beside: each print once, in its order, whatever the network does."""

from __future__ import annotations

from random import Random

import pytest
from recorded_session import KEY, datagrams

from harness.kd.debugio import PrintString, decode_debug_io
from harness.kd.kdnet import Drop, Key
from harness.kd.kdnet_tap import KdnetTap, SessionBegan

TEXTS = [b"print %d\n" % number for number in range(20)]


def heard(tap: KdnetTap, data: list[bytes]) -> tuple[list[bytes], list[bool]]:
    """The prints, and whether each session that began was of a new boot."""
    texts: list[bytes] = []
    began: list[bool] = []
    for each in data:
        for found in tap.receive(each):
            if isinstance(found, SessionBegan):
                began.append(found.fresh)
            else:
                record = decode_debug_io(found.payload)
                assert isinstance(record, PrintString)
                texts.append(record.text)
    return texts, began


def test_every_print_is_heard_once_in_its_order() -> None:
    tap = KdnetTap(KEY)
    assert heard(tap, datagrams(TEXTS)) == (TEXTS, [True])
    assert not tap.dropped


def test_what_is_sent_again_is_heard_once() -> None:
    tap = KdnetTap(KEY)
    assert heard(tap, datagrams(TEXTS, resends=3))[0] == TEXTS
    assert tap.dropped[Drop.REPEATED] >= 3


def test_doubled_datagrams_and_noise_change_nothing() -> None:
    chance = Random(3)
    mixed: list[bytes] = []
    for data in datagrams(TEXTS):
        flipped = bytearray(data)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        mixed += [data, data, bytes(flipped), chance.randbytes(chance.randrange(100))]
    tap = KdnetTap(KEY)
    assert heard(tap, mixed)[0] == TEXTS
    assert tap.dropped[Drop.BAD_MAC]


def test_a_target_that_begins_anew_is_a_fresh_session() -> None:
    texts, began = heard(KdnetTap(KEY), datagrams(TEXTS[:3], TEXTS[3:5]))
    assert (texts, began) == (TEXTS[:5], [True, True])


def test_without_the_handshake_nothing_is_opened() -> None:
    data = datagrams(TEXTS)
    tap = KdnetTap(KEY)
    assert heard(tap, data[4:]) == ([], [])
    assert tap.dropped[Drop.NO_SESSION]


@pytest.mark.parametrize("key", ["1.2.3.5", "4.3.2.1"])
def test_another_key_opens_nothing(key: str) -> None:
    tap = KdnetTap(Key.parse(key))
    assert heard(tap, datagrams(TEXTS)) == ([], [])
    assert tap.opened == 0
