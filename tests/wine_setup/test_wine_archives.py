"""Wheels and Debian packages are not trusted: whole and harmless, or one error."""

from __future__ import annotations

import lzma
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_pieces import ar_member, deb_bytes, deb_of_data, deb_of_tar, tar_bytes, zip_bytes
from this_system import DEV_FULL, LINKS

from harness.wine import archives
from harness.wine.archives import check_deb, check_zip, unpack_deb, unpack_zip
from harness.wine.errors import DownloadError, PrefixError

FUZZ = settings(
    derandomize=True,
    database=None,
    max_examples=1000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NOISE = random.Random(1).randbytes(30_000)
"""Does not compress, so that a cut in the middle of the archive is one in its data."""
FILES = {"a.py": b"a = 1\n", "sub/b.py": b"b = 2\n" * 500, "sub/noise.bin": NOISE}

Unpack = Callable[[Path, Path, archives.Rename], int]
Check = Callable[[Path], None]
ZIP = pytest.param(zip_bytes, check_zip, unpack_zip, id="zip")
DEB = pytest.param(deb_bytes, check_deb, unpack_deb, id="deb")
BOTH = pytest.mark.parametrize(("make", "check", "unpack"), [ZIP, DEB])


def everything(name: PurePosixPath) -> PurePosixPath:
    return name


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "piece.whl"


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    folder = tmp_path / "outer" / "destination"
    folder.mkdir(parents=True)
    return folder


def files_below(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(path: Path, *checks: Check) -> str:
    """The one line that each of ``checks`` says."""
    said = set()
    for check in checks:
        with pytest.raises(DownloadError) as error:
            check(path)
        said.add(str(error.value))
    assert len(said) == 1
    (line,) = said
    assert line.startswith(f"{path.name} is damaged or cut off: ")
    assert line.endswith("; remove it and run the setup again")
    assert line.isprintable()
    return line


@BOTH
def test_right_contents_at_the_right_place(make, check, unpack, archive, destination) -> None:
    archive.write_bytes(make(FILES))
    check(archive)
    assert unpack(archive, destination, everything) == 3
    assert files_below(destination) == FILES


@BOTH
def test_only_what_is_named_is_written_under_its_new_name(make, check, unpack, archive, destination) -> None:
    archive.write_bytes(make(FILES))

    def rename(name: PurePosixPath) -> PurePosixPath | None:
        return PurePosixPath("new", name.name) if name.suffix == ".py" else None

    assert unpack(archive, destination, rename) == 2
    assert files_below(destination) == {"new/a.py": FILES["a.py"], "new/b.py": FILES["sub/b.py"]}


@BOTH
@pytest.mark.parametrize("keep", [0.0, 0.0005, 0.002, 0.25, 0.5, 0.75, 0.95, 0.999, -1])
def test_cut_off(make, check, unpack, archive, destination, keep: float) -> None:
    whole = make(FILES)
    archive.write_bytes(whole[: int(len(whole) * keep) if keep >= 0 else -1])
    refused(archive, check, lambda path: unpack(path, destination, everything))


def test_a_package_cut_off_anywhere_in_its_data(archive) -> None:
    whole = deb_bytes({"a.py": b"a", "b.py": b"b"})
    data = whole.index(b"\xfd7zXZ")
    for length in range(len(whole) - 1):
        archive.write_bytes(whole[:length])
        # Only the filling behind data of odd length may be missing.
        if length < data + int(whole[data - 12 : data - 2]):
            refused(archive, check_deb)


def test_a_package_whose_data_ends_between_two_files(archive) -> None:
    """xz says so, the tar inside does not: the first file is whole."""
    tar = tar_bytes([(tarfile.TarInfo("a.py"), b"a"), (tarfile.TarInfo("noise"), NOISE)])
    encoder = lzma.LZMACompressor(filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])
    first = encoder.compress(tar[:1024]) + encoder.flush()
    end_of_block = len(first) - 12 - 12  # without the index and the footer
    archive.write_bytes(deb_of_data(first[:end_of_block]))
    refused(archive, check_deb)


@pytest.mark.parametrize(("make", "check"), [(zip_bytes, check_zip), (deb_bytes, check_deb)])
def test_a_flipped_bit_in_the_data(make, check, archive) -> None:
    whole = bytearray(make({"noise.bin": NOISE}))
    for place in (len(whole) // 4, len(whole) // 2, len(whole) * 3 // 4):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        archive.write_bytes(flipped)
        refused(archive, check)


def test_the_checksum_at_the_end_of_a_package_counts(archive) -> None:
    data = bytearray(lzma.compress(tar_bytes([(tarfile.TarInfo("a.py"), NOISE)]), check=lzma.CHECK_CRC64))
    # Stream: blocks (each ends with its checksum), index, footer of 12 bytes that says how long the index is.
    index = (struct.unpack("<I", data[-8:-4])[0] + 1) * 4
    data[-12 - index - 1] ^= 1
    archive.write_bytes(deb_of_data(bytes(data)))
    refused(archive, check_deb)


def test_a_wrong_checksum_of_a_zip_is_named(archive) -> None:
    whole = zip_bytes({"sub/b.py": NOISE}, zipfile.ZIP_STORED)
    archive.write_bytes(whole.replace(NOISE[:100], bytes(100)))
    assert "sub/b.py" in refused(archive, check_zip)


OUTSIDE = ["../x", "a/../../x", "/etc/x", "//x", "..\\x", "a\\..\\..\\x", "C:\\x", "C:/x", "x:stream"]


@BOTH
@pytest.mark.parametrize("name", OUTSIDE)
def test_paths_that_lead_out(make, check, unpack, archive, destination, name: str) -> None:
    archive.write_bytes(make({name: b"harm"}))
    line = refused(archive, lambda path: unpack(path, destination, everything))
    assert "leads out of it" in line
    assert files_below(destination.parent) == {}


@BOTH
@pytest.mark.parametrize("name", ["\n\x1b[31mred", "\x07", "x\u202e"])
def test_names_of_files_do_not_reach_the_terminal_as_they_stand(
    make, check, unpack, archive, destination, name: str
) -> None:
    archive.write_bytes(make({f"../{name}": b"harm"}))
    refused(archive, lambda path: unpack(path, destination, everything))


@BOTH
def test_a_path_too_long_for_windows(make, check, unpack, archive, destination) -> None:
    archive.write_bytes(make({"sub/" + "x" * 300: b""}))
    assert "too long" in refused(archive, lambda path: unpack(path, destination, everything))


@BOTH
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c")])
def test_two_files_in_one_place(make, check, unpack, archive, destination, names) -> None:
    archive.write_bytes(make(dict.fromkeys(names, b"contents")))
    assert "another file" in refused(archive, lambda path: unpack(path, destination, everything))


@BOTH
def test_the_destination_itself_is_not_a_place_for_a_file(make, check, unpack, archive, destination) -> None:
    archive.write_bytes(make({"a": b""}))
    refused(archive, lambda path: unpack(path, destination, lambda name: PurePosixPath()))


SPECIAL = {
    "symlink": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "folder": tarfile.DIRTYPE,
}


@pytest.mark.parametrize("kind", SPECIAL.values(), ids=SPECIAL.keys())
def test_nothing_but_regular_files_is_taken_out_of_a_package(archive, destination, kind: bytes) -> None:
    special = tarfile.TarInfo("a")
    special.type = kind
    special.linkname = "../../target"
    below = tarfile.TarInfo("a/x")
    archive.write_bytes(deb_of_tar(tar_bytes([(special, b""), (below, b"contents")])))
    assert unpack_deb(archive, destination, everything) == 1
    assert files_below(destination.parent) == {"destination/a/x": b"contents"}
    assert not (destination / "a").is_symlink()


def test_a_symlink_in_a_wheel_is_no_link(archive, destination) -> None:
    link = zipfile.ZipInfo("a")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr(link, "/etc/passwd")
    unpack_zip(archive, destination, everything)
    assert not (destination / "a").is_symlink()
    assert (destination / "a").read_bytes() == b"/etc/passwd"


@BOTH
def test_a_file_at_and_beyond_the_limit(make, check, unpack, archive, destination, monkeypatch) -> None:
    archive.write_bytes(make({"a.py": b"x" * 1000}))
    monkeypatch.setattr(archives, "MAX_FILE", 1000)
    check(archive)
    monkeypatch.setattr(archives, "MAX_FILE", 999)
    assert "a.py" in refused(archive, check, lambda path: unpack(path, destination, everything))
    assert files_below(destination) == {}


@BOTH
def test_as_many_files_as_allowed_and_one_more(
    make, check, unpack, archive, destination, monkeypatch
) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    archive.write_bytes(make({f"{number}.py": b"" for number in range(3)}))
    check(archive)
    archive.write_bytes(make({f"{number}.py": b"" for number in range(4)}))
    refused(archive, check)
    with pytest.raises(DownloadError, match="limits"):
        unpack(archive, destination, everything)


@BOTH
def test_many_files_that_are_too_much_together(
    make, check, unpack, archive, destination, monkeypatch
) -> None:
    archive.write_bytes(make({f"{number}.py": bytes(10_000) for number in range(8)}))
    monkeypatch.setattr(archives, "MAX_TOTAL", 79_999)
    refused(archive, check)
    with pytest.raises(DownloadError):
        unpack(archive, destination, everything)


def test_a_zip_that_expands_to_more_than_it_declares(archive, destination) -> None:
    whole = bytearray(zip_bytes({"bomb": bytes(5_000_000)}))
    real, declared = struct.pack("<I", 5_000_000), struct.pack("<I", 10)
    assert whole.count(real) == 2
    archive.write_bytes(whole.replace(real, declared))
    refused(archive, check_zip, lambda path: unpack_zip(path, destination, everything))
    assert sum(map(len, files_below(destination).values())) <= 10


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_python_expands_without_a_bound(archive, destination, method: int) -> None:
    archive.write_bytes(zip_bytes({"a.py": b"a"}, method))
    line = refused(archive, check_zip, lambda path: unpack_zip(path, destination, everything))
    assert "a.py" in line


def test_an_encrypted_zip(archive) -> None:
    whole = bytearray(zip_bytes({"a.py": b"a"}, zipfile.ZIP_STORED))
    whole[6] |= 1
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(whole)
    assert "encrypted" in refused(archive, check_zip)


def test_a_package_that_wants_too_much_memory(archive, monkeypatch) -> None:
    archive.write_bytes(deb_bytes(FILES))
    monkeypatch.setattr(archives, "MAX_MEMORY", 1_000_000)
    assert "emory" in refused(archive, check_deb)


NO_ARCHIVE = {
    "empty": b"",
    "text": b"<html>the proxy says no</html>",
    "only the magic of ar": b"!<arch>\n",
    "only the magic of zip": b"PK\x03\x04",
    "ar with a size that is no number": b"!<arch>\n" + ar_member("x", b"")[:48] + b"many      `\n",
    "ar whose member is longer than the file": b"!<arch>\n" + ar_member("x", b"")[:48] + b"9999999999`\n",
    "Ubuntu's compression": deb_of_data(b"\x28\xb5\x2f\xfd", "data.tar.zst"),
    "no xz": deb_of_data(b"odd"),
    "no data": deb_of_data(b""),
    "xz of no tar": deb_of_data(lzma.compress(b"not a tar" * 1000)),
    "xz of nothing": deb_of_data(lzma.compress(b"")),
    "more behind the data": deb_of_data(lzma.compress(tar_bytes([])) + b"more"),
}


@pytest.mark.parametrize("contents", NO_ARCHIVE.values(), ids=NO_ARCHIVE.keys())
def test_no_archive_at_all(archive, contents: bytes) -> None:
    archive.write_bytes(contents)
    refused(archive, check_deb)
    refused(archive, check_zip)


@LINKS
@pytest.mark.parametrize("check", [check_zip, check_deb])
def test_a_folder_and_a_dangling_link(check, archive) -> None:
    archive.symlink_to("nowhere")
    refused(archive, check)
    archive.unlink()
    archive.mkdir()
    refused(archive, check)


@DEV_FULL
@BOTH
def test_a_full_disk_is_not_blamed_on_the_archive(make, check, unpack, archive, destination) -> None:
    archive.write_bytes(make(FILES))
    full = destination / "full"
    full.symlink_to("/dev")

    def onto_the_device(name: PurePosixPath) -> PurePosixPath:
        return PurePosixPath("full", "full")

    original = Path.exists
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "exists", lambda path: path.parent != full and original(path))
        with pytest.raises(PrefixError, match="No space left on device") as error:
            unpack(archive, destination, onto_the_device)
    assert "damaged" not in str(error.value)
    assert str(error.value).isprintable()


def patched(whole: bytes) -> st.SearchStrategy[bytes]:
    """``whole`` with a few bytes changed, and perhaps cut off."""
    change = st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255))

    def apply(changes: list[tuple[int, int]], keep: int | None) -> bytes:
        made = bytearray(whole)
        for place, value in changes:
            made[place] = value
        return bytes(made[:keep])

    return st.builds(apply, st.lists(change, max_size=6), st.none() | st.integers(0, len(whole)))


