"""``doctor``: checks the machine and the project, with a remedy for each problem."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coldal_tui.cli import common, which_project
from coldal_tui.cli.doctor_repair import repair_project, safety_findings
from coldal_tui.cli.machine import (
    Finding,
    file_system_finding,
    gpu_findings,
    logout_findings,
    ray_findings,
    slurm_findings,
    torch_finding,
)
from coldal_tui.cli.plugin_findings import plugin_findings
from coldal_tui.errors import UsageError
from coldal_tui.version import full_version
from coldal_tui.visible import counted

if TYPE_CHECKING:
    from coldal_tui.project.project import Project
    from coldal_tui.project.settings.config import BackendSection

LOW_DISK_BYTES = 2 * 1024**3
TORCH_WAIT_S = 120


@click.command("doctor")
@common.project_argument()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--repair", is_flag=True, help="Make the database and the label files agree again.")
def doctor_command(targets: tuple[str, ...], as_json: bool, repair: bool) -> None:
    """Check the machine and the project; say what to do. Exit 1 when something is wrong.

    --repair puts the newest copy of a lost or damaged database back, or makes a new one, and takes
    in label files that it does not know. It deletes nothing.
    """
    from coldal_tui.errors import ColdalError

    root = _root(targets)
    if repair:
        if root is None:
            raise UsageError("no project here", remedy="coldal-tui doctor PROJECT --repair")
        repair_project(root)
    findings = machine_findings(_backend_section(root))
    if root is None:
        findings.append(Finding("note", "no project here: only the machine was checked"))
    else:
        try:
            findings += project_findings(root)
        except ColdalError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            findings.append(Finding("problem", what, error.remedy or ""))
    if as_json:
        common.print_json([asdict(finding) for finding in findings])
    else:
        marks = {"ok": "✓", "note": "·", "problem": "✗"}
        for finding in findings:
            common.echo(f"{marks[finding.level]} {finding.what}")
            if finding.remedy:
                common.echo(f"    → {finding.remedy}")
    if any(finding.level == "problem" for finding in findings):
        sys.exit(1)


def _root(targets: tuple[str, ...]) -> Path | None:
    """The project to check; None if none is named and none is found upward."""
    if targets:
        return which_project.split_project(targets)[0]
    return which_project.standing_project() or which_project.nearest_project()


def _backend_section(root: Path | None) -> BackendSection:
    """The project's ``[backend]`` section; defaults if its file can't be read."""
    from coldal_tui.errors import ColdalError
    from coldal_tui.project.layout import Layout
    from coldal_tui.project.settings.config import BackendSection, load_config
    from coldal_tui.project.trust_questions import open_questions

    if root is None:
        return BackendSection()
    try:
        layout = Layout(root)
        config = load_config(layout.config)
        # To ask an address whether it answers would give it this person's token.
        return BackendSection() if open_questions(layout, config) else config.backend
    except ColdalError:
        # Said where the project is looked at.
        return BackendSection()


def machine_findings(section: BackendSection) -> list[Finding]:
    import psutil

    from coldal_tui.project.settings.personal import personal_file

    memory = psutil.virtual_memory()
    findings = [
        Finding("ok", f"coldal-tui {full_version()}"),
        Finding("ok", f"Python {platform.python_version()} on {platform.platform(terse=True)}"),
        Finding(
            "ok",
            f"{os.cpu_count()} cores, {memory.available / 1024**3:.1f} of "
            f"{memory.total / 1024**3:.1f} GiB memory free",
        ),
    ]
    if personal_file().exists():
        findings.append(Finding("note", f"your defaults for [backend] are in {personal_file()}"))
    gpus = gpu_findings(section.gpu_free_gb)
    seen = sum(finding.what.startswith("GPU ") for finding in gpus)
    return [
        *findings,
        *gpus,
        _torch_finding(seen, section.name != "local"),
        *logout_findings(),
        *slurm_findings(section.name == "slurm"),
        *ray_findings(section.name == "ray", section.ray.address),
        *plugin_findings(),
    ]


def _torch_finding(gpus: int = 0, elsewhere: bool = False) -> Finding:
    """Check torch in another process: this one never imports it. ``elsewhere``: jobs run there."""
    code = (
        "import torch; n = torch.cuda.device_count() if torch.cuda.is_available() else 0; "
        "print(torch.__version__, '|', ', '.join(f'{torch.cuda.get_device_name(i)} '"
        "f'({torch.cuda.mem_get_info(i)[0] / 2**30:.1f} GiB free)' for i in range(n)))"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=TORCH_WAIT_S,
        )
    except subprocess.TimeoutExpired:
        return Finding(
            "problem",
            f"importing torch took more than {TORCH_WAIT_S} s",
            "is the disk slow, or does the GPU driver hang? nvidia-smi answers that",
        )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        if last[0].startswith("ModuleNotFoundError: No module named 'torch'"):
            what = "torch is not installed here: all commands work, but no job runs on this machine"
            remedy = (
                "run jobs where it is, or set [backend] name to slurm or ray; "
                "to install it here: make venv in the folder of coldal-tui's source"
            )
            return Finding("note" if elsewhere else "problem", what, remedy)
        return Finding("problem", f"torch can't be imported: {last[0]}", "install torch==2.13.0")
    version, _, devices = (part.strip() for part in done.stdout.partition("|"))
    return torch_finding(version, devices, gpus)


def project_findings(root: Path) -> list[Finding]:
    """Check the project's file, database, file system, disk, images and stored files."""
    from coldal_tui.project.project import Project

    with Project(root, readonly=True) as project:
        findings = [Finding("ok", f"project {project.name}: {project.layout.config} is valid")]
        check = project.store.value("PRAGMA quick_check(1)")
        damage = f"the database is damaged: {check}"
        findings.append(
            Finding("ok", "the database is sound")
            if check == "ok"
            else Finding("problem", damage, "coldal-tui doctor --repair")
        )
        findings.append(file_system_finding(project.layout.database))
        free = shutil.disk_usage(project.root).free
        findings.append(
            Finding(
                "ok" if free > LOW_DISK_BYTES else "problem",
                f"{free / 1024**3:.1f} GiB of disk free",
                "" if free > LOW_DISK_BYTES else "free some space before the next job",
            )
        )
        findings.append(_cache_finding(project))
        if not project.images.is_dir():
            findings.append(
                Finding(
                    "problem", f"{project.images} is not there", "mount it, or mend coldal.toml"
                )
            )
        findings += [*_weights_finding(project), *_file_findings(project)]
        findings += safety_findings(project)
    return findings


