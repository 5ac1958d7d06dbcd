"""The conformance tests: what is built in passes them, and each fault of a plug-in is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coldal_launch.local import LocalBackend
from coldal_tui.encoders.catalogue import EncoderInfo, EncoderPlugin
from coldal_tui.exchange.candidate import Candidate, MaskPixels
from coldal_tui.exchange.exporters import ExportResult, export_formats, exporter
from coldal_tui.exchange.importers import load_registry
from coldal_tui.selection.pool import Pick
from coldal_tui.selection.strategies import Strategy, strategies
from coldal_tui.testing import (
    check_backend,
    check_encoder,
    check_exporter,
    check_importer,
    check_strategy,
)


@pytest.mark.parametrize("found", strategies(), ids=lambda one: one.name)
def test_strategies_conform(found: Strategy) -> None:
    # This one needs no entropy only where α = 0, which the check does not ask for.
    needs = ("entropy",) if found.name == "entropy-diversity" else found.needs
    check_strategy(replace(found, needs=needs))


@pytest.mark.parametrize("name", [name for name in export_formats() if name != "dicom-seg"])
def test_exporters_conform(name: str, tmp_path: Path) -> None:
    check_exporter(exporter(name), tmp_path)


def test_the_importer_of_pictures_conforms(tmp_path: Path) -> None:
    Image.fromarray(np.eye(6, 9, dtype=np.uint8)).save(tmp_path / "a.png")
    check_importer(load_registry().select("raster")[0], [tmp_path / "a.png"])


def test_the_local_backend_conforms(tmp_path: Path) -> None:
    check_backend(LocalBackend(), tmp_path, {"cpu_jobs": 1, "threads": 1})


def first(pool, batch, *, seed, alpha):
    """The first candidates, as a strategy should return them."""
    return [Pick(int(n), "acquired", int(pool.clusters[n])) for n in pool.candidates()[:batch]]


GOOD = Strategy("first", ("cold", "active"), (), "the first", first)


def test_a_plain_strategy_conforms() -> None:
    check_strategy(GOOD)


def _twice(pool, batch, **how):
    return first(pool, 1, **how) * min(batch, 2)


def _covered(pool, batch, **how):
    return [Pick(n, "acquired", 0) for n in np.flatnonzero(~pool.candidate)[:batch]]


def _moody(pool, batch, **how):
    rng = np.random.default_rng()
    return [Pick(int(n), "random", 0) for n in rng.permutation(pool.candidates())[:batch]]


def _vandal(pool, batch, **how):
    pool.points[:] = 0.0
    return first(pool, batch, **how)


def _numpy_terms(pool, batch, **how):
    return [replace(one, terms={"d": np.float32(1)}) for one in first(pool, batch, **how)]


def _endless(pool, batch, **how):
    return [replace(one, terms={"d": float("inf")}) for one in first(pool, batch, **how)]


def _odd_role(pool, batch, **how):
    return [replace(one, role="best") for one in first(pool, batch, **how)]


@pytest.mark.parametrize(
    ("select", "said"),
    [
        (_twice, "twice"),
        (_moody, "same seed"),
        (_vandal, "changed points"),
        (_numpy_terms, "d is a float32"),
        (_endless, "d is inf"),
        (_odd_role, "the role 'best'"),
        (lambda pool, batch, **how: first(pool, batch + 1, **how), "were asked for"),
        (lambda pool, batch, **how: first(pool, 1, **how), "could be made"),
    ],
)
def test_faults_of_strategies(select, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_strategy(replace(GOOD, select=select))


def test_a_strategy_of_later_rounds_must_leave_labelled_scans_alone() -> None:
    with pytest.raises(AssertionError, match="no candidate"):
        check_strategy(replace(GOOD, rounds=("active",), select=_covered))


def test_an_explanation_must_be_sentences() -> None:
    with pytest.raises(AssertionError, match="explain must return"):
        check_strategy(replace(GOOD, explain=lambda terms: "because"))


INFO = EncoderInfo(
    "flat", "flat", "here", "MIT", 3, 8, "RGB", "mean", False, (0.0,) * 3, (1.0,) * 3
)


def _module(forward):
    def network(weights):
        import torch

        class Flat(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.noise = torch.randn(3)

            def forward(self, x):
                return forward(self, x)

        return Flat()

    return network


def test_a_plain_encoder_conforms() -> None:
    check_encoder(EncoderPlugin(INFO, _module(lambda self, x: x.mean(dim=(2, 3)))))


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda self, x: x.mean(dim=3).flatten(1), r"it gives \(3, 24\)"),
        (lambda self, x: x.mean(dim=(2, 3)) / 0, "not finite"),
        (lambda self, x: x.mean(dim=(2, 3)) - x.mean(), "depends on what else"),
        (lambda self, x: x.mean(dim=(2, 3)) + self.noise, "loaded anew"),
    ],
)
def test_faults_of_encoders(forward, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_encoder(EncoderPlugin(INFO, _module(forward)))


class Raw:
    """A format of 4 bytes after a magic word."""

    name, priority, endings = "raw", 0, {".raw": "RAW"}

    def recognise(self, path, head):
        return "RAW" if head.startswith(b"RAW!") else None

    def belongings(self, path):
        return frozenset()

    def candidates(self, path):
        yield Candidate(path, path.name, "raw", lambda: self.decode(path))

    def decode(self, path):
        return MaskPixels(np.frombuffer(path.read_bytes()[4:], np.uint8).reshape(2, 2), "rows")


class Greedy(Raw):
    def recognise(self, path, head):
        return "RAW"


class Fractions(Raw):
    def decode(self, path):
        return MaskPixels(np.ones((2, 2), np.float32), "rows")


@pytest.mark.parametrize(
    ("importer", "said"),
    [
        (Raw(), "of a damaged a.raw it raises ValueError"),
        (Greedy(), "takes any file"),
        (Fractions(), "values must be whole"),
    ],
)
def test_faults_of_importers(importer, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"RAW!\0\1\2\0")
    with pytest.raises(AssertionError, match=said):
        check_importer(importer, [tmp_path / "a.raw"])


def _forgetful(out, items, meta, progress=None):
    out.mkdir()
    (out / "a.txt").write_text("a")
    return ExportResult(out, {}, {})


def test_an_exporter_that_does_not_tell_its_files(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"files and result differ: a\.txt"):
        check_exporter(_forgetful, tmp_path)