def patched_tar(names: list[str]) -> st.SearchStrategy[bytes]:
    """A package whose checksums are right and whose tar is not."""
    members = []
    for name in names:
        info = tarfile.TarInfo(name)
        members.append((info, b"contents"))
    return patched(tar_bytes(members)).map(deb_of_tar)


def pax_tar(records: bytes) -> bytes:
    info = tarfile.TarInfo("pax")
    info.type = tarfile.XHDTYPE
    info.size = len(records)
    header = info.tobuf(tarfile.USTAR_FORMAT)
    return header + records + bytes(-len(records) % 512) + tar_bytes([(tarfile.TarInfo("a.py"), b"contents")])


def long_names(count: int) -> bytes:
    """A chain of headers that each announce a long name: tarfile follows it by recursion."""
    info = tarfile.TarInfo("././@LongLink")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = 2
    return (info.tobuf(tarfile.GNU_FORMAT) + b"x\0".ljust(512, b"\0")) * count


def nothing_outside(archive: Path, outer: Path, check: Check, unpack: Unpack, data: bytes) -> None:
    archive.write_bytes(data)
    destination = outer / "destination"
    destination.mkdir(parents=True, exist_ok=True)
    before = sorted(archive.parent.iterdir())
    for work in (check, lambda path: unpack(path, destination, everything)):
        try:
            work(archive)
        except DownloadError as error:
            assert str(error).isprintable()
    assert sorted(archive.parent.iterdir()) == before
    assert list(outer.iterdir()) == [destination]
    assert not any(path.is_symlink() for path in destination.rglob("*"))
    for folder, folders, files in os.walk(destination, topdown=False):
        for name in files:
            Path(folder, name).unlink()
        for name in folders:
            Path(folder, name).rmdir()


