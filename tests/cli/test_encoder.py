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
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from coldal_tui.extras import install
from coldal_tui.project.project import Project
from tests.support.small_projects import Call

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


FILE = "/facebook/dinov2-small/resolve/main/model.safetensors"


@dataclass
class Hub:
    """A stand-in for the hub, as far as one file of one repository goes, and for where it stores
    it; ``tokens`` came to the one and the other. ``token``: without it the hub refuses."""

    token: str | None = None
    url: str = ""
    tokens: dict[str, set[str | None]] = field(default_factory=lambda: {"hub": set(), "cdn": set()})


@contextmanager
def hub(token: str | None = None, apart: bool = False) -> Iterator[Hub]:
    """Serve; ``apart``: the file lies on another server, to which the hub leads."""
    found = Hub(token)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            on_cdn = self.server is cdn
            sent = self.headers.get("Authorization")
            if self.path != ("/stored" if on_cdn else FILE):
                self.send_error(404)
                return
            found.tokens["cdn" if on_cdn else "hub"].add(sent)
            if token is not None and not on_cdn and sent != f"Bearer {token}":
                self.send_error(401)
                return
            leads = apart and not on_cdn
            self.send_response(302 if leads else 200)
            if leads:
                self.send_header("Location", f"http://localhost:{cdn.server_address[1]}/stored")
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("X-Linked-Etag", f'"{DIGEST}"')
            self.send_header("X-Linked-Size", str(len(CONTENT)))
            self.send_header("ETag", f'"{DIGEST}"')
            self.send_header("Content-Length", "0" if leads else str(len(CONTENT)))
            self.end_headers()
            if with_body and not leads:
                self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            pass

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    cdn = servers[1]
    threads = [
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        for server in servers
    ]
    for thread in threads:
        thread.start()
    found.url = f"http://127.0.0.1:{servers[0].server_address[1]}"
    try:
        yield found
    finally:
        for server, thread in zip(servers, threads, strict=True):
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
    rows = {
        words[0]: words
        for line in call("encoder", cwd=tmp_path).out.splitlines()
        if (words := line.split())
    }
    assert rows["efficientnet-lite0"][1:5] == ["built", "in", "1280", "224"]
    assert rows["radimagenet-resnet50"][1:4] == ["yes", "2048", "224"]
    assert rows["rad-dino"][1:] == ["no", "768", "518", "chest", "X-rays"]


def test_one_encoder_states_what_a_record_needs(
    call: Call, tmp_path: Path, weights: Path, folder: Path
) -> None:
    call("encoder", "install", "radimagenet-resnet50", "--from", weights)

    def told(name: str) -> dict[str, str]:
        lines = call("encoder", "list", name, cwd=tmp_path).out.splitlines()[1:]
        return {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line.strip()}

    here = told("radimagenet-resnet50")
    assert here["weights"] == f"here, {folder / 'radimagenet-resnet50' / 'ResNet50.pt'}"
    assert here["SHA-256"] == DIGEST
    assert here["vector"] == "2048 numbers: global average of layer4"
    assert here["input"] == "224 px square; BGR, 2 x - 1"
    assert here["licence"].startswith("MIT (BMEII-AI/RadImageNet)")
    assert here["source"].startswith("RadImageNet (BMEII-AI/RadImageNet), doi:10.1148")
    gone = told("dinov2-small")
    assert gone["weights"].startswith("not here; coldal-tui encoder install dinov2-small")
    assert gone["needs"] == install("encoders")
    assert told("efficientnet-lite0")["weights"] == "here, they come with coldal-tui"


def test_the_list_marks_what_the_project_uses(call: Call, project: Path) -> None:
    text = call("encoder", cwd=project).out
    assert "efficientnet-lite0 *" in text
    assert "* the project's" in text
    assert "*" not in call("encoder", cwd=project.parent).out


def test_weights_that_changed_since_are_not_pinned(
    call: Call, project: Path, weights: Path, folder: Path
) -> None:
    call("encoder", "install", "radimagenet-resnet50", "--from", weights)
    kept = folder / "radimagenet-resnet50" / "ResNet50.pt"
    kept.write_bytes(CONTENT[:-1] + b"!")
    done = call("encoder", project, "use", "radimagenet-resnet50")
    assert done.status == 1
    assert "have changed since they were installed" in done.err
    assert "coldal-tui encoder install radimagenet-resnet50" in done.err


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
    more += ["--precision", "bf16"]
    assert call("encoder", project, "use", "file", "--weights", weights, *words, *more).status == 0
    with Project(project) as opened:
        choice = opened.encoder
        assert (choice.name, choice.sha256, choice.size) == ("file", DIGEST, 96)
        assert (choice.mean, choice.std) == ((0.5,), (0.1, 0.2, 0.3))
        assert (choice.layer, choice.channels) == ("cls", "RGB")
        assert (choice.window, choice.pooling) == ("lung", "foreground")
        assert choice.precision == "bf16"


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
    with hub() as server:
        url = f"{server.url}{FILE}"
        done = call("encoder", "install", "dinov2-small", "--url", url, "--sha256", DIGEST)
    assert done.status == 0
    assert "(as published)" in done.out
    assert (folder / "dinov2-small" / "model.safetensors").read_bytes() == CONTENT


def test_another_file_than_stated_is_not_kept(call: Call, folder: Path) -> None:
    with hub() as server:
        url = f"{server.url}{FILE}"
        done = call("encoder", "install", "dinov2-small", "--url", url, "--sha256", "0" * 64)
    assert done.status == 1
    assert "SHA-256" in done.err
    assert list((folder / "dinov2-small").iterdir()) == []


def _from_hub(server: Hub, home: Path, token: str | None) -> subprocess.CompletedProcess[str]:
    """With the real library, in a process of its own: it reads its address and token once."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    if token is not None:
        environment["HF_TOKEN"] = token
    words = [sys.executable, "-m", "coldal_tui", "encoder", "install", "dinov2-small"]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


needs_library = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed"
)


@needs_library
@pytest.mark.parametrize("apart", [False, True])
def test_from_the_hub(folder: Path, tmp_path: Path, apart: bool) -> None:
    with hub(apart=apart) as server:
        done = _from_hub(server, tmp_path / "home", None)
    assert done.returncode == 0, done.stderr
    assert "(as published)" in done.stdout
    assert (folder / "dinov2-small" / "model.safetensors").read_bytes() == CONTENT


@needs_library
def test_a_token_is_for_the_hub_and_not_for_where_the_hub_stores(
    folder: Path, tmp_path: Path
) -> None:
    with hub(token="hf_mine", apart=True) as server:
        done = _from_hub(server, tmp_path / "home", "hf_mine")
        assert done.returncode == 0, done.stderr
        assert server.tokens == {"hub": {"Bearer hf_mine"}, "cdn": {None}}
    assert (folder / "dinov2-small" / "model.safetensors").read_bytes() == CONTENT
    kept = [path for path in folder.rglob("*") if path.is_file()]
    assert not any(b"hf_mine" in path.read_bytes() for path in kept)


@needs_library
def test_without_the_token_that_a_repository_asks_for(folder: Path, tmp_path: Path) -> None:
    with hub(token="hf_mine") as server:
        done = _from_hub(server, tmp_path / "home", None)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "--from FILE" in done.stderr
    assert not list(folder.rglob("model.safetensors"))
