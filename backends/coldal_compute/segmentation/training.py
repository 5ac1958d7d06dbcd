"""Training one network: Lightning's loop, with checkpoints that survive a crash."""

from __future__ import annotations

import io
import logging
import math
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.utils.data import DataLoader, Sampler

from coldal_compute.segmentation.augmentation import Patches
from coldal_compute.segmentation.data import Sample
from coldal_compute.segmentation.inference import grid_logits
from coldal_compute.segmentation.metrics import IGNORE
from coldal_compute.segmentation.network import (
    MaskedDiceCELoss,
    build_network,
    memory_errors,
    memory_format,
)
from coldal_compute.segmentation.plan import Plan
from coldal_compute.segmentation.ranks import ALONE, Environment, Rank, means_of_all
from coldal_compute.segmentation.storage import write_json_lines
from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write
from coldal_tui.jobs.spec import Reporter, TrainOptions
from coldal_tui.processors import usable_processors

BEST_FILE = "best.ckpt"
LAST_FILE = "last.ckpt"
HISTORY_FILE = "history.jsonl"
_BLOCKS = 12
_CLIP = 1.0
_GPU_WORKERS = 4
_NETWORK_SEEDS = 1_000_003
_SHARED_MEMORY = 1024**3
_WEIGHT_DECAY = 1e-4


@dataclass(frozen=True)
class Trained:
    """The network with the best weights, the mean loss of the last block, and the history."""

    net: nn.Module
    final_loss: float
    history: tuple[dict[str, Any], ...]


def fit(
    plan: Plan,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    options: TrainOptions,
    device: torch.device,
    seed: int,
    folder: Path,
    report: Reporter,
    rank: Rank = ALONE,
) -> Trained:
    """Train into ``folder``, continuing from ``last.ckpt`` if there is one.

    Training runs in blocks (a twelfth of the steps); after each the validation scans are
    measured and the checkpoints written, so an interrupted run loses less than one block and
    ends with the very weights of an undisturbed one (same devices and number of threads).
    ``rank``: which of several processes this is that train together, on a device each.

    Raises
    ------
    ColdalError : the loss is not finite (code ``diverged``), or memory ran out (code
        ``out-of-memory``).
    """
    seed %= 2**32
    lightning.seed_everything(seed, workers=False, verbose=False)
    module = Segmenter(plan, train, validation, options, seed, folder, report, rank)
    resume = _usable_checkpoint(folder / LAST_FILE, report)
    remedy = "train with a smaller patch or batch size, or on the CPU (device = “cpu”)"
    with _quiet(), memory_errors(remedy):
        trainer = _trainer(plan, options, device, folder, bool(validation), rank)
        trainer.fit(module, ckpt_path=resume, weights_only=True)
    if not rank.writes:
        return Trained(module.net, module.history[-1]["loss"], tuple(module.history))
    best = folder / (BEST_FILE if validation else LAST_FILE)
    state = torch.load(best, map_location="cpu", weights_only=True)
    module.load_state_dict(state["state_dict"])
    return Trained(module.net.eval(), module.history[-1]["loss"], tuple(module.history))


def seed_of_network(seed: int, number: int) -> int:
    """The seed of one network of an ensemble; the first has the run's seed."""
    return seed + (number - 1) * _NETWORK_SEEDS


class Segmenter(lightning.LightningModule):
    """The network in training; ``history`` has one row per block."""

    def __init__(
        self,
        plan: Plan,
        train: Sequence[Sample],
        validation: Sequence[Sample],
        options: TrainOptions,
        seed: int,
        folder: Path,
        report: Reporter,
        rank: Rank = ALONE,
    ) -> None:
        super().__init__()
        self.net = build_network(plan)
        self.history: list[dict[str, Any]] = []
        self._loss = MaskedDiceCELoss()
        self._plan = plan
        self._samples = train
        self._validation = validation
        self._options = options
        self._seed = seed
        self._folder = folder
        self._report = report
        self._rank = rank
        self._waiting: list[torch.Tensor] = []
        self._losses: list[float] = []
        self._last_loss: float | None = None
        self._turn = _Turn()
        self._loader: DataLoader[tuple[torch.Tensor, torch.Tensor]] | None = None
        self._dices: list[float] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.net(images))

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
        size, steps = self._plan.batch_size, block_steps(self._plan.steps)
        first = self.trainer.current_epoch * steps
        left = min(steps, self._plan.steps - first)
        self._turn.items = self._rank.share(first * size, left * size, size)
        if self._loader is None:
            workers = loader_workers(self._options.workers, self.device)
            count = self._plan.steps * size
            # One loader for all blocks: its processes need not be started anew for each.
            self._loader = DataLoader(
                Patches(self._samples, self._plan, self._seed, steps * size, count),
                batch_size=size // self._rank.count,
                sampler=self._turn,
                num_workers=workers,
                persistent_workers=workers > 0,
                pin_memory=self.device.type == "cuda",
            )
        return self._loader

    def val_dataloader(self) -> list[int]:
        return list(range(len(self._validation)))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        images, target = batch
        logits = self(images.to(memory_format=memory_format(self._plan)))
        loss: torch.Tensor = self._loss(logits, target)
        self._waiting.append(loss.detach())
        if len(self._waiting) >= losses_at_once(self.device):
            self._look_at_losses(self.global_step + 1)
        return loss

    def _look_at_losses(self, last: int) -> None:
        """Read the losses up to that of step ``last``; a GPU is waited for.

        Raises ColdalError (``diverged``) where one is not finite.
        """
        if not self._waiting:
            return
        values = means_of_all(torch.stack(self._waiting), self._rank)
        self._waiting.clear()
        for number, value in enumerate(values, start=last - len(values) + 1):
            if not math.isfinite(value):
                raise ColdalError(
                    f"the loss is not a finite number at step {number}",
                    remedy="train with a lower learning rate, or without mixed precision "
                    "(amp = false)",
                    code="diverged",
                )
        self._losses += values
        self._last_loss = values[-1]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        known = {"dice": self.history[-1]["dice"]} if self.history and self._validation else {}
        if self._last_loss is not None:
            known["loss"] = self._last_loss
        self._report.progress(self.global_step, self._plan.steps, "training", **known)

    def validation_step(self, batch: int, index: int) -> None:
        sample = self._validation[batch]
        image = torch.from_numpy(np.array(sample.image, dtype=np.float32)).unsqueeze(0)
        logits = grid_logits(self.net, image, self._plan, self.device)[0]
        labels = logits.argmax(dim=0).to(torch.uint8).cpu().numpy()
        self._dices.append(mean_dice(labels, sample.label, len(self._plan.classes)))

    def on_validation_epoch_end(self) -> None:
        self.log("dice", math.fsum(self._dices) / len(self._dices))

    def on_train_epoch_end(self) -> None:
        # Before a checkpoint is written.
        self._look_at_losses(self.global_step)
        row: dict[str, Any] = {
            "step": self.global_step,
            "loss": math.fsum(self._losses) / len(self._losses),
            "dice": math.fsum(self._dices) / len(self._dices) if self._dices else None,
        }
        self.history.append(row)
        self._losses.clear()
        self._dices.clear()
        if self._rank.writes:
            write_json_lines(self._folder / HISTORY_FILE, self.history)

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=self._plan.learning_rate, weight_decay=_WEIGHT_DECAY
        )
        rate = torch.optim.lr_scheduler.LambdaLR(optimiser, _schedule(self._plan.steps))
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": rate, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = list(self.history)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = list(checkpoint["history"])