def _cache_finding(project: Project) -> Finding:
    folder, used = project.layout.inputs, 0
    for path in folder.glob("*/*"):
        with contextlib.suppress(OSError):
            # A job may remove it meanwhile.
            used += path.stat().st_size
    most = project.config.backend.cache_gb
    return Finding("ok", f"resized scans take {used / 1e9:.1f} of at most {most:g} GB ({folder})")


def _weights_finding(project: Project) -> list[Finding]:
    from coldal_tui.encoders.catalogue import encoder_info
    from coldal_tui.errors import ColdalError

    choice = project.encoder
    try:
        info = encoder_info(choice.name)
    except ColdalError as error:
        return [Finding("problem", f"coldal.toml: {error.what}", error.remedy or "")]
    if choice.weights is None and info.needs_file:
        what = f"the encoder {choice.name} needs a file with its weights"
        return [Finding("problem", what, f"coldal-tui encoder use {choice.name} --weights FILE")]
    if choice.weights is not None and not Path(choice.weights).is_file():
        what = f"the encoder's weights are not there: {choice.weights}"
        return [Finding("problem", what, "mend [encoder] in coldal.toml")]
    return []


def _file_findings(project: Project) -> list[Finding]:
    from coldal_tui.files import sha256_file
    from coldal_tui.project.labels.files import stored_file as label_file

    findings = []
    used = "shard_id IN (SELECT shard_id FROM embeddings)"
    for table, one, where, remedy in (
        ("shards", "file of embeddings", used, "coldal-tui embed --again"),
        ("maps", "map", "1", "coldal-tui map --rebuild"),
        ("labels", "label", "state = 'active'", "coldal-tui doctor --repair"),
    ):
        rows = project.store.rows(f"SELECT * FROM {table} WHERE {where}")
        bad = []
        for row in rows:
            path = label_file(project, row) if table == "labels" else project.file_of(row["file"])
            if path is None or not path.is_file() or sha256_file(path) != row["sha256"]:
                bad.append(row["file"])
        if bad:
            what = f"{len(bad)} of {_files(len(rows), one)} missing or changed, first {bad[0]}"
            findings.append(Finding("problem", what, remedy))
        elif rows:
            findings.append(Finding("ok", f"{_files(len(rows), one)} whole"))
    return findings


def _files(count: int, one: str) -> str:
    return counted(count, one, one.replace("file ", "files ") if " " in one else None)
