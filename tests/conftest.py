"""Fixtures for what lies outside the project: recorded data and Wine.

``PROCNOTIFY_REQUIRE`` names what may not be missing (``shared_data``, ``wine``, ``pykd``, ``ntoseye``,
``libvirt``, ``cluster``, ``columns``, ``mcp``, ``wheels``, a program of another package: ``qemu-ga``,
``sshd``, ``osslsigncode``, ``chromium``; or ``all``): a skip for that reason becomes a failure. ``.ci/run``
sets it. On Windows ``all`` is what there is for Windows: the recorded data and pykd.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings
from limits_of_wine import LIMITS, LostStarts, expect_limits
from this_system import under_wine
from wine_setup_alone import wine_setup

from harness.debuggers.pykd.debugger import require
from harness.errors import RigError
from harness.report.json_document import json_document
from harness.resources import CACHE_VARIABLE, cache_dir

# How long an example takes says nothing of it: the machine may have other things to do.
settings.register_profile("procnotify", deadline=None)
settings.load_profile("procnotify")

# Output is compared; what a CI service is told besides has tests of its own.
for variable in ("GITHUB_ACTIONS", "TF_BUILD"):
    os.environ.pop(variable, None)

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def every_document_fits_its_schema() -> Iterator[None]:
    """Whatever a command prints in this process with ``--json`` is held to the published schema."""
    if sys.platform == "win32":  # whose Python here has no jsonschema; the documents are the same
        yield
        return

    def checked(command: str, **body: object) -> str:
        from printed_documents import mistakes_in

        text = json_document(command, **body)
        if command != "command":  # called without the group, which knows its name
            assert mistakes_in(json.loads(text)) == [], text[:2000]
        return text

    with pytest.MonkeyPatch.context() as patch:
        for module in ("harness.cli._options", "harness.cli.mine"):
            patch.setattr(f"{module}.json_document", checked)
        yield


def demanded(what: str) -> bool:
    """Whether ``PROCNOTIFY_REQUIRE`` demands ``what``."""
    required = os.environ.get("PROCNOTIFY_REQUIRE", "").split(",")
    return what in required or "all" in required


def skip_or_fail(what: str, reason: str) -> None:
    """Skip with the reason, or fail where ``PROCNOTIFY_REQUIRE`` demands ``what``."""
    if demanded(what):
        pytest.fail(f"{reason} (and PROCNOTIFY_REQUIRE demands {what})", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recordings from real Windows, beside the project's checkout."""
    if not SHARED_DATA.is_dir():
        skip_or_fail("shared_data", f"no recorded data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def wine() -> str:
    """Path of a ``wine`` that runs 64-bit programs."""
    if sys.platform == "win32":
        pytest.skip("there is no Wine on Windows")
    found = shutil.which("wine") or shutil.which("wine64")
    if found is None:
        skip_or_fail("wine", "Wine is not installed")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Finds a program of another package: its path, a skip where it is missing."""

    def find(name: str) -> str:
        if sys.platform != "linux":
            pytest.skip(f"{name} is taken from the packages of a Linux system")
        places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
        found = shutil.which(name, path=places)
        if found is None:
            skip_or_fail(name, f"{name} is not installed (.ci/run installs its package)")
        assert found is not None
        return found

    return find


@pytest.fixture(scope="session")
def wheel() -> Callable[[str], Path]:
    """Finds the file of a Python package in the folder ``PROCNOTIFY_WHEELS``, a skip where it is missing."""

    def find(name: str) -> Path:
        if sys.platform == "win32":
            pytest.skip("a virus scanner may take the published drivers away")
        folder = Path(os.environ.get("PROCNOTIFY_WHEELS") or os.devnull)
        found = sorted(folder.glob(f"{name}-*.whl"))
        if not found:
            skip_or_fail("wheels", f"PROCNOTIFY_WHEELS names no folder with a wheel of {name}")
        return found[-1]

    return find


@pytest.fixture(scope="session")
def pykd(request: pytest.FixtureRequest) -> str:
    """The name of the debugger, where this machine has what it needs.

    Where it is demanded, the Wine prefix is made first; a developer's tests do not download 200 MB unasked.
    """
    if sys.platform != "win32":
        request.getfixturevalue("wine")
        if demanded("pykd"):
            done = wine_setup()
            assert done.returncode == 0, done.stderr
    try:
        require()
    except RigError as missing:
        skip_or_fail("pykd", str(missing))
    return "pykd"


@pytest.fixture(params=["pykd", "ntoseye"])
def other_debugger(request: pytest.FixtureRequest) -> str:
    """The name of a debugger that is not ours, where it is installed."""
    request.getfixturevalue(request.param)
    return str(request.param)


@pytest.fixture(params=["native", "pykd", "ntoseye"])
def any_debugger(request: pytest.FixtureRequest) -> str:
    """The name of a debugger, where it is installed."""
    if request.param != "native":
        request.getfixturevalue(request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def ntoseye() -> ModuleType:
    """The KDNET debugger of the optional extra (not for Windows)."""
    if sys.platform == "win32":
        pytest.skip("ntoseye is not for Windows")
    try:
        return importlib.import_module("ntoseye")
    except ImportError:
        skip_or_fail("ntoseye", "the optional extra ntoseye is not installed")
        raise


@pytest.fixture(scope="session")
def distributed() -> ModuleType:
    """Dask, of the optional extra cluster (its worker processes are not tried on Windows)."""
    if sys.platform == "win32":
        pytest.skip("a cluster's workers are not tried on Windows")
    try:
        return importlib.import_module("distributed")
    except ImportError:
        skip_or_fail("cluster", "the optional extra cluster is not installed")
        raise


@pytest.fixture(scope="session")
def pyarrow() -> ModuleType:
    """The library for Parquet, of the optional extra columns."""
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError:
        _without_extra("columns")
        raise


@pytest.fixture(scope="session")
def mcp() -> ModuleType:
    """The protocol's SDK, of the optional extra mcp."""
    try:
        return importlib.import_module("mcp")
    except ImportError:
        _without_extra("mcp")
        raise


@pytest.fixture(scope="session")
def import_extra() -> None:
    """The libraries that read other tools' files, of the optional extra import."""
    for name in ("evtx", "procmon_parser", "dissect.etl"):
        try:
            importlib.import_module(name)
        except ImportError:
            _without_extra("import")


def _without_extra(name: str) -> None:
    """The Windows Python of the tests has what the project needs, and none of its extras."""
    reason = f"the optional extra {name} is not installed"
    if sys.platform == "win32":
        pytest.skip(reason)
    skip_or_fail(name, reason)


@pytest.fixture(scope="session")
def libvirt() -> ModuleType:
    """The Python binding of the optional extra, which is built where libvirt-dev is (not for Windows)."""
    if sys.platform == "win32":
        pytest.skip("libvirt's Python binding is not for Windows")
    try:
        found = importlib.import_module("libvirt")
    except ImportError:
        skip_or_fail("libvirt", "the optional extra libvirt is not installed")
        raise
    found.registerErrorHandler(lambda context, error: None, None)
    return found


def pytest_configure(config: pytest.Config) -> None:
    """Under Wine a process that it has lost is started again."""
    if sys.platform == "win32" and under_wine():
        import _winapi

        lost = LostStarts()
        _winapi.CreateProcess = lost.mended(_winapi.CreateProcess)
        config.pluginmanager.register(lost)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden files instead of comparing")


@pytest.hookimpl(tryfirst=True)  # before -k and -m take tests away
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if under_wine():
        expect_limits(config, items, LIMITS)


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """True when golden files are to be rewritten."""
    return bool(request.config.getoption("--update"))


@pytest.fixture(scope="session")
def user_cache() -> Path:
    """Where this user's builds of driver and guest helper are kept."""
    return cache_dir()


@pytest.fixture
def pytester(user_cache: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """pytest's own, which gives each test a home of its own: what the user has built is not built again."""
    monkeypatch.setenv(CACHE_VARIABLE, str(user_cache))
    return pytester
