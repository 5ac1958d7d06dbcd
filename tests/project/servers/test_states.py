"""What is known of scans on a server, without asking it."""

from __future__ import annotations

from coldal_tui.project.project import Project
from coldal_tui.project.servers.connections import add_connection, remove_connection
from coldal_tui.project.servers.states import read_server_states, server_words
from coldal_tui.project.settings.config_connections import ConnectionSection
from tests.cli.conftest import call


def note(project, scan_id, round_=0):
    project.store.insert(
        "server_items",
        connection="lab",
        scan_id=scan_id,
        round=round_,
        tasks=["1"],
        state="on the server",
        pushed_at="2026-01-01T00:00:00+00:00",
    )


def drawn(project, scan_id, person, state):
    project.store.insert(
        "server_drawings",
        connection="lab",
        scan_id=scan_id,
        person=person,
        state=state,
        updated_at="2026-01-02T00:00:00Z",
    )


def test_each_scan_says_where_it_stands(queued, call):
    with Project(queued) as opened:
        section = ConnectionSection("label-studio", "http://localhost:8080", "3")
        add_connection(opened, "lab", section)
        for scan_id in ("scan_0", "scan_1"):
            note(opened, scan_id)
        note(opened, "scan_5", -1)  # a label in an archive
        drawn(opened, "scan_0", "ana@lab.org", "drawn")
        drawn(opened, "scan_0", "ben@lab.org", "skipped")
        assert server_words(opened) == {
            "scan_0": "drawn by ana@lab.org, skipped by ben@lab.org",
            "scan_1": "on lab",
        }
        (state,) = read_server_states(opened)
    assert (state.name, state.project, state.drawn, state.skipped) == ("lab", "3", 1, 1)
    told = call("queue", queued, "--json").json
    assert [one.get("server") for one in told] == [
        "drawn by ana@lab.org, skipped by ben@lab.org",
        "on lab",
        None,
    ]
    assert "on lab" in call("queue", queued).out


def test_a_name_that_is_given_to_another_server_begins_its_pulls_anew(queued):
    with Project(queued) as opened:
        section = ConnectionSection("label-studio", "http://localhost:8080", "3")
        add_connection(opened, "lab", section)
        row = {"connection": "lab", "cursor": "2026-01-02T00:00:00Z"}
        opened.store.replace("server_cursors", **row, asked_at=opened.store.now())
        remove_connection(opened, "lab")
        add_connection(opened, "lab", ConnectionSection("monai-label", "http://localhost:8000"))
        assert opened.store.rows("SELECT * FROM server_cursors") == []


def test_connections_are_added_listed_and_removed(project, call, monkeypatch):
    monkeypatch.delenv("COLDAL_TOKEN_LOCALHOST", raising=False)
    added = call("connect", project, "add", "label-studio", "http://localhost:1", "--project", "3")
    assert added.status == 0, added.err
    assert "it does not work yet" in added.err  # a copy: it has to be trusted first
    (one,) = call("connect", project, "list", "--json").json["connections"]
    assert (one["name"], one["kind"], one["project"]) == ("localhost", "label-studio", "3")
    wrong = call("connect", project, "add", "label-studio", "http://localhost:1", "--name", "b")
    assert wrong.status == 2
    assert "--project 12" in wrong.err
    assert (
        call(
            "connect", project, "add", "cvat", "http://localhost:1", "--project", "7", "--name", "c"
        ).status
        == 0
    )
    assert "cvat is experimental" in call("connect", project, "list").out
    assert call("connect", project, "remove", "c").status == 0
    unknown = call("connect", project, "add", "cvet", "http://localhost:1", "--name", "c")
    assert "label-studio" in unknown.err
    # The copy of a project is nobody's own: it asks before it reaches anywhere.
    assert "http://localhost:1 (project 3)" in call("push", project).err
    assert call("trust", project, "--yes").status == 0
    pushed = call("push", project)
    assert pushed.status == 2
    assert "nothing is queued" in pushed.err
    tested = call("connect", project, "test")
    assert tested.status == 1
    assert "no token" in tested.err
    assert call("connect", project, "remove", "localhost").status == 0
    assert call("connect", project, "list", "--json").json == {"connections": []}
    assert "connect add" in call("push", project).err


__all__ = ["call"]