class _Turn(Sampler[int]):
    """The patches of the block that is trained."""

    def __init__(self) -> None:
        self.items: list[int] = []

    def __iter__(self) -> Iterator[int]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class DurableIO(TorchCheckpointIO):
    """Writes checkpoints atomically and durably: temporary file, fsync, rename."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        # In memory first: of a full disk torch's own writer only says that a position is wrong.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        atomic_write(Path(path), lambda stream: stream.write(content.getbuffer()))


def block_steps(steps: int) -> int:
    """Steps per block; the last block takes the remainder."""
    return max(1, math.ceil(steps / _BLOCKS))


def losses_at_once(device: torch.device) -> int:
    """Losses that are read together; reading one from a GPU waits for all that it was given."""
    return 10 if device.type == "cuda" else 1


def loader_workers(asked: int, device: torch.device) -> int:
    """The number of processes that prepare patches: as configured, or some if a GPU would wait."""
    shared = Path("/dev/shm")  # nosec B108
    if asked or device.type != "cuda" or not shared.is_dir():
        return asked
    # Patches travel through shared memory; small containers have too little of it.
    roomy = shutil.disk_usage(shared).free >= _SHARED_MEMORY
    return min(_GPU_WORKERS, usable_processors() - 1) if roomy else 0


def mean_dice(predicted: Any, reference: Any, classes: int) -> float:
    """Mean Dice over the classes; both empty counts 1, ignored pixels don't count."""
    kept = reference != IGNORE
    found = []
    for value in range(1, classes + 1):
        a, b = (predicted == value) & kept, reference == value
        size = int(a.sum()) + int(b.sum())
        found.append(2 * int((a & b).sum()) / size if size else 1.0)
    return math.fsum(found) / classes


def _schedule(steps: int) -> Any:
    warm = max(1, min(20, steps // 10))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return float((1 - (step - warm) / max(1, steps - warm)) ** 0.9)

    return factor


def _trainer(
    plan: Plan,
    options: TrainOptions,
    device: torch.device,
    folder: Path,
    validated: bool,
    rank: Rank,
) -> lightning.Trainer:
    keep: dict[str, Any] = {
        "dirpath": folder,
        "enable_version_counter": False,
        "save_on_train_epoch_end": True,
    }
    callbacks: list[Callback] = [ModelCheckpoint(filename=Path(LAST_FILE).stem, **keep)]
    if validated:
        # save_last writes only when a monitored value got better: the last state needs a
        # checkpoint of its own. It comes second, so that it knows of the best.
        best = ModelCheckpoint(filename=Path(BEST_FILE).stem, monitor="dice", mode="max", **keep)
        callbacks.insert(0, best)
    gpu = device.type == "cuda"
    several = rank.count > 1
    ddp = DDPStrategy(process_group_backend="nccl" if gpu else "gloo") if several else "auto"
    return lightning.Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=[device.index or 0] if gpu and not several else rank.count,
        strategy=ddp,
        # Each process is dealt its own patches.
        use_distributed_sampler=False,
        precision=_precision(device, options.amp),
        max_epochs=math.ceil(plan.steps / block_steps(plan.steps)),
        limit_val_batches=1.0 if validated else 0,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        gradient_clip_val=_CLIP,
        default_root_dir=folder,
        callbacks=callbacks,
        # Without this, Lightning inside an sbatch job takes over requeueing.
        plugins=[Environment(rank), DurableIO()],
        benchmark=False,
        deterministic="warn" if gpu else False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _precision(device: torch.device, amp: bool) -> Any:
    if device.type != "cuda" or not amp:
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def _usable_checkpoint(path: Path, report: Reporter) -> str | None:
    if not path.exists():
        return None
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        report.log(f"{path.name} can't be read ({error}): training starts from the beginning")
        return None
    return str(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's hints out of the job's log; they are not for users."""
    logs = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
