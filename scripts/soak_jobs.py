"""Kill workers, supervisors and submitters of every kind of job at random moments, and compare.

    python scripts/soak_jobs.py --kills 100 --seed 1 --out docs/soak

Each kind of job runs in copies of one small project, where it was about to start; whatever is
killed, the job has to come to the very result of an undisturbed run, none of it may run twice at
once, nothing may be left running, and no more than one shard, block or scan may be done again.
Writes ``jobs.json`` and ``jobs.md`` into the folder ``--out``; exit status 1 when any of that
does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from coldal_tui.project.job_rows import DONE, Job, get_job, list_jobs
from coldal_tui.project.labels.evaluation_masks import prepare_cases
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.scans.indexing import reindex
from coldal_tui.project.settings.config import edit_config
from coldal_tui.scheduler.follow import revive, submit_chain, wait_for

KINDS = ("embed", "map", "select", "train", "train-2", "predict", "score", "evaluate")
"""In the order in which they need each other; ``train-2`` reads data in two more processes."""
PHASES = {
    "embed": "embedding",
    "train": "training",
    "score": "scoring",
    "predict": "scoring",
    "evaluate": "measuring",
}
VICTIMS = ("worker", "supervisor", "both", "submitter")
KILLS_PER_RUN = 3
SCANS = 48
SIDE = 64
STEPS = 60
ALLOWED = {"embed": 8.0, "train": STEPS / 12, "score": 1.0, "predict": 1.0, "evaluate": 1.0}
"""What may be done again: a shard, a block of training, a scan."""
LIMIT_S = 600.0
LEFT_S = 30.0
SUBMIT = """
import json, sys
from pathlib import Path
from coldal_tui.scheduler.follow import submit_chain, wait_for
from coldal_tui.project.project import Project
project = Project(Path(sys.argv[1]))
numbers = submit_chain(project, [(sys.argv[2], json.loads(sys.argv[3]))])
wait_for(project, numbers, lambda job, progress: None)
"""


@dataclass
class Tally:
    """What happened to the runs of one kind."""

    runs: int = 0
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VICTIMS, 0))
    attempts: int = 0
    redone_most: float = 0.0
    redone_allowed: float = 0.0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Stage:
    """A project as it is when a job of ``kind`` is about to start, and what then comes out."""

    kind: str
    project: Path
    result: str
    seconds: float
    work_s: float

    @property
    def job_kind(self) -> str:
        return self.kind.removesuffix("-2")


def make_project(folder: Path) -> Path:
    """A project of small pictures with one disc each; beside it ``masks``."""
    rng = np.random.default_rng(7)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    y, x = np.mgrid[:SIDE, :SIDE]
    for number in range(SCANS):
        row, column, radius = rng.integers(16, 48), rng.integers(16, 48), rng.integers(6, 14)
        disc = (y - row) ** 2 + (x - column) ** 2 < radius**2
        pixels = rng.normal(90 + 60 * disc, 18).clip(0, 255).astype(np.uint8)
        name = f"s{number:02d}.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        Image.fromarray(disc.astype(np.uint8)).save(folder / "masks" / name)
    with Project.create(folder / "project", folder / "images") as project:
        settings = {("backend", "threads"): 1, ("backend", "retries"): 1000}
        edit_config(project.layout.config, settings)
        project.reload_config()
        reindex(project)
    return folder / "project"


def make_stages(folder: Path, kinds: tuple[str, ...]) -> list[Stage]:
    """Run everything undisturbed once; keep a copy of the project before each kind."""
    root = make_project(folder)
    stages = []
    for kind in KINDS:
        if not set(KINDS[KINDS.index(kind) :]) & set(kinds):
            break
        if kind == "train":
            label_queue(root, folder / "masks")
        kept = folder / f"before-{kind}"
        shutil.copytree(root, kept)
        with Project(root) as project, nothing_left(project):
            configure(project, kind)
            began = time.monotonic()
            wait_for(project, submit_chain(project, [request(project, kind)]), lambda *_: None)
            seconds = time.monotonic() - began
        with Project(root) as project:
            (job,) = list_jobs(project, newest=1)
            stage = Stage(kind, kept, fingerprint(project, kind), seconds, _work_s(job))
        if kind in kinds:
            stages.append(stage)
        print(f"{kind}: {seconds:.1f} s undisturbed", flush=True)
    return stages


def _work_s(job: Job) -> float:
    """From the first to the last word of its progress; the rest is start and end."""
    lines = job.folder.progress_file
    told = lines.read_text().splitlines() if lines.exists() else []
    times = [json.loads(line)["at"] for line in told]
    return max(0.3, times[-1] - times[0]) if times else 0.3


@dataclass
class Strikes:
    """When to kill next: half of the time at any moment, else while the step is at work.

    Most of a short job's life are imports; what is lost by a kill shows only in its work.
    """

    stage: Stage
    rng: random.Random
    at: float = 0.0
    told: float | None = None

    def plan(self, job: Job) -> None:
        now = time.monotonic()
        if self.rng.random() < 0.5:
            self.at, self.told = now + self.rng.uniform(0, self.stage.seconds), None
        else:
            self.at, self.told = float("inf"), self._word(job)

    def due(self, job: Job) -> bool:
        if self.told is not None and self._word(job) != self.told:
            # It has begun to work again: from now on any moment of that may be the one.
            self.at, self.told = time.monotonic() + self.rng.uniform(0, self.stage.work_s), None
        return time.monotonic() >= self.at

    def _word(self, job: Job) -> float:
        file = job.folder.progress_file
        return file.stat().st_mtime if file.exists() else 0.0


def label_queue(root: Path, masks: Path) -> None:
    """Accept the masks of the queued scans, as a labeler would hand them in."""
    with Project(root) as project:
        queued = {row["scan_id"] for row in project.store.rows("SELECT scan_id FROM queue")}
        drawn = root.parent / "drawn"
        drawn.mkdir()
        for scan_id in sorted(queued)[:6]:
            shutil.copy(masks / f"{scan_id}.png", drawn)
        import_masks(project, drawn)


def configure(project: Project, kind: str) -> None:
    if kind == "train-2":
        edit_config(project.layout.config, {("train", "workers"): 2})
        project.reload_config()


def request(project: Project, kind: str) -> tuple[str, Mapping[str, Any]]:
    match kind:
        case "select":
            return kind, {"budget": 12, "validation": 2}
        case "train" | "train-2":
            return "train", {"steps": STEPS}
        case "evaluate":
            masks = Path(os.environ["SOAK_MASKS"])
            return kind, {"cases": prepare_cases(project, masks).file}
    return kind, {}


def fingerprint(project: Project, kind: str) -> str:
    """A hash of all that the newest job of this kind has brought, but for times and numbers."""
    digest = hashlib.sha256()
    for part in _outcome(project, kind):
        digest.update(part if isinstance(part, bytes) else json.dumps(part).encode())
    return digest.hexdigest()


def _outcome(project: Project, kind: str) -> Iterator[Any]:
    store = project.store
    match kind:
        case "embed":
            for row in store.rows(
                "SELECT e.scan_id, e.shard_row, s.file FROM embeddings e "
                "JOIN shards s ON s.shard_id = e.shard_id ORDER BY e.scan_id"
            ):
                yield row["scan_id"]
                yield np.load(project.file_of(row["file"]))[row["shard_row"]].tobytes()
        case "map":
            with np.load(project.file_of(store.value("SELECT file FROM maps"))) as data:
                yield data["xy"].tobytes()
        case "select":
            yield store.rows("SELECT scan_id, rank, role, cluster FROM queue ORDER BY rank")
        case "train" | "train-2":
            run = project.layout.runs / store.value("SELECT max(run_id) FROM runs")
            for name in ("model.safetensors", "history.jsonl", "metrics.json", "plan.json"):
                yield (run / name).read_bytes()
        case "score":
            yield store.rows("SELECT scan_id, entropy FROM scores ORDER BY scan_id")
        case "predict":
            run = store.value("SELECT max(run_id) FROM runs")
            folder = project.layout.runs / run / "predictions"
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                yield file.relative_to(folder).as_posix()
                yield file.read_bytes()
        case "evaluate":
            job = list_jobs(project, newest=1)[0]
            yield {key: job.result[key] for key in ("scans", "mean", "counts")}


def disturb(stage: Stage, root: Path, rng: random.Random, most_kills: int, tally: Tally) -> int:
    """One run of the stage's job with up to ``most_kills`` kills; returns how many there were.

    ``root`` is where the copy of the project goes: beside the original, which says ``../images``.
    """
    shutil.copytree(stage.project, root)
    began, kills = time.monotonic(), 0
    with Project(root) as project, nothing_left(project, tally.faults):
        configure(project, stage.kind)
        kind, wanted = request(project, stage.kind)
        words = [sys.executable, "-c", SUBMIT, str(root), kind, json.dumps(wanted)]
        submitter = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        number = _submitted(project)
        strikes = Strikes(stage, rng)
        strikes.plan(get_job(project, number))
        while not (job := get_job(project, number)).ended:
            if time.monotonic() - began > LIMIT_S:
                tally.faults.append(f"{stage.kind}: a job was forgotten ({job.status})")
                break
            if len(workers(project)) > 1:
                tally.faults.append(f"{stage.kind}: a job ran twice at once")
            if kills < most_kills and strikes.due(job):
                victim = rng.choice(VICTIMS)
                if kill(project, victim, submitter):
                    kills += 1
                    tally.kills[victim] += 1
                strikes.plan(job)
            revive(project)
            time.sleep(0.03)
        submitter.wait(timeout=60)
        job = get_job(project, number)
        tally.runs += 1
        tally.attempts += job.attempts
        tally.seconds += time.monotonic() - began
        again, allowed = redone(job, stage)
        tally.redone_most = max(tally.redone_most, again)
        tally.redone_allowed = allowed
        if again > allowed:
            tally.faults.append(f"{stage.kind}: {again:g} done again, {allowed:g} allowed")
        if job.status != DONE:
            tally.faults.append(f"{stage.kind}: {job.status}: {job.error}")
        elif fingerprint(project, stage.kind) != stage.result:
            tally.faults.append(f"{stage.kind}: another result than undisturbed")
    if not tally.faults:
        shutil.rmtree(root)
    return kills


def _submitted(project: Project) -> int:
    """The number of the job that the submitter has just submitted."""
    deadline = time.monotonic() + 60
    known = {job.job_id for job in list_jobs(project) if job.ended}
    while time.monotonic() < deadline:
        fresh = [job.job_id for job in list_jobs(project) if job.job_id not in known]
        if fresh:
            return fresh[-1]
        time.sleep(0.01)
    raise SystemExit("the submitter submits nothing")


def kill(project: Project, victim: str, submitter: subprocess.Popen[bytes]) -> bool:
    """SIGKILL, as kill -9 does; whether there was anything to kill."""
    if victim == "submitter":
        if submitter.poll() is not None:
            return False
        submitter.kill()
        return True
    chosen = {"worker": workers, "supervisor": supervisors, "both": processes}[victim](project)
    chosen = [one for one in chosen if one.pid != submitter.pid]
    for process in chosen:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return bool(chosen)


def redone(job: Job, stage: Stage) -> tuple[float, float]:
    """The most units that one attempt did again, and how many it may: a shard, a block, a scan.

    Read from the job's progress: where it falls back, that much is done again. What was not told
    before a kill can't be seen, so this counts at the granularity of ten lines a second.
    """
    wanted = PHASES.get(stage.job_kind)
    if wanted is None:
        return 0.0, 0.0
    most, last = 0.0, 0.0
    for line in job.folder.progress_file.read_text().splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if told.get("message") == wanted:
            most, last = max(most, last - told["done"]), told["done"]
    # The first line of an attempt tells of one unit that it has done already.
    return most + (1 if most and stage.job_kind != "embed" else 0), ALLOWED[stage.job_kind]


def processes(project: Project) -> list[psutil.Process]:
    """Every living process that names the project's folder, or works in it."""
    root, found = str(project.root), []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            if process.cwd().startswith(root) or any(root in w for w in process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _running(project: Project, module: str) -> list[psutil.Process]:
    found = []
    for process in processes(project):
        try:
            if module in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def supervisors(project: Project) -> list[psutil.Process]:
    return _running(project, "coldal_tui.scheduler.supervisor")


def workers(project: Project) -> list[psutil.Process]:
    """Workers, without the processes that they have started."""
    found = []
    for process in _running(project, "coldal_launch.worker"):
        try:
            if os.getpgid(process.pid) == process.pid:
                found.append(process)
        except ProcessLookupError:
            continue
    return found


@contextmanager
def nothing_left(project: Project, faults: list[str] | None = None) -> Iterator[None]:
    """Afterwards no process of the project may be left; whatever happened, none is."""
    try:
        yield
        deadline = time.monotonic() + LEFT_S
        while (left := processes(project)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left and faults is not None:
            faults.append(f"left running: {left}")
    finally:
        for process in processes(project):
            process.kill()


def soak(
    folder: Path, kinds: tuple[str, ...], kills: int, rng: random.Random, per_run: int
) -> dict[str, Tally]:
    """Kill so often, over all kinds in turn; returns what happened by kind."""
    os.environ["SOAK_MASKS"] = str(folder / "reference" / "masks")
    stages = make_stages(folder / "reference", kinds)
    tallies = {stage.kind: Tally() for stage in stages}
    done, number = 0, 0
    while done < kills:
        stage = stages[number % len(stages)]
        number += 1
        tally = tallies[stage.kind]
        room = folder / "reference" / f"run-{number:03d}"
        done += disturb(stage, room, rng, min(per_run, kills - done), tally)
        print(f"{done} of {kills} kills; {stage.kind}: {tally.faults or 'well'}", flush=True)
    return tallies


def table(tallies: Mapping[str, Tally], kills: int, seed: int) -> str:
    """The figures as Markdown."""
    lines = [
        "# Jobs under kill -9",
        "",
        f"{kills} kills at random moments over all kinds of job, seed {seed}, by",
        "`scripts/soak_jobs.py` (`make soak`). A run counts as well when the job was done in the",
        "end with the very result of an undisturbed run, never ran twice at once, left no process",
        "behind, and did no more again than is allowed: one shard, one block of training, one",
        "scan. “Both” is every process of the project but the submitter at once.",
        "",
        "| job | runs | worker | supervisor | both | submitter | attempts | done again, at most |"
        " allowed | faults |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, tally in tallies.items():
        killed = " | ".join(str(tally.kills[victim]) for victim in VICTIMS)
        counted = tally.redone_allowed > 0
        again = f"{tally.redone_most:g}" if counted else "–"
        allowed = f"{tally.redone_allowed:g}" if counted else "–"
        lines.append(
            f"| {kind} | {tally.runs} | {killed} | {tally.attempts} | {again} | {allowed} | "
            f"{len(tally.faults)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--out", type=Path, default=Path("docs/soak"))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="coldal-soak-"))
    kinds = tuple(options.kinds.split(","))
    tallies = soak(folder, kinds, options.kills, random.Random(options.seed), KILLS_PER_RUN)
    options.out.mkdir(parents=True, exist_ok=True)
    total = sum(sum(tally.kills.values()) for tally in tallies.values())
    (options.out / "jobs.md").write_text(table(tallies, total, options.seed))
    figures = {kind: asdict(tally) for kind, tally in tallies.items()}
    (options.out / "jobs.json").write_text(json.dumps(figures, indent=1) + "\n")
    faults = [fault for tally in tallies.values() for fault in tally.faults]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        shutil.rmtree(folder)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
