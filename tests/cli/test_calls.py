"""Finding the project, exit statuses, JSON, errors: what all commands have in common."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coldal_tui.cli import COMMANDS, split_flag
from coldal_tui.cli.common import PIPED_WIDTH, paste, print_json
from coldal_tui.project.project import Project
from tests.support.small_projects import Call, add_to_queue, set_config, write_mask


def shell(*words: object, **options: object) -> subprocess.Popen[str]:
    # Unbuffered, Python takes a short write to a closed pipe for a whole one.
    unwanted = ("COLUMNS", "PYTHONUNBUFFERED")
    environment = {k: v for k, v in os.environ.items() if k not in unwanted}
    return subprocess.Popen(
        [sys.executable, "-m", "coldal_tui", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,  # type: ignore[call-overload]
    )


def test_the_named_project_comes_first(call: Call, project: Path, tmp_path: Path) -> None:
    assert call("status", project, "--json", cwd=tmp_path).json["root"] == str(project)


def test_the_nearest_project_upward_is_the_default(call: Call, project: Path) -> None:
    deep = project / "exports" / "deep"
    deep.mkdir()
    assert call("status", "--json", cwd=deep).json["root"] == str(project)


def test_a_project_inside_a_project_is_the_nearer(call: Call, project: Path, images: Path) -> None:
    inner = project / "inner"
    call("init", inner, "--images", images)
    assert call("status", "--json", cwd=inner).json["root"] == str(inner)


def test_outside_of_any_project_the_remedy_is_named(call: Call, tmp_path: Path) -> None:
    done = call("status", cwd=tmp_path)
    assert (done.status, done.out) == (2, "")
    assert f"{tmp_path}: no coldal.toml here or in any folder above" in done.err
    assert "coldal-tui init PROJECT --images DIR" in done.err


@pytest.mark.parametrize("words", [["status"], ["queue"], ["jobs"], ["labels"], ["doctor"]])
def test_a_folder_that_is_no_project_is_a_wrong_call(
    words: list[str], call: Call, tmp_path: Path
) -> None:
    (tmp_path / "plain").mkdir()
    done = call(*words, tmp_path / "plain", cwd=tmp_path)
    assert (done.status, done.out) == (2, "")
    assert f"{tmp_path}/plain: no coldal.toml in this folder" in done.err


def test_a_file_is_no_project(call: Call, project: Path) -> None:
    done = call("status", project / "coldal.toml")
    assert done.status == 2
    assert "a file, not a project folder" in done.err


def test_the_project_may_follow_the_action(call: Call, queued: Path, tmp_path: Path) -> None:
    assert call("queue", "pin", queued, "scan_0", cwd=tmp_path).status == 0
    assert call("why", "scan_0", queued, "--json", cwd=tmp_path).json["scan_id"] == "scan_0"
    assert call("labels", "list", queued, "--json", cwd=tmp_path).status == 0
    assert call("encoder", "use", queued, "efficientnet-lite0", cwd=tmp_path).status == 0
    for words in ((queued, "2"), ("2", queued)):
        missing = call("jobs", "cancel", *words, cwd=tmp_path)
        assert missing.status == 2
        assert "no such job" in missing.err


def test_the_project_may_be_the_last_word_after_an_action(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    assert call("encoder", "use", "efficientnet-lite0", queued, cwd=tmp_path).status == 0
    assert call("queue", "pin", "scan_0", "scan_1", queued, cwd=tmp_path).status == 0


def test_a_project_can_be_named_for_all_commands(
    call: Call, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = call("-C", project, "status", "--json", cwd=tmp_path)
    assert (found.json["root"], found.err) == (str(project), "")
    monkeypatch.setenv("COLDAL_PROJECT", str(project))
    assert call("status", "--json", cwd=tmp_path).json["root"] == str(project)
    assert call("jobs", "list", "--json", cwd=tmp_path).status == 0


def test_what_names_the_project_nearer_to_the_command_wins(
    call: Call, project: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        call("init", tmp_path / name, "--images", images)
    monkeypatch.setenv("COLDAL_PROJECT", str(tmp_path / "one"))
    roots = [
        call("-C", tmp_path / "two", "status", tmp_path / "three", "--json", cwd=project),
        call("-C", tmp_path / "two", "status", "--json", cwd=project),
        call("status", "--json", cwd=project),
    ]
    assert [Path(one.json["root"]).name for one in roots] == ["three", "two", "one"]
    # Nobody is left to believe that the project around is meant.
    assert [one.err for one in roots] == [
        "",
        f"working on {tmp_path / 'two'}, not on the project here\n",
        f"working on {tmp_path / 'one'}, not on the project here\n",
    ]


def test_a_variable_that_names_no_project_is_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLDAL_PROJECT", str(tmp_path / "gone"))
    done = call("status", cwd=tmp_path)
    assert done.status == 2
    assert "gone: no such project (COLDAL_PROJECT names it)" in done.err


def test_import_masks_takes_a_folder_inside_a_project(
    call: Call, queued: Path, tmp_path: Path
) -> None:
    write_mask(tmp_path / "drawn" / "scan_0.png")
    done = call("import-masks", tmp_path / "drawn", "--json", cwd=queued)
    assert done.status == 0
    assert [one["scan_id"] for one in done.json["accepted"]] == ["scan_0"]


def test_two_words_too_many_are_refused(call: Call, project: Path) -> None:
    done = call("status", project, "more")
    assert done.status == 2
    assert "unexpected argument 'more'" in done.err


@pytest.mark.parametrize(
    ("word", "hint"), [("statsu", "Did you mean status?"), ("import", "import-masks")]
)
def test_an_unknown_command_suggests_one(word: str, hint: str, call: Call) -> None:
    done = call(word)
    assert (done.status, done.out) == (2, "")
    assert hint in done.err


def test_a_project_in_the_place_of_the_command_is_answered(call: Call, project: Path) -> None:
    assert "coldal-tui open PROJECT" in call(project).err


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--json"],
        ["queue", "--json"],
        ["why", "scan_0", "--json"],
        ["labels", "--json"],
        ["jobs", "--json"],
        ["index", "--json"],
        ["encoder", "--json"],
        ["queue", "pin", "scan_0", "--json"],
        ["export-queue", "--json"],
    ],
)
def test_json_is_one_document_and_nothing_else(words: list[str], call: Call, queued: Path) -> None:
    done = call(*words, cwd=queued)
    assert (done.status, done.err) == (0, "")
    json.loads(done.out)


@pytest.mark.parametrize(
    "words",
    [
        ["why", "nobody", "--json"],
        ["queue", "skip", "nobody", "--json"],
        ["import-masks", "nowhere", "--json"],
        ["jobs", "show", "9", "--json"],
        ["labels", "accept", "9", "--json"],
        ["select", "--json"],
        ["evaluate", "--masks", "labels", "--json"],
        ["queue", "--rund", "1", "--json"],
        ["status", "more", "words", "--json"],
    ],
)
def test_a_failure_is_a_document_too(words: list[str], call: Call, queued: Path) -> None:
    done = call(*words, cwd=queued)
    assert done.status in (1, 2)
    assert done.err.startswith(("Error: ", "Usage: "))
    error = done.json["error"]
    assert set(error) == {"code", "what", "where", "remedy"}
    assert error["what"] in done.err.replace("\n", " ")
    without = call(*[word for word in words if word != "--json"], cwd=queued)
    assert (without.out, without.status) == ("", done.status)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("open", "demo")])
def test_every_command_answers_a_wrong_call_in_json(command: str, call: Call) -> None:
    done = call(command, "--no-such-option", "--json")
    assert (done.status, done.json["error"]["code"]) == (2, "usage")


def test_what_the_error_document_says(call: Call, tmp_path: Path) -> None:
    assert call("status", "--json", cwd=tmp_path).json == {
        "error": {
            "code": "no-project",
            "what": "no coldal.toml here or in any folder above",
            "where": str(tmp_path),
            "remedy": "name the project folder, or make one: coldal-tui init PROJECT --images DIR",
        }
    }


def test_json_has_no_number_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"dice": float("nan"), "hd": [1.5, float("inf")], "n": (1,)})
    assert json.loads(capsys.readouterr().out) == {"dice": None, "hd": [1.5, None], "n": [1]}


def test_status_json_has_the_keys_that_scripts_rely_on(call: Call, queued: Path) -> None:
    told = call("status", queued, "--json").json
    assert {"scans", "budget", "clusters", "rounds", "labels", "runs", "jobs"} <= set(told)
    assert told["scans"] == 6
    assert {key: told["budget"][key] for key in ("total", "labelled", "queued", "left")} == {
        "total": 100,
        "labelled": 0,
        "queued": 3,
        "left": 97,
    }
    assert [{k: c[k] for k in ("id", "size", "labelled", "queued")} for c in told["clusters"]] == [
        {"id": 0, "size": 4, "labelled": 0, "queued": 3},
        {"id": 1, "size": 2, "labelled": 0, "queued": 0},
    ]


def test_an_error_has_no_traceback(call: Call, tmp_path: Path) -> None:
    assert "Traceback" not in call("status", cwd=tmp_path).err


@pytest.mark.parametrize("words", [["--debug", "status"], ["status", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    words: list[str], call: Call, tmp_path: Path
) -> None:
    done = call(*words, cwd=tmp_path)
    assert done.status == 2
    assert done.err.startswith("Traceback (most recent call last)")
    assert "find_project" in done.err


def test_debug_behind_two_dashes_is_a_name() -> None:
    assert split_flag("--debug", ["status", "--debug", "--", "--debug"]) == (
        True,
        ["status", "--", "--debug"],
    )
    assert split_flag("--debug", ["status", "--", "--debug"]) == (
        False,
        ["status", "--", "--debug"],
    )


def test_a_defect_says_so_and_how_to_see_more(
    call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "coldal_tui.project.views.snapshot.take_snapshot", lambda project: {}["missing"]
    )
    done = call("status", project)
    assert done.status == 1
    assert "KeyError: 'missing'" in done.err
    assert call("status", project, "--json").json["error"]["code"] == "defect"
    assert "defect of coldal-tui" in done.err
    assert "Traceback" not in done.err


def test_what_the_system_refuses_is_no_defect(
    call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(project: Project) -> None:
        raise PermissionError(13, "Permission denied", "/data/x\x1b")

    monkeypatch.setattr("coldal_tui.project.views.snapshot.take_snapshot", refuse)
    done = call("status", project)
    assert done.status == 1
    assert done.err.startswith("Error: /data/x\\x1b: Permission denied\n  → check the permissions")


def test_what_the_database_refuses_is_no_defect(
    call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import apsw

    def refuse(project: Project) -> None:
        raise apsw.ReadOnlyError("attempt to write a readonly database")

    monkeypatch.setattr("coldal_tui.project.views.snapshot.take_snapshot", refuse)
    done = call("status", project)
    assert done.status == 1
    assert "attempt to write a readonly database" in done.err
    assert "defect" not in done.err


def test_a_broken_project_file_has_line_key_and_what_is_allowed(call: Call, project: Path) -> None:
    set_config(project, "[budget]", "[budgets]")
    done = call("queue", project, "--json")
    number = (project / "coldal.toml").read_text().splitlines().index("[budgets]") + 1
    assert (done.status, done.json["error"]["code"]) == (1, "bad-config")
    assert f"line {number}" in done.err
    assert "budgets" in done.err
    assert "[budget]" in done.err


@pytest.mark.parametrize("words", [["queue"], ["queue", "--json"]])
def test_a_reader_that_leaves_early_is_no_failure(words: list[str], queued: Path) -> None:
    with Project(queued) as opened, opened.store.transaction():
        for number in range(2500):
            fill_scan(opened, f"ghost_{number}")
            add_to_queue(opened, [(f"ghost_{number}", number, "random", {})])
    process = shell(words[0], queued, *words[1:])
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(20), said) == (141, "")


def fill_scan(opened: Project, scan_id: str) -> None:
    row = opened.store.row("SELECT * FROM scans WHERE scan_id = 'scan_0'")
    assert row is not None
    opened.store.insert("scans", **(row | {"scan_id": scan_id}))


def test_an_encoding_without_our_glyphs_does_not_end_the_program(queued: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coldal_tui", "status", str(queued)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xb7" in done.stdout.splitlines()[0]


@pytest.fixture
def watched(queued: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    process = shell("status", "--watch", "--json", queued)
    yield queued, process
    if process.poll() is None:
        process.kill()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    process.wait()


def test_watch_prints_again_only_on_change_and_leaves_quietly(
    watched: tuple[Path, subprocess.Popen[str]],
) -> None:
    queued, process = watched
    assert process.stdout is not None
    assert process.stderr is not None
    first = json.loads(process.stdout.readline())
    time.sleep(2.2)  # two looks at an unchanged project
    with Project(queued) as opened:
        opened.store.update("queue", {"scan_id": "scan_0"}, status="skipped")
    second = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert (first["budget"]["queued"], second["budget"]["queued"]) == (3, 2)
    assert process.stdout.read() == ""
    assert process.stderr.read() == ""


def test_the_pasted_command_names_the_project_only_where_needed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "labels")
    assert paste("coldal-tui labels list", project) == "coldal-tui labels list"
    monkeypatch.chdir(tmp_path)
    assert paste("coldal-tui labels list", project) == "coldal-tui labels lungs list"
    monkeypatch.chdir(tmp_path / "images")
    assert paste("coldal-tui next", project) == f"coldal-tui next {project}"


def test_open_without_a_terminal_says_what_to_do_instead(call: Call, project: Path) -> None:
    done = call("open", project)
    assert (done.status, done.out) == (2, "")
    assert "coldal-tui status" in done.err


def test_every_command_answers_an_unknown_option_with_2(call: Call) -> None:
    assert {name: call(name, "--no-such-option").status for name in COMMANDS} == dict.fromkeys(
        COMMANDS, 2
    )


def test_a_pipe_is_wide_enough_for_any_name() -> None:
    assert PIPED_WIDTH > 4 * 255  # four names of the longest kind a file system has
