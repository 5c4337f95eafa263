"""A serial port of this machine as a byte port, through pyserial: the same on Windows and elsewhere."""

from __future__ import annotations

import serial

from harness.ports.byteport import PIECE, PORT_SECONDS, WRITE_SECONDS

__all__ = ["SerialPort"]


class SerialPort:
    """The port ``device`` (COM1, /dev/ttyS0) with 8 data bits, no parity and one stop bit, as kdcom uses it.

    Raises OSError: no such device, or somebody else has it. See :class:`.byteport.BytePort`.

    :param baud: what the target uses.
    """

    def __init__(self, device: str, baud: int) -> None:
        try:
            self._port = serial.Serial(
                device, baud, timeout=PORT_SECONDS, write_timeout=WRITE_SECONDS, exclusive=True
            )
        except ValueError as error:
            raise OSError(f"the port cannot be set to {baud} baud: {error}") from error

    def read(self) -> bytes:
        port = self._port
        # The first byte is waited for; what came along with it is taken too.
        data: bytes = port.read(1)
        if data and (more := min(port.in_waiting, PIECE - 1)):
            data += port.read(more)
        return data

    def write(self, data: bytes) -> None:
        self._port.write(data)

    def close(self) -> None:
        self._port.close()
