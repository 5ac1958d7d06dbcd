"""The machine checks of ``doctor``: GPUs, logout, file system, Slurm, Ray."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from coldal_tui.extras import install
from coldal_tui.visible import counted

Level = Literal["ok", "note", "problem"]
ANSWER_S = 10
RAY_ADDRESS = "http://127.0.0.1:8265"
RAY_ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
RAY_TOKEN_REMEDY = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the cluster's token"
GB = 2**30


@dataclass(frozen=True)
class Finding:
    """The result of one check; ``remedy`` says what to do if it is not ok."""

    level: Level
    what: str
    remedy: str = ""


def gpu_findings(free_gb: float) -> list[Finding]:
    """Check every GPU that NVML reports; ``free_gb`` is the free memory that a job needs."""
    from coldal_tui.errors import ColdalError
    from coldal_tui.jobs.backend import load_backend

    try:
        backend: Any = load_backend("local")
    except ColdalError as error:
        return [Finding("problem", error.what, error.remedy or "")]
    if find_spec("pynvml") is None:
        what = "GPUs can't be asked for their free memory: nvidia-ml-py is missing"
        return [Finding("note", what, "pip install nvidia-ml-py")]
    gpus = backend.devices()
    if not gpus:
        return [Finding("note", "no NVIDIA driver answers: jobs run on the CPU")]
    driver = backend.driver()
    return [_gpu_finding(gpu, driver, free_gb) for gpu in gpus]


def _gpu_finding(gpu: Any, driver: str | None, free_gb: float) -> Finding:
    use = "" if gpu.busy is None else f", {gpu.busy:.0%} busy"
    what = f"GPU {gpu.label}: {gpu.name}, {gpu.memory}{use}, driver {driver or 'unknown'}"
    if gpu.free is None or gpu.free >= min(free_gb * GB, 0.8 * gpu.total):
        return Finding("ok", what)
    remedy = f"jobs wait until {free_gb:g} GB are free; nvidia-smi shows who holds it"
    return Finding("note", what, remedy)


def logout_findings(run: Path = Path("/run/systemd/system")) -> list[Finding]:
    """Check whether jobs survive a logout: logind may kill a user's processes."""
    if not run.is_dir():
        return []
    kills = _kills_user_processes()
    if kills is None:
        return [Finding("note", "logind does not say whether jobs outlive your logout")]
    if not kills:
        return [Finding("ok", "jobs outlive your logout")]
    if Path("/var/lib/systemd/linger", getpass.getuser()).exists():
        return [Finding("ok", "jobs outlive your logout: you linger")]
    what = "logind has KillUserProcesses=yes: jobs die when you log out"
    return [Finding("problem", what, "loginctl enable-linger, or ask the administrator to")]


def _kills_user_processes() -> bool | None:
    """The setting reported by logind, else the last one in its files."""
    answer = _answer(
        "busctl",
        "get-property",
        "org.freedesktop.login1",
        "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager",
        "KillUserProcesses",
    )
    if answer is not None and answer.returncode == 0:
        return answer.stdout.strip() == "b true"
    said: bool | None = None
    for file in _logind_files():
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            key, _, value = line.replace(" ", "").lower().partition("=")
            if key == "killuserprocesses":
                said = value in ("yes", "true", "on", "1")
    return said


def _logind_files() -> list[Path]:
    """The files of logind in reading order; later ones override (logind.conf(5))."""
    folders = [Path(base, "systemd/logind.conf.d") for base in ("/usr/lib", "/run", "/etc")]
    extras = sorted((p for f in folders for p in f.glob("*.conf")), key=lambda path: path.name)
    return [Path("/etc/systemd/logind.conf"), *extras]


def file_system_finding(database: Path) -> Finding:
    """Check the kind of file system that holds the project."""
    from coldal_tui.project.database import file_systems

    kind = file_systems.file_system(database) or "an unknown file system"
    if not file_systems.on_network_file_system(database):
        return Finding("ok", f"the project lies on {kind}, a disk of this machine")
    try:
        host = json.loads(database.with_name("host.json").read_bytes())["host"]
    except (OSError, ValueError, KeyError, TypeError):
        host = "none yet"
    what = f"the project lies on {kind}, a network file system: one host at a time writes ({host})"
    return Finding("note", what)


