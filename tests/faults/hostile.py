"""A project as somebody with bad intent would hand it over; it aims at the folder ``victim``.

python -m tests.faults.hostile FOLDER KIND    makes FOLDER/project, FOLDER/images, FOLDER/victim
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import msgspec

from coldal_tui.files import sha256_file
from coldal_tui.imaging.image import ScanRef
from coldal_tui.jobs.spec import LabelledScan
from coldal_tui.project.project import Project
from coldal_tui.trust_store import TrustStore
from tests.support.lab import Lab

EVENTS = ("job_done", "round_ready", "masks_in")
ADDRESS = "http://127.0.0.1:9"
SERVERS = {
    "theirs": "label-studio",
    "theirs-too": "cvat",
    "their-network": "monai-label",
    "their-archive": "dicomweb",
}
"""Connections by name, each of another kind."""
AT = "2024-01-01T00:00:00+00:00"
Statement = tuple[str, tuple[object, ...]]


def victim(folder: Path) -> Path:
    """What must be as it was afterwards."""
    home = folder / "victim"
    (home / ".ssh").mkdir(parents=True)
    (home / "thesis").mkdir()
    (home / "thesis" / "chapter.tex").write_text("three years")
    (home / ".ssh" / "authorized_keys").write_text("mine")
    (home / "secret.png").write_bytes(b"\x89PNG not yours")
    return home


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` and what is in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def tamper(project: Project, *statements: Statement) -> None:
    """Run SQL on the database as any program can."""
    with contextlib.closing(apsw.Connection(str(project.layout.database))) as connection:
        for sql, values in statements:
            connection.execute(sql, values).fetchall()


def job(folder: str, status: str, kind: str = "map") -> Statement:
    """A row of the job table."""
    return (
        "INSERT INTO jobs (kind, request, status, depends_on, folder, backend, created_at) "
        "VALUES (?, '{}', ?, '[]', ?, 'local', ?)",
        (kind, status, folder, AT),
    )


def waiting_job_elsewhere(project: Project, home: Path) -> None:
    """A waiting job whose folder, which is emptied first, is somebody's thesis."""
    tamper(project, job(str(home / "thesis"), "waiting"))


def waiting_job_upwards(project: Project, _home: Path) -> None:
    """The same by ``..``."""
    tamper(project, job(".coldal/jobs/../../../victim/thesis", "waiting"))


def job_in_labels(project: Project, _home: Path) -> None:
    """A job that would empty the project's own labels."""
    tamper(project, job("labels", "waiting"))


def receipt_elsewhere(project: Project, home: Path) -> None:
    """A finished training whose run is called like a folder with keys."""
    folder = project.layout.jobs / "000009-train"
    folder.mkdir()
    (folder / "authorized_keys").write_text("theirs")
    spec = {
        "kind": "train",
        "run_id": str(home / ".ssh"),
        "classes": ["x"],
        "train": [],
        "validation": [],
        "options": {},
        "seed": 0,
    }
    digest = sha256_file(folder / "authorized_keys")
    output = {"path": "authorized_keys", "sha256": digest, "bytes": 6}
    receipt = {"job_id": "9", "kind": "train", "outputs": [output], "result": {}}
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "receipt.json").write_text(json.dumps(receipt))
    tamper(project, job(".coldal/jobs/000009-train", "running", "train"))


def scan_elsewhere(project: Project, home: Path) -> None:
    """Queued scans whose image is a secret."""
    secret = str(home / "secret.png")
    tamper(project, ("UPDATE scans SET rel_path = ?, files = ?", (secret, json.dumps([secret]))))


def scan_id_elsewhere(project: Project, _home: Path) -> None:
    """A scan whose name, which becomes a file's, climbs out."""
    for table in ("scans", "queue"):
        sql = f"UPDATE {table} SET scan_id = '../../victim/thesis/x' WHERE scan_id = 's00'"
        tamper(project, (sql, ()))


