"""Hooks of jobs: fired by the one who watches, when a job has ended and when a round is there."""

from __future__ import annotations

import numpy as np

from coldal_tui.files import sha256_file
from coldal_tui.jobs.folder import JobError
from coldal_tui.jobs.spec import OutputFile, Receipt
from coldal_tui.maps import save_clusters
from coldal_tui.project.job_rows import get_job
from coldal_tui.scheduler import monitor, queue
from coldal_tui.scheduler.planning import build_spec

NAMES = ("s00", "s01", "s02")


class NoBackend:
    def find(self, _folder):
        return None


def running(project, kind, request):
    number = queue.submit(project, kind, request)
    folder = get_job(project, number).folder
    folder.prepare(build_spec(project, kind, request))
    with project.store.transaction():
        queue.set_status(project, number, "running")
    return number, folder


def test_a_job_that_ends_and_a_round_that_is_there_fire_their_hooks(lab, monkeypatch):
    fired = []
    monkeypatch.setattr(
        monitor, "fire", lambda _project, event, **facts: fired.append((event, facts))
    )
    lab.pictures(*NAMES)
    project = lab.start()
    lab.embed(project)
    lab.map(project, {name: (float(n), 0.0) for n, name in enumerate(NAMES)})
    number, folder = running(project, "select", {"budget": 1})
    save_clusters(folder.path / "clusters.npz", NAMES, np.zeros(3, int), 1)
    pick = {
        "scan_id": "s00", "rank": 1, "role": "medoid", "cluster": 0, "score": None,
        "entropy": None, "diversity": None, "terms": {},
    }  # fmt: skip
    result = {
        "k": 1, "silhouettes": [], "estimated": False, "notes": [], "picks": [pick],
        "clusters_file": "clusters.npz", "uses_alpha": False,
    }  # fmt: skip
    file = folder.path / "clusters.npz"
    output = OutputFile("clusters.npz", sha256_file(file), file.stat().st_size)
    folder.write_receipt(Receipt(str(number), "select", (output,), result))
    watch = monitor.Watch(project, lambda _name: NoBackend(), lambda: 0.0)
    watch.look()
    assert fired == [
        ("job_done", {"job": number, "kind": "select", "status": "done", "error": ""}),
        ("round_ready", {"job": number, "round": 0, "picked": 1}),
    ]
    fired.clear()
    failed, folder = running(project, "embed", {})
    folder.write_error(JobError("no CUDA device", code="device"))
    watch.look()
    facts = {"job": failed, "kind": "embed", "status": "failed", "error": "no CUDA device"}
    assert fired == [("job_done", facts)]
