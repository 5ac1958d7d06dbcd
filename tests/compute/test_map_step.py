"""The map step on vectors that can be followed by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from coldal_compute.map_step import make_map
from coldal_tui.encoders.stored_vectors import read_vectors
from coldal_tui.errors import ColdalError
from coldal_tui.jobs.spec import MapSpec, ShardRows
from coldal_tui.maps import load_map, save_map

Shards = Callable[[Mapping[str, Sequence[float]]], ShardRows]


@pytest.fixture
def shard(tmp_path: Path) -> Shards:
    """A shard file of some vectors by scan id, in the order given."""

    def make(vectors: Mapping[str, Sequence[float]]) -> ShardRows:
        path = tmp_path / f"shard-{'-'.join(vectors)}.npy"
        np.save(path, np.array(list(vectors.values()), np.float32))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return ShardRows(str(path), digest, tuple(vectors), tuple(range(len(vectors))))

    return make


def test_vectors_of_several_shards_come_in_scan_order(shard) -> None:
    ids, vectors = read_vectors((shard({"c": [3], "a": [1]}), shard({"d": [4], "b": [2]})))
    assert ids == ("a", "b", "c", "d")
    assert vectors.tolist() == [[1], [2], [3], [4]]
    assert vectors.dtype == np.float32


def test_only_the_rows_named_are_read(shard) -> None:
    whole = shard({"a": [1], "b": [2], "c": [3]})
    part = ShardRows(whole.file, whole.sha256, ("c", "a"), (2, 0))
    assert read_vectors((part,))[1].tolist() == [[1], [3]]


@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_shard_that_is_not_what_it_was_is_refused(shard, how: str) -> None:
    made = shard({"a": [1], "b": [2]})
    path = Path(made.file)
    if how == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    with pytest.raises(ColdalError) as caught:
        read_vectors((made,))
    assert (caught.value.code, caught.value.where) == ("shard", str(path))


def test_two_scans_lie_at_their_true_distance(shard, report, tmp_path) -> None:
    spec = MapSpec((shard({"b": [0, 3], "a": [2, 0]}),), "hash", seed=0)
    done = make_map(spec, tmp_path, report)
    made = load_map(tmp_path / "map.npz")
    assert made.scan_ids == ("a", "b")
    # Unit vectors at a right angle are the square root of 2 apart.
    np.testing.assert_allclose(made.xy, [[0, 0], [2**0.5, 0]], rtol=1e-7)
    assert done.files == ("map.npz",)
    assert done.result == {
        "file": "map.npz",
        "scans": 2,
        "placed": 0,
        "method": "none",
        "perplexity": None,
        "distinct": 2,
        "components": None,
    }


def test_the_same_seed_gives_the_same_map_to_the_bit(shard, report, tmp_path) -> None:
    rng = np.random.default_rng(1)
    rows = {f"s{n:02d}": rng.normal(size=4).tolist() for n in range(24)}
    spec = MapSpec((shard(rows),), "hash", seed=3)
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        done = make_map(spec, tmp_path / name, report)
        contents.append((tmp_path / name / "map.npz").read_bytes())
    assert contents[0] == contents[1]
    assert done.result["method"] == "sklearn-tsne"
    assert done.result["perplexity"] == pytest.approx(23 / 3)


def test_new_scans_are_placed_and_old_points_stay(shard, report, tmp_path) -> None:
    base = tmp_path / "base.npz"
    save_map(base, ("a", "b", "gone"), np.array([[0.0, 0.0], [10.0, 4.0], [77.0, 77.0]]))
    shards = (
        shard({"b": [0, 1], "a": [1, 0]}),
        # As far from a as from b; the very direction of b; three times as near to a.
        shard({"between": [5, 5], "twin": [0, 9]}),
    )
    done = make_map(MapSpec(shards, "hash", seed=0, base=str(base)), tmp_path, report)
    made = load_map(tmp_path / "map.npz")
    assert made.scan_ids == ("a", "b", "between", "twin")
    np.testing.assert_allclose(made.xy, [[0, 0], [10, 4], [5, 2], [10, 4]], atol=1e-6)
    assert made.xy[:2].tolist() == [[0, 0], [10, 4]]
    assert (done.result["method"], done.result["placed"]) == ("placed", 2)


def test_a_new_scan_lies_by_the_inverse_of_its_distances(shard, report, tmp_path) -> None:
    base = tmp_path / "base.npz"
    save_map(base, ("a", "b"), np.array([[0.0, 0.0], [1.0, 0.0]]))
    angle = 0.3
    shards = (shard({"a": [1, 0], "b": [0, 1]}), shard({"n": [np.cos(angle), np.sin(angle)]}))
    make_map(MapSpec(shards, "hash", seed=0, base=str(base)), tmp_path, report)
    x = load_map(tmp_path / "map.npz").xy[2, 0]
    # Chords of the unit circle: 2 sin(half the angle).
    to_a, to_b = 2 * np.sin(angle / 2), 2 * np.sin((np.pi / 2 - angle) / 2)
    assert x == pytest.approx((1 / to_b) / (1 / to_a + 1 / to_b), abs=1e-6)


def test_nothing_new_leaves_the_map_as_it_was(shard, report, tmp_path) -> None:
    base = tmp_path / "base.npz"
    save_map(base, ("a", "b"), np.array([[0.5, 0.25], [1.0, 2.0]]))
    shards = (shard({"a": [1, 0], "b": [0, 1]}),)
    done = make_map(MapSpec(shards, "hash", seed=9, base=str(base)), tmp_path, report)
    assert load_map(tmp_path / "map.npz").xy.tolist() == [[0.5, 0.25], [1.0, 2.0]]
    assert done.result["placed"] == 0


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off"])
def test_a_base_that_cannot_be_read_is_an_error(shard, report, tmp_path, content) -> None:
    base = tmp_path / "base.npz"
    if content is not None:
        base.write_bytes(content)
    spec = MapSpec((shard({"a": [1, 0]}),), "hash", seed=0, base=str(base))
    with pytest.raises(ColdalError) as caught:
        make_map(spec, tmp_path, report)
    assert (caught.value.code, caught.value.where) == ("map", str(base))