def trigger(project: Project, _home: Path) -> None:
    """SQL that runs whenever something is done."""
    sql = "CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM queue; END"
    tamper(project, (sql, ()))


def view(project: Project, _home: Path) -> None:
    """A view in a table's place."""
    tamper(
        project,
        ("ALTER TABLE queue RENAME TO hidden", ()),
        ("CREATE VIEW queue AS SELECT * FROM hidden WHERE 0", ()),
    )


def slurm(project: Project, home: Path) -> None:
    """Shell lines for a cluster, and a job that waits for it."""
    with project.layout.config.open("a") as stream:
        stream.write(f'[backend.slurm]\nsetup = ["touch {home}/run"]\n')
    tamper(project, job(".coldal/jobs/000009-map", "waiting"))
    tamper(project, ("UPDATE jobs SET backend = 'slurm' WHERE status = 'waiting'", ()))


def second_line(project: Project, home: Path) -> None:
    """An option of sbatch with a line of shell behind it."""
    with project.layout.config.open("a") as stream:
        stream.write(f'[backend.slurm.extra]\n"x\\ntouch {home}/run" = 1\n')


def network(project: Project, _home: Path) -> None:
    """Weights that are a program, and a job that would run it."""
    model = project.root / "model.pt"
    model.write_bytes(b"PK program")
    text = project.layout.config.read_text()
    told = f'name = "file"\nweights = "{model}"\nsize = 32'
    project.layout.config.write_text(text.replace('name = "efficientnet-lite0"', told))
    tamper(project, job(".coldal/jobs/000009-embed", "waiting", "embed"))


def linked_jobs(project: Project, home: Path) -> None:
    """The folder of jobs is a link."""
    project.layout.jobs.rename(project.layout.state / "was-jobs")
    project.layout.jobs.symlink_to(home / "thesis")


def linked_map(project: Project, home: Path) -> None:
    """A map outside the project."""
    tamper(project, ("UPDATE maps SET file = ?", (str(home / "secret.png"),)))


def label_elsewhere(project: Project, home: Path) -> None:
    """An accepted label that is a file of somebody else."""
    tamper(
        project,
        (
            "INSERT INTO labels (scan_id, version, file, sha256, state, role, source, "
            "source_sha256, format, geometry, notes, voxels, created_at) VALUES "
            "('s00', 1, ?, 'x', 'active', 'manual', 'x', 'x', 'x', 'x', '[]', '{}', ?)",
            (str(home / "secret.png"), AT),
        ),
    )


def keys_elsewhere(project: Project, home: Path) -> None:
    """An export whose keys and folder are somewhere else."""
    tamper(
        project,
        (
            "INSERT INTO exports (folder, format, scans, manifest_sha256, created_at, key_file) "
            "VALUES (?, 'folder', '[]', 'x', ?, ?)",
            (str(home), AT, str(home / "secret.png")),
        ),
    )


def mask_elsewhere(project: Project, home: Path) -> None:
    """A mask in quarantine whose file, and whose kept copy, are somebody else's."""
    tamper(
        project,
        (
            "INSERT INTO quarantine (scan_id, file, source, source_sha256, code, message, state, "
            "created_at) VALUES ('s00', ?, ?, 'x', 'empty', 'x', 'waiting', ?)",
            (str(home / "secret.png"), str(home / "secret.png"), AT),
        ),
    )


def cases_elsewhere(project: Project, home: Path) -> None:
    """An evaluation that waits, on cases whose masks and images are secrets."""
    folder = project.layout.cache / "evaluation-x"
    folder.mkdir()
    secret = str(home / "secret.png")
    scan = project.scan("s00").input(project.images)
    scan = msgspec.structs.replace(scan, ref=ScanRef("raster", (secret,)))
    listing = msgspec.json.encode([LabelledScan(scan, secret)])
    (folder / "cases.json").write_bytes(listing)
    request = json.dumps({"cases": ".coldal/cache/evaluation-x/cases.json"})
    tamper(
        project,
        (
            "INSERT INTO runs (run_id, round, seed, train_scans, validation_scans, summary, "
            "created_at) VALUES ('run-001', 0, 0, '[]', '[]', '{}', ?)",
            (AT,),
        ),
        job(".coldal/jobs/000009-evaluate", "waiting", "evaluate"),
        ("UPDATE jobs SET request = ? WHERE status = 'waiting'", (request,)),
    )


