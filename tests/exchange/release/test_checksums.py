"""Checks of a release: changed, missing and extra files, and damaged lists."""

from __future__ import annotations

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.exchange.release.checksums import CHECKSUMS, checksum_text, verify_release
from coldal_tui.files import sha256_file


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "made"
    for name in ("images/a.png", "labels/a.png", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    names = ("images/a.png", "labels/a.png", "README.md")
    text = checksum_text({name: sha256_file(folder / name) for name in names})
    (folder / CHECKSUMS).write_text(text)
    return folder


def test_a_whole_release_is_whole(made):
    found = verify_release(made)
    assert (found.whole, found.files) == (True, 3)
    assert found.digest == sha256_file(made / CHECKSUMS)


def test_every_kind_of_change_is_named(made):
    (made / "labels/a.png").write_text("else")
    (made / "README.md").unlink()
    (made / "images/.hidden").write_text("")
    (made / "elsewhere").symlink_to(made.parent)
    found = verify_release(made)
    assert found.changed == ("labels/a.png",)
    assert found.missing == ("README.md",)
    assert found.extra == ("elsewhere", "images/.hidden")
    assert not found.whole


def test_a_link_that_leads_nowhere_is_missing(made):
    (made / "images/a.png").unlink()
    (made / "images/a.png").symlink_to(made / "gone.png")
    assert verify_release(made).missing == ("images/a.png",)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b"])
def test_a_list_that_leads_out_of_the_folder_is_refused(made, name):
    (made / CHECKSUMS).write_text(f"{'0' * 64}  {name}\n")
    with pytest.raises(ColdalError, match="line 1 of the list of checksums is damaged"):
        verify_release(made)


@pytest.mark.parametrize("content", [b"no hash\n", b"\xff\xfe"])
def test_a_damaged_list_is_refused(made, content):
    (made / CHECKSUMS).write_bytes(content)
    with pytest.raises(ColdalError) as caught:
        verify_release(made)
    assert caught.value.code == "damaged"


def test_a_folder_without_a_list_is_no_release(tmp_path):
    with pytest.raises(ColdalError, match="no release"):
        verify_release(tmp_path)
