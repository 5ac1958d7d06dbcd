"""Fetching a file: whole or absent, gone on with after a break, never another file than asked."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from coldal_tui.encoders.download import _same_file, fetch
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.files import try_lock
from tests.support.stand_in import serving

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


def test_a_part_that_begins_elsewhere_is_not_taken(target: Path) -> None:
    """Going on from another byte than was asked for would shift all that follows."""
    with serving(CONTENT, breaks=[1_000_000], off_by=512) as server:
        with pytest.raises(ColdalError):
            fetch(server.url, target, tries=0)
        fetch(server.url, target, pause=lambda _: None)
        assert [wanted for _, wanted in server.asked] == [None, "bytes=1000000-", None]
    assert target.read_bytes() == CONTENT


def test_what_comes_packed_is_not_taken_for_the_file(target: Path) -> None:
    with (
        serving(CONTENT, headers={"Content-Encoding": "gzip"}) as server,
        pytest.raises(ColdalError, match=r"packed \(gzip\)") as caught,
    ):
        fetch(server.url, target)
    assert caught.value.code == "download"
    assert _names(target.parent) == []


def test_without_length_and_hash_nobody_could_tell_whether_it_is_whole(target: Path) -> None:
    with serving(CONTENT, length=False) as server:
        with pytest.raises(ColdalError, match="does not say how long it is"):
            fetch(server.url, target)
        assert not target.exists()
        fetch(server.url, target, sha256=DIGEST)
    assert target.read_bytes() == CONTENT


def test_a_redirect_to_another_server_is_followed_without_the_token(target: Path) -> None:
    with serving(CONTENT, breaks=[1_000_000]) as store, serving(b"", token="Bearer mine") as hub:
        hub.leads_to = f"{store.url}/signed"
        fetch(hub.url, target, sha256=DIGEST, secrets={"Authorization": "Bearer mine"})
        # The second try asks the hub again, since a signed address may have run out.
        assert hub.tokens == ["Bearer mine", "Bearer mine"]
        assert store.tokens == [None, None]
        assert [wanted for _, wanted in store.asked] == [None, "bytes=1000000-"]
    assert target.read_bytes() == CONTENT


def test_a_redirect_within_the_server_keeps_the_token(target: Path) -> None:
    with serving(CONTENT, token="Bearer mine", leads_to="/here") as hub:
        fetch(hub.url, target, sha256=DIGEST, secrets={"Authorization": "Bearer mine"})
        assert hub.tokens == ["Bearer mine", "Bearer mine"]
    assert target.read_bytes() == CONTENT


def test_without_its_token_a_file_is_refused(target: Path) -> None:
    with (
        serving(CONTENT, token="Bearer mine") as hub,
        pytest.raises(ColdalError, match="401") as caught,
    ):
        fetch(hub.url, target)
    assert caught.value.code == "download"
    assert _names(target.parent) == []


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/model.bin", "file:///etc/passwd"])
def test_a_redirect_away_from_the_web_is_refused(target: Path, address: str) -> None:
    with serving(CONTENT, leads_to=address) as server, pytest.raises(ColdalError) as caught:
        fetch(server.url, target)
    assert caught.value.code == "download"


def test_a_disk_without_the_room_is_told_before_it_is_full(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2_000_000))
    with serving(CONTENT) as server, pytest.raises(ColdalError, match="3 MB are to come") as caught:
        fetch(server.url, target)
    assert caught.value.code == "disk"
    assert _names(target.parent) == []


_LIMIT = 1_500_000


def _with_little_room(url: str, target: Path) -> None:
    """In a process of its own, where files can't grow beyond a limit, as on a full disk."""
    import resource
    import signal
    import sys

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, _LIMIT))
    try:
        fetch(url, target, sha256=DIGEST)
    except ColdalError as error:
        sys.exit(7 if error.code == "disk" else 1)


def test_a_disk_that_fills_up_keeps_what_came(target: Path) -> None:
    with serving(CONTENT) as server:
        other = multiprocessing.get_context("spawn").Process(
            target=_with_little_room, args=(server.url, target)
        )
        other.start()
        other.join(60)
        assert other.exitcode == 7
        assert not target.exists()
        kept = (target.parent / "model.bin.part").stat().st_size
        assert 0 < kept <= _LIMIT
        fetch(server.url, target, sha256=DIGEST)
        assert server.asked[1] == ("GET", f"bytes={kept}-")
    assert target.read_bytes() == CONTENT


def test_who_waited_at_a_part_that_was_renamed_does_not_write_into_the_file(target: Path) -> None:
    """The lock is on the part; by the time that it is free the part may be the whole file."""
    with serving(CONTENT) as server:
        fetch(server.url, target, sha256=DIGEST)
        part = target.with_name("model.bin.part")
        target.rename(part)

        with part.open("ab") as lock:
            assert _same_file(lock, part)
            part.rename(target)
            assert not _same_file(lock, part)
            part.write_bytes(b"")
            assert not _same_file(lock, part)
