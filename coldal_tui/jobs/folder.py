"""A job's folder: the files through which worker and supervisor talk."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from coldal_tui.errors import ColdalError
from coldal_tui.files import atomic_write, is_locked, make_folder, not_json
from coldal_tui.jobs.backend import JobHandle
from coldal_tui.jobs.retry_smaller import Fit
from coldal_tui.jobs.spec import JobSpec, Receipt, TrainSpec

RESERVED_BYTES = 16 * 1024


class JobError(msgspec.Struct, frozen=True):
    """Why a job failed, as its worker tells it."""

    what: str
    where: str | None = None
    remedy: str | None = None
    code: str = "error"

    def as_exception(self) -> ColdalError:
        return ColdalError(self.what, where=self.where, remedy=self.remedy, code=self.code)


@dataclass(frozen=True)
class Progress:
    """The newest line of ``progress.jsonl``."""

    done: float
    total: float
    message: str
    metrics: dict[str, float]
    at: float

    @property
    def fraction(self) -> float:
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


@dataclass(frozen=True)
class JobFolder:
    """Names of the files in one job folder."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def progress_file(self) -> Path:
        return self.path / "progress.jsonl"

    @property
    def parts(self) -> Path:
        """Where the folders of its parts lie, while several workers share the job."""
        return self.path / "parts"

    @property
    def receipt_file(self) -> Path:
        return self.path / "receipt.json"

    @property
    def error_file(self) -> Path:
        return self.path / "error.json"

    @property
    def told(self) -> bool:
        """Whether there is a receipt or an error file."""
        return self.receipt_file.exists() or self.error_file.exists()

    @property
    def heartbeat(self) -> Path:
        return self.path / "heartbeat"

    @property
    def handle_file(self) -> Path:
        """The worker's identity, which it writes when it starts: its launcher may have died."""
        return self.path / "handle.json"

    @property
    def fit_file(self) -> Path:
        """What was made smaller after an attempt ran out of memory."""
        return self.path / "fit.json"

    @property
    def reserve_file(self) -> Path:
        return self.path / "reserve"

    @property
    def lock(self) -> Path:
        """Held by the worker while it lives, so that no job runs twice at once."""
        return self.path / "lock"

    def worker_running(self) -> bool:
        """Whether some process on this machine holds the job's lock."""
        return is_locked(self.lock)

    def prepare(self, spec: JobSpec) -> None:
        """Write the specification; what an earlier attempt left is kept if it did the same work."""
        make_folder(self.path)
        encoded = msgspec.json.encode(spec)
        if not self.holds(spec):
            self._clear()
        self.receipt_file.unlink(missing_ok=True)
        self.error_file.unlink(missing_ok=True)
        self.handle_file.unlink(missing_ok=True)
        atomic_write(self.spec, lambda stream: stream.write(encoded))

    def holds(self, spec: JobSpec) -> bool:
        """Whether the folder was prepared with exactly this specification."""
        try:
            return self.spec.read_bytes() == msgspec.json.encode(spec)
        except FileNotFoundError:
            return False

    def _clear(self, *but: Path) -> None:
        """Remove what an attempt left: partial results of other work must not be mixed in.

        The log stays to be read, and the lock because its name is what a worker is known by.
        """
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path not in (self.log, self.lock, *but):
                path.unlink()

    def write_fit(self, fit: Fit) -> None:
        """Make the next attempt use less memory.

        A training starts again from the beginning: a network is trained with one batch size.
        """
        atomic_write(self.fit_file, lambda stream: stream.write(msgspec.json.encode(fit)))
        if isinstance(self.read_spec(), TrainSpec):
            self._clear(self.spec, self.fit_file)
        self.error_file.unlink(missing_ok=True)

    def fit(self) -> Fit:
        """What was made smaller so far; nothing at first."""
        try:
            fit: Fit = _decode(self.fit_file, Fit)
        except FileNotFoundError:
            return Fit()
        return fit

    def read_spec(self) -> JobSpec:
        spec: JobSpec = _decode(self.spec, JobSpec)
        return spec

    def reserve(self) -> None:
        """Reserve some bytes, so that a worker can still write its error when the disk is full."""
        with contextlib.suppress(OSError):
            self.reserve_file.write_bytes(bytes(RESERVED_BYTES))

    def free_reserve(self) -> None:
        self.reserve_file.unlink(missing_ok=True)

    def write_receipt(self, receipt: Receipt) -> None:
        atomic_write(self.receipt_file, lambda stream: stream.write(msgspec.json.encode(receipt)))

    def receipt(self) -> Receipt | None:
        """The receipt, None while there is none; ColdalError (``receipt``) when it is damaged."""
        try:
            receipt: Receipt = _decode(self.receipt_file, Receipt)
        except FileNotFoundError:
            return None
        return receipt

    def write_error(self, error: JobError) -> None:
        atomic_write(self.error_file, lambda stream: stream.write(msgspec.json.encode(error)))

    def error(self) -> JobError | None:
        try:
            error: JobError = _decode(self.error_file, JobError)
        except FileNotFoundError:
            return None
        return error

    def write_handle(self, handle: JobHandle) -> None:
        atomic_write(self.handle_file, lambda stream: stream.write(msgspec.json.encode(handle)))

    def handle(self) -> JobHandle | None:
        """The identity that this attempt's worker wrote; None while there is none."""
        try:
            handle: JobHandle = _decode(self.handle_file, JobHandle)
        except FileNotFoundError:
            return None
        return handle

    def append_progress(
        self, done: float, total: float, message: str, metrics: dict[str, float]
    ) -> None:
        line: dict[str, Any] = {"at": time.time(), "done": done, "total": total}
        line |= {"message": message} if message else {}
        line |= {"metrics": metrics} if metrics else {}
        with self.progress_file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def progress(self) -> Progress | None:
        """The newest whole line; reads the end of the file only."""
        try:
            with self.progress_file.open("rb") as stream:
                end = stream.seek(0, 2)
                stream.seek(max(0, end - 4096))
                lines = stream.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            try:
                data = json.loads(line)
                return Progress(
                    done=data["done"],
                    total=data["total"],
                    message=data.get("message", ""),
                    metrics=data.get("metrics", {}),
                    at=data["at"],
                )
            except (ValueError, KeyError, TypeError):
                continue
        return None

    def note(self, message: str) -> None:
        """Write one line of the supervisor into the job's log, between two attempts."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write(f"{stamp} {message}\n")

    def log_tail(self, lines: int = 20) -> list[str]:
        try:
            with self.log.open("rb") as stream:
                end = stream.seek(0, 2)
                stream.seek(max(0, end - 64 * 1024))
                return stream.read().decode("utf-8", "replace").splitlines()[-lines:]
        except FileNotFoundError:
            return []


def _decode(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except not_json() as error:
        raise ColdalError(
            f"this file of the job is damaged: {error}",
            where=str(path),
            remedy="run the job again: coldal-tui jobs retry",
            code="receipt",
        ) from error