@FUZZ
@given(
    data=st.binary(max_size=300)
    | patched(zip_bytes({"a.py": b"contents", "../b": b"more"}))
    | patched(zip_bytes({"sub/a.py": NOISE[:300]}, zipfile.ZIP_STORED))
)
@example(data=zip_bytes({"a": b""}).replace(b"PK\x05\x06", b"PK\x05\x07"))
def test_any_bytes_for_a_zip(tmp_path: Path, archive: Path, data: bytes) -> None:
    nothing_outside(archive, tmp_path / "outer", check_zip, unpack_zip, data)


@FUZZ
@given(
    data=st.binary(max_size=300)
    | st.binary(max_size=300).map(deb_of_data)
    | st.binary(max_size=2000).map(deb_of_tar)
    | patched(deb_bytes({"a.py": b"contents", "../b": b"more"}))
    | patched_tar(["a.py", "sub/b.py", "../c.py", "x" * 120])
    | st.binary(max_size=40).map(lambda records: deb_of_tar(pax_tar(records)))
)
@example(data=deb_of_tar(long_names(3000)))
@example(data=deb_of_tar(pax_tar(b"14 path=a\0b.py\n")))
@example(data=deb_of_tar(pax_tar(b"11 size=xx\n")))
@example(data=deb_of_tar(pax_tar(b"11 size=-9\n")))
@example(data=deb_of_tar(pax_tar(b"0 path=a\n")))
@example(data=deb_of_tar(pax_tar(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n")))
@example(data=deb_of_tar(pax_tar(b"23 GNU.sparse.map=1,x,\n")))
def test_any_bytes_for_a_package(tmp_path: Path, archive: Path, data: bytes) -> None:
    nothing_outside(archive, tmp_path / "outer", check_deb, unpack_deb, data)
