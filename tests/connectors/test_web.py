"""Questions to a server that is busy, broken, away, or something else."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest

from coldal_tui.connectors.web import (
    CUT,
    Answer,
    Upload,
    Web,
    check_url,
    multipart,
    read_json_answer,
)
from coldal_tui.errors import ColdalError, UsageError
from tests.support.played_server import Reply, played
from tests.support.processes import free_port

LOGIN = b"<!DOCTYPE html><html><head><title>Log in | Lab</title></head><body></body></html>"


def in_turn(*replies):
    left = list(replies)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


def ask(server, method="GET", **options):
    waits: list[float] = []
    web = Web(server.url, pause=waits.append, tries=4)
    try:
        found = web.ask(method, "/api", **options)
    except ColdalError as error:
        return error, waits
    return found, waits


def test_a_busy_server_is_asked_again_after_what_it_says():
    busy = Reply(429, b"", {"Retry-After": "7"})
    with played(in_turn(busy, Reply(429, b""), Reply(body=b"[1]"))) as server:
        answer, waits = ask(server, "POST")
    assert read_json_answer(answer, "x") == [1]
    assert waits == [7.0, 2.0]
    assert len(server.asked) == 3


def test_a_server_that_stays_busy_ends_with_its_own_error():
    with played(in_turn(Reply(429, b'{"detail": "slow down"}'))) as server:
        error, waits = ask(server)
    assert error.code == "server-busy"
    assert "slow down" in error.what
    assert waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("PUT", 2), ("POST", 1)])
def test_only_what_may_be_done_twice_is_asked_twice_of_a_failing_server(method, asked):
    with played(in_turn(Reply(500, b"oops"), Reply())) as server:
        answer, _ = ask(server, method)
    assert len(server.asked) == asked
    if asked == 1:
        assert answer.code == "server"
        assert "500" in answer.what


def test_an_answer_that_is_cut_is_asked_for_again_and_a_cut_change_is_told():
    cut = Reply(body=b'{"some": "answer"}', cut=True)
    with played(in_turn(cut, Reply(body=b'{"a": 1}'))) as server:
        answer, _ = ask(server)
    assert read_json_answer(answer, "x") == {"a": 1}
    with played(in_turn(cut)) as server:
        error, _ = ask(server, "POST")
    assert error.code == CUT
    assert len(server.asked) == 1


def test_nobody_listens():
    port = free_port()
    waits: list[float] = []
    with pytest.raises(ColdalError) as caught:
        Web(f"http://127.0.0.1:{port}", pause=waits.append, tries=3).ask("GET", "/")
    assert caught.value.code == CUT
    assert "is the server running?" in caught.value.remedy
    assert waits == [1.0, 2.0]


def test_a_login_page_is_no_answer():
    with pytest.raises(ColdalError) as caught:
        read_json_answer(Answer(200, {}, LOGIN), "http://x")
    assert caught.value.code == "server-page"
    assert "'Log in | Lab'" in caught.value.what
    with pytest.raises(ColdalError) as caught:
        read_json_answer(Answer(200, {}, b"\x00\x01garbage"), "http://x")
    assert caught.value.code == "server-garbage"


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else():
    with played(in_turn(Reply())) as other:
        away = Reply(302, b"", {"Location": f"{other.url}/user/login/"})
        with played(in_turn(away)) as server:
            error, _ = ask(server, headers=lambda: {"Authorization": "Token secret"})
    assert error.code == "server-page"
    assert "/user/login/" in error.what
    assert other.asked == []
    assert server.asked[0].headers["Authorization"] == "Token secret"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "server-login"),
        (403, "server-login"),
        (404, "server-missing"),
        (400, "server-refused"),
    ],
)
def test_refusals_have_codes(status, code):
    with played(in_turn(Reply(status, b'{"detail": "because"}'))) as server:
        error, waits = ask(server)
    assert (error.code, waits) == (code, [])
    assert "because" in error.what


def test_a_token_that_has_run_out_is_renewed_once():
    tokens = ["old"]

    def play(asked):
        return Reply(200 if asked.headers["Authorization"] == "new" else 401)

    def renew(status):
        tokens[0] = "new"
        return True

    with played(play) as server:
        web = Web(server.url, tries=1)
        found = web.ask("POST", "/", headers=lambda: {"Authorization": tokens[0]}, refused=renew)
        assert found.status == 200
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://labels.example.org", "plain http"),
        ("https://user:secret@labels.example.org", "password"),
        ("ftp://labels.example.org", "no http or https"),
        ("https://labels.example.org/?a=1", "more than a path"),
        ("https://", "no http or https"),
        ("http://127.0.0.1.example.org", "plain http"),
    ],
)
def test_addresses_that_are_refused(url, told):
    with pytest.raises(UsageError) as caught:
        check_url(url)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1/a", "https://a.example.org"],
)
def test_addresses_that_are_not(url):
    assert check_url(url) == url


def test_a_file_that_holds_no_certificates(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ColdalError) as caught:
        Web("https://labels.example.org", ca=tmp_path / "ca.pem")
    assert caught.value.code == "ca"


def test_a_form_is_read_by_the_standard_library():
    from email import message_from_bytes

    body, kind = multipart([Upload("file0", 'a"b.png', b"\r\n--x\x00", "image/png")])
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    (part,) = whole.get_payload()
    assert part.get_filename() == "a_b.png"
    assert part.get_payload(decode=True) == b"\r\n--x\x00"


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that no public authority has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1"]
    words += ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "ca.pem"]
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    return tmp_path / "ca.pem", tmp_path / "key.pem"


def test_a_private_authority_is_trusted_only_when_it_is_named(certificate):
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with played(in_turn(Reply(body=b'"in"')), context) as server:
        assert server.url.startswith("https://")
        with pytest.raises(ColdalError) as caught:
            Web(server.url, pause=lambda seconds: None).ask("GET", "/")
        assert caught.value.code == "certificate"
        assert server.asked == []
        assert Web(server.url, ca=cert).ask("GET", "/").body == b'"in"'
