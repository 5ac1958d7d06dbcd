"""A Ray cluster that asks for a token is given the one that Ray's own variables name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.on_ray import missing_for_ray
from tests.support.places import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("ray")]
TOKEN = "0123456789abcdef0123456789abcdef"
CLUSTER = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.support.on_ray import one_node
with one_node() as here:
    print(here.address, flush=True)
    sys.stdin.read()
"""
CLIENT = """
import sys
from coldal_launch.ray import RayBackend
from coldal_tui.jobs.backend import Ask
backend = RayBackend()
wait = backend.room(Ask("embed", settings={"ray": {"address": sys.argv[1]}}), ())
for _ in range(20):
    if wait is None or "slow" not in wait.reason:
        break
    import time; time.sleep(1)
    wait = backend.room(Ask("embed", settings={"ray": {"address": sys.argv[1]}}), ())
print("room" if wait is None else wait.reason)
"""


def environment(**values: str) -> dict[str, str]:
    without = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    return without | values


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The job server of a cluster with token authentication."""
    missing = missing_for_ray()
    if missing:
        pytest.skip(missing)
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN),
    )
    assert process.stdout is not None
    found = next(line for line in process.stdout if line.startswith("http"))
    yield found.strip()
    process.communicate("", timeout=600)


def answer(address: str, **values: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, address],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
        env=environment(**values),
    )
    return done.stdout.strip()


def test_with_the_clusters_token_there_is_room(address) -> None:
    assert answer(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) == "room"


def test_a_token_in_a_file_is_as_good(address, tmp_path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    assert answer(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(file)) == "room"


@pytest.mark.parametrize("values", [{}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 32}])
def test_without_it_a_job_waits_and_says_what_for(address, tmp_path, values) -> None:
    told = answer(address, HOME=str(tmp_path), **values)
    assert told.startswith(f"the Ray cluster at {address} does not answer: ")
    assert "token" in told.lower()
