"""``procnotify driver sign`` and ``driver verify``, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.signing.certificate import make_certificate
from harness.toolchain import default_driver


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Callable[[str], str]) -> Path:
    program("osslsigncode")
    monkeypatch.setenv("PROCNOTIFY_DATA", str(tmp_path / "data"))
    file = tmp_path / "mydriver.sys"
    file.write_bytes(default_driver().path.read_bytes())
    return file


def procnotify(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_a_driver_is_signed_with_the_made_certificate_and_verified(driver: Path, tmp_path: Path) -> None:
    signed = procnotify("driver", "sign", driver)
    assert signed.returncode == 0, signed.stderr
    lines = signed.stdout.splitlines()
    assert lines[0] == f"{driver}  signed by CN=procnotify test certificate"
    assert lines[2] == f"certificate for the guest: {tmp_path / 'data' / 'signing' / 'test-certificate.cer'}"
    verified = procnotify("driver", "verify", driver)
    assert verified.returncode == 0
    assert verified.stdout.splitlines()[:2] == lines[:2]
    assert f"verified: {verified.stdout.splitlines()[2]}" == lines[3]


def test_json_says_the_same(driver: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.sys"
    before = driver.read_bytes()
    signed = json.loads(procnotify("driver", "sign", driver, "--out", out, "--json").stdout)
    assert (signed["command"], signed["image"], signed["verified"]) == ("driver sign", str(out), True)
    assert driver.read_bytes() == before
    verified = json.loads(procnotify("driver", "verify", out, "--json").stdout)
    assert {key: verified[key] for key in ("signer", "thumbprint", "digest")} == {
        key: signed[key] for key in ("signer", "thumbprint", "digest")
    }


def test_ones_own_certificate(driver: Path, tmp_path: Path) -> None:
    mine = make_certificate(datetime.now(UTC))
    pem, key = tmp_path / "mine.pem", tmp_path / "mine.key"
    pem.write_bytes(mine.pem)
    key.write_bytes(mine.key_pem())
    assert procnotify("driver", "sign", driver, "--certificate", pem, "--key", key).returncode == 0
    assert procnotify("driver", "verify", driver, "--certificate", pem).returncode == 0
    other = procnotify("driver", "verify", driver)
    assert other.returncode == 2
    assert "does not vouch for" in other.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--key", "a.key"], "--key is given without its certificate; name it with --certificate"),
        (["--certificate", "a.pem"], "the certificate is given without its key; name it with --key"),
        (["--certificate", "a.pem", "--key", "a.key"], "cannot read a.pem: "),
    ],
)
def test_half_of_a_pair_is_a_mistake(driver: Path, words: list[str], said: str) -> None:
    done = procnotify("driver", "sign", driver, *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_driver_that_is_not_signed(driver: Path) -> None:
    done = procnotify("driver", "verify", driver)
    assert done.returncode == 2
    assert "is not signed; sign it: procnotify driver sign" in done.stderr


def test_a_machine_without_the_tool(driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = procnotify("driver", "sign", driver)
    assert done.returncode == 3
    assert "there is no osslsigncode on this machine; install it" in done.stderr


def test_a_signed_driver_runs_in_the_virtual_target(driver: Path, tmp_path: Path) -> None:
    assert procnotify("driver", "sign", driver).returncode == 0
    scenario = Path(__file__).parents[2] / "scenarios" / "create-thread.yaml"
    done = procnotify("run", scenario, "--driver", driver, "--trace-dir", tmp_path / "traces")
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stdout
