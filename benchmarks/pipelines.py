"""Training, scoring and embedding against what a user would write instead.

    python benchmarks/pipelines.py [--only WORDS] [--steps 120] [--scans 80] [--pairs 3]
        [--json FILE]

The peers of training and embedding only compute: a training loop without augmentation, checkpoints
or progress on one batch that is never read again, an encoder on tensors in memory. Scoring has two:
the network on tensors in memory, and a short script that reads the pictures, resizes them, puts
them through the network in batches and takes the mean of the entropy. A later round has the resized
pictures in the cache that jobs share. One thread on both sides.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import nibabel
import numpy as np
import torch
from measuring import Result, compare, finish, machine
from PIL import Image

from coldal_compute.embedding import embed
from coldal_compute.encoders.registry import load_encoder
from coldal_compute.score_step import Scorer, score
from coldal_compute.segmentation.augmentation import Patches
from coldal_compute.segmentation.data import Sample, class_places
from coldal_compute.segmentation.inputs.preprocessing import preprocess
from coldal_compute.segmentation.network import (
    MaskedDiceCELoss,
    build_network,
    memory_format,
    save_weights,
)
from coldal_compute.segmentation.plan import Plan, save_plan
from coldal_compute.segmentation.training import fit
from coldal_tui.imaging.indexing import index_folder
from coldal_tui.imaging.reading import read_scan
from coldal_tui.jobs.spec import (
    EmbedSpec,
    EncoderChoice,
    InputCache,
    ScanInput,
    ScoreSpec,
    Silent,
    TrainOptions,
)

CPU = torch.device("cpu")
BATCH = 16
FEATURES = (16, 32, 64, 128, 256)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--scans", type=int, default=80)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    where = machine()
    results: list[Result] = []
    for name, case in CASES.items():
        if options.only in name:
            results += case(options)
    finish("pipelines", results, options.json, where)
    return 0


def plan_2d(side: int, batch: int, steps: int) -> Plan:
    levels = 3 if side < 128 else 4
    strides, features = ((2, 2),) * levels, FEATURES[: levels + 1]
    size = (side, side)
    return Plan(("a",), 2, 1, size, batch, steps, features, strides, 2e-3, image_size=size)


def plan_3d(steps: int) -> Plan:
    strides = ((2, 2, 2),) * 3
    return Plan(
        ("a",), 3, 1, (32, 48, 32), 2, steps, FEATURES[:4], strides, 2e-3, (None), (1, 1, 1)
    )


def ball(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy image (*shape) float32 with a disc or ball, and its mask uint8."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.arange(side) for side in shape], indexing="ij", sparse=True)
    centre = rng.uniform(0.35, 0.65, len(shape)) * shape
    far = sum((axis - middle) ** 2 for axis, middle in zip(axes, centre, strict=True))
    mask = (far < (0.2 * min(shape)) ** 2).astype(np.uint8)
    return (rng.normal(size=shape) + 2 * mask).astype(np.float32), mask


def training(options: argparse.Namespace) -> Iterator[Result]:
    for name, plan, shape in (
        ("training step, 4 x 96 x 96", plan_2d(96, 4, options.steps), (96, 96)),
        ("training step, 8 x 128 x 128", plan_2d(128, 8, options.steps), (128, 128)),
        ("training step, 2 x 32 x 48 x 32", plan_3d(options.steps), (35, 50, 36)),
    ):
        samples = []
        for number in range(12):
            image, mask = ball(shape, number)
            samples.append(
                Sample(f"{number}", image[None].astype(np.float16), mask, class_places(mask))
            )
        ready = Patches(samples, plan, 0, plan.batch_size, plan.batch_size)
        batch = [ready[number] for number in range(plan.batch_size)]
        images, labels = (torch.stack(part) for part in zip(*batch, strict=True))

        def ours(plan: Plan = plan, samples: list[Sample] = samples) -> None:
            with tempfile.TemporaryDirectory() as folder:
                fit(plan, samples, [], TrainOptions(), CPU, 0, Path(folder), Silent())

        def bare(
            plan: Plan = plan, images: torch.Tensor = images, labels: torch.Tensor = labels
        ) -> None:
            net, loss = build_network(plan), MaskedDiceCELoss()
            optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
            for _ in range(plan.steps):
                optimiser.zero_grad()
                loss(net(images.to(memory_format=memory_format(plan))), labels).backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()

        yield compare(name, plan.steps, ours, "bare loop", bare, pairs=options.pairs)


def scans_in(folder: Path) -> tuple[ScanInput, ...]:
    return tuple(
        ScanInput(
            scan.name,
            scan.ref,
            scan.header.shape,
            scan.header.channels,
            scan.header.spacing,
            scan.header.modality,
            scan.quick_hash,
        )
        for scan in index_folder(folder).scans
    )


def scoring(options: argparse.Namespace) -> Iterator[Result]:
    yield from scored(options, (256, 256), 128, options.scans)
    # Radiographs as they come from a scanner.
    yield from scored(options, (2000, 1500), 256, max(2, options.scans // 4))


def scored(
    options: argparse.Namespace, shape: tuple[int, int], side: int, count: int
) -> Iterator[Result]:
    """Pictures of ``shape`` that a network on ``side`` × ``side`` scores."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        (root / "images").mkdir()
        for number in range(count):
            image = np.clip(ball(shape, number)[0] * 40 + 100, 0, 255).astype(np.uint8)
            Image.fromarray(image).save(root / "images" / f"{number:04d}.png", compress_level=1)
        plan = plan_2d(side, 8, 1)
        save_plan(plan, root)
        torch.manual_seed(0)
        net = build_network(plan)
        save_weights(net, root)
        scans = scans_in(root / "images")
        ready = torch.stack(
            [torch.from_numpy(preprocess(read_scan(one.ref), plan)).float() for one in scans]
        )
        spec = ScoreSpec(str(root), scans, device="cpu", threads=1)
        cache = InputCache(str(root / "cache" / "inputs"), 10**9)
        later = msgspec.structs.replace(spec, inputs=cache)

        def ours(spec: ScoreSpec = spec) -> None:
            with tempfile.TemporaryDirectory() as folder:
                score(spec, Path(folder), Silent())

        def forwards() -> None:
            with torch.inference_mode():
                for part in ready.split(BATCH):
                    net.eval()(part.to(memory_format=memory_format(plan)))

        def script() -> None:
            files = [Path(one.ref.files[0]) for one in scans]
            found = []
            with torch.inference_mode():
                for first in range(0, len(files), BATCH):
                    part = torch.stack([plain(file) for file in files[first : first + BATCH]])
                    logits = net.eval()(part.to(memory_format=memory_format(plan)))
                    p = torch.softmax(logits, dim=1)
                    found += (-(p * p.log()).sum(dim=1)).mean(dim=(1, 2)).tolist()
            (root / "script.json").write_text(json.dumps(found))

        def plain(file: Path) -> torch.Tensor:
            with Image.open(file) as opened:
                small = opened.resize((side, side), Image.Resampling.BILINEAR)
            pixels = torch.from_numpy(np.asarray(small, dtype=np.float32))[None]
            return (pixels - pixels.mean()) / pixels.std()

        Scorer(spec, root)
        for peer, theirs in (
            (f"network on tensors, {BATCH} at once", forwards),
            (f"script that reads, resizes, {BATCH} at once, mean entropy", script),
        ):
            yield compare(
                f"score PNG of {shape[0]} x {shape[1]} at {side} x {side}",
                len(scans),
                ours,
                peer,
                theirs,
                pairs=options.pairs,
            )
        ours(later)
        yield compare(
            f"score PNG of {shape[0]} x {shape[1]} at {side} x {side}, a later round",
            len(scans),
            partial(ours, later),
            f"network on tensors, {BATCH} at once",
            forwards,
            pairs=options.pairs,
        )


def embedding(options: argparse.Namespace) -> Iterator[Result]:
    encoder = load_encoder(EncoderChoice("efficientnet-lite0"))
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for number in range(max(2, options.scans // 20)):
            image = (ball((96, 112, 64), number)[0] * 100).astype(np.int16)
            nibabel.Nifti1Image(image, np.eye(4)).to_filename(root / f"{number:04d}.nii.gz")
        scans = scans_in(root)
        spec = EmbedSpec(scans, EncoderChoice("efficientnet-lite0"), device="cpu", threads=1)
        ready = [encoder.prepare(read_scan(one.ref)).slices for one in scans]

        def ours() -> None:
            with tempfile.TemporaryDirectory() as folder:
                embed(spec, Path(folder), Silent())

        def tensors() -> None:
            for slices in ready:
                encoder.embed(slices)

        yield compare(
            "embed volumes, 96 x 112 x 64",
            len(scans),
            ours,
            "encoder on tensors",
            tensors,
            pairs=options.pairs,
        )


CASES = {"training": training, "scoring": scoring, "embedding": embedding}


if __name__ == "__main__":
    raise SystemExit(main())
