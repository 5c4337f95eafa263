"""The virtual target saying what it is told to: ``python talking_target.py CONNECTION ACTION...``.

Once a debugger has let it go, it does each action, then prints ``done``:

``print=N``        prints ``line 0`` to ``line N-1``
``text=TEXT``      prints that, in UTF-8, and a line end
``prompt=TEXT``    asks that (DbgPrompt) and prints what was typed
``command=TEXT``   wants the host to execute a debugger command (DbgKdCommandStringStateChange)
``file=PATH``      asks for a file of the host (DbgKdCreateFile); prints the NTSTATUS and the file's length
``read=OFFSET,LENGTH`` reads of the file that was asked for last (DbgKdReadFile); prints the NTSTATUS, how
                   many bytes came and their CRC-32
``handle=DELTA``   means another handle than the one that it got last
``write=``         writes to that file (DbgKdWriteFile) and prints the NTSTATUS
``fetch=PATH``     fetches the file as before it loads a driver; prints its SHA-256, or ``none``
``load=SERVICE``   stores a file that is no image as ``SERVICE.sys`` and loads it; prints the NTSTATUS and the
                   SHA-256 of the file that it has loaded
``exception=CODE,CHANCE`` raises that NTSTATUS for the first or second time (1, 2) and prints what it was
                   continued with
``reboot=``        says that it reboots, and does; goes on once a debugger is there again
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from time import monotonic

from harness.connection import parse_connection
from harness.kd.debugio import GetString
from harness.kd.fileio import CreateFile, FileIo, ReadFile, WriteFile, decode_file_io
from harness.kd.packets import PacketType
from harness.kd.statechange import CommandString, Exception64
from harness.virtual.kdport import KdPort, open_kd_port
from harness.virtual.served import ServedTarget
from harness.virtual.stub.stub import KdStub

handles: list[int] = []
"""Of files of the host, the last one last."""


def ask_for_file(stub: KdStub, request: FileIo) -> FileIo:
    stub._link.deliver(PacketType.FILE_IO, request.encode())
    while (packet := stub._link.next_packet(1.0)) is None:
        pass
    return decode_file_io(packet.payload)


def act(stub: KdStub, action: str) -> None:
    kind, _, value = action.partition("=")
    if kind == "print":
        for number in range(int(value)):
            stub.print_string(b"line %d\n" % number, 0)
        return
    if kind == "text":
        stub.print_string(value.encode() + b"\n", 0)
        return
    if kind == "prompt":
        link = stub._link
        link.deliver(PacketType.DEBUG_IO, GetString.of(value.encode()).encode())
        while (packet := link.next_packet(1.0)) is None:
            pass
        answer = packet.record()
        assert isinstance(answer, GetString)
        stub.print_string(b"typed: %s\n" % answer.answer, 0)
        return
    if kind == "file":
        name = f"{value}\0".encode("utf-16-le")
        # FILE_GENERIC_READ, FILE_SHARE_READ, FILE_OPEN
        request = CreateFile(desired_access=0x120089, share_access=1, create_disposition=1, data=name)
        opened = ask_for_file(stub, request)
        assert isinstance(opened, CreateFile)
        handles.append(opened.handle)
        length = 0 if opened.status else opened.length
        stub.print_string(b"file: %08x %d\n" % (opened.status, length), 0)
        return
    if kind == "read":
        offset, length = (int(word, 0) for word in value.split(","))
        part = ask_for_file(stub, ReadFile(handle=handles[-1], offset=offset, length=length))
        got = (part.status, len(part.data), zlib.crc32(part.data))
        stub.print_string(b"read: %08x %d %08x\n" % got, 0)
        return
    if kind == "write":
        answer = ask_for_file(stub, WriteFile(handle=handles[-1], offset=0, length=4, data=b"evil"))
        stub.print_string(b"write: %08x\n" % answer.status, 0)
        return
    if kind == "handle":
        handles.append((handles[-1] + int(value, 0)) % (1 << 64))
        return
    if kind == "fetch":
        data = stub.fetch_driver(value)
        digest = "none" if data is None else hashlib.sha256(data).hexdigest()
        stub.print_string(f"fetched: {digest}\n".encode(), 0)
        return
    view = stub._view  # no driver can do this, so the stub offers no way
    assert view is not None
    view.capture(0)
    if kind == "exception":
        code, chance = value.split(",")
        address = view.breakpoint_with_status
        stub.halted = True
        resume = stub._serve(
            view,
            lambda report: Exception64(
                exception_code=int(code, 16),
                exception_address=address,
                first_chance=int(chance == "1"),
                **report,
            ),
            give_up=True,
        )
        stub.halted = False
        view.release(trace=False, dr7=None)
        stub.stops += 1
        stub.print_string(b"continued: %08x\n" % (0 if resume is None else resume.status), 0)
        return
    data = b"HOSTILE\0" + value.encode() + b"\0"
    stub._halt(lambda report: CommandString(data=data, **report), give_up=True)


def load(target: ServedTarget, service: str) -> None:
    path = target.put(f"{service}.sys", b"no image")
    status = target.load_driver(service, path)
    data = target._target.system.store.contents(path) or b""
    text = f"loaded: {status:08x} {hashlib.sha256(data).hexdigest()}\n"
    target.stub.print_string(text.encode(), 0)


def boot(port: KdPort) -> ServedTarget:
    return ServedTarget(port.session(), port.wire, now=monotonic, seed=1)


def main() -> None:
    connection, *actions = sys.argv[1:]
    port = open_kd_port(parse_connection(connection), "127.0.0.1", now=monotonic)
    target = boot(port)
    while not target.stops:
        target.idle()
    for action in actions:
        if action == "reboot=":
            target.stub.announce_reboot()
            target = boot(port)
            while not target.debugger_present:
                target.idle()
        elif action.startswith("load="):
            load(target, action.removeprefix("load="))
        else:
            act(target.stub, action)
    target.stub.print_string(b"done\n", 0)
    while True:
        target.idle()


if __name__ == "__main__":
    main()
