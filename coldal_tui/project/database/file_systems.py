"""Finds a path's file system, and whether its locks are safe for SQLite's write-ahead log."""

from __future__ import annotations

from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "glusterfs",
        "9p",
        "panfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
    }
)


def on_network_file_system(path: Path) -> bool:
    """Whether ``path`` is on a network mount, whose locks are not safe for SQLite's WAL."""
    return file_system(path) in NETWORK_FILE_SYSTEMS


def file_system(path: Path) -> str:
    """The file system type of ``path`` in lower case; empty when unknown."""
    import psutil

    target = path.resolve()
    best, kind = "", ""
    for mount in psutil.disk_partitions(all=True):
        point = mount.mountpoint
        if target.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, mount.fstype
    return str(kind).lower()
