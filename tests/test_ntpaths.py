"""Paths of Windows as text."""

from __future__ import annotations

import pytest

from harness.ntpaths import base_name


@pytest.mark.parametrize("path", ["\\Device\\HarddiskVolume3\\x\\A.Dll", "C:\\x\\A.Dll", "A.Dll"])
def test_a_base_name_is_the_last_component_as_it_is_spelt(path: str) -> None:
    assert base_name(path) == "A.Dll"


@pytest.mark.parametrize("path", ["C:/x/A.Dll", "C:\\x/A.Dll", "x/y\\A.Dll", "A.Dll"])
def test_what_people_write_has_slashes_too(path: str) -> None:
    assert base_name(path, slashes=True) == "A.Dll"


def test_in_a_path_of_the_kernel_a_slash_parts_nothing() -> None:
    assert base_name("\\Device\\x/y") == "x/y"


def test_of_a_folder_there_is_none() -> None:
    assert base_name("\\SystemRoot\\") == ""
