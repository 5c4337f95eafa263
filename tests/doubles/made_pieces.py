"""Wheels and Debian packages as the setup takes them, made by the test."""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PYTHON = "panda3d-1.10.99-cp39-cp39-win_amd64.whl"
PYKD = "pykd-0.3.4.99-cp39-none-win_amd64.whl"
MINIMAL = "libpython3.9-minimal_3.9.2-1_amd64.deb"
STDLIB = "libpython3.9-stdlib_3.9.2-1_amd64.deb"


def zip_bytes(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return buffer.getvalue()


def ar_member(name: str, contents: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(contents):<10}`\n"
    return header.encode() + contents + b"\n" * (len(contents) % 2)


def tar_bytes(members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, contents in members:
            info.size = len(contents) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(contents))
    return buffer.getvalue()


def deb_of_tar(tar: bytes) -> bytes:
    return deb_of_data(lzma.compress(tar))


def deb_of_data(data: bytes, name: str = "data.tar.xz") -> bytes:
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", name: data}
    return b"!<arch>\n" + b"".join(ar_member(*member) for member in members.items())


def deb_bytes(files: Mapping[str, bytes]) -> bytes:
    return deb_of_tar(tar_bytes([(tarfile.TarInfo(name), contents) for name, contents in files.items()]))


def make_pieces(folder: Path) -> Path:
    """The four files, each with the least that a setup takes out of it."""
    folder.mkdir(parents=True, exist_ok=True)
    python = {
        "deploy_libs/python39.dll": b"the interpreter",
        "deploy_libs/_socket.pyd": b"a module",
        "deploy_libs/api-ms-win-crt-heap-l1-1-0.dll": b"the C runtime",
        "panda3d/core.pyd": b"a game engine",
    }
    (folder / PYTHON).write_bytes(zip_bytes(python))
    (folder / PYKD).write_bytes(zip_bytes({"pykd/pykd.pyd": b"pykd", "pykd/dbgeng.dll": b"DbgEng"}))
    minimal = {
        "./usr/lib/python3.9/os.py": b"import abc\n",
        "./usr/lib/python3.9/lib-dynload/x.so": b"ELF",
    }
    (folder / MINIMAL).write_bytes(deb_bytes(minimal))
    (folder / STDLIB).write_bytes(
        deb_bytes({"./usr/lib/python3.9/json/__init__.py": b"", "./usr/share/doc/a.py": b""})
    )
    return folder
