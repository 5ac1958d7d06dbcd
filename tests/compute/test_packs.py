"""Arrays by key in packs: what is kept, what makes room, and what damage does."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coldal_compute.segmentation.inputs import packs as module
from coldal_compute.segmentation.inputs.packs import FREE_BYTES, KEY_BYTES, Packs

MUCH = 10**9


def key(name: object) -> bytes:
    return str(name).encode().ljust(KEY_BYTES, b"-")


def array(number: int, shape: tuple[int, ...] = (1, 16, 16)) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(shape).astype(np.float16)


def fill(folder: Path, names: range, group: str = "one", most: int = MUCH) -> list[str]:
    """Keep arrays in a cache that is opened and closed; returns what it said."""
    said: list[str] = []
    with closing(Packs(folder, group, most, said.append)) as cache:
        for n in names:
            cache.put(key(n), array(n))
    return said


def known(folder: Path, names: range, group: str = "one", most: int = MUCH) -> set[int]:
    """The arrays that are there; each is the one that was kept."""
    found = set()
    with closing(Packs(folder, group, most)) as cache:
        for n in names:
            one = cache.get(key(n))
            if one is not None:
                np.testing.assert_array_equal(one, array(n))
                found.add(n)
    return found


def packs_in(folder: Path, group: str = "*") -> list[Path]:
    return sorted(folder.glob(f"{group}/*.pack"))


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("shape", [(5,), (3, 7), (2, 9, 4), (1, 5, 6, 7)])
def test_an_array_comes_back_as_it_was(
    tmp_path: Path, shape: tuple[int, ...], mapped: bool
) -> None:
    one = array(1, shape)
    with closing(Packs(tmp_path, "g", MUCH)) as cache:
        cache.put(key("a"), one)
        cache.put(key("b"), -one)
        again = cache.get(key("a"), mapped=mapped)
    with closing(Packs(tmp_path, "g", MUCH)) as cache:
        later = cache.get(key("a"), mapped=mapped)
        other = cache.get(key("b"), mapped=mapped)
        assert cache.get(key("c")) is None
    assert again is not None
    assert later is not None
    assert other is not None
    for found, wanted in ((again, one), (later, one), (other, -one)):
        assert (found.shape, found.dtype) == (shape, np.float16)
        np.testing.assert_array_equal(found, wanted)
        assert not found.flags.writeable


def test_jobs_one_after_another_fill_one_pack(tmp_path: Path) -> None:
    for n in range(5):
        fill(tmp_path, range(n, n + 1))
    assert len(packs_in(tmp_path)) == 1
    assert known(tmp_path, range(6)) == set(range(5))


def test_jobs_side_by_side_write_packs_of_their_own_that_all_read(tmp_path: Path) -> None:
    with (
        closing(Packs(tmp_path, "one", MUCH)) as first,
        closing(Packs(tmp_path, "one", MUCH)) as second,
    ):
        for n in range(0, 10, 2):
            first.put(key(n), array(n))
            second.put(key(n + 1), array(n + 1))
    assert len(packs_in(tmp_path)) == 2
    assert known(tmp_path, range(10)) == set(range(10))


def test_a_full_pack_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACK_BYTES", 2000)
    fill(tmp_path, range(10))
    assert len(packs_in(tmp_path)) == 3
    assert known(tmp_path, range(10)) == set(range(10))


def test_threads_share_a_cache(tmp_path: Path) -> None:
    with closing(Packs(tmp_path, "one", MUCH)) as cache, ThreadPoolExecutor(4) as pool:

        def work(n: int) -> bool:
            cache.put(key(n), array(n))
            found = cache.get(key(n))
            return found is not None and bool((found == array(n)).all())

        assert all(pool.map(work, range(200)))
    assert known(tmp_path, range(200)) == set(range(200))


def test_no_more_is_kept_than_allowed_and_that_is_said_once(tmp_path: Path) -> None:
    said = fill(tmp_path, range(20), most=4000)
    assert len(said) == 1
    assert "takes no more" in said[0]
    assert 0 < bytes_in(tmp_path) <= 4000
    # What is there stays, and serves: what would replace it is worth no more.
    first = known(tmp_path, range(20), most=4000)
    fill(tmp_path, range(20), most=4000)
    assert known(tmp_path, range(20), most=4000) == first == set(range(7))


def aged(path: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))


def test_other_groups_make_room_first_the_one_unused_for_longest_before_others(
    tmp_path: Path,
) -> None:
    for group, days in (("old", 3), ("older", 5), ("new", 1)):
        fill(tmp_path, range(4), group)
        aged(packs_in(tmp_path, group)[0], days)
    most = bytes_in(tmp_path) + 1000
    fill(tmp_path, range(4), "mine", most)
    assert {path.parent.name for path in packs_in(tmp_path)} == {"old", "new", "mine"}
    assert not (tmp_path / "older").exists()
    assert known(tmp_path, range(4), "mine", most) == set(range(4))


def test_reading_makes_a_pack_young(tmp_path: Path) -> None:
    for group in ("a", "b"):
        fill(tmp_path, range(4), group)
        aged(packs_in(tmp_path, group)[0], 5 if group == "a" else 3)
    known(tmp_path, range(4), "a")
    fill(tmp_path, range(4), "mine", bytes_in(tmp_path) + 1000)
    assert {path.parent.name for path in packs_in(tmp_path)} == {"a", "mine"}


def test_what_nobody_used_for_a_month_goes(tmp_path: Path) -> None:
    for group, days in (("one", 31), ("two", 29), ("three", 40)):
        fill(tmp_path, range(4), group)
        aged(packs_in(tmp_path, group)[0], days)
    fill(tmp_path, range(8, 9))
    assert {path.parent.name for path in packs_in(tmp_path)} == {"one", "two"}
    assert known(tmp_path, range(9)) == {8}


def test_what_a_job_uses_is_not_removed_under_it(tmp_path: Path) -> None:
    fill(tmp_path, range(4), "theirs")
    with closing(Packs(tmp_path, "theirs", MUCH)) as theirs:
        said = fill(tmp_path, range(4), "mine", bytes_in(tmp_path) + 600)
        assert len(said) == 1
        assert theirs.get(key(3)) is not None
    assert known(tmp_path, range(4), "theirs") == set(range(4))


@pytest.mark.parametrize("most", [0, 1200])
def test_a_smaller_limit_holds_from_the_next_job_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "PACK_BYTES", 1000)
    fill(tmp_path, range(8), "one")
    fill(tmp_path, range(8), "two")
    with closing(Packs(tmp_path, "one", most)):
        assert bytes_in(tmp_path) <= most
    if most == 0:
        assert fill(tmp_path, range(4), "one", most) == []
        assert bytes_in(tmp_path) == 0


@pytest.mark.parametrize("place", ["value", "checksum", "shape", "offset", "cut"])
def test_damage_is_as_if_the_array_were_not_there(tmp_path: Path, place: str) -> None:
    fill(tmp_path, range(6))
    (pack,) = packs_in(tmp_path)
    index = pack.with_suffix(".index")
    if place == "value":
        flip(pack, 700)
    elif place == "cut":
        os.truncate(pack, 600)
    else:
        flip(index, 48 + {"shape": 24, "offset": 36, "checksum": 44}[place])
    said: list[str] = []
    with closing(Packs(tmp_path, "one", MUCH, said.append)) as cache:
        first = cache.get(key(0))
        assert first is not None
        np.testing.assert_array_equal(first, array(0))
        assert cache.get(key(1)) is None
        assert cache.get(key(0)) is None  # its pack is gone
        np.testing.assert_array_equal(first, array(0))
        for n in range(6):
            cache.put(key(n), array(n))
    assert len(said) == 1
    assert "was damaged" in said[0]
    assert not pack.exists()
    assert known(tmp_path, range(6)) == set(range(6))


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)


def test_a_swapped_shape_is_damage(tmp_path: Path) -> None:
    with closing(Packs(tmp_path, "one", MUCH)) as cache:
        cache.put(key(0), array(0, (4, 8)))
    index = packs_in(tmp_path)[0].with_suffix(".index")
    content = bytearray(index.read_bytes())
    content[20:24], content[24:28] = content[24:28], content[20:24]
    index.write_bytes(content)
    with closing(Packs(tmp_path, "one", MUCH)) as cache:
        assert cache.get(key(0)) is None


def test_a_record_that_a_killed_job_began_is_written_over(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    (pack,) = packs_in(tmp_path)
    index = pack.with_suffix(".index")
    index.write_bytes(index.read_bytes()[:-17])
    with pack.open("ab") as stream:
        stream.write(b"half an array")
    assert known(tmp_path, range(3)) == {0, 1}
    fill(tmp_path, range(2, 5))
    assert known(tmp_path, range(5)) == set(range(5))
    assert len(packs_in(tmp_path)) == 1


def test_other_peoples_files_are_never_removed(tmp_path: Path) -> None:
    other = tmp_path / "objects" / "pack-0123456789abcdef.pack"
    other.parent.mkdir()
    other.write_bytes(b"of git, in a folder that a stranger linked to")
    aged(other, 400)
    fill(tmp_path, range(3), most=600)
    with closing(Packs(tmp_path, "objects", 0)):
        assert other.exists()


def test_a_pack_without_an_index_counts_and_can_go(tmp_path: Path) -> None:
    fill(tmp_path, range(3), "other")
    packs_in(tmp_path)[0].with_suffix(".index").unlink()
    assert known(tmp_path, range(3), "other") == set()
    fill(tmp_path, range(3), "mine", 1700)
    assert not (tmp_path / "other").exists()


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A disk that has room for as many more bytes as the list says."""
    room = [0]
    real = os.pwrite

    def write(descriptor: int, content: Any, offset: int) -> int:
        if len(content) > room[0]:
            real(descriptor, content[: room[0]], offset)
            room[0] = 0
            raise OSError(errno.ENOSPC, "no space left")
        room[0] -= len(content)
        return real(descriptor, content, offset)

    monkeypatch.setattr(os, "pwrite", write)
    return room


