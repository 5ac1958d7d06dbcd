"""The worker process: a job folder from its specification to a receipt or an error."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from coldal_launch.worker import REFUSED
from coldal_tui.files import try_lock
from coldal_tui.jobs.folder import JobFolder
from coldal_tui.jobs.spec import EmbedSpec, EncoderChoice, SelectSpec
from coldal_tui.maps import load_clusters, save_map
from coldal_tui.selection.rows import PoolRow

WATCHED = """
import sys
opened = []
sys.addaudithook(lambda event, values: opened.append(str(values[0])) if event == "open" else None)
from coldal_launch.worker import main
status = main(sys.argv[1:])
found = [name for name in opened if "project.db" in name]
loaded = sorted({"apsw", "sqlite3", "coldal_tui.project.database.store"} & set(sys.modules))
print(status, found, loaded)
"""


def _select(folder: Path, scans: int = 3) -> SelectSpec:
    ids = tuple("abcdef"[:scans])
    path = folder / "map.npz"
    save_map(path, ids, np.array([[float(n), 0.0] for n in range(scans)]))
    pool = tuple(PoolRow(name, name, True, False, False) for name in ids)
    return SelectSpec(0, "random", 2, 0, seed=0, map=str(path), pool=pool)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = JobFolder(tmp_path / "000007-select")
    made.prepare(_select(tmp_path))
    return made


def _work(folder: JobFolder) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "coldal_launch.worker", str(folder.path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_receipt_lists_the_outputs_with_their_true_hashes(folder) -> None:
    assert _work(folder).returncode == 0
    receipt = folder.receipt()
    assert receipt is not None
    assert (receipt.job_id, receipt.kind) == ("000007-select", "select")
    (output,) = receipt.outputs
    content = (folder.path / output.path).read_bytes()
    assert output.sha256 == hashlib.sha256(content).hexdigest()
    assert output.bytes == len(content)
    assert load_clusters(folder.path / "clusters.npz").k == 1
    assert folder.error() is None
    assert not folder.worker_running()


def test_an_error_that_is_known_is_told_as_it_is(folder, tmp_path) -> None:
    (tmp_path / "map.npz").unlink()
    assert _work(folder).returncode == 1
    error = folder.error()
    assert error is not None
    assert (error.code, error.where) == ("map", str(tmp_path / "map.npz"))
    assert folder.receipt() is None


def test_a_crash_is_told_with_its_name_and_its_log(folder, tmp_path) -> None:
    np.savez(tmp_path / "map.npz", scan_ids=np.array(["a", "b", "c"]), xy=np.zeros((1, 2)))
    done = _work(folder)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    error = folder.error()
    assert error is not None
    assert error.code == "crash"
    assert error.what.startswith("IndexError: ")


def test_where_a_library_is_absent_it_says_where_the_job_can_run(folder, tmp_path) -> None:
    # As on a login node: the command line is there, what jobs use is not.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    folder.prepare(EmbedSpec((), EncoderChoice("efficientnet-lite0"), device="cpu"))
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "coldal_launch.worker", str(folder.path)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 1
    error = folder.error()
    assert error is not None
    assert error.code == "light-install"
    assert error.what.startswith(f"torch is not installed in {sys.prefix} on ")
    assert "[backend] name to slurm or ray" in (error.remedy or "")


def test_a_damaged_specification_is_told(folder) -> None:
    folder.spec.write_text("{")
    assert _work(folder).returncode == 1
    error = folder.error()
    assert error is not None
    assert (error.code, error.where) == ("receipt", str(folder.spec))


def test_sigterm_is_told(folder, tmp_path) -> None:
    (tmp_path / "map.npz").unlink()
    os.mkfifo(tmp_path / "map.npz")
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "coldal_launch.worker", str(folder.path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stderr is not None
    assert "select starts" in worker.stderr.readline()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=600) == 128 + signal.SIGTERM
    worker.stderr.close()
    error = folder.error()
    assert error is not None
    assert error.code == "cancelled"


def test_a_hang_up_is_ignored(folder, tmp_path) -> None:
    content = (tmp_path / "map.npz").read_bytes()
    (tmp_path / "map.npz").unlink()
    os.mkfifo(tmp_path / "map.npz")
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "coldal_launch.worker", str(folder.path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stderr is not None
    assert "select starts" in worker.stderr.readline()
    worker.send_signal(signal.SIGHUP)
    # Opening the pipe succeeds only while the worker reads it.
    with (tmp_path / "map.npz").open("wb") as pipe:
        pipe.write(content[:10])
    worker.communicate(timeout=600)
    # It went on: a pipe can't be read as a map, and that is what it says.
    error = folder.error()
    assert error is not None
    assert error.code == "map"


def test_a_second_worker_refuses(folder) -> None:
    with folder.lock.open("ab") as first:
        assert try_lock(first)
        done = _work(folder)
    assert done.returncode == REFUSED
    assert "another worker runs this job already" in done.stderr
    assert folder.receipt() is None
    assert folder.error() is None


def test_it_beats_while_it_works(folder) -> None:
    began = time.time()
    _work(folder)
    assert folder.heartbeat.stat().st_mtime >= began - 1


def test_it_never_opens_the_database(project, tmp_path) -> None:
    folder = JobFolder(project.layout.jobs / "000001-select")
    folder.prepare(_select(tmp_path))
    done = subprocess.run(
        [sys.executable, "-P", "-c", WATCHED, str(folder.path)],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
        cwd=project.root,
    )
    assert done.stdout.strip() == "0 [] []"
