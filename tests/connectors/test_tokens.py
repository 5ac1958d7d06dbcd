"""Tokens: from the environment, else from a file that only one person can read."""

from __future__ import annotations

import stat

import pytest

from coldal_tui.connectors import tokens
from coldal_tui.connectors.tokens import find_token, keep_token, variable_of
from coldal_tui.errors import ColdalError, UsageError

URL = "https://labels.example.org"


@pytest.fixture
def environ(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "_keyring", lambda: None)
    return {"XDG_STATE_HOME": str(tmp_path)}


def test_a_kept_token_is_found_by_its_address_alone(environ, tmp_path):
    where = keep_token(URL, "abc.def", environ)
    assert find_token("lab", URL, environ) == "abc.def"
    assert find_token("lab", "https://other.example.org", environ) == ""
    file = tmp_path / "coldal-tui" / "tokens.json"
    assert where == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keep_token(URL, "", environ)
    assert find_token("lab", URL, environ) == ""


def test_the_environment_comes_first(environ):
    keep_token(URL, "kept", environ)
    assert variable_of("my-lab") == "COLDAL_TOKEN_MY_LAB"
    assert find_token("my-lab", URL, environ | {"COLDAL_TOKEN_MY_LAB": " said\n"}) == "said"


def test_a_file_that_others_may_read_is_refused(environ, tmp_path):
    keep_token(URL, "kept", environ)
    (tmp_path / "coldal-tui" / "tokens.json").chmod(0o640)
    with pytest.raises(ColdalError) as caught:
        find_token("lab", URL, environ)
    assert caught.value.code == "token-file"
    assert "kept" not in str(caught.value)


def test_a_damaged_file_is_told_and_not_written_over(environ, tmp_path):
    file = tmp_path / "coldal-tui" / "tokens.json"
    file.parent.mkdir()
    file.write_text("{")
    file.chmod(0o600)
    with pytest.raises(ColdalError):
        keep_token(URL, "new", environ)
    assert file.read_text() == "{"


@pytest.mark.parametrize("token", ["two words", "line\nline", "ä"])
def test_what_is_no_token(environ, token):
    with pytest.raises(UsageError):
        keep_token(URL, token, environ)


class Ring:
    def __init__(self):
        self.kept = {}

    def get_password(self, service, name):
        return self.kept.get((service, name))

    def set_password(self, service, name, value):
        self.kept[service, name] = value

    def delete_password(self, service, name):
        del self.kept[service, name]


def test_a_keyring_is_used_where_there_is_one(environ, tmp_path, monkeypatch):
    ring = Ring()
    monkeypatch.setattr(tokens, "_keyring", lambda: ring)
    assert keep_token(URL, "abc", environ) == "the keyring"
    assert ring.kept == {("coldal-tui", URL): "abc"}
    assert not (tmp_path / "coldal-tui").exists()
    assert find_token("lab", URL, environ) == "abc"
    keep_token(URL, "", environ)
    assert find_token("lab", URL, environ) == ""
