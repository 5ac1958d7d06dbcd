"""How many processors a job takes, and how its threads wait for each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coldal_tui import processors
from coldal_tui.processors import (
    THREAD_VARIABLES,
    WAITING,
    cgroup_quota,
    share_processors,
    usable_processors,
)


def _groups(root: Path, own: str, **files: str) -> tuple[Path, Path]:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    (root / "self").write_text(own, "utf-8")
    return root, root / "self"


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/a/b\n", {"a__b__cpu_dot_max": "250000 100000\n"}, 2.5),
        ("0::/a/b\n", {"a__b__cpu_dot_max": "max 100000\n"}, None),
        # The group above limits what is below it.
        (
            "0::/a/b\n",
            {"a__b__cpu_dot_max": "400000 100000\n", "a__cpu_dot_max": "150000 100000\n"},
            1.5,
        ),
        (
            "3:cpu,cpuacct:/job\n",
            {
                "cpu,cpuacct__job__cpu_dot_cfs_quota_us": "300000\n",
                "cpu,cpuacct__job__cpu_dot_cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            "3:cpu:/\n",
            {"cpu__cpu_dot_cfs_quota_us": "-1\n", "cpu__cpu_dot_cfs_period_us": "100000\n"},
            None,
        ),
        # In a container the path of the host's group is not there; the root is ours.
        (
            "1:cpu:/docker/abc\n",
            {"cpu__cpu_dot_cfs_quota_us": "50000\n", "cpu__cpu_dot_cfs_period_us": "100000\n"},
            0.5,
        ),
        ("0::/a\n", {"a__cpu_dot_max": "nonsense"}, None),
        ("nonsense\n", {}, None),
    ],
)
def test_the_quota_of_control_groups(
    own: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert cgroup_quota(*_groups(tmp_path, own, **files)) == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(("quota", "count"), [(None, 6), (2.5, 2), (0.5, 1), (64.0, 6)])
def test_affinity_and_quota_both_limit(
    quota: float | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    monkeypatch.setattr(processors, "cgroup_quota", lambda: quota)
    assert usable_processors() == count


def test_what_a_person_set_stays() -> None:
    environment = {"OMP_NUM_THREADS": "7", "GOMP_SPINCOUNT": "5"}
    share_processors(environment, threads=3)
    assert environment["OMP_NUM_THREADS"] == "7"
    assert environment["GOMP_SPINCOUNT"] == "5"
    assert {environment[name] for name in THREAD_VARIABLES[1:]} == {"3"}


def test_a_policy_that_a_person_chose_is_not_overruled() -> None:
    environment = {"OMP_WAIT_POLICY": "ACTIVE"}
    share_processors(environment)
    assert not set(WAITING) & set(environment)


def test_a_process_steps_back_on_request() -> None:
    code = (
        "import os; from coldal_tui.processors import share_processors;"
        f"share_processors(os.environ, 1, 7); print(os.nice(0) - {os.nice(0)})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"


def test_torch_follows() -> None:
    """torch's OpenMP takes the settings, though they are made after the process was started."""
    code = (
        "import os; from coldal_tui.processors import share_processors\n"
        "share_processors(os.environ, 1)\n"
        "import torch\n"
        "print(torch.get_num_threads())\n"
    )
    names = {*THREAD_VARIABLES, *WAITING}
    clean = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
