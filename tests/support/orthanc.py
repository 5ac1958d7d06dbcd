"""A real Orthanc with DICOMweb on this machine, started once; skipped where it is not installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import free_port

TOKEN = "lab:secret"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_START_S = 120.0


@dataclass
class Orthanc:
    """A running server; ``url`` is its DICOMweb service."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def orthanc() -> Iterator[Orthanc]:
    """An empty server."""
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None or not PLUGIN.exists():
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    folder = Path(tempfile.mkdtemp(prefix="coldal-orthanc-"))
    try:
        with _running(program, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(program: str, folder: Path) -> Iterator[Orthanc]:
    port = free_port()
    user, _, password = TOKEN.partition(":")
    settings = {
        "StorageDirectory": str(folder / "data"),
        "IndexDirectory": str(folder / "data"),
        "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {user: password},
        "DicomServerEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [program, str(folder / "orthanc.json")],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    server = Orthanc(f"http://127.0.0.1:{port}/dicom-web", process)
    try:
        end = time.monotonic() + _START_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                break
            said = (folder / "log.txt").read_text("utf-8", "replace")[-2000:]
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"Orthanc does not start: {said}")
            time.sleep(0.1)
        yield server
    finally:
        server.stop()
