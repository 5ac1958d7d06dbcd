"""Measures a GPU: embedding, training, scoring, memory that runs out, two jobs at once, precision.

    make gpu-check
    python benchmarks/gpu_check.py [--fake] [--quick] [--minutes 8] [--out build/gpu-check]

At most ``--minutes`` on one H100 or H200: a check that would begin after them is left out, and
said to be. Everything found is written after each check, into ``gpu_check.json`` and the table
``gpu_check.md``. Seconds are by the clock, with the device's work done; a ratio is ours over the
peer's time. Without a GPU (or with ``--fake``) the same path runs on the CPU with a fake device:
that tells whether the path works, and nothing about a GPU.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpu_jobs
import msgspec
import numpy as np
import torch
from gpu_layers import CARD, SMALL, Layer, Sizes, choose, watched
from measuring import machine
from PIL import Image
from pipelines import ball, scans_in

from coldal_compute.embedding import embed
from coldal_compute.encoders.registry import load_encoder
from coldal_compute.score_step import score
from coldal_compute.segmentation.augmentation import Patches
from coldal_compute.segmentation.data import Sample, class_places
from coldal_compute.segmentation.inference import Model
from coldal_compute.segmentation.inputs.preprocessing import preprocess
from coldal_compute.segmentation.network import (
    MaskedDiceCELoss,
    autocast,
    build_network,
    memory_format,
    save_weights,
)
from coldal_compute.segmentation.plan import Plan, save_plan
from coldal_compute.segmentation.training import fit, mean_dice
from coldal_tui.encoders.catalogue import PRECISIONS
from coldal_tui.imaging.labelfile import write_label
from coldal_tui.imaging.reading import read_scan
from coldal_tui.jobs.spec import (
    EmbedSpec,
    EncoderChoice,
    InputCache,
    LabelledScan,
    ScoreSpec,
    Silent,
    TrainOptions,
)

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]
DISTINCT = 64
"""Pictures that differ; further ones are copies under other names."""
MOST_DICE = 0.01
MOST_STEP = 1.15


@dataclass(frozen=True)
class Bench:
    """What every check is given."""

    layer: Layer
    sizes: Sizes
    root: Path
    scans: tuple[LabelledScan, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fake", action="store_true", help="the fake device, GPU or not")
    parser.add_argument("--quick", action="store_true", help="small sizes on a GPU, too")
    parser.add_argument("--only", default="", help="checks whose name holds this")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path, default=Path("build/gpu-check"))
    options = parser.parse_args()
    began = time.monotonic()
    layer = choose(options.fake)
    if not layer.real:
        torch.set_num_threads(1)
    sizes = CARD if layer.real and not options.quick else SMALL
    options.out.mkdir(parents=True, exist_ok=True)
    found: Row = {"saw_a_gpu": layer.real, **layer.facts(), **machine(), "rows": []}
    with tempfile.TemporaryDirectory() as made:
        bench = Bench(layer, sizes, Path(made), pictures(Path(made) / "images", sizes))
        for name, check in CHECKS.items():
            if options.only not in name:
                continue
            left = options.minutes * 60 - (time.monotonic() - began)
            found["rows"] += checked(name, check, bench) if left > 0 else [late(name)]
            found["seconds"] = round(time.monotonic() - began, 1)
            write(found, options.out)
    print(table(found))
    print(f"{options.out / 'gpu_check.json'}, {options.out / 'gpu_check.md'}")
    return 0 if all(row["ok"] is not False for row in found["rows"]) else 1


def checked(name: str, check: Callable[[Bench], list[Row]], bench: Bench) -> list[Row]:
    """The rows of a check; one that fails is a row, too, and stops no other."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    try:
        rows = check(bench)
    except Exception as error:
        rows = [{"what": name, "ok": False, "note": f"{type(error).__name__}: {error}"}]
    for row in rows:
        row["check"], row["check_seconds"] = name, round(time.monotonic() - began, 1)
        if not bench.layer.real and "wanted" in row:
            # A time on the CPU passes for no GPU's.
            row["ok"] = None
    return rows


