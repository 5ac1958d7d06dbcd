"""Fetching a file: whole or absent, gone on with after a break, never another file than asked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from stand_in import serving

from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import try_lock
from coldal_tui.jobs.downloading import fetch

CONTENT = np.random.default_rng(0).integers(0, 256, 3_000_000, dtype=np.uint8).tobytes()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "there" / "model.bin"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_whole_and_nothing_else_stays(target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with serving(CONTENT) as server:
        found = fetch(
            f"{server.url}/m.bin", target, sha256=DIGEST, progress=lambda *n: told.append(n)
        )
    assert target.read_bytes() == CONTENT
    assert (found.sha256, found.bytes) == (DIGEST, len(CONTENT))
    assert _names(target.parent) == ["model.bin"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_broken_connection_is_gone_on_with_where_it_broke(target: Path) -> None:
    waits: list[float] = []
    with serving(CONTENT, breaks=[1_200_000, 700_000]) as server:
        fetch(server.url, target, sha256=DIGEST, pause=waits.append)
        assert server.asked == [
            ("GET", None),
            ("GET", "bytes=1200000-"),
            ("GET", "bytes=1900000-"),
        ]
    assert target.read_bytes() == CONTENT
    assert waits == [0.0, 0.0]


def test_a_later_call_goes_on_where_a_killed_one_was(target: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, total: int | None) -> None:
        if done > 1_000_000:
            raise Killed

    with serving(CONTENT) as server:
        with pytest.raises(Killed):
            fetch(server.url, target, progress=kill)
        assert not target.exists()
        fetch(server.url, target, sha256=DIGEST)
        first, second = server.asked
    assert first == ("GET", None)
    assert second[1] is not None
    assert int(second[1].removeprefix("bytes=").removesuffix("-")) > 1_000_000
    assert target.read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_begun_anew(target: Path) -> None:
    with serving(CONTENT, breaks=[1_000_000]) as server:
        with pytest.raises(ColdalError):
            fetch(server.url, target, tries=0)
        server.content, server.etag = CONTENT[::-1], '"two"'
        fetch(server.url, target)
    assert target.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("how", [{"ranges": False}, {"etag": 'W/"weak"'}, {"etag": None}])
def test_a_server_that_can_not_go_on_is_asked_for_all_of_it(
    target: Path, how: dict[str, object]
) -> None:
    with serving(CONTENT, breaks=[900_000], **how) as server:
        fetch(server.url, target, sha256=DIGEST, pause=lambda _: None)
    assert target.read_bytes() == CONTENT


def test_all_but_the_rename_was_done_before(target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "model.bin.part").write_bytes(CONTENT)
    (target.parent / "model.bin.part.from").write_text('{"validator": "\\"one\\""}')
    with serving(CONTENT) as server:
        fetch(server.url, target, sha256=DIGEST)
        assert server.asked == [("GET", f"bytes={len(CONTENT)}-")]
    assert _names(target.parent) == ["model.bin"]


def test_a_part_of_another_length_is_begun_anew(target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "model.bin.part").write_bytes(CONTENT + b"more")
    (target.parent / "model.bin.part.from").write_text('{"validator": "\\"one\\""}')
    with serving(CONTENT) as server:
        fetch(server.url, target, sha256=DIGEST, pause=lambda _: None)
    assert target.read_bytes() == CONTENT


def test_another_file_than_expected_is_thrown_away(target: Path) -> None:
    with serving(CONTENT) as server, pytest.raises(ColdalError) as caught:
        fetch(server.url, target, sha256="00" * 32)
    assert caught.value.code == "weights-hash"
    assert DIGEST in caught.value.what
    assert _names(target.parent) == []


def test_an_older_file_stays_until_the_new_one_is_whole(target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    with serving(CONTENT, answers=[404]) as server:
        with pytest.raises(ColdalError):
            fetch(server.url, target)
        assert target.read_bytes() == b"old"
        fetch(server.url, target)
    assert target.read_bytes() == CONTENT


def test_a_refusal_is_told_at_once(target: Path) -> None:
    with serving(CONTENT, answers=[403, 403]) as server, pytest.raises(ColdalError) as caught:
        fetch(server.url, target)
    assert len(server.asked) == 1
    assert caught.value.code == "download"
    assert "403" in caught.value.what
    assert "--from FILE" in (caught.value.remedy or "")


def test_a_busy_server_is_asked_again_ever_more_slowly(target: Path) -> None:
    waits: list[float] = []
    with serving(CONTENT, answers=[503, 502, 500]) as server:
        fetch(server.url, target, sha256=DIGEST, pause=waits.append)
    assert waits == [2.0, 4.0, 8.0]


def test_it_gives_up_when_nothing_comes(target: Path) -> None:
    with (
        serving(CONTENT, answers=[503] * 9) as server,
        pytest.raises(ColdalError, match="Service Unavailable") as caught,
    ):
        fetch(server.url, target, pause=lambda _: None, tries=3)
    assert len(server.asked) == 3
    assert caught.value.code == "download"


def test_no_server_at_all(target: Path) -> None:
    with serving(CONTENT) as server:
        gone = server.url
    with pytest.raises(ColdalError) as caught:
        fetch(gone, target, pause=lambda _: None, tries=2)
    assert caught.value.code == "download"


def test_two_do_not_fetch_one_file(target: Path) -> None:
    target.parent.mkdir()
    with (target.parent / "model.bin.part").open("ab") as held, serving(CONTENT) as server:
        assert try_lock(held)
        with pytest.raises(ColdalError) as caught:
            fetch(server.url, target)
    assert caught.value.code == "busy"
    assert server.asked == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "model.bin"])
def test_only_the_web_is_asked(target: Path, url: str) -> None:
    with pytest.raises(UsageError):
        fetch(url, target)


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("a file is in the way")
    with serving(CONTENT) as server, pytest.raises(ColdalError) as caught:
        fetch(server.url, tmp_path / "there" / "model.bin")
    assert caught.value.code == "disk"
