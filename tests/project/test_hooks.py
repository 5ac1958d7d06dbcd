"""Hooks: what they get, how they fail, and that a stranger's project runs none."""

from __future__ import annotations

import json
import sys

import pytest

from coldal_tui.project.history import read_log
from coldal_tui.project.hooks import running as hooks
from coldal_tui.project.hooks.running import fire, hook_failures
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.settings.config import edit_config
from coldal_tui.project.trust_questions import reaches
from coldal_tui.project.views.snapshot import take_snapshot
from coldal_tui.trust_store import TrustStore


def start(lab, line, event="masks_in", limit=60):
    lab.pictures("s00")
    project = lab.start()
    # All else stays as `init` wrote it: with its id the project is the user's own.
    edit_config(project.layout.config, {("hooks", event): line, ("hooks", "limit_s"): limit})
    project.close()
    return lab.open()


@pytest.fixture
def script(tmp_path):
    """A Python program of these lines as a hook's command."""

    def write(text):
        path = tmp_path / "a hook.py"
        path.write_text(text)
        return f"{sys.executable} '{path}' 'two words' $HOME"

    return write


def failures(project):
    return hook_failures(project.layout, project.config.hooks)


def run(project, event="masks_in", **facts):
    thread = fire(project, event, **facts)
    if thread is not None:
        thread.join()
    return thread


def test_it_gets_json_and_its_words_and_no_shell(lab, script, tmp_path):
    out = tmp_path / "seen"
    project = start(
        lab,
        script(
            "import json, os, sys\n"
            f"open({str(out)!r}, 'w').write(json.dumps([json.load(sys.stdin), sys.argv[1:], "
            "os.getcwd()]))\n"
        ),
    )
    run(project, accepted=3)
    told, words, folder = json.loads(out.read_text())
    assert words == ["two words", "$HOME"]
    assert folder == str(lab.root)
    assert (told["event"], told["accepted"], told["root"]) == ("masks_in", 3, str(lab.root))
    assert failures(project) == []


def test_an_import_of_masks_fires_it(lab, script, tmp_path):
    out = tmp_path / "seen"
    project = start(lab, script(f"import sys\nopen({str(out)!r}, 'w').write(sys.stdin.read())\n"))
    lab.mask("s00.png")
    import_masks(project, lab.masks, dry_run=True)
    assert not out.exists()
    import_masks(project, lab.masks)
    for thread in hooks.threading.enumerate():
        if thread.name == "hook masks_in":
            thread.join()
    assert json.loads(out.read_text())["accepted"] == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import sys\nprint('no server')\nsys.exit(3)\n", "exit status 3: no server"),
        ("import os\nos.kill(os.getpid(), 9)\n", "signal 9"),
    ],
)
def test_a_failure_is_kept_until_the_next_success(lab, script, text, problem):
    project = start(lab, script(text))
    run(project)
    (failed,) = failures(project)
    assert (failed.event, failed.problem) == ("masks_in", problem)
    assert take_snapshot(project).hooks == (failed,)
    entry = read_log(project)[-1]
    assert (entry.action, entry.summary) == ("hook", f"the program of masks_in failed: {problem}")
    assert not entry.undoable
    script("pass\n")
    run(project)
    assert take_snapshot(project).hooks == ()
    assert failures(project) == []


def test_one_that_hangs_is_ended_with_all_it_started(lab, script):
    project = start(lab, script("import time\ntime.sleep(600)\n"), limit=1)
    run(project)
    assert failures(project)[0].problem == "ended after 1 s, its time limit"


def test_programs_that_are_not_there_and_open_quotes_are_told(lab):
    project = start(lab, "/no/such/program 'a b'")
    run(project)
    assert failures(project)[0].problem.startswith("can't be run: /no/such/program")


def test_open_quotes_are_told(lab):
    project = start(lab, "tell 'it")
    run(project)
    assert failures(project)[0].problem == "not run: its quotes are not closed"


def test_a_strangers_project_runs_nothing(lab, script, tmp_path):
    out = tmp_path / "seen"
    project = start(lab, script(f"open({str(out)!r}, 'w')\n"))
    TrustStore().forget(lab.root)
    assert any("run this program at masks in" in one.what for one in reaches(
        project.layout, project.config
    ))  # fmt: skip
    run(project)
    assert not out.exists()
    assert "nobody has agreed" in failures(project)[0].problem


def test_hooks_fire_no_hooks_and_other_events_nothing(lab, script, monkeypatch):
    project = start(lab, script("pass\n"))
    assert fire(project, "job_done") is None
    monkeypatch.setenv(hooks.INSIDE, "masks_in")
    assert fire(project, "masks_in") is None


def test_a_damaged_log_is_no_failure(lab):
    project = start(lab, "true")
    (project.layout.state / hooks.LOG).write_bytes(b'{"event": "masks_in"}\nhalf \xff')
    assert failures(project) == []
