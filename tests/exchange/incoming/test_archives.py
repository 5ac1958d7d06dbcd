"""Archives: what comes out, and what never does."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from coldal_tui.errors import ImageError
from coldal_tui.exchange.incoming.archives import Limits, archive_kind, unpack


@pytest.fixture
def box(tmp_path) -> Path:
    """An empty folder to unpack to, with neighbours that must not change."""
    (tmp_path / "neighbour.txt").write_text("mine")
    (tmp_path / "box").mkdir()
    return tmp_path / "box"


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def zipped(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2024, 5, 6, 7, 8, 10))
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: str = "w:gz", **properties) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_700_000_000
            for key, value in properties.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives_are_known_by_content_and_unpacked(tmp_path, box, mode):
    path = tarred(tmp_path / "anything", {"a/b.png": b"one", "c.png": b"two"}, mode)

    assert archive_kind(path.read_bytes()[:4096]) == "tar"
    assert unpack(path, box).files == 2
    assert files(box) == {"a/b.png": b"one", "c.png": b"two"}
    assert (box / "c.png").stat().st_mtime == 1_700_000_000


def test_zip_archives_are_unpacked_with_their_times(tmp_path, box):
    path = zipped(tmp_path / "x.zip", {"a/b.png": b"one", "a/": b"", "c\\d.png": b"two"})

    assert archive_kind(path.read_bytes()[:4096]) == "ZIP"
    assert unpack(path, box).refused == []
    assert files(box) == {"a/b.png": b"one", "c/d.png": b"two"}
    assert (box / "a/b.png").stat().st_mtime == pytest.approx(1_714_979_290, abs=86_400)


@pytest.mark.parametrize("name", ["../out.png", "/abs.png", "a/../../out.png", "C:\\x.png", ".."])
@pytest.mark.parametrize("write", [zipped, tarred])
def test_names_that_lead_out_are_refused(tmp_path, box, name, write):
    path = write(tmp_path / "x", {name: b"bad", "good.png": b"good"})
    before = files(tmp_path)

    done = unpack(path, box)

    assert [reason for _, reason in done.refused] == ["its name leads out of the archive's folder"]
    assert files(box) == {"good.png": b"good"}
    assert {k: v for k, v in files(tmp_path).items() if not k.startswith("box")} == before


def test_links_and_devices_are_refused(tmp_path, box):
    link = zipped(tmp_path / "x.zip", {"link.png": b"/etc/passwd"}, stat.S_IFLNK | 0o777)
    assert unpack(link, box).refused == [("link.png", "it is a link or a device, not a file")]
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        path = tarred(tmp_path / "x.tar", {"x": b""}, "w", type=kind, linkname="/etc/passwd")
        assert unpack(path, box).refused == [("x", "it is a link or a device")]
    assert files(box) == {}


def test_a_file_is_never_written_twice(tmp_path, box):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", b"first")
        archive.writestr("a.png/b.png", b"third")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", b"second")

    done = unpack(tmp_path / "x.zip", box)

    assert files(box) == {"a.png": b"first"}
    assert len(done.refused) == 2


def test_an_encrypted_member_is_refused(tmp_path, box):
    path = zipped(tmp_path / "x.zip", {"a.png": b"secret"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)

    assert unpack(path, box).refused == [("a.png", "it is encrypted")]


@pytest.mark.parametrize("write", [zipped, tarred])
def test_an_archive_that_grows_without_end_is_stopped(tmp_path, box, write):
    path = write(tmp_path / "x", {"a.png": bytes(3_000_000)})

    with pytest.raises(ImageError) as caught:
        unpack(path, box, Limits(free_growth=1_000_000))

    assert caught.value.code == "archive-limits"
    assert sum(p.stat().st_size for p in box.rglob("*") if p.is_file()) <= 1_000_000


def test_an_archive_of_too_many_files_is_stopped(tmp_path, box):
    path = zipped(tmp_path / "x.zip", {f"{n}.png": b"" for n in range(6)})

    with pytest.raises(ImageError, match="more than 5 files"):
        unpack(path, box, Limits(members=5))


@pytest.mark.parametrize("write", [zipped, tarred])
@pytest.mark.parametrize("keep", [0.4, 0.8])
def test_a_cut_archive_is_damaged(tmp_path, box, write, keep):
    content = os.urandom(30_000)
    path = write(tmp_path / "x", {"a.png": content, "b.png": content})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    with pytest.raises(ImageError) as caught:
        unpack(path, box)

    assert caught.value.code == "damaged-archive"


@pytest.mark.parametrize("blocks", [1, 2, 2.5, 3])
def test_a_tar_that_was_cut_between_two_files_is_damaged(tmp_path, box, blocks):
    """A header and a block of content for each of two files; the second one is lost, or its end."""
    path = tarred(tmp_path / "x", {"a.png": b"1" * 512, "b.png": b"2" * 512})
    plain = tmp_path / "plain.tar"
    with tarfile.open(path) as packed, tarfile.open(plain, "w") as out:
        for info in packed:
            out.addfile(info, packed.extractfile(info))
    plain.write_bytes(plain.read_bytes()[: int(blocks * 512)])

    with pytest.raises(ImageError) as caught:
        unpack(plain, box)

    assert caught.value.code == "damaged-archive"


def test_a_header_that_fills_the_memory_is_refused(tmp_path, box):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))

    with pytest.raises(ImageError, match="one of its headers takes"):
        unpack(tmp_path / "x.tar", box)


@pytest.mark.parametrize("head", [b"", b"PK", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"plain text"])
def test_what_is_no_archive(head):
    assert archive_kind(head) is None
