"""Embedding on the CPU: scans side by side, one torch thread each, against plain batches.

The first way gives the same bits whatever the number of threads or the company in a batch; this
tells what that costs or saves. Pairs are timed in turn; the ratio of each pair counts, not the
seconds.

    python benchmarks/embedding.py [--pairs 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from measuring import figures

from coldal_compute.embedding import embed
from coldal_compute.encoders.preprocess import to_encoder_input
from coldal_compute.encoders.registry import Encoder, load_encoder
from coldal_tui.imaging.indexing import index_folder
from coldal_tui.imaging.reading import read_scan
from coldal_tui.jobs.spec import EmbedSpec, EncoderChoice, ScanInput
from coldal_tui.sampledata import sample_data

BATCH = 16


class Silent:
    """A reporter that nobody reads."""

    def progress(self, done: float, total: float, message: str = "", **metrics: float) -> None:
        pass

    def log(self, message: str) -> None:
        pass


def ours(scans: tuple[ScanInput, ...], choice: EncoderChoice) -> float:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        embed(EmbedSpec(scans, choice, device="cpu"), Path(folder), Silent())
        return time.perf_counter() - began


def batched(scans: tuple[ScanInput, ...], encoder: Encoder) -> float:
    torch.set_num_threads(os.cpu_count() or 1)
    began = time.perf_counter()
    for start in range(0, len(scans), BATCH):
        inputs = [
            to_encoder_input(read_scan(s.ref), encoder.info) for s in scans[start : start + BATCH]
        ]
        encoder.embed(torch.cat(inputs))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    pairs = options.pairs
    choice = EncoderChoice("efficientnet-lite0")
    encoder = load_encoder(choice)
    found = index_folder(sample_data() / "cxr" / "images").scans
    scans = tuple(
        ScanInput(s.name, s.ref, s.header.shape, s.header.channels, None, None, s.quick_hash)
        for s in found
    )
    batched(scans[:BATCH], encoder)
    ratios = [batched(scans, encoder) / ours(scans, choice) for _ in range(pairs)]
    print(f"{len(scans)} pictures, {os.cpu_count()} cores, {pairs} pairs")
    print(f"plain batches of {BATCH} take {statistics.median(ratios):.2f} times as long")
    print(f"(from {min(ratios):.2f} to {max(ratios):.2f})")
    row = {
        "what": f"embedding {len(scans)} pictures",
        "peer": f"plain batches of {BATCH}",
        "ratio": 1 / statistics.median(ratios),
        "ratios": [1 / ratio for ratio in ratios],
    }
    figures("embedding", [row], options.json)


if __name__ == "__main__":
    main()