@pytest.mark.parametrize("room", [0, 100, 512, 520, 560, 1300])
def test_a_full_disk_ends_the_writing_and_nothing_else(
    tmp_path: Path, full: list[int], room: int
) -> None:
    full[0] = room
    said: list[str] = []
    with closing(Packs(tmp_path, "one", MUCH, said.append)) as cache:
        for n in range(6):
            cache.put(key(n), array(n))
        kept = room // 560
        assert [n for n in range(6) if cache.get(key(n)) is not None] == list(range(kept))
    assert said == [
        "the cache of resized scans takes no more: the disk is full; others are read anew each time"
    ]
    full[0] = MUCH
    fill(tmp_path, range(6))
    assert known(tmp_path, range(6)) == set(range(6))


def test_the_last_of_the_disk_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=FREE_BYTES + 100))
    said = fill(tmp_path, range(3))
    assert len(said) == 1
    assert "nearly full" in said[0]
    assert bytes_in(tmp_path) == 0


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "inputs").write_text("a file of this name")
    said = fill(tmp_path / "inputs", range(3))
    assert len(said) == 1
    assert "takes no more" in said[0]


WRITER = """
import sys, numpy as np
from pathlib import Path
from coldal_compute.segmentation.inputs.packs import Packs
cache = Packs(Path(sys.argv[1]), "one", 10**9)
print("ready", flush=True)
for n in range(10**6):
    key = str(n).encode().ljust(20, b"-")
    cache.put(key, np.random.default_rng(n).standard_normal((1, 16, 16)).astype(np.float16))
"""


def test_killed_writers_leave_only_what_is_right(tmp_path: Path) -> None:
    before = 0
    for wait in (0.02, 0.05, 0.1):
        job = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        time.sleep(wait)
        job.send_signal(signal.SIGKILL)
        job.wait()
        job.stdout.close()
        found = known(tmp_path, range(before + 50))
        assert len(found) >= before
        before = len(found)
    assert before
    assert len(packs_in(tmp_path)) == 1
