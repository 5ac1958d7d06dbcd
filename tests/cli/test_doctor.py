"""``doctor``: what it says of the machine and of the project, and what to do."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from coldal_tui.cli import doctor, machine, plugin_findings
from coldal_tui.cli.machine import Finding
from coldal_tui.extras import install
from coldal_tui.project.database import file_systems
from tests.support.small_projects import Call, set_config

GB = 2**30


@pytest.fixture(autouse=True)
def _quick_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The import of torch in another process takes seconds, and this machine is not the subject."""
    monkeypatch.setattr(doctor, "_torch_finding", lambda gpus, elsewhere: Finding("ok", "torch"))
    for name in ("gpu_findings", "logout_findings", "slurm_findings", "ray_findings"):
        monkeypatch.setattr(doctor, name, lambda *_: [])


ASK_TORCH = doctor._torch_finding


def test_a_sound_project(call: Call, project: Path) -> None:
    done = call("doctor", project)
    assert done.status == 0
    assert f"✓ project lungs: {project}/coldal.toml is valid" in done.out
    assert "✓ the database is sound" in done.out


def test_outside_of_a_project_only_the_machine_is_checked(call: Call, tmp_path: Path) -> None:
    done = call("doctor", "--json", cwd=tmp_path)
    assert done.status == 0
    assert done.json[-1]["what"] == "no project here: only the machine was checked"


def test_a_broken_project_file_is_a_problem_with_its_line(call: Call, project: Path) -> None:
    set_config(project, "total = 100", "total = 0")
    done = call("doctor", project)
    assert done.status == 1
    assert f"✗ {project}/coldal.toml, line " in done.out
    assert "    → allowed: " in done.out


def test_lost_images_are_a_problem(call: Call, project: Path, images: Path) -> None:
    images.rename(images.with_name("away"))
    done = call("doctor", project)
    assert done.status == 1
    assert f"✗ {images} is not there" in done.out


def test_a_label_that_was_changed_is_a_problem(call: Call, queued: Path, tmp_path: Path) -> None:
    from tests.support.small_projects import write_mask

    write_mask(tmp_path / "drawn" / "scan_0.png")
    call("import-masks", queued, tmp_path / "drawn")
    assert "✓ 1 label whole" in call("doctor", queued).out
    (queued / "labels" / "scan_0.png").write_bytes(b"changed")
    done = call("doctor", queued)
    assert done.status == 1
    assert "✗ 1 of 1 label missing or changed, first labels/scan_0.png" in done.out


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("vgg", "there is no encoder called 'vgg'"),
        ("efficientnet-lite0", "the encoder's weights are not there: /gone.pt"),
    ],
)
def test_an_encoder_that_cannot_work_is_a_problem(
    name: str, problem: str, call: Call, project: Path
) -> None:
    set_config(project, 'name = "efficientnet-lite0"', f'name = "{name}"\nweights = "/gone.pt"')
    done = call("doctor", project)
    assert done.status == 1
    assert problem in done.out


def test_a_damaged_database_is_a_problem(call: Call, project: Path) -> None:
    for file in (project / ".coldal").glob("project.db*"):
        file.unlink()
    (project / ".coldal" / "project.db").write_bytes(b"no database at all" * 500)
    done = call("doctor", project)
    assert done.status == 1
    assert "the project's database is damaged" in done.out


def answered(out: str, err: str = "", status: int = 0) -> Any:
    return lambda *_, **__: subprocess.CompletedProcess([], status, out, err)


