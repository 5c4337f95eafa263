"""What a prepared guest is set to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import Final, TypeAlias

from harness.errors import UsageError
from harness.kd.kdnet import Key
from harness.printmasks import DEFAULT, PrintMasks

__all__ = ["Debugging", "GuestSettings", "NetworkDebugging", "SerialDebugging"]

LOWEST_KDNET_PORT: Final = 49152
"""Microsoft's page on ``BCDEdit /dbgsettings`` wants the debugger's port there or above."""
OPEN_PRINT_MASKS: Final[PrintMasks] = {DEFAULT: 0xF, "IHVDRIVER": 0xFF}
"""A plain DbgPrint and the project's own driver are heard."""
_FOLDER: Final = re.compile(r"[A-Za-z]:\\[\w\\ .-]{1,200}", re.ASCII)
_BUS_PARAMS: Final = re.compile(r"\d{1,3}\.\d{1,2}\.\d", re.ASCII)
_COM_PORT: Final = re.compile(r"COM[1-9]\d?", re.ASCII)


@dataclass(frozen=True)
class NetworkDebugging:
    """KDNET: where the guest finds the debugger."""

    host_ip: str
    """IPv4 address of the debugger's machine, as the guest reaches it."""
    port: int
    """UDP port that the debugger listens on."""
    key: Key
    bus_params: str | None = None
    """The debug NIC's place on the bus, ``bus.device.function`` in decimal; None: Windows takes the first NIC
    that KDNET supports."""

    def __post_init__(self) -> None:
        try:
            IPv4Address(self.host_ip)
        except AddressValueError:
            raise UsageError(
                f"{self.host_ip!r} is no IPv4 address of the debugger's machine",
                hint="give the address at which the guest reaches it",
            ) from None
        if not LOWEST_KDNET_PORT <= self.port <= 0xFFFF:
            raise UsageError(
                f"Windows does not dial UDP port {self.port}", hint=f"choose {LOWEST_KDNET_PORT} to 65535"
            )
        if self.bus_params is not None and _BUS_PARAMS.fullmatch(self.bus_params) is None:
            raise UsageError(
                f"{self.bus_params!r} is no place on a bus", hint="write bus.device.function, as in 0.25.0"
            )


@dataclass(frozen=True)
class SerialDebugging:
    """KDCOM: which of the guest's serial ports the kernel debugger owns."""

    port: int = 1
    """n of COMn."""
    baud: int = 115200

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 4:
            raise UsageError(f"COM{self.port} cannot carry KD", hint="choose COM1 to COM4")


Debugging: TypeAlias = NetworkDebugging | SerialDebugging


@dataclass(frozen=True)
class GuestSettings:
    """Everything that preparation sets; whatever is not named here stays as it is.

    :raises UsageError: a value that a command line of Windows cannot carry.
    """

    debugging: Debugging
    folder: str = r"C:\procnotify"
    """Work folder of the guest channel, and where the files go."""
    test_signing: bool = True
    """Load drivers that are signed with a test certificate. False: what loads then is what loads at a
    customer's, as far as an attached debugger lets one see that."""
    honest_signing: bool = False
    """Check signatures although a debugger is attached. Otherwise Windows loads unsigned drivers then, and a
    missing signature shows only where there is none."""
    print_masks: Mapping[str, int] = field(default_factory=lambda: OPEN_PRINT_MASKS)
    """What is set in the registry's Debug Print Filter."""
    certificate: bytes | None = None
    """Of who signs the drivers, DER; trusted by the guest afterwards. None: no certificate is added."""
    serve_port: str | None = None
    """``COM2``: the guest helper serves this port from each start of Windows on. None: it does not."""

    def __post_init__(self) -> None:
        if _FOLDER.fullmatch(self.folder) is None or ".." in self.folder:
            raise UsageError(
                f"{self.folder!r} is no folder for the guest's files", hint=r"write one like C:\procnotify"
            )
        if self.serve_port is not None and _COM_PORT.fullmatch(self.serve_port) is None:
            raise UsageError(f"{self.serve_port!r} is no serial port of a guest", hint="write COM2")
        kd = self.debugging
        if isinstance(kd, SerialDebugging) and self.serve_port == f"COM{kd.port}":
            raise UsageError(
                f"{self.serve_port} belongs to the kernel debugger", hint="give the helper another port"
            )
