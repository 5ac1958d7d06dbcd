"""What is asked of Slurm and what its answers mean, without one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from coldal_launch import slurm, slurm_queue
from coldal_launch.slurm import SlurmBackend
from coldal_launch.slurm_queue import Row, SlurmSilentError, accounted, in_words, parse
from coldal_launch.slurm_submitting import minutes, parameters, refusal
from coldal_tui.errors import ColdalError
from coldal_tui.extras import install
from coldal_tui.jobs.backend import Ask, JobHandle, load_backend
from coldal_tui.jobs.folder import JobError, JobFolder
from coldal_tui.project.settings.config_backends import SlurmSection
from tests.support.playing import Clock

NAME = "coldal-000001-embed-00ff00ff"


@pytest.mark.parametrize(
    ("time", "wanted"),
    [(90, 90), ("90", 90), ("1:30", 2), ("2:00:00", 120), ("1-0", 1440), ("2-12", 3600)],
)
def test_times_are_whole_minutes_as_sbatch_reads_them(time, wanted) -> None:
    assert minutes(time) == wanted


@pytest.mark.parametrize(("time", "wanted"), [("1-02:30", 1590), ("0-00:00:01", 1)])
def test_times_of_days_and_seconds(time, wanted) -> None:
    assert minutes(time) == wanted


def asked(device: str, gpus: int = 1, **values: object) -> dict[str, object]:
    settings = msgspec.to_builtins(msgspec.convert(values, SlurmSection))
    ask = Ask("train", device, gpus, {"slurm": settings})
    return parameters(settings, ask, Path("/p/jobs/1"), "/p/jobs/1/log.txt", "name")


def test_a_job_on_the_cpu_asks_for_no_gpu_and_goes_where_there_are_none() -> None:
    values = {"partition": "gpu", "cpu_partition": "cpu", "gres": "gpu:1"}
    on_cpu, on_gpu = asked("cpu", **values), asked("auto", **values)
    assert (on_cpu["partition"], on_cpu.get("gres")) == ("cpu", None)
    assert (on_gpu["partition"], on_gpu["gres"]) == ("gpu", "gpu:1")


@pytest.mark.parametrize(("gres", "wanted"), [("gpu", "gpu:4"), ("gpu:a100:1", "gpu:a100:4")])
def test_a_job_of_several_gpus_asks_for_so_many(gres, wanted) -> None:
    assert asked("cuda", 4, gres=gres)["gres"] == wanted


def test_settings_become_options_of_sbatch() -> None:
    found = asked("cpu", time="4:00:00", mem_gb=1.5, cpus=3, account="lab", qos="low", signal_s=60)
    wanted = {
        "time": 240,
        "mem": "1536M",
        "cpus_per_task": 3,
        "account": "lab",
        "qos": "low",
        "signal_delay_s": 60,
    }
    assert {key: found[key] for key in wanted} == wanted
    assert "--cpus-per-task=3" in found["srun_args"]


def test_any_other_option_can_be_given() -> None:
    extra = asked("cpu", extra={"constraint": "a100", "requeue": False})["additional_parameters"]
    log = "/p/jobs/1/log.txt"
    assert extra == {"constraint": "a100", "chdir": Path("/p/jobs/1"), "output": log, "error": log}


def test_a_refusal_is_told_in_slurms_words() -> None:
    error = refusal(
        "Job not requeued\n----\nsbatch: error: Batch job submission failed: "
        "Invalid account or account/partition combination specified\n"
    )
    assert error.what == (
        "Slurm refuses the job: Invalid account or account/partition combination specified"
    )


def test_rows_are_read_from_squeue() -> None:
    text = "12|PENDING|a|Resources|/p/a b\n13_2|RUNNING|b-parts|None|/p/x|y\nnonsense\n"
    assert parse(text) == [
        Row("12", "PENDING", "a", "Resources", Path("/p/a b")),
        Row("13_2", "RUNNING", "b-parts", "None", Path("/p/x|y")),
    ]


@pytest.mark.parametrize(
    ("state", "reason", "wanted"),
    [
        ("PENDING", "Resources", "in Slurm's queue as job 12: no node is free"),
        (
            "PENDING",
            "(Priority)",
            "in Slurm's queue as job 12: jobs of higher priority are before it",
        ),
        ("PENDING", "QOSMaxJobsPerUser", "in Slurm's queue as job 12: QOSMaxJobsPerUser"),
        ("CONFIGURING", "None", "Slurm prepares a node for job 12"),
        ("SUSPENDED", "None", "Slurm has suspended job 12"),
        ("RUNNING", "None", None),
        ("COMPLETING", "None", None),
    ],
)
def test_what_a_job_waits_for_is_said_in_words(state, reason, wanted) -> None:
    assert Row("12", state, "a", reason, Path("/p")).waits == wanted


def test_reasons_that_are_sentences_stay_whole() -> None:
    reason = "Nodes required for job are DOWN, DRAINED or reserved"
    assert in_words(reason) == reason


class Slurm:
    """Says what it is told to say."""

    def __init__(self, folder: Path) -> None:
        self.row = Row("12", "RUNNING", NAME, "None", folder)
        self.answer: tuple[Row, ...] | SlurmSilentError = (self.row,)

    def __call__(self) -> dict[str, tuple[Row, ...]]:
        if isinstance(self.answer, SlurmSilentError):
            raise self.answer
        return {NAME: self.answer} if self.answer else {}

    def says(self, state: str) -> None:
        self.answer = (replace(self.row, state=state),)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    job = JobFolder(tmp_path / "000001-embed")
    (job.path / "slurm").mkdir(parents=True)
    (job.path / "slurm" / "name.json").write_text(json.dumps({"name": NAME}))
    return job


@pytest.fixture
def cluster(folder: JobFolder) -> Slurm:
    return Slurm(folder.path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend(cluster, clock, monkeypatch) -> SlurmBackend:
    monkeypatch.setattr(slurm, "find_spec", lambda name: True)
    return SlurmBackend(cluster, clock)


@pytest.fixture
def handle(backend, folder) -> JobHandle:
    found = backend.find(folder.path)
    assert found is not None
    return found


def later(clock: Clock) -> None:
    clock.now += 20.0


def test_a_job_is_found_by_the_name_that_was_noted_before_it_was_submitted(handle) -> None:
    assert (handle.native_id, handle.boot_id, handle.pid) == ("12", NAME, 0)


def test_a_job_that_never_got_a_name_was_never_submitted(backend, folder) -> None:
    (folder.path / "slurm" / "name.json").unlink()
    assert backend.find(folder.path) is None


def test_a_job_unknown_to_slurm_counts_as_ended_only_by_an_answer_asked_for_later(
    backend, handle, cluster, clock
) -> None:
    another = replace_name(handle, "coldal-000002-map-11111111")
    assert backend.alive(another)
    later(clock)
    assert not backend.alive(another)


def replace_name(handle: JobHandle, name: str) -> JobHandle:
    return JobHandle(handle.host, name, 0, handle.started, "13")


def test_while_slurm_is_silent_a_job_counts_as_alive(backend, handle, cluster, clock) -> None:
    later(clock)
    cluster.answer = SlurmSilentError("Slurm does not answer (squeue: connect failure)")
    assert backend.alive(handle)
    assert backend.waits(handle) == "Slurm does not answer (squeue: connect failure)"


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING", "REQUEUED", "SPECIAL_EXIT"])
def test_a_job_that_runs_or_will_run_is_alive(backend, handle, cluster, clock, state) -> None:
    cluster.says(state)
    later(clock)
    assert backend.alive(handle)


def test_a_job_that_told_its_end_is_not_waited_for_while_its_node_tidies_up(
    backend, handle, cluster, clock, folder
) -> None:
    cluster.says("COMPLETING")
    folder.write_error(JobError("its own words"))
    later(clock)
    assert not backend.alive(handle)


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"])
def test_a_job_that_has_ended_is_not(backend, handle, cluster, clock, folder, state) -> None:
    cluster.says(state)
    later(clock)
    assert not backend.alive(handle)
    assert not folder.told


def test_how_slurm_says_that_it_ended_is_noted_in_its_log_once(
    backend, handle, cluster, clock, folder
) -> None:
    cluster.says("NODE_FAIL")
    later(clock)
    assert [backend.alive(handle) for _ in range(3)] == [False] * 3
    lines = folder.log.read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["Slurm: job 12 ended as NODE_FAIL"]


def test_what_slurm_killed_for_its_memory_is_told_as_that(
    backend, handle, cluster, clock, folder
) -> None:
    cluster.says("OUT_OF_MEMORY")
    later(clock)
    backend.alive(handle)
    error = folder.error()
    assert error is not None
    assert (error.what, error.code) == (
        "the job used more memory than Slurm gave it",
        "out-of-memory",
    )


def test_what_the_worker_itself_told_is_kept(backend, handle, cluster, clock, folder) -> None:
    folder.write_error(JobError("its own words"))
    cluster.says("CANCELLED")
    later(clock)
    backend.alive(handle)
    assert folder.error() == JobError("its own words")


def test_where_slurm_has_forgotten_a_job_its_accounts_are_asked(
    backend, handle, cluster, clock, folder, tmp_path, monkeypatch
) -> None:
    assert backend.alive(handle)
    line = f'echo "12|CANCELLED by 1000|{NAME}|None|{folder.path}"'
    program(tmp_path / "bin", "sacct", line, monkeypatch)
    cluster.answer = ()
    later(clock)
    assert not backend.alive(handle)
    error = folder.error()
    assert error is not None
    assert error.what == "someone has cancelled Slurm's job 12"


def program(folder: Path, name: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of that name, first in the path."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{line}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_cluster_without_accounts_tells_no_state(tmp_path, monkeypatch) -> None:
    line = "echo 'Slurm accounting storage is disabled' >&2; exit 1"
    program(tmp_path, "sacct", line, monkeypatch)
    assert accounted("12", NAME) is None


@pytest.mark.parametrize(("number", "name"), [("12", "another"), ("?", NAME)])
def test_accounts_of_another_job_of_that_number_tell_nothing(
    tmp_path, monkeypatch, number, name
) -> None:
    program(tmp_path, "sacct", f'echo "12|FAILED|{NAME}|None|/p"', monkeypatch)
    assert accounted("12", NAME) == Row("12", "FAILED", NAME, "None", Path("/p"))
    assert accounted(number, name) is None


def test_an_error_of_a_command_is_silence_in_its_words(tmp_path, monkeypatch) -> None:
    line = "echo 'squeue: error: slurm_load_jobs: Unable to contact slurm controller' >&2; exit 1"
    program(tmp_path, "squeue", line, monkeypatch)
    with pytest.raises(SlurmSilentError) as caught:
        slurm_queue.rows()
    assert caught.value.what == (
        "Slurm does not answer (squeue: slurm_load_jobs: Unable to contact slurm controller)"
    )


def test_a_machine_without_slurm_is_told_so(backend, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ColdalError) as caught:
        backend.room(Ask("embed"), ())
    assert (caught.value.what, caught.value.code) == (
        "there is no Slurm here (no sbatch)",
        "no-slurm",
    )


def test_the_extra_to_install_is_named(monkeypatch) -> None:
    monkeypatch.setattr(slurm, "find_spec", lambda name: None)
    monkeypatch.setattr(
        "coldal_tui.plugins.entry_points", lambda group: [Point("slurm", SlurmBackend)]
    )
    with pytest.raises(ColdalError) as caught:
        load_backend("slurm")
    assert (caught.value.what, caught.value.remedy) == (
        "submitit is not installed",
        install("slurm"),
    )


class Point:
    def __init__(self, name: str, made: object) -> None:
        self.name = name
        self._made = made

    def load(self) -> object:
        return self._made