@pytest.mark.parametrize(
    ("answer", "level", "what"),
    [
        (answered("2.13.0+cpu | \n"), "note", "torch 2.13.0+cpu; no GPU: jobs run on the CPU"),
        (answered("2.13.0 | H100 (70.0 GiB free)\n"), "ok", "torch 2.13.0; H100 (70.0 GiB free)"),
        (
            answered("", "x\nImportError: no\n", 1),
            "problem",
            "torch can't be imported: ImportError: no",
        ),
    ],
)
def test_what_torch_answers(
    answer: Any, level: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", answer)
    found = ASK_TORCH()
    assert (found.level, found.what) == (level, what)


@pytest.mark.parametrize(("elsewhere", "level"), [(True, "note"), (False, "problem")])
def test_an_installation_without_torch_says_what_works(
    monkeypatch: pytest.MonkeyPatch, elsewhere: bool, level: str
) -> None:
    told = "Traceback …\nModuleNotFoundError: No module named 'torch'\n"
    absent = subprocess.CompletedProcess([], 1, "", told)
    monkeypatch.setattr(doctor.subprocess, "run", lambda *args, **options: absent)
    found = ASK_TORCH(0, elsewhere)
    assert found.level == level
    assert found.what.startswith("torch is not installed here: all commands work")


def test_a_torch_that_hangs_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, timeout: float, **__: Any) -> None:
        raise subprocess.TimeoutExpired("python", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert ASK_TORCH().level == "problem"


def test_a_torch_that_misses_the_gpus_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(subprocess, "run", answered("2.13.0+cpu | \n"))
    found = ASK_TORCH(2)
    assert found.level == "problem"
    assert found.what == "torch 2.13.0+cpu sees none of 2 GPUs: jobs would run on the CPU"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert ASK_TORCH(2).level == "note"


def _gpu(free: float, busy: float | None = 0.37) -> SimpleNamespace:
    memory = f"{free:.1f} of 80 GB free"
    return SimpleNamespace(
        label="0", name="H100", free=free * GB, total=80 * GB, busy=busy, memory=memory
    )


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which GPUs the local backend tells of."""

    def tell(*gpus: SimpleNamespace) -> None:
        backend = SimpleNamespace(devices=lambda: gpus, driver=lambda: "595.10")
        monkeypatch.setattr("coldal_tui.jobs.backend.load_backend", lambda name: backend)
        monkeypatch.setattr(machine, "find_spec", lambda name: object())

    return tell


def test_a_gpu_with_its_memory_use_and_driver(nvml: Callable[..., None]) -> None:
    nvml(_gpu(79.2))
    (found,) = machine.gpu_findings(6.0)
    what = "GPU 0: H100, 79.2 of 80 GB free, 37% busy, driver 595.10"
    assert (found.level, found.what) == ("ok", what)


def test_a_gpu_that_is_held_is_said_to_be_waited_for(nvml: Callable[..., None]) -> None:
    nvml(_gpu(2.1, None))
    (found,) = machine.gpu_findings(6.0)
    assert found == Finding(
        "note",
        "GPU 0: H100, 2.1 of 80 GB free, driver 595.10",
        "jobs wait until 6 GB are free; nvidia-smi shows who holds it",
    )


def test_without_a_gpu_jobs_run_on_the_cpu(nvml: Callable[..., None]) -> None:
    nvml()
    (found,) = machine.gpu_findings(6.0)
    assert found == Finding("note", "no NVIDIA driver answers: jobs run on the CPU")


def test_without_the_bindings_their_package_is_named(
    nvml: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml()
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    (found,) = machine.gpu_findings(6.0)
    assert found.remedy == "pip install nvidia-ml-py"


def commands(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    """What each command answers: a text, a pair of status and stderr, or None where it hangs."""

    def run(words: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        answer = answers.get(words[0], FileNotFoundError())
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            raise subprocess.TimeoutExpired(words[0], 10)
        status, out, err = (
            (0, answer, "") if isinstance(answer, str) else (answer[0], "", answer[1])
        )
        return subprocess.CompletedProcess([], status, out, err)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(machine.shutil, "which", lambda name: name if "sinfo" in answers else None)


@pytest.mark.parametrize(("answer", "level"), [("b true\n", "problem"), ("b false\n", "ok")])
def test_logind_is_asked_whether_jobs_outlive_a_logout(
    answer: str, level: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands(monkeypatch, busctl=answer)
    monkeypatch.setattr(machine.getpass, "getuser", lambda: "nobody-lingers")
    (found,) = machine.logout_findings(tmp_path)
    assert found.level == level


def test_where_logind_is_silent_its_files_are_read_the_last_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commands(monkeypatch, busctl=None)
    first, last = tmp_path / "a.conf", tmp_path / "b.conf"
    first.write_text("[Login]\nKillUserProcesses = yes\n")
    last.write_text("[Login]\n#KillUserProcesses=yes\nKillUserProcesses=no\n")
    monkeypatch.setattr(machine, "_logind_files", lambda: [tmp_path / "gone", first, last])
    assert [found.level for found in machine.logout_findings(tmp_path)] == ["ok"]
    monkeypatch.setattr(machine, "_logind_files", lambda: [last, first])
    assert machine._kills_user_processes() is True
    monkeypatch.setattr(machine, "_logind_files", list)
    assert [found.level for found in machine.logout_findings(tmp_path)] == ["note"]


def test_without_systemd_nothing_is_said_of_logouts(tmp_path: Path) -> None:
    assert machine.logout_findings(tmp_path / "gone") == []


@pytest.mark.parametrize("wanted", [False, True])
def test_no_slurm_is_a_problem_only_where_it_is_wanted(
    wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands(monkeypatch)
    (found,) = machine.slurm_findings(wanted)
    assert found.level == ("problem" if wanted else "note")
    assert found.what == "no Slurm here (there is no sbatch)"


def test_slurms_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    commands(monkeypatch, sinfo="gpu* up 4 idle\ngpu* up 1 mixed\ncpu up 9 idle\n")
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    found = machine.slurm_findings(True)
    assert found[0] == Finding("ok", "Slurm answers; partitions: gpu*, cpu")
    assert (found[1].level, found[1].remedy) == ("problem", install("slurm"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((1, "slurm_load_partitions: Unable to contact slurm controller\n"), "Unable to contact"),
        (None, "silent for 10 s"),
    ],
)
def test_a_slurm_that_does_not_answer(
    answer: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands(monkeypatch, sinfo=answer)
    (found,) = machine.slurm_findings(True)
    assert found.level == "problem"
    assert said in found.what


def ray(monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception) -> list[Any]:
    """What a Ray cluster answers; the requests that it gets."""
    asked: list[Any] = []

    def urlopen(request: Any, timeout: float) -> io.BytesIO:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setattr(machine, "find_spec", lambda name: object())
    return asked


def test_a_ray_cluster_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ray(monkeypatch, json.dumps({"ray_version": "2.56.0"}).encode())
    environment = {"RAY_API_SERVER_ADDRESS": "http://head:8265/", "RAY_AUTH_TOKEN": "secret"}
    (found,) = machine.ray_findings(True, "http://other:1", environment)
    assert found == Finding("ok", "Ray 2.56.0 answers at http://head:8265")
    assert asked[0].full_url == "http://head:8265/api/version"
    assert asked[0].get_header("Authorization") == "Bearer secret"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (HTTPError("x", 401, "no", {}, None), "asks for a token"),  # type: ignore[arg-type]
        (HTTPError("x", 500, "no", {}, None), "answers 500"),  # type: ignore[arg-type]
        (URLError("refused"), "no Ray cluster answers at http://127.0.0.1:8265 (refused)"),
        (b"<html>", "no Ray cluster answers"),
    ],
)
def test_a_ray_cluster_in_trouble(
    answer: bytes | Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray(monkeypatch, answer)
    (found,) = machine.ray_findings(True, None, {"RAY_AUTH_TOKEN_PATH": "/none"})
    assert found.level == "problem"
    assert said in found.what
    assert [one.level for one in machine.ray_findings(False, None, {})] == ["note"]


def test_the_projects_own_address_and_a_token_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = ray(monkeypatch, b"{}")
    (tmp_path / "token").write_text("secret\n")
    environment = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    machine.ray_findings(True, "http://head:8265", environment)
    assert asked[0].full_url == "http://head:8265/api/version"
    assert asked[0].get_header("Authorization") == "Bearer secret"


def test_an_address_that_is_no_dashboards_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ray(monkeypatch, b"{}")
    (found,) = machine.ray_findings(True, None, {"RAY_ADDRESS": "head:6379"})
    assert found.what == "Ray's address head:6379 is not its dashboard's: not looked at"
    assert asked == []


def test_ray_is_not_looked_for_where_nothing_speaks_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    (found,) = machine.ray_findings(False, None, {})
    assert found.what == "no Ray here (the package is not installed, no address is set)"


def test_the_projects_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "project.db"
    monkeypatch.setattr(file_systems, "file_system", lambda path: "ext4")
    what = "the project lies on ext4, a disk of this machine"
    assert machine.file_system_finding(database) == Finding("ok", what)
    monkeypatch.setattr(file_systems, "file_system", lambda path: "nfs4")
    assert machine.file_system_finding(database).what.endswith(
        "one host at a time writes (none yet)"
    )
    (tmp_path / "host.json").write_text('{"host": "gpu7"}')
    assert machine.file_system_finding(database).what.endswith("one host at a time writes (gpu7)")


@pytest.fixture
def lab_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that brings a backend, two mask formats and an export format."""
    (tmp_path / "lab_tools.py").write_text(
        "class Importer:\n"
        "    name, priority, endings = 'lab', 0, {}\n"
        "    def recognise(self, path, head): ...\n"
        "    def belongings(self, path): ...\n"
        "    def candidates(self, path): ...\n"
        "def fine(out, items, meta, progress=None): ...\n"
    )
    info = tmp_path / "lab_tools-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-tools\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[coldal_tui.backends]\npbs = lab_tools:Pbs\n"
        "[coldal_tui.importers]\nlab = lab_tools:Importer\nold = lab_tools_old:Importer\n"
        "[coldal_tui.exporters]\nlab = lab_tools:fine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("lab_package")
def test_other_packages_plug_ins_and_what_is_wrong_with_them() -> None:
    remedy = "mend or remove the package lab-tools"
    assert plugin_findings.plugin_findings() == [
        Finding(
            "problem",
            "the backend 'pbs' can't be loaded: AttributeError: "
            "module 'lab_tools' has no attribute 'Pbs'",
            remedy,
        ),
        Finding("ok", "mask format lab of lab-tools"),
        Finding(
            "problem",
            "the mask format 'old' can't be loaded: ModuleNotFoundError: "
            "No module named 'lab_tools_old'",
            remedy,
        ),
        Finding("ok", "export format lab of lab-tools"),
    ]
