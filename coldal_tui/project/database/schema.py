"""The database schema as numbered migrations; ``PRAGMA user_version`` counts those applied."""

from __future__ import annotations

UNDOABLE_TABLES = (
    "scans",
    "rounds",
    "queue",
    "validation",
    "labels",
    "quarantine",
    "exports",
    "handouts",
    "prelabels",
)
"""Tables whose changes an undo takes back; the others hold immutable results or bookkeeping."""

_FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE scans (
    scan_id TEXT PRIMARY KEY,
    rel_path TEXT NOT NULL,
    kind TEXT NOT NULL,
    files TEXT NOT NULL,
    shape TEXT NOT NULL,
    channels INTEGER NOT NULL,
    dtype TEXT NOT NULL,
    spacing TEXT,
    affine TEXT,
    modality TEXT,
    patient_id TEXT NOT NULL,
    meta TEXT NOT NULL,
    quick_hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT,
    duplicate_of TEXT,
    state TEXT NOT NULL DEFAULT 'present',
    excluded TEXT,
    added_at TEXT NOT NULL
);
CREATE INDEX scans_by_path ON scans (rel_path);

CREATE TABLE files (
    rel_path TEXT PRIMARY KEY,
    entry TEXT NOT NULL
);

CREATE TABLE problems (
    rel_path TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE TABLE encoders (
    encoder_hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    dim INTEGER NOT NULL,
    record TEXT NOT NULL
);

CREATE TABLE shards (
    shard_id INTEGER PRIMARY KEY,
    encoder_hash TEXT NOT NULL,
    file TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE embeddings (
    encoder_hash TEXT NOT NULL,
    scan_id TEXT NOT NULL,
    quick_hash TEXT NOT NULL,
    shard_id INTEGER NOT NULL,
    shard_row INTEGER NOT NULL,
    PRIMARY KEY (encoder_hash, scan_id)
);

CREATE TABLE embed_failures (
    encoder_hash TEXT NOT NULL,
    scan_id TEXT NOT NULL,
    quick_hash TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (encoder_hash, scan_id)
);

CREATE TABLE maps (
    map_id INTEGER PRIMARY KEY,
    encoder_hash TEXT NOT NULL,
    file TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    seed INTEGER NOT NULL,
    scans INTEGER NOT NULL,
    params TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE rounds (
    round INTEGER PRIMARY KEY,
    strategy TEXT NOT NULL,
    seed INTEGER NOT NULL,
    alpha REAL,
    budget INTEGER NOT NULL,
    map_id INTEGER NOT NULL,
    run_id TEXT,
    clusters TEXT NOT NULL,
    k INTEGER NOT NULL,
    silhouettes TEXT NOT NULL,
    params TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE queue (
    scan_id TEXT PRIMARY KEY,
    round INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    role TEXT NOT NULL,
    cluster INTEGER,
    status TEXT NOT NULL DEFAULT 'queued',
    score REAL,
    entropy REAL,
    diversity REAL,
    terms TEXT NOT NULL,
    assignee TEXT,
    pinned INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    export_id INTEGER,
    replaced_by TEXT
);
CREATE INDEX queue_by_round ON queue (round, rank);

CREATE TABLE validation (
    patient_id TEXT PRIMARY KEY,
    scan_id TEXT NOT NULL,
    round INTEGER NOT NULL
);

CREATE TABLE labels (
    label_id INTEGER PRIMARY KEY,
    scan_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    file TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    state TEXT NOT NULL,
    role TEXT NOT NULL,
    source TEXT NOT NULL,
    source_sha256 TEXT NOT NULL,
    format TEXT NOT NULL,
    geometry TEXT NOT NULL,
    notes TEXT NOT NULL,
    voxels TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (scan_id, version)
);

CREATE TABLE quarantine (
    quarantine_id INTEGER PRIMARY KEY,
    scan_id TEXT,
    file TEXT NOT NULL,
    source TEXT NOT NULL,
    source_sha256 TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE exports (
    export_id INTEGER PRIMARY KEY,
    folder TEXT NOT NULL,
    format TEXT NOT NULL,
    scans TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    round INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    train_scans TEXT NOT NULL,
    validation_scans TEXT NOT NULL,
    summary TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE metrics (
    run_id TEXT NOT NULL,
    split TEXT NOT NULL,
    scan_id TEXT NOT NULL,
    class TEXT NOT NULL,
    dice REAL NOT NULL,
    hd REAL NOT NULL,
    hd95 REAL NOT NULL,
    unit TEXT NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, split, scan_id, class)
);

CREATE TABLE scores (
    run_id TEXT NOT NULL,
    scan_id TEXT NOT NULL,
    entropy REAL NOT NULL,
    PRIMARY KEY (run_id, scan_id)
);

CREATE TABLE jobs (
    job_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    status TEXT NOT NULL,
    depends_on TEXT NOT NULL,
    folder TEXT NOT NULL,
    backend TEXT NOT NULL,
    handle TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    result TEXT,
    created_at TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT
);

CREATE TABLE audit (
    audit_id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    host TEXT NOT NULL,
    action TEXT NOT NULL,
    summary TEXT NOT NULL,
    params TEXT NOT NULL,
    inputs TEXT NOT NULL,
    seed INTEGER,
    changes BLOB,
    undone_by INTEGER
);
"""

_SCAN_UIDS = """
CREATE TABLE scan_uids (
    scan_id TEXT PRIMARY KEY,
    series TEXT NOT NULL,
    frame_of_reference TEXT NOT NULL,
    instances TEXT NOT NULL
);
DELETE FROM files WHERE json_extract(entry, '$.kind') = 'dicom';
"""
"""What is known of DICOM files is forgotten: the next index reads their frame of reference."""

_JOBS_SIDE_BY_SIDE = """
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN waiting_for TEXT;
ALTER TABLE jobs ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0;
"""

_MASKS_WITHIN_FILES = """
ALTER TABLE labels ADD COLUMN source_key TEXT NOT NULL DEFAULT '';
ALTER TABLE labels ADD COLUMN author TEXT;
ALTER TABLE quarantine ADD COLUMN source_key TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN format TEXT NOT NULL DEFAULT '';
CREATE INDEX labels_by_source ON labels (scan_id, source_sha256);
"""
"""``source_key`` tells the masks of one file apart; ``format`` is the importer that found it."""

_EXPORTED_ITEMS = """
ALTER TABLE exports ADD COLUMN items TEXT NOT NULL DEFAULT '{}';
ALTER TABLE exports ADD COLUMN key_file TEXT;
"""
"""``items`` is what each scan was when it was handed out; ``key_file`` who a pseudonym is."""

_SCORES_BESIDE_THE_ENTROPY = """
ALTER TABLE scores ADD COLUMN more TEXT NOT NULL DEFAULT '{}';
ALTER TABLE scores ADD COLUMN features BLOB;
"""
"""``more`` is JSON: the entropy by other means and of each class; ``features`` are float16."""

_MASKS_WITHOUT_A_SCAN = """
ALTER TABLE quarantine ADD COLUMN class_name TEXT NOT NULL DEFAULT '';
ALTER TABLE quarantine ADD COLUMN author TEXT;
ALTER TABLE quarantine ADD COLUMN nearest TEXT NOT NULL DEFAULT '[]';
"""
"""``class_name`` is the one class that the mask's name says it shows; ``nearest`` are the scans
whose names come nearest to that of a mask that found none."""

_LEFT_OUT = """
CREATE TABLE left_out (
    step TEXT NOT NULL,
    scan_id TEXT NOT NULL,
    quick_hash TEXT NOT NULL,
    file TEXT NOT NULL,
    message TEXT NOT NULL,
    job_id INTEGER NOT NULL,
    PRIMARY KEY (step, scan_id)
);
"""
"""Scans that the newest job of a kind (``train``, ``score``, …) could not use, and why."""

_WHO_DID_IT = """
ALTER TABLE audit ADD COLUMN uid INTEGER;
ALTER TABLE audit ADD COLUMN token TEXT;
"""
"""``uid``: of the process, since a name is only what the environment says. ``token``: random, by
which an action is found again after a COMMIT that failed, and in the journal beside."""

_PADDING = """
DELETE FROM files WHERE json_extract(entry, '$.kind') = 'dicom';
DELETE FROM embeddings WHERE scan_id IN (
    SELECT scan_id FROM scans WHERE kind = 'dicom' AND coalesce(modality, '') != 'CT'
    AND json_extract(meta, '$.padding') IS NOT NULL
);
"""
"""Padding of DICOM pictures no longer counts as brightness: what was made with it is made anew."""

_SERVERS = """
CREATE TABLE pushes (
    push_id INTEGER PRIMARY KEY,
    connection TEXT NOT NULL,
    folder TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE server_items (
    connection TEXT NOT NULL,
    scan_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    tasks TEXT NOT NULL,
    state TEXT NOT NULL,
    pushed_at TEXT NOT NULL,
    PRIMARY KEY (connection, scan_id, round)
);

CREATE TABLE server_drawings (
    connection TEXT NOT NULL,
    scan_id TEXT NOT NULL,
    person TEXT NOT NULL,
    state TEXT NOT NULL,
    sha256 TEXT,
    minutes REAL,
    comment TEXT NOT NULL DEFAULT '',
    updated_at TEXT NOT NULL,
    PRIMARY KEY (connection, scan_id, person)
);

CREATE TABLE server_cursors (
    connection TEXT PRIMARY KEY,
    cursor TEXT NOT NULL,
    asked_at TEXT NOT NULL
);
"""
"""What was sent to labelers' servers and what came back; ``cursor`` is the server's own time up to
which its drawings are known."""

_DRAWINGS_OF_SEVERAL_PEOPLE = """
ALTER TABLE labels ADD COLUMN purpose TEXT NOT NULL DEFAULT '';
ALTER TABLE labels ADD COLUMN minutes REAL;
ALTER TABLE labels ADD COLUMN decided TEXT NOT NULL DEFAULT '';
CREATE TABLE handouts (
    handout_id INTEGER PRIMARY KEY,
    export_id INTEGER NOT NULL,
    scan_id TEXT NOT NULL,
    person TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL
);
"""
"""A label in state ``drawn`` is one person's drawing that is not the scan's label. ``purpose``:
``honeypot`` or ``repeat`` for a drawing that checks its author and never becomes a label.
``minutes``: how long it took. ``decided``: what made it the label: ``person`` or a rule
(``majority``, ``staple``, ``ignore``); empty for one person's drawing.

``handouts``: scans that went to one person beside the queue. ``kind``: ``honeypot``, ``repeat`` or
``third`` (to settle a dispute); ``state``: ``out`` or ``back``."""

_RETURNED_FILES = """
CREATE TABLE returned_files (
    returned_id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    source_key TEXT NOT NULL,
    source_sha256 TEXT NOT NULL,
    person TEXT NOT NULL,
    scan_id TEXT,
    status TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE INDEX returned_files_by_source ON returned_files (source, source_key);
"""
"""Every file that an import saw, once, with what became of it the last time. ``source_key``: the
mask within the file. ``status``: ``accepted``, ``kept``, ``quarantined``, ``unmatched``,
``ignored``. ``person``: empty where nobody is known."""

_MASKS_OF_SEVERAL_FILES = """
ALTER TABLE quarantine ADD COLUMN joined TEXT NOT NULL DEFAULT '';
"""
"""The files of a mask that was joined from several, as JSON: ``root``, ``files`` (relative to it,
the mask's own first) and ``match`` (the user's naming pattern, or null); empty for one file."""

_PRELABELS_FROM_OUTSIDE = """
CREATE TABLE prelabels (
    prelabel_id INTEGER PRIMARY KEY,
    scan_id TEXT NOT NULL,
    source TEXT NOT NULL,
    file TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    origin TEXT NOT NULL,
    origin_sha256 TEXT NOT NULL,
    geometry TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (scan_id, source)
);
"""
"""Masks of other models that go to labelers as proposals and never become labels by themselves.
``source``: the name that a person gave the model; ``origin``: the file that was imported."""

_TIMES_OF_DRAWINGS = """
ALTER TABLE labels ADD COLUMN minutes_from TEXT NOT NULL DEFAULT '';
ALTER TABLE labels ADD COLUMN drawn_at TEXT;
"""
"""``minutes_from``: who says the minutes of a drawing: ``file`` (the labeler's own), ``manifest``
(its column ``minutes``), ``server``, or empty (unknown, or no minutes). ``drawn_at``: when its
author finished it, by the labeler's file or else by the time at which that file was last changed;
null where nothing says so."""

MIGRATIONS: tuple[str, ...] = (
    _FIRST,
    _SCAN_UIDS,
    _JOBS_SIDE_BY_SIDE,
    _MASKS_WITHIN_FILES,
    _EXPORTED_ITEMS,
    _SCORES_BESIDE_THE_ENTROPY,
    _MASKS_WITHOUT_A_SCAN,
    _LEFT_OUT,
    _WHO_DID_IT,
    _PADDING,
    _SERVERS,
    _DRAWINGS_OF_SEVERAL_PEOPLE,
    _RETURNED_FILES,
    _MASKS_OF_SEVERAL_FILES,
    _PRELABELS_FROM_OUTSIDE,
    _TIMES_OF_DRAWINGS,
)
