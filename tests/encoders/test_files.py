"""Installing weights: from a file, from an address, from the hub; what is here afterwards."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from coldal_tui.encoders import files as encoder_files
from coldal_tui.encoders.catalogue import (
    DINOV2_SMALL,
    EFFICIENTNET_LITE0,
    OWN_FILE,
    RADIMAGENET_RESNET50,
    list_encoders,
)
from coldal_tui.encoders.files import (
    OnHub,
    checked_weights,
    encoders_folder,
    hub_file,
    install_from_file,
    install_from_url,
    installed,
)
from coldal_tui.errors import ColdalError, UsageError
from tests.support.stand_in import serving

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "mine.pt"
    path.write_bytes(CONTENT)
    return path


def test_where_encoders_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert encoders_folder({}) == tmp_path / ".local/share/coldal-tui/encoders"
    assert encoders_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/coldal-tui/encoders")
    assert encoders_folder({"XDG_DATA_HOME": "not/absolute"}) == encoders_folder({})
    assert encoders_folder({"COLDAL_ENCODERS": "/ours"}) == Path("/ours")


def test_a_file_is_copied_and_remembered(tmp_path: Path, source: Path) -> None:
    found = install_from_file(RADIMAGENET_RESNET50, source, tmp_path / "e")
    assert (found.sha256, found.bytes, found.checked) == (DIGEST, len(CONTENT), False)
    path = checked_weights(RADIMAGENET_RESNET50, tmp_path / "e")
    assert path == tmp_path / "e/radimagenet-resnet50/mine.pt"
    assert path.read_bytes() == CONTENT
    assert installed(RADIMAGENET_RESNET50, tmp_path / "e") == found
    assert installed(DINOV2_SMALL, tmp_path / "e") is None


def test_a_file_with_another_hash_is_refused(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ColdalError) as caught:
        install_from_file(RADIMAGENET_RESNET50, source, tmp_path / "e", "00" * 32)
    assert caught.value.code == "weights-hash"
    assert installed(RADIMAGENET_RESNET50, tmp_path / "e") is None
    assert install_from_file(RADIMAGENET_RESNET50, source, tmp_path / "e", DIGEST.upper()).checked


def test_a_file_that_was_cut_off_is_not_here(tmp_path: Path, source: Path) -> None:
    install_from_file(DINOV2_SMALL, source, tmp_path / "e")
    (tmp_path / "e/dinov2-small/mine.pt").write_bytes(CONTENT[:-1])
    assert checked_weights(DINOV2_SMALL, tmp_path / "e") is None


def test_a_damaged_receipt_is_no_installation(tmp_path: Path, source: Path) -> None:
    install_from_file(DINOV2_SMALL, source, tmp_path / "e")
    (tmp_path / "e/dinov2-small/installed.json").write_text("{")
    assert installed(DINOV2_SMALL, tmp_path / "e") is None


def test_from_an_address(tmp_path: Path) -> None:
    with serving(CONTENT, breaks=[3000]) as server:
        found = install_from_url(DINOV2_SMALL, f"{server.url}/m.bin", tmp_path, DIGEST)
    assert (found.file, found.sha256, found.checked) == ("model.safetensors", DIGEST, True)
    assert found.source == f"{server.url}/m.bin"
    path = checked_weights(DINOV2_SMALL, tmp_path)
    assert path is not None
    assert path.read_bytes() == CONTENT


def test_what_came_wrong_is_not_installed(tmp_path: Path) -> None:
    with serving(CONTENT) as server, pytest.raises(ColdalError):
        install_from_url(DINOV2_SMALL, server.url, tmp_path, "00" * 32)
    assert installed(DINOV2_SMALL, tmp_path) is None


@pytest.mark.parametrize("info", [EFFICIENTNET_LITE0, OWN_FILE], ids=["packaged", "own file"])
def test_what_can_not_be_installed(tmp_path: Path, source: Path, info: object) -> None:
    with pytest.raises(UsageError):
        install_from_file(info, source, tmp_path / "e")  # type: ignore[arg-type]


@pytest.mark.parametrize("digest", ["abc", "z" * 64])
def test_a_hash_must_be_one(tmp_path: Path, source: Path, digest: str) -> None:
    with pytest.raises(UsageError, match="no SHA-256"):
        install_from_file(DINOV2_SMALL, source, tmp_path / "e", digest)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        install_from_file(DINOV2_SMALL, tmp_path / "gone", tmp_path / "e")


def test_the_hub_is_asked_for_address_and_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = SimpleNamespace(
        hf_hub_url=lambda repo, name: f"http://hub/{repo}/{name}",
        get_hf_file_metadata=lambda url, token: SimpleNamespace(etag=DIGEST.upper()),
        get_token=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)  # type: ignore[arg-type]
    address = "http://hub/facebook/dinov2-small/model.safetensors"
    assert hub_file(DINOV2_SMALL) == OnHub(address, DIGEST)
    hub.get_hf_file_metadata = lambda url, token: SimpleNamespace(etag="5f0c6d")
    assert hub_file(DINOV2_SMALL).sha256 is None
    hub.get_token = lambda: "hf_mine"
    assert hub_file(DINOV2_SMALL).secrets == {"Authorization": "Bearer hf_mine"}


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(url: str, token: object) -> object:
        raise RuntimeError("Cannot reach it: offline mode is enabled.\nSee the docs.")

    hub = SimpleNamespace(
        hf_hub_url=lambda repo, name: "http://hub",
        get_hf_file_metadata=offline,
        get_token=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)  # type: ignore[arg-type]
    with pytest.raises(ColdalError, match="offline mode is enabled") as caught:
        hub_file(DINOV2_SMALL)
    assert caught.value.code == "download"
    assert "--from FILE" in (caught.value.remedy or "")


def test_without_the_hubs_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ColdalError) as caught:
        hub_file(DINOV2_SMALL)
    assert caught.value.code == "no-hub"
    assert "'.[encoders]'" in (caught.value.remedy or "")


def test_every_encoder_to_install_says_from_where() -> None:
    for info in list_encoders():
        if info.needs_file and info.name != OWN_FILE.name:
            assert info.hub, info.name
            assert info.hub_file, info.name
        assert info.licence, info.name
        assert info.source, info.name
        assert info.suits, info.name
        assert info.layer, info.name


def test_a_copy_is_checked_against_its_source(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = iter([DIGEST, "11" * 32])
    monkeypatch.setattr(encoder_files, "sha256_file", lambda path: next(digests))
    with pytest.raises(ColdalError, match="changed while it was copied"):
        install_from_file(DINOV2_SMALL, source, tmp_path / "e")
    assert checked_weights(DINOV2_SMALL, tmp_path / "e") is None


def test_a_file_called_like_the_receipt_is_kept_under_another_name(tmp_path: Path) -> None:
    source = tmp_path / "installed.json"
    source.write_bytes(CONTENT)
    install_from_file(DINOV2_SMALL, source, tmp_path / "e")
    path = checked_weights(DINOV2_SMALL, tmp_path / "e")
    assert path is not None
    assert path.read_bytes() == CONTENT


def test_two_that_copy_at_once_leave_one_whole_file(tmp_path: Path, source: Path) -> None:
    with ThreadPoolExecutor(4) as several:
        found = list(
            several.map(lambda _: install_from_file(DINOV2_SMALL, source, tmp_path / "e"), range(8))
        )
    assert {one.sha256 for one in found} == {DIGEST}
    assert sorted(path.name for path in (tmp_path / "e/dinov2-small").iterdir()) == [
        "installed.json",
        "mine.pt",
    ]
    assert installed(DINOV2_SMALL, tmp_path / "e") is not None


def test_what_a_signed_address_holds_is_not_written_down(tmp_path: Path) -> None:
    with serving(CONTENT) as server:
        found = install_from_url(DINOV2_SMALL, f"{server.url}/m?key=secret", tmp_path, DIGEST)
    assert found.source == f"{server.url}/m"