def slurm_findings(wanted: bool) -> list[Finding]:
    """Check whether Slurm is installed and answers; ``wanted``: the project uses it."""
    if shutil.which("sbatch") is None:
        what = "no Slurm here (there is no sbatch)"
        return [_trouble(what, "run coldal-tui where jobs can be submitted", wanted)]
    answer = _answer("sinfo", "--noheader", "--format=%P %a %D %T")
    if answer is None or answer.returncode != 0:
        said = answer.stderr.strip().splitlines()[:1] if answer else [f"silent for {ANSWER_S} s"]
        what = f"Slurm does not answer: {' '.join(said) or 'sinfo failed'}"
        return [_trouble(what, "is slurmctld running? sinfo answers that", wanted)]
    partitions = dict.fromkeys(line.split()[0] for line in answer.stdout.splitlines() if line)
    found = [Finding("ok", f"Slurm answers; partitions: {', '.join(partitions) or 'none'}")]
    return [*found, *_package("submitit", "slurm", wanted)]


def ray_findings(
    wanted: bool, configured: str | None = None, environment: Mapping[str, str] = os.environ
) -> list[Finding]:
    """Check whether a Ray cluster's job server answers; ``wanted`` as for Slurm.

    ``configured``: the address in coldal.toml; Ray's own variables come first.
    """
    named = (environment.get(name) for name in RAY_ADDRESS_VARIABLES)
    given = next((one for one in named if one), None) or configured
    if not (wanted or given or find_spec("ray")):
        return [Finding("note", "no Ray here (the package is not installed, no address is set)")]
    address = (given or RAY_ADDRESS).rstrip("/")
    if address.startswith("http"):
        found = _ray_finding(address, _ray_token(environment), wanted)
    else:
        what = f"Ray's address {address} is not its dashboard's: not looked at"
        found = _trouble(what, f"set {RAY_ADDRESS_VARIABLES[0]}=http://HOST:8265", wanted)
    return [found, *_package("ray", "ray", wanted)]


def _ray_token(environment: Mapping[str, str]) -> str | None:
    """The token, read from where Ray reads it."""
    if token := environment.get("RAY_AUTH_TOKEN"):
        return token
    file = environment.get("RAY_AUTH_TOKEN_PATH")
    try:
        return (Path(file) if file else Path.home() / ".ray/auth_token").read_text().strip()
    except (OSError, UnicodeDecodeError, RuntimeError):
        return None


def _ray_finding(address: str, token: str | None, wanted: bool) -> Finding:
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        asked = Request(f"{address}/api/version", headers=headers)
        with urlopen(asked, timeout=3) as answer:  # nosec B310
            version = json.load(answer).get("ray_version", "of an unknown version")
    except HTTPError as error:
        if error.code in (401, 403):
            what = f"Ray at {address} asks for {'another' if token else 'a'} token"
            return _trouble(what, RAY_TOKEN_REMEDY, wanted)
        return _trouble(f"Ray at {address} answers {error.code}", "is it Ray's dashboard?", wanted)
    except (URLError, OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "reason", error)
        what = f"no Ray cluster answers at {address} ({reason})"
        remedy = "set [backend.ray] address in coldal.toml to its dashboard, http://HOST:8265"
        return _trouble(what, remedy, wanted)
    return Finding("ok", f"Ray {version} answers at {address}")


def _package(name: str, extra: str, wanted: bool) -> list[Finding]:
    if find_spec(name) is not None:
        return []
    return [_trouble(f"{name} is not installed", install(extra), wanted)]


def _trouble(what: str, remedy: str, wanted: bool) -> Finding:
    """A problem if the project needs it, otherwise only a note."""
    return Finding("problem", what, remedy) if wanted else Finding("note", what)


def _answer(*words: str) -> subprocess.CompletedProcess[str] | None:
    """The output of a command; None if it is missing or times out."""
    try:
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=ANSWER_S, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def torch_finding(version: str, devices: str, gpus: int) -> Finding:
    """Compare what torch reports with the number of GPUs that NVML reports."""
    if devices:
        return Finding("ok", f"torch {version}; {devices}")
    if not gpus:
        return Finding("note", f"torch {version}; no GPU: jobs run on the CPU")
    what = f"torch {version} sees none of {counted(gpus, 'GPU')}: jobs would run on the CPU"
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return Finding("note", what, "CUDA_VISIBLE_DEVICES is set: does it hide them?")
    remedy = "install torch's CUDA build, or a driver that is new enough for it"
    return Finding("problem", what, remedy)
