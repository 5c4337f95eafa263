"""Error codes in words: names from the compiler's headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import ToolchainError
from harness.toolchain import windows_errors
from harness.toolchain.windows_errors import nt_failed, ntstatus_from_win32, ntstatus_words, win32_words
from harness.virtual.windows import status as virtual_status


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "NTSTATUS 0x00000000 (STATUS_SUCCESS: success)"),
        (0xC0000022, "NTSTATUS 0xc0000022 (STATUS_ACCESS_DENIED: access denied)"),
        (-1073741790, "NTSTATUS 0xc0000022 (STATUS_ACCESS_DENIED: access denied)"),
        (
            0xC0000263,
            "NTSTATUS 0xc0000263 (STATUS_DRIVER_ENTRYPOINT_NOT_FOUND: "
            "the driver imports a routine that this kernel lacks)",
        ),
        (0xE0001234, "NTSTATUS 0xe0001234"),
        (0xC0070430, "Win32 error 1072 (ERROR_SERVICE_MARKED_FOR_DELETE: service marked for delete)"),
    ],
)
def test_an_ntstatus_in_words(status: int, words: str) -> None:
    assert ntstatus_words(status) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (5, "Win32 error 5 (ERROR_ACCESS_DENIED: access denied)"),
        (126, "Win32 error 126 (ERROR_MOD_NOT_FOUND: the DLL, or one that it needs, was not found)"),
        (4_000_000_000, "Win32 error 4000000000"),
    ],
)
def test_a_win32_error_in_words(code: int, words: str) -> None:
    assert win32_words(code) == words


def test_every_plainer_wording_is_of_a_name_that_the_headers_have() -> None:
    known = {*windows_errors._ntstatus_names().values(), *windows_errors._win32_names().values()}
    assert set(windows_errors._PLAINER) <= known


def test_the_virtual_targets_statuses_are_those_of_the_headers() -> None:
    names = windows_errors._ntstatus_names()
    ours = {name: value for name, value in vars(virtual_status).items() if name.startswith("STATUS_")}
    assert len(ours) > 20
    assert {name: names.get(value) for name, value in ours.items()} == {name: name for name in ours}


@pytest.mark.parametrize("status", [0, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_failure_is_the_same_on_both_sides(status: int) -> None:
    assert nt_failed(status) is virtual_status.failed(status) is (status >= 0x8000_0000)


@pytest.fixture
def forgotten() -> Iterator[None]:
    caches = (windows_errors._ntstatus_names, windows_errors._win32_names)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("missing", ["header", "package"])
def test_without_the_headers_a_code_is_its_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    def package_dir() -> Path:
        if missing == "package":
            raise ToolchainError("the ziglang package is not installed")
        return tmp_path

    monkeypatch.setattr(windows_errors, "package_dir", package_dir)
    assert ntstatus_words(0xC0000022) == "NTSTATUS 0xc0000022"
    assert win32_words(5) == "Win32 error 5"


@pytest.mark.parametrize(
    ("code", "status"), [(0, 0), (1, 0xC007_0001), (1072, 0xC007_0430), (0x1_0005, 0xC007_0005)]
)
def test_a_win32_error_as_an_ntstatus(code: int, status: int) -> None:
    assert ntstatus_from_win32(code) == status
    assert nt_failed(status) == (code != 0)
