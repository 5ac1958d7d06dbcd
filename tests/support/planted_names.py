"""A project in which names of people stand wherever they can; every one has ``ZQ`` in it."""

from __future__ import annotations

import contextlib
import json

import apsw

from coldal_tui.exchange.incoming.geometry_policy import ImportOptions
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.project import Project
from coldal_tui.project.queue.actions import assign, exclude
from coldal_tui.scheduler import queue
from tests.support.lab import Lab

MARK = "zq"
"""In every planted name, near its start: a name that is cut is found, too."""
SCANS = ("ZQWARD/ZQMILLER_ANNA_1980", "ZQWARD/ZQ Öz Kaya_2", "ZQSMITH-b", "ZQJONES.c")
PATIENTS = ("ZQP Miller", "ZQP-4711", "123456", "ZQPJones")
PERSON, OTHER = "ZQana Zqlima", "ZQben"


def planted(lab: Lab) -> Project:
    """Queue, labels, quarantine, refused files, runs, failed jobs and their logs, with names."""
    for name in SCANS:
        lab.picture(f"{name}.png")
    (lab.images / "ZQBROKEN file.png").write_bytes(b"no picture")
    rows = [
        f"{scan}.png,{patient},ZQDr. House,1980-02-{n + 1:02d},ZQHOSP {n},{n + 0.5},{'FM'[n % 2]}"
        for n, (scan, patient) in enumerate(zip(SCANS, PATIENTS, strict=True))
    ]
    head = "filename,patient_id,physician,birth_date,site,thickness,sex"
    (lab.images / "ZQtable.csv").write_text("\n".join([head, *rows]), "utf-8")
    project = lab.start(
        '[project]\nname = "ZQ clinic"\n[images]\ndir = "../images"\n'
        'patients_csv = "../images/ZQtable.csv"\n'
        '[classes]\nnames = ["liver"]\n[budget]\ntotal = 3\n'
    )
    ids = [scan_id for (scan_id,) in project.store.tuples("SELECT scan_id FROM scans")]
    assert len(ids) == len(SCANS)
    lab.embed(project)
    lab.map(project, {name: (float(n), float(n % 2)) for n, name in enumerate(ids)})
    picks = [(ids[0], "medoid"), (ids[1], "farthest-point"), (ids[2], "medoid")]
    lab.select(project, picks, dict.fromkeys(ids, 0))
    assign(project, [ids[0]], PERSON)
    assign(project, [ids[1]], OTHER)
    exclude(project, [ids[3]], "ZQ says so: a friend of hers")
    lab.mask(f"{ids[0].rpartition('/')[2]}.png")
    lab.mask("ZQNOBODY_mask.png")
    import_masks(project, lab.masks, options=ImportOptions(by=PERSON))
    lab.train(project)
    lab.score(project, {ids[1]: 0.5, ids[2]: 0.25})
    failing = queue.submit(project, "map", {})
    log = lab.root / ".coldal" / "jobs" / "000099-map"
    log.mkdir(parents=True)
    (log / "log.txt").write_text(f"reading {lab.images}/{SCANS[0]}.png\nKeyError: '{ids[1]}'\n")
    with contextlib.closing(apsw.Connection(str(project.layout.database))) as connection:
        connection.execute(
            "UPDATE jobs SET status = 'failed', folder = '.coldal/jobs/000099-map', error = ? "
            "WHERE job_id = ?",
            (
                json.dumps(
                    {
                        "what": f"scan {ids[0]} of ZQDr. House is bad",
                        "where": f"{lab.images}/{SCANS[1]}.png",
                        "remedy": "ask ZQben",
                    }
                ),
                failing,
            ),
        ).fetchall()
    return project
