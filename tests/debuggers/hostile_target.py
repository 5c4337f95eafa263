"""A target that wants the host to execute debugger commands: ``python -m tests.debuggers.hostile_target``.

The virtual target with one thing more: once a debugger has let it go, it sends each of the commands given as
a command-string state change (DbgKdCommandStringStateChange), then prints ``after``.
"""

from __future__ import annotations

import secrets
import sys
from time import monotonic

from harness.kd.statechange import CommandString
from harness.virtual.kdwire import UdpWire
from harness.virtual.served import Dialling, ServedTarget


def main() -> None:
    port, key, *commands = sys.argv[1:]
    dialling = Dialling.of("127.0.0.1", int(port), key)
    wire = UdpWire(dialling.hostip, dialling.port)
    target = ServedTarget(dialling, wire, now=monotonic, nonce=secrets.token_bytes(32), seed=1)
    while not target.stops:
        target.idle()
    stub = target.stub
    for command in commands:
        assert stub._view is not None
        stub._view.capture(0)
        data = b"HOSTILE\0" + command.encode() + b"\0"
        stub._halt(lambda report, data=data: CommandString(data=data, **report), give_up=True)
    stub.print_string(b"after\n", 0)
    while True:
        target.idle()


if __name__ == "__main__":
    main()
