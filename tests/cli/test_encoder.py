"""``encoder``: what is here, installing weights, and pinning them in a project."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from small_projects import Call

from coldal_tui.project.project import Project

CONTENT = b"not really weights" * 500
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLDAL_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "ResNet50.pt"
    path.write_bytes(CONTENT)
    return path


@contextmanager
def hub() -> Iterator[str]:
    """A stand-in for the hub, as far as one file of one repository goes."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            if self.path != "/facebook/dinov2-small/resolve/main/model.safetensors":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("X-Linked-Etag", f'"{DIGEST}"')
            self.send_header("X-Linked-Size", str(len(CONTENT)))
            self.send_header("ETag", f'"{DIGEST}"')
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            if with_body:
                self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_list_says_what_is_here_and_what_it_suits(
    call: Call, tmp_path: Path, weights: Path
) -> None:
    before = {one["name"]: one for one in call("encoder", "list", "--json", cwd=tmp_path).json}
    assert next(iter(before)) == "efficientnet-lite0"
    assert before["efficientnet-lite0"]["installed"] is True
    assert before["radimagenet-resnet50"]["installed"] is False
    assert call("encoder", "install", "radimagenet-resnet50", "--from", weights).status == 0
    after = {one["name"]: one for one in call("encoder", "list", "--json", cwd=tmp_path).json}
    assert after["radimagenet-resnet50"]["installed"] is True
    assert after["radimagenet-resnet50"]["weights_sha256"] == DIGEST
    text = call("encoder", cwd=tmp_path).out
    assert "weights: here, they come with coldal-tui" in text
    assert f"(SHA-256 {DIGEST[:16]}…)" in text
    assert "suits: chest X-rays" in text
    assert "needs: pip install 'coldal-tui[encoders]'" in text


def test_installed_weights_are_used_and_pinned(
    call: Call, project: Path, weights: Path, folder: Path
) -> None:
    done = call("encoder", "install", "radimagenet-resnet50", "--from", weights, "--json")
    path = folder / "radimagenet-resnet50" / "ResNet50.pt"
    assert done.json == {
        "encoder": "radimagenet-resnet50",
        "weights": str(path),
        "sha256": DIGEST,
        "bytes": len(CONTENT),
        "checked": False,
    }
    used = call("encoder", project, "use", "radimagenet-resnet50", "--json")
    assert used.json["weights"] == str(path)
    with Project(project) as opened:
        assert opened.encoder.weights == str(path)
        assert opened.encoder.sha256 == DIGEST
        assert opened.encoder.window is None
    assert call("encoder", project, "use", "efficientnet-lite0").status == 0
    with Project(project) as opened:
        assert (opened.encoder.weights, opened.encoder.sha256) == (None, None)


def test_without_weights_install_is_named(call: Call, project: Path) -> None:
    done = call("encoder", project, "use", "dinov2-small")
    assert done.status == 2
    assert "coldal-tui encoder install dinov2-small" in done.err


def test_a_model_of_ones_own_is_declared(call: Call, project: Path, weights: Path) -> None:
    words = ["--size", 96, "--mean", "0.5", "--std", "0.1,0.2,0.3", "--layer", "cls"]
    more = ["--channels", "RGB", "--window", "lung", "--pooling", "foreground"]
    assert call("encoder", project, "use", "file", "--weights", weights, *words, *more).status == 0
    with Project(project) as opened:
        choice = opened.encoder
        assert (choice.name, choice.sha256, choice.size) == ("file", DIGEST, 96)
        assert (choice.mean, choice.std) == ((0.5,), (0.1, 0.2, 0.3))
        assert (choice.layer, choice.channels) == ("cls", "RGB")
        assert (choice.window, choice.pooling) == ("lung", "foreground")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["use", "file", "--size", "96"], "do not come with coldal-tui"),
        (["use", "file", "--weights", "WEIGHTS"], "--size PIXELS"),
        (["use", "file", "--weights", "WEIGHTS", "--size", "9", "--mean", "a"], "are no numbers"),
        (["use", "file", "--weights", "WEIGHTS", "--size", "9", "--std", "0"], "not above 0"),
        (["use", "efficientnet-lite0", "--size", "9"], "only a file of yours"),
        (["use", "efficientnet-lite0", "--window", "heart"], "soft-tissue, lung"),
        (["install", "efficientnet-lite0", "--from", "WEIGHTS"], "comes with coldal-tui"),
        (["install", "file", "--from", "WEIGHTS"], "used from where it lies"),
        (["install", "dinov2-small", "--from", "gone"], "no such file"),
        (["install", "dinov2-small", "--from", "WEIGHTS", "--url", "http://x"], "either --from"),
        (["install", "dinov2-small", "--from", "WEIGHTS", "--sha256", "1"], "no SHA-256"),
        (["install"], "which encoder?"),
    ],
)
def test_wrong_calls(call: Call, project: Path, weights: Path, words: list[str], said: str) -> None:
    done = call("encoder", *[str(weights) if w == "WEIGHTS" else w for w in words], cwd=project)
    assert done.status in (1, 2)
    assert said in done.err.replace("\n", " ")


def test_from_an_address_with_a_hash(call: Call, folder: Path) -> None:
    with hub() as address:
        url = f"{address}/facebook/dinov2-small/resolve/main/model.safetensors"
        done = call("encoder", "install", "dinov2-small", "--url", url, "--sha256", DIGEST)
    assert done.status == 0
    assert "(as published)" in done.out
    assert (folder / "dinov2-small" / "model.safetensors").read_bytes() == CONTENT


def test_another_file_than_stated_is_not_kept(call: Call, folder: Path) -> None:
    with hub() as address:
        url = f"{address}/facebook/dinov2-small/resolve/main/model.safetensors"
        done = call("encoder", "install", "dinov2-small", "--url", url, "--sha256", "0" * 64)
    assert done.status == 1
    assert "SHA-256" in done.err
    assert list((folder / "dinov2-small").iterdir()) == []


@pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed"
)
def test_from_the_hub(folder: Path, tmp_path: Path) -> None:
    """The real library against the stand-in, in a process of its own: it reads its address once."""
    with hub() as address:
        environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        words = [sys.executable, "-m", "coldal_tui", "encoder", "install", "dinov2-small"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(as published)" in done.stdout
    assert (folder / "dinov2-small" / "model.safetensors").read_bytes() == CONTENT