def run_elsewhere(project: Project, home: Path) -> None:
    """A run, with whose network everything would be scored, in another folder."""
    tamper(
        project,
        (
            "INSERT INTO runs (run_id, round, seed, train_scans, validation_scans, summary, "
            "created_at) VALUES (?, 0, 0, '[]', '[]', '{}', ?)",
            (f"../../../{home.name}/thesis", AT),
        ),
    )


def patients_elsewhere(project: Project, home: Path) -> None:
    """The patients stand in a file of somebody else."""
    text = project.layout.config.read_text()
    line = f'patients_csv = "{home}/thesis/chapter.tex"'
    project.layout.config.write_text(text.replace("[images]", f"[images]\n{line}", 1))


def linked_import(project: Project, home: Path) -> None:
    """Masks that are links to secrets."""
    masks = project.root.parent / "masks"
    (masks / "s00.png").symlink_to(home / "secret.png")
    (masks / "etc").symlink_to(home)


def hooks(project: Project, home: Path) -> None:
    """Programs of theirs that are told of every job, round and import."""
    text = project.layout.config.read_text()
    lines = "".join(f'{event} = "touch {home}/{event}"\n' for event in EVENTS)
    project.layout.config.write_text(text.replace("[hooks]", f"[hooks]\n{lines}#", 1))


def server(project: Project, home: Path) -> None:
    """Servers of theirs that images and tokens would go to, one with somebody's folder."""
    with project.layout.config.open("a") as stream:
        for name, kind in SERVERS.items():
            stream.write(f'[connections.{name}]\nkind = "{kind}"\nurl = "{ADDRESS}"\n')
            stream.write('project = "1"\n' if kind in ("label-studio", "cvat") else "")
            if kind == "label-studio":
                stream.write(f'folder = "{home}"\ndocument_root = "{home.parent}"\n')


def keys(project: Project, home: Path) -> None:
    """Programs of theirs on keys that people press."""
    with project.layout.config.open("a") as stream:
        stream.write(f'[keys]\nf5 = "touch {home}/run"\n')
        stream.write(f'f6 = {{ run = "touch {home}/run", terminal = true }}\n')


def harmless(_project: Project, _home: Path) -> None:
    """Nothing: somebody's project as it should be."""


KINDS: dict[str, Callable[[Project, Path], None]] = {
    one.__name__: one
    for one in (
        waiting_job_elsewhere,
        waiting_job_upwards,
        job_in_labels,
        receipt_elsewhere,
        scan_elsewhere,
        scan_id_elsewhere,
        trigger,
        view,
        slurm,
        second_line,
        network,
        linked_jobs,
        linked_map,
        label_elsewhere,
        keys_elsewhere,
        mask_elsewhere,
        cases_elsewhere,
        run_elsewhere,
        patients_elsewhere,
        linked_import,
        hooks,
        server,
        keys,
        harmless,
    )
}


def build(folder: Path, kind: str) -> tuple[Path, Path]:
    """The project of ``kind`` in ``folder``, and the victim."""
    home = victim(folder)
    lab = Lab(folder)
    project = lab.line(4, [("s00", "medoid"), ("s01", "medoid")])
    lab.mask("s01.png")
    project.close()
    with lab.open() as project:
        KINDS[kind](project, home)
        if kind == "hooks":
            # A pick whose receipt nobody has seen: two of its programs wait for that.
            lab.committing = False
            lab.select(project, [("s02", "medoid")], {f"s{n:02d}": 0 for n in range(4)})
    lab.close()
    TrustStore().forget(lab.root)
    return lab.root, home


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1]), sys.argv[2])[0]}\n")