def late(name: str) -> Row:
    return {"what": name, "check": name, "ok": None, "note": "left out: the minutes were over"}


def pictures(folder: Path, sizes: Sizes) -> tuple[LabelledScan, ...]:
    """Grey PNG files with a bright disc each, and their labels."""
    folder.mkdir()
    labels = folder.parent / "labels"
    labels.mkdir()
    for number in range(sizes.images):
        path, label = folder / f"{number:05d}.png", labels / f"{number:05d}.png"
        if number >= DISTINCT:
            path.hardlink_to(folder / f"{number % DISTINCT:05d}.png")
            label.hardlink_to(labels / f"{number % DISTINCT:05d}.png")
            continue
        image, mask = ball((2 * sizes.side, 2 * sizes.side), number)
        Image.fromarray(np.clip(image * 20 + 100, 0, 255).astype(np.uint8)).save(path)
        write_label(label, mask, None)
    return tuple(
        LabelledScan(scan, str(labels / Path(scan.ref.files[0]).name)) for scan in scans_in(folder)
    )


def embedding(bench: Bench) -> list[Row]:
    """PNG files to vectors, against the encoder alone, in float32, on batches on the device."""
    layer, sizes = bench.layer, bench.sizes
    encoder = load_encoder(EncoderChoice("efficientnet-lite0"), layer.device.type)
    scans = tuple(one.scan for one in bench.scans)
    count = len(scans)
    one = torch.cat([encoder.prepare(read_scan(s.ref)).slices for s in scans[:DISTINCT]])
    rows = []
    largest = max(sizes.batches)
    kinds = [(size, PRECISIONS[0]) for size in sizes.batches]
    for size, named in (*kinds, *((largest, lower) for lower in PRECISIONS[1:])):
        batch = one.repeat(-(-size // len(one)), 1, 1, 1)[:size].to(layer.device)
        choice = EncoderChoice("efficientnet-lite0", precision=named)

        def bare(size: int = size, batch: torch.Tensor = batch) -> None:
            with torch.inference_mode():
                for _ in range(-(-count // size)):
                    encoder.network(batch)

        def ours(size: int = size, choice: EncoderChoice = choice) -> None:
            with tempfile.TemporaryDirectory() as folder:
                spec = EmbedSpec(scans, choice, device=layer.device.type, batch_size=size)
                embed(spec, Path(folder), Silent())

        what = f"embed {count} PNG, batches of {size}, {named}"
        row = paired(layer, what, ours, bare, sizes.repeats)
        row["images_per_s"] = round(count / row["ours"], 1)
        row["bare_images_per_s"] = round(count / row["peer"], 1)
        row["note"] = f"{row['images_per_s']} images/s, bare forward {row['bare_images_per_s']}"
        rows.append(row)
    return rows


def training(bench: Bench) -> list[Row]:
    """A step with patches read, changed and put on the device, against a loop on one batch."""
    return [
        _step(bench, plan)
        for plan in (plan_of(bench.sizes, 2, bench.sizes.steps_2d),
                     plan_of(bench.sizes, 3, bench.sizes.steps_3d))
    ]  # fmt: skip


def _step(bench: Bench, plan: Plan) -> Row:
    layer = bench.layer
    samples = samples_of(plan, 12 if plan.ndim == 2 else 4)
    patches = Patches(samples, plan, 0, plan.batch_size, plan.batch_size)
    drawn = [patches[number] for number in range(plan.batch_size)]
    images, labels = (torch.stack(part).to(layer.device) for part in zip(*drawn, strict=True))

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            fit(plan, samples, [], TrainOptions(), layer.device, 0, Path(folder), Silent())

    def bare() -> None:
        net, loss = build_network(plan).to(layer.device), MaskedDiceCELoss()
        optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
        for _ in range(plan.steps):
            optimiser.zero_grad()
            with autocast(layer.device, True):
                logits = net(images.to(memory_format=memory_format(plan)))
                found = loss(logits, labels)
            found.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()

    what = f"training, {plan.ndim}-D, {plan.batch_size} x {'x'.join(map(str, plan.patch))}"
    row = paired(layer, what, ours, bare, bench.sizes.repeats)
    row["note"] = f"{row['ours'] / plan.steps * 1000:.1f} ms a step, {plan.steps} steps"
    return row | {"wanted": MOST_STEP, "ok": row["ratio"] <= MOST_STEP}


def scoring(bench: Bench) -> list[Row]:
    """PNG files to scores, against the network on batches that lie on the device."""
    layer, sizes = bench.layer, bench.sizes
    plan = plan_of(sizes, 2, 1)
    run = bench.root / "run"
    run.mkdir()
    save_plan(plan, run)
    torch.manual_seed(0)
    net = build_network(plan)
    save_weights(net, run)
    net = net.to(layer.device).eval()
    scans = tuple(one.scan for one in bench.scans[: max(2, sizes.images // 4)])
    some = [torch.from_numpy(preprocess(read_scan(s.ref), plan)).float() for s in scans[:16]]
    batch = torch.stack(some).to(layer.device, memory_format=memory_format(plan))

    spec = ScoreSpec(str(run), scans, device=layer.device.type)
    kept = InputCache(str(bench.root / "cache" / "inputs"), 10**10)

    def ours(spec: ScoreSpec = spec) -> None:
        with tempfile.TemporaryDirectory() as folder:
            score(spec, Path(folder), Silent())

    def later() -> None:
        ours(msgspec.structs.replace(spec, inputs=kept))

    def bare() -> None:
        with torch.inference_mode(), autocast(layer.device, True):
            for _ in range(-(-len(scans) // len(batch))):
                net(batch)

    later()  # reads the scans, so that what is timed finds them
    rows = [
        paired(layer, f"score {len(scans)} PNG", ours, bare, sizes.repeats),
        paired(layer, f"score {len(scans)} PNG in a later round", later, bare, sizes.repeats),
    ]
    return [row | {"note": f"{len(scans) / row['ours']:.1f} images/s"} for row in rows]


def precision(bench: Bench) -> list[Row]:
    """Mixed precision against float32: the Dice of two trainings that differ in that alone."""
    plan = plan_of(bench.sizes, 2, bench.sizes.steps_2d)
    train, held = samples_of(plan, 12), samples_of(plan, 8, first=100)
    dices = []
    for amp in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            options = TrainOptions(amp=amp)
            done = fit(plan, train, [], options, bench.layer.device, 0, Path(folder), Silent())
        model = Model(plan, done.net.to(bench.layer.device).eval(), bench.layer.device, amp)
        found = [_dice(model, sample) for sample in held]
        dices.append(statistics.fmean(found))
    apart = abs(dices[0] - dices[1])
    return [
        {
            "what": "Dice, mixed precision against float32",
            "ours": dices[0],
            "peer": dices[1],
            "unit": "Dice",
            "apart": apart,
            "wanted": MOST_DICE,
            "ok": apart <= MOST_DICE,
            "note": f"{apart:.4f} apart, on {len(held)} other pictures",
        }
    ]


def _dice(model: Model, sample: Sample) -> float:
    labels = model.working_logits(sample.image).argmax(dim=0).to(torch.uint8).cpu().numpy()
    return mean_dice(labels, sample.label, 1)


def memory(bench: Bench) -> list[Row]:
    return gpu_jobs.out_of_memory(bench.layer, bench.sizes, bench.scans, bench.root)


def two_jobs(bench: Bench) -> list[Row]:
    root = bench.root / "two"
    root.mkdir()
    return gpu_jobs.side_by_side(bench.layer, bench.sizes, bench.scans[:DISTINCT], root)


def tests(bench: Bench) -> list[Row]:
    """The tests that need a GPU; without one they are skipped, and that is what is told."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-rs", "-p", "no:cacheprovider", "-k", "gpu",
         "tests/compute/test_on_a_gpu.py", "tests/compute/test_training.py"],
        cwd=ROOT, text=True, capture_output=True,
    )  # fmt: skip
    lines = (done.stdout + done.stderr).splitlines()
    last = next((line.strip("= ") for line in reversed(lines) if " in " in line), "no answer")
    passed = re.search(r"(\d+) passed", last)
    ok = done.returncode == 0 and (passed is not None or not bench.layer.real)
    return [{"what": "the tests that need a GPU", "ok": ok, "note": last}]


def plan_of(sizes: Sizes, ndim: int, steps: int) -> Plan:
    side = sizes.side if ndim == 2 else sizes.cube
    levels = 4 if side >= 128 else 3 if side >= 64 else 2
    shape = (side,) * ndim
    batch = (12 if ndim == 2 else 2) if side > 32 else 2
    size, spacing = (shape, None) if ndim == 2 else (None, (1.0,) * ndim)
    strides, features = ((2,) * ndim,) * levels, sizes.features[: levels + 1]
    return Plan(("disc",), ndim, 1, shape, batch, steps, features, strides, 2e-3, size, spacing)


def samples_of(plan: Plan, count: int, first: int = 0) -> list[Sample]:
    shape = plan.patch if plan.ndim == 2 else tuple(side + side // 8 for side in plan.patch)
    samples = []
    for number in range(first, first + count):
        image, mask = ball(shape, number)
        samples.append(
            Sample(f"{number}", image[None].astype(np.float16), mask, class_places(mask))
        )
    return samples


def paired(
    layer: Layer, what: str, ours: Callable[[], None], bare: Callable[[], None], repeats: int
) -> Row:
    """Both sides in turn after one turn that is not counted; medians, and how busy the GPU was."""
    own: list[float] = []
    other: list[float] = []
    uses: list[float] = []
    seconds(layer, bare)
    if layer.real:
        ours()
    layer.peak_gb()
    for _ in range(repeats):
        with watched(layer) as use:
            own.append(seconds(layer, ours))
        uses += [use.mean] if use.mean is not None else []
        other.append(seconds(layer, bare))
    ratios = [a / b for a, b in zip(own, other, strict=True)]
    return {
        "what": what,
        "ours": statistics.median(own),
        "peer": statistics.median(other),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "unit": "s",
        "gpu_use": statistics.fmean(uses) if uses else None,
        "peak_gb": layer.peak_gb(),
        "ok": None,
    }


def seconds(layer: Layer, work: Callable[[], None]) -> float:
    layer.sync()
    began = time.perf_counter()
    work()
    layer.sync()
    return time.perf_counter() - began


def write(found: Row, out: Path) -> None:
    (out / "gpu_check.json").write_bytes(msgspec.json.format(json.dumps(found).encode(), indent=1))
    (out / "gpu_check.md").write_text(table(found) + "\n", encoding="utf-8")


def table(found: Row) -> str:
    """One table for people; its first line says what it was measured on."""
    versions = found["versions"]
    told = (
        f"{found['device']}, {found['memory_gb']} GB, driver {found['driver']}, CUDA "
        f"{found['cuda']}, torch {versions.get('torch')}"
        if found["saw_a_gpu"]
        else "No GPU was seen: the path ran on the CPU with a fake device, and no time here says "
        "anything about a GPU."
    )
    lines = [told, "", "| check | ours | peer | ratio | wanted | GPU use | holds | |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    lines += [_line(row) for row in found["rows"]]
    return "\n".join(lines)


def _line(row: Row) -> str:
    unit = f" {row['unit']}" if "unit" in row else ""
    cells: Sequence[str] = (
        row["what"],
        _number(row.get("ours"), ".3g", unit),
        _number(row.get("peer"), ".3g", unit),
        _number(row.get("ratio"), ".2f"),
        _number(row.get("wanted"), "g"),
        _number(row.get("gpu_use"), ".0%"),
        {True: "yes", False: "NO", None: ""}[row.get("ok")],
        row.get("note", ""),
    )
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "" if value is None else f"{value:{form}}{unit}"


CHECKS: dict[str, Callable[[Bench], list[Row]]] = {
    "embedding": embedding,
    "training": training,
    "scoring": scoring,
    "precision": precision,
    "memory": memory,
    "two jobs": two_jobs,
    "tests": tests,
}


if __name__ == "__main__":
    sys.exit(main())
