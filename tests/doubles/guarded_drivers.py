"""Small drivers with control-flow guard, as ``clang -cfguard`` and ``lld-link /guard:cf`` make them."""

from __future__ import annotations

from pathlib import Path

from harness.toolchain.arch import Arch
from harness.toolchain.compile import DRIVER_FLAGS, FLAGS, system_includes
from harness.toolchain.driver import DRIVER_DEFINES, driver_sources
from harness.toolchain.importlibs import make_import_library
from harness.toolchain.runtime import make_runtime
from harness.toolchain.ziglang import run_tool

__all__ = ["LOAD_CONFIG", "make_guarded_driver"]

LOAD_CONFIG = r"""
__asm__(
    ".section .rdata,\"dr\"\n.p2align 3\n.globl _load_config_used\n_load_config_used:\n"
    ".long 0x94\n.zero 0x54\n.quad __security_cookie\n.zero 0x10\n"
    ".quad __guard_check_icall_fptr\n.quad __guard_dispatch_icall_fptr\n"
    ".quad __guard_fids_table\n.quad __guard_fids_count\n.long __guard_flags\n"
    ".section .00cfg,\"dr\"\n.p2align 3\n"
    ".globl __guard_check_icall_fptr\n__guard_check_icall_fptr: .quad CheckNothing\n"
    ".globl __guard_dispatch_icall_fptr\n__guard_dispatch_icall_fptr: .quad JumpUnchecked\n"
    ".text\nCheckNothing: ret\nJumpUnchecked: jmp *%rax\n");
unsigned __int64 __security_cookie = 0x2B992DDFA232;
"""
"""What Microsoft's run-time library adds to a driver: its load configuration, and guard pointers that lead to
routines which check nothing, until the kernel sets them."""


def make_guarded_driver(source: str, folder: Path) -> bytes:
    """The driver of one C file with this text; :data:`LOAD_CONFIG` has to be a part of it."""
    (folder / "guarded.c").write_text(source, encoding="utf-8")
    ours = driver_sources() / "wdk"
    includes = [ours, *system_includes(kernel=True)]
    names = Arch.X64.names
    run_tool(
        "clang",
        [
            f"--target={names.triple}",
            *("-c", "-std=gnu17", *FLAGS, *names.kernel_flags, *DRIVER_FLAGS),
            *("-Xclang", "-cfguard"),
            *(f"-D{name}={value}" for name, value in DRIVER_DEFINES.items()),
            *(flag for include in includes for flag in ("-isystem", str(include))),
            *("guarded.c", "-o", "guarded.obj"),
        ],
        cwd=folder,
    )
    libraries = [
        make_runtime(Arch.X64, folder, kernel=True),
        make_import_library("ntoskrnl", Arch.X64, folder),
    ]
    run_tool(
        "lld-link",
        [
            *("/nologo", "/nodefaultlib", "/driver", "/guard:cf", "/machine:x64", "/subsystem:native"),
            *("/entry:DriverEntry", "/out:guarded.sys", "guarded.obj"),
            *(library.name for library in libraries),
        ],
        cwd=folder,
    )
    return (folder / "guarded.sys").read_bytes()
