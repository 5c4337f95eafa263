"""What a launch maps when no recording describes it: made up from import tables.

The loader maps a program's imports depth first, in the order of the import table. A 32-bit program gets
both ntdlls and the three libraries of WOW64 before its own imports (order: debugger output in
NationalSecurityAgency/ghidra#5947).
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.ntpaths import base_name
from harness.virtual.nt.images import (
    SYSTEM32,
    SYSWOW64,
    WOW64_LIBRARIES,
    ImageFile,
    ImageStore,
    path_32_bit,
)
from harness.virtual.nt.profile import Delay, Launch, Node, Profile, Variant

__all__ = ["PROCESS_EXIT", "imports_in_load_order", "plan_launch"]

FIRST_THREAD: Delay = (18, 19, 25, 32, 75)
EXECUTABLE: Delay = (2_000, 4_000, 8_000, 15_000, 40_000)
LIBRARY: Delay = (600, 740, 860, 1_100, 3_500)
"""Quantiles of most library loads in the recorded launches, in microseconds."""
EXIT: Delay = (0, 200, 600, 2_000, 9_000)
PROCESS_EXIT: Delay = (500, 2_000, 6_000, 15_000, 60_000)
"""From the last thread's exit to the process's, for a program without windows."""


def imports_in_load_order(store: ImageStore, image: ImageFile) -> list[ImageFile]:
    """All libraries that mapping ``image`` draws in, in load order; ntdll and names nobody has left out."""
    seen = {image.path.casefold()}
    found: list[ImageFile] = []
    waiting = [iter(image.imports)]
    while waiting:
        name = next(waiting[-1], None)
        if name is None:
            waiting.pop()
            continue
        library = _resolve(store, image, name)
        if library is not None and library.path.casefold() not in seen:
            seen.add(library.path.casefold())
            found.append(library)
            waiting.append(iter(library.imports))
    return found


def _resolve(store: ImageStore, image: ImageFile, name: str) -> ImageFile | None:
    """The file behind an import. API sets (``api-ms-win-...``) stand for KernelBase and ucrtbase, which their
    schema maps them to."""
    lower = name.casefold()
    if lower == "ntdll.dll":
        return None
    if lower.startswith("api-ms-win-crt-"):
        name = "ucrtbase.dll"
    elif lower.startswith(("api-ms-", "ext-ms-")):
        name = "KernelBase.dll"
    return store.find(name, wow64=image.wow64, folder=image.path.rpartition("\\")[0])


def plan_launch(profile: Profile, store: ImageStore, image: ImageFile) -> Launch:
    """The facts for launching ``image``: recorded ones if the profile has them, else made up."""
    recorded = {launch.image.casefold(): launch for launch in profile.launches}
    launch = recorded.get(image.path.casefold())
    if launch is not None:
        return launch
    if image.wow64:
        twin = recorded.get(rf"{SYSTEM32}\{base_name(image.path)}".casefold())
        if twin is not None and image.path.startswith(SYSWOW64):
            return _as_wow64(twin, image)
    return _made_up(store, image)


def _made_up(store: ImageStore, image: ImageFile) -> Launch:
    libraries = [SYSTEM32 + r"\ntdll.dll"]
    if image.wow64:
        libraries += _wow64_paths()
    system = SYSWOW64 if image.wow64 else SYSTEM32
    libraries += [rf"{system}\kernel32.dll", rf"{system}\KernelBase.dll"]
    known = {path.casefold() for path in libraries}
    libraries += [
        found.path for found in imports_in_load_order(store, image) if found.path.casefold() not in known
    ]
    return _launch(image.path, list(_chain(image.path, libraries)))


def _chain(program: str, libraries: list[str]) -> Iterator[Node]:
    """The first thread maps one image after the other."""
    yield Node("create 0", "create", {"parent": 1}, FIRST_THREAD, thread=0)
    previous = "create 0"
    for path in [program, *libraries]:
        node = _load(path, previous, LIBRARY if path != program else EXECUTABLE)
        yield node
        previous = node.id
    yield Node("exit 0", "exit", {"0": 1}, EXIT, phase="exit", thread=0)


def _load(path: str, after: str, delay: Delay) -> Node:
    return Node(_load_id(path), "load", {"0": 1}, delay, after=[after], image=path)


def _load_id(path: str) -> str:
    folder = "32-bit " if path.startswith(SYSWOW64) else ""
    return f"load {folder}{base_name(path)}"


def _launch(program: str, nodes: list[Node]) -> Launch:
    return Launch(program, 0, nodes, [Variant(1, [])], PROCESS_EXIT, 0)


def _wow64_paths() -> list[str]:
    return [rf"{SYSWOW64}\ntdll.dll", *(rf"{SYSTEM32}\{name}" for name in WOW64_LIBRARIES)]


def _as_wow64(twin: Launch, image: ImageFile) -> Launch:
    """The 32-bit program as its 64-bit twin was recorded, with WOW64's own images after the 64-bit ntdll."""
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    for node in twin.nodes:
        path, name = node.image, node.id
        if path is not None and base_name(path).casefold() != "ntdll.dll":
            path = path_32_bit(path)
            name = _load_id(path)
        renamed[node.id] = name
        after = [renamed[earlier] for earlier in node.after]
        nodes.append(
            Node(name, node.kind, node.by, node.delay, after, node.phase, path, node.thread, node.idle)
        )
        if path is not None and base_name(path).casefold() == "ntdll.dll":
            for extra in _wow64_paths():
                nodes.append(_load(extra, nodes[-1].id, LIBRARY))
            renamed[node.id] = nodes[-1].id
    variants = [
        Variant(variant.count, [renamed[name] for name in variant.without]) for variant in twin.variants
    ]
    return Launch(image.path, 0, nodes, variants, twin.exit_delay, twin.exit_by_last)
