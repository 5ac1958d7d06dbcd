"""The select step on a map that can be followed by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from coldal_compute.select_step import select
from coldal_tui.errors import ColdalError, UsageError
from coldal_tui.jobs.spec import SelectSpec, ShardRows
from coldal_tui.maps import load_clusters, save_clusters, save_map
from coldal_tui.selection import strategies
from coldal_tui.selection.pool import Pick
from coldal_tui.selection.rows import PoolRow

# Five scans in a row, and three more far away.
LINE = {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "f": 100, "g": 101, "h": 102}


def _map(folder: Path, xs: Mapping[str, float]) -> str:
    path = folder / "map.npz"
    save_map(path, tuple(xs), np.array([[float(x), 0.0] for x in xs.values()]))
    return str(path)


def _pool(
    names: Mapping[str, Any] | str, patients: Mapping[str, str] | None = None, **states: str
) -> tuple[PoolRow, ...]:
    """Every scan a candidate but those ``covered`` or ``labelled``."""
    covered, labelled = states.get("covered", ""), states.get("labelled", "")
    return tuple(
        PoolRow(
            name,
            (patients or {}).get(name, f"patient {name}"),
            candidate=name not in covered + labelled,
            covered=name in covered + labelled,
            labelled=name in labelled,
        )
        for name in names
    )


def _spec(folder: Path, **changes: Any) -> SelectSpec:
    first = SelectSpec(
        round=0,
        strategy="coldstart",
        budget=4,
        validation=0,
        seed=0,
        map=_map(folder, LINE),
        pool=_pool(LINE),
    )
    return msgspec.structs.replace(first, **changes)


def _names(result: dict[str, Any]) -> list[str]:
    return [pick["scan_id"] for pick in result["picks"]]


def test_the_first_queue_by_hand(report, tmp_path) -> None:
    """Medoids c and g; of the two left, quotas 1.25 and 0.75 give one to each cluster."""
    done = select(_spec(tmp_path), tmp_path, report)
    assert (done.result["k"], done.result["sizes"]) == (2, [5, 3])
    assert _names(done.result) == ["c", "g", "a", "f"]
    picks = done.result["picks"]
    assert [pick["rank"] for pick in picks] == [1, 2, 3, 4]
    assert [pick["role"] for pick in picks] == ["medoid"] * 2 + ["farthest-point"] * 2
    assert [pick["cluster"] for pick in picks] == [0, 1, 0, 1]
    assert picks[0]["terms"]["summed_distance"] == 6
    assert done.result["notes"] == []
    kept = load_clusters(tmp_path / "clusters.npz")
    assert kept.of == dict.fromkeys("abcde", 0) | dict.fromkeys("fgh", 1)


def test_indices_among_the_terms_become_scan_ids(report, tmp_path) -> None:
    picks = select(_spec(tmp_path), tmp_path, report).result["picks"]
    assert (picks[2]["terms"]["nearest"], picks[2]["terms"]["distance"]) == ("c", 2)
    assert (picks[3]["terms"]["nearest"], picks[3]["terms"]["distance"]) == ("g", 1)


def test_every_k_has_its_silhouette(report, tmp_path) -> None:
    tried = select(_spec(tmp_path), tmp_path, report).result["silhouettes"]
    assert [k for k, _ in tried] == [2, 3, 4]
    # By hand, a and f for one: to its own cluster (1+2+3+4)/4 = 2.5, to the other 101.
    assert tried[0][1] == pytest.approx(_mean_silhouette(), abs=1e-12)


def _mean_silhouette() -> float:
    xs = list(LINE.values())
    values = []
    for x in xs:
        own = [abs(x - y) for y in xs if (y < 50) == (x < 50)]
        other = [abs(x - y) for y in xs if (y < 50) != (x < 50)]
        a, b = sum(own) / (len(own) - 1), sum(other) / len(other)
        values.append((b - a) / max(a, b))
    return sum(values) / len(values)


def test_validation_patients_stand_evenly_among_the_ranks(report, tmp_path) -> None:
    """Four picks at 1/8, 3/8, 5/8, 7/8 and two of validation at 1/4, 3/4 of the way."""
    done = select(_spec(tmp_path, budget=6, validation=2), tmp_path, report)
    roles = [pick["role"] == "validation" for pick in done.result["picks"]]
    assert roles == [False, True, False, False, True, False]
    drawn = [pick for pick in done.result["picks"] if pick["role"] == "validation"]
    # 2 of 8 patients: 1.25 and 0.75, so one of each cluster.
    assert sorted(pick["cluster"] for pick in drawn) == [0, 1]
    assert len(set(_names(done.result))) == 6


@pytest.mark.parametrize("seed", range(6))
def test_no_patient_is_on_both_sides(report, tmp_path, seed: int) -> None:
    patients = dict(zip(LINE, "ppqqrrss", strict=True))
    spec = _spec(tmp_path, budget=6, validation=2, seed=seed, pool=_pool(LINE, patients=patients))
    picks = select(spec, tmp_path, report).result["picks"]
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for pick in picks:
        sides[pick["role"] == "validation"].add(patients[pick["scan_id"]])
    # A fifth of the four patients, rounded up.
    assert len(sides[True]) == 1
    assert sides[True].isdisjoint(sides[False])


def test_too_few_patients_for_validation_are_said(report, tmp_path) -> None:
    pool = _pool(LINE, patients=dict.fromkeys(LINE, "one"))
    done = select(_spec(tmp_path, validation=2, pool=pool), tmp_path, report)
    assert "validation: 0 patients instead of 2; there are not more" in done.result["notes"]
    # Nobody was drawn, so the whole budget is picked.
    assert len(done.result["picks"]) == 4


def test_a_small_pool_keeps_at_most_a_fifth_for_validation(report, tmp_path) -> None:
    """Eight patients: 2, whatever is asked; the other six places are picked."""
    done = select(_spec(tmp_path, budget=8, validation=7), tmp_path, report)
    roles = [pick["role"] for pick in done.result["picks"]]
    assert (len(roles), roles.count("validation")) == (8, 2)
    (note,) = done.result["notes"]
    assert (
        note == "validation: 2 patients instead of 7; at most a fifth of the pool's are kept for it"
    )


def test_same_seed_same_picks(report, tmp_path) -> None:
    rng = np.random.default_rng(0)
    xs = {f"s{n:02d}": float(x) for n, x in enumerate(rng.normal(size=40))}
    spec = _spec(tmp_path, pool=_pool(xs), budget=12, validation=3, seed=7)
    _map(tmp_path, xs)
    once = select(spec, tmp_path, report)
    kept = (tmp_path / "clusters.npz").read_bytes()
    again = select(spec, tmp_path, report)
    assert again.result == once.result
    assert (tmp_path / "clusters.npz").read_bytes() == kept
    other = select(msgspec.structs.replace(spec, seed=8), tmp_path, report)
    assert _names(other.result) != _names(once.result)


def test_a_short_pool_is_said(report, tmp_path) -> None:
    pool = _pool(LINE, covered="abcdef")
    done = select(_spec(tmp_path, pool=pool), tmp_path, report)
    assert sorted(_names(done.result)) == ["g", "h"]
    assert done.result["notes"] == ["only 2 of 4 could be picked"]


def test_no_candidate_at_all_is_an_error(report, tmp_path) -> None:
    with pytest.raises(ColdalError) as caught:
        select(_spec(tmp_path, pool=_pool(LINE, covered="abcdefgh")), tmp_path, report)
    assert caught.value.code == "no-picks"


def test_a_pool_that_is_not_on_the_map_is_an_error(report, tmp_path) -> None:
    with pytest.raises(ColdalError) as caught:
        select(_spec(tmp_path, pool=_pool("xyz")), tmp_path, report)
    assert caught.value.code == "no-map"


def test_a_strategy_for_other_rounds_is_refused(report, tmp_path) -> None:
    with pytest.raises(UsageError) as caught:
        select(_spec(tmp_path, strategy="entropy"), tmp_path, report)
    assert caught.value.code == "wrong-round"


def _later(folder: Path, **changes: Any) -> SelectSpec:
    """Round 1: a is labelled; b, c, d were clustered with it, n is new and has no entropy."""
    xs = {"a": 0, "b": 2, "c": 4, "d": 10, "n": 11}
    clusters = folder / "earlier.npz"
    save_clusters(clusters, ("a", "b", "c", "d"), np.array([0, 0, 0, 1]), 2)
    entropy = {"a": None, "b": 0.9, "c": 0.5, "d": 0.1, "n": None}
    pool = tuple(
        msgspec.structs.replace(row, entropy=entropy[row.scan_id])
        for row in _pool(xs, labelled="a")
    )
    first = SelectSpec(
        round=1,
        strategy="entropy-diversity",
        budget=2,
        validation=0,
        seed=1,
        map=_map(folder, xs),
        pool=pool,
        clusters=str(clusters),
    )
    return msgspec.structs.replace(first, **changes)


def test_a_later_batch_by_hand(report, tmp_path) -> None:
    """H̃ = 1, 0.5, 0 and D̃ = 0.2, 0.4, 1: b. Then D̃ = 2/8 and 1: S = 0.375 and 0.5: d."""
    result = select(_later(tmp_path), tmp_path, report).result
    assert _names(result) == ["b", "d"]
    first, second = result["picks"]
    assert (first["role"], first["cluster"]) == ("acquired", 0)
    assert (first["entropy"], first["diversity"]) == (1, pytest.approx(0.2))
    assert first["score"] == pytest.approx(0.6)
    assert (first["terms"]["nearest"], first["terms"]["runner_up"]) == ("a", "d")
    assert first["terms"]["runner_up_score"] == pytest.approx(0.5)
    assert (second["entropy"], second["diversity"], second["score"]) == (0, 1, 0.5)
    assert (second["terms"]["nearest"], second["terms"]["distance"]) == ("b", 8)
    assert (second["cluster"], second["terms"]["runner_up"]) == (1, "c")
    assert result["uses_alpha"] is True


def test_candidates_without_entropy_are_passed_over_and_said(report, tmp_path) -> None:
    result = select(_later(tmp_path, budget=4), tmp_path, report).result
    assert sorted(_names(result)) == ["b", "c", "d"]
    assert result["notes"] == [
        "only 3 of 4 could be picked",
        "1 candidates have no entropy and were passed over",
    ]


def test_without_weight_entropy_is_not_asked_for(report, tmp_path) -> None:
    result = select(_later(tmp_path, alpha=0.0, budget=1), tmp_path, report).result
    assert _names(result) == ["n"]
    assert result["notes"] == []


def test_clusters_are_kept_and_new_scans_join_the_nearest(report, tmp_path) -> None:
    result = select(_later(tmp_path), tmp_path, report).result
    kept = load_clusters(tmp_path / "clusters.npz")
    assert (kept.k, kept.of) == (2, {"a": 0, "b": 0, "c": 0, "d": 1, "n": 1})
    assert (result["k"], result["silhouettes"]) == (2, [])


def test_where_no_clustered_scan_is_left_clusters_are_made_anew(report, tmp_path) -> None:
    spec = _later(tmp_path, alpha=0.0)
    save_clusters(tmp_path / "earlier.npz", ("x", "y"), np.array([0, 1]), 2)
    select(spec, tmp_path, report)
    assert set(load_clusters(tmp_path / "clusters.npz").of) == {"a", "b", "c", "d", "n"}


def test_earlier_clusters_that_are_gone_are_an_error(report, tmp_path) -> None:
    spec = _later(tmp_path)
    (tmp_path / "earlier.npz").unlink()
    with pytest.raises(ColdalError) as caught:
        select(spec, tmp_path, report)
    assert (caught.value.code, caught.value.where) == ("map", str(tmp_path / "earlier.npz"))


@pytest.fixture
def longest(monkeypatch) -> None:
    """A strategy that asks for embeddings: the candidate with the longest vector."""
    monkeypatch.setattr(strategies, "_REGISTRY", dict(strategies._REGISTRY))

    @strategies.register(
        "longest", rounds=("cold",), needs=("embeddings",), description="for this test"
    )
    def _longest(pool, batch: int, *, seed: int, alpha: float) -> list[Pick]:
        lengths = np.linalg.norm(pool.embeddings, axis=1)
        order = sorted(pool.candidates().tolist(), key=lambda n: -lengths[n])
        return [Pick(n, "random", int(pool.clusters[n]), {}) for n in order[:batch]]


def _shard(folder: Path) -> ShardRows:
    """Vectors of all scans and of one that is not in the pool, longer the later in the line."""
    path = folder / "shard.npy"
    names = ("aa", *LINE)
    np.save(path, np.array([[n + 1.0, 0.0] for n in range(len(names))], np.float32))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ShardRows(str(path), digest, names, tuple(range(len(names))))


def test_a_strategy_that_needs_embeddings_gets_those_of_its_scans(
    report, tmp_path, longest
) -> None:
    spec = _spec(tmp_path, strategy="longest", budget=2, shards=(_shard(tmp_path),))
    assert _names(select(spec, tmp_path, report).result) == ["h", "g"]


def test_a_changed_shard_is_refused(report, tmp_path, longest) -> None:
    shard = _shard(tmp_path)
    Path(shard.file).write_bytes(b"other")
    with pytest.raises(ColdalError) as caught:
        select(_spec(tmp_path, strategy="longest", shards=(shard,)), tmp_path, report)
    assert caught.value.code == "shard"


def _angles(folder: Path, degrees: Mapping[str, float]) -> ShardRows:
    path = folder / "angles.npy"
    turn = np.deg2rad(list(degrees.values()))
    np.save(path, np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ShardRows(str(path), digest, tuple(degrees), tuple(range(len(degrees))))


def test_clusters_of_the_embeddings_are_those_of_the_round(report, tmp_path) -> None:
    """On the map a to e stand together; between embeddings a, c, e, g and b, d, f, h do."""
    angles = {name: 90.0 * (n % 2) + n + n * n / 10 for n, name in enumerate(LINE)}
    spec = _spec(
        tmp_path, strategy="coldstart-embeddings", shards=(_angles(tmp_path, angles),), budget=4
    )
    result = select(spec, tmp_path, report).result
    assert (result["k"], result["sizes"]) == (2, [4, 4])
    kept = load_clusters(tmp_path / "clusters.npz")
    assert kept.of == dict(zip(LINE, [0, 1] * 4, strict=True))
    assert {(pick["scan_id"], pick["cluster"]) for pick in result["picks"]} <= set(kept.of.items())
    assert [pick["role"] for pick in result["picks"]] == ["medoid"] * 2 + ["farthest-point"] * 2


@pytest.mark.parametrize("name", [known.name for known in strategies.strategies("cold")])
def test_every_strategy_picks_one_scan_of_a_patient_when_asked(report, tmp_path, name: str) -> None:
    patients = dict(zip(LINE, "ppqqrrss", strict=True))
    spec = _spec(
        tmp_path,
        strategy=name,
        shards=(_angles(tmp_path, {scan: 17.0 * n for n, scan in enumerate(LINE)}),),
        pool=_pool(LINE, patients),
        one_per_patient=True,
    )
    picks = _names(select(spec, tmp_path, report).result)
    assert sorted(patients[scan] for scan in picks) == ["p", "q", "r", "s"]


def test_a_strategy_without_entropy_passes_nobody_over(report, tmp_path) -> None:
    result = select(_later(tmp_path, strategy="random", budget=4), tmp_path, report).result
    assert sorted(_names(result)) == ["b", "c", "d", "n"]
    assert result["notes"] == []


def test_a_round_ends_where_the_minutes_end(report, tmp_path) -> None:
    """c, g, a and f take 10, 20, 31 and 1 minutes, and 60 are left: a does not fit."""
    minutes = dict.fromkeys(LINE, 5.0) | {"c": 10.0, "g": 20.0, "a": 31.0, "f": 1.0}
    done = select(_spec(tmp_path, minutes=minutes, minutes_left=60.0), tmp_path, report)
    assert _names(done.result) == ["c", "g"]
    assert done.result["notes"] == ["2 of 4 fit in the 60 minutes left of the budget"]
    whole = select(_spec(tmp_path, minutes=minutes, minutes_left=62.0), tmp_path, report)
    assert _names(whole.result) == ["c", "g", "a", "f"]
    assert whole.result["notes"] == []


def test_a_round_whose_first_scan_does_not_fit_is_refused(report, tmp_path) -> None:
    spec = _spec(tmp_path, minutes=dict.fromkeys(LINE, 12.0), minutes_left=5.0)
    with pytest.raises(ColdalError, match="takes about 12 minutes, and 5 minutes of the budget"):
        select(spec, tmp_path, report)
