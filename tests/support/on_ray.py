"""A real Ray cluster of two nodes on loopback, for tests; and why there can be none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support.processes import free_port

STORE_BYTES = 100 * 2**20


def missing_for_ray() -> str | None:
    """Why there can be no real Ray here; None when there can."""
    if find_spec("ray") is None:
        return "ray is not installed: make extras"
    return None


@dataclass(frozen=True)
class RayHere:
    """``address`` is that of the cluster's job server."""

    cluster: Any
    address: str

    def add_node(self) -> Any:
        """One more node, of one processor."""
        return _add_node(self.cluster)

    def kill(self, node: Any) -> None:
        """A node's end by SIGKILL, with all that runs on it."""
        self.cluster.remove_node(node, allow_graceful=False)


@contextmanager
def one_node() -> Iterator[RayHere]:
    """A cluster of one node of one processor."""
    # Short: the names of its sockets have to fit into 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    (folder / "ray").mkdir()
    before = dict(os.environ)
    os.environ |= {
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        head = {"include_dashboard": True, "dashboard_port": 0, "temp_dir": str(folder)}
        _add_node(cluster, **head)
        yield RayHere(cluster, f"http://{cluster.head_node.address_info['webui_url']}")
    finally:
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def _add_node(cluster: Any, **options: Any) -> Any:
    # By default every agent takes the same port: two clusters would stand in each other's way.
    port = free_port()
    return cluster.add_node(
        num_cpus=1,
        object_store_memory=STORE_BYTES,
        dashboard_agent_listen_port=port,
        **options,
    )


@contextmanager
def two_nodes() -> Iterator[RayHere]:
    """A cluster of two nodes of one processor each."""
    with one_node() as here:
        here.add_node()
        here.cluster.wait_for_nodes()
        yield here
