"""The program of an own key: its words, its copies of masks, and that a stranger's runs not."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.project.labels.importing import import_masks
from coldal_tui.project.programs.own_programs import Program, program_of, run_here, start_beside
from coldal_tui.project.project import Project
from coldal_tui.project.settings.config import edit_config, parse_config
from coldal_tui.project.settings.config_keys import OwnKey
from coldal_tui.project.trust_questions import reaches
from coldal_tui.trust_store import TrustStore
from tests.support.small_projects import write_mask


def own(run: str, **more: bool) -> OwnKey:
    return OwnKey("f5", run, more.get("terminal", False), "coldal.toml, line 9", **more)


@pytest.fixture
def labelled(project: Path) -> Path:
    write_mask(project.parent / "drawn" / "scan_0.png")
    with Project(project) as opened:
        import_masks(opened, project.parent / "drawn")
    return project


def test_placeholders_are_words_of_their_own_and_no_shell_sees_them(labelled: Path) -> None:
    with Project(labelled) as opened:
        made = program_of(
            opened, own("see 'two words' --of={image} $HOME {scan};ls {patient}"), "scan_0"
        )
        image = str(opened.images / "scan_0.png")
        patient = opened.scan("scan_0").patient_id
    assert made.words == ("see", "two words", f"--of={image}", "$HOME", "scan_0;ls", patient)
    assert made.folder == labelled


def test_a_mask_is_a_copy_and_what_was_saved_in_it_stays(labelled: Path) -> None:
    with Project(labelled) as opened:
        made = program_of(opened, own("see {label} {mask}"), "scan_0")
        label, mask = (Path(word) for word in made.words[1:])
        stored = opened.layout.labels / "scan_0.png"
        assert label == mask
        assert label.read_bytes() == stored.read_bytes()
        assert not label.is_relative_to(labelled)
        assert stat.S_IMODE(label.parent.stat().st_mode) == 0o700
        before = stored.read_bytes()
        label.write_bytes(b"drawn anew")
        again = program_of(opened, own("see {label}"), "scan_0")
        assert again.changed == (label,)
        assert label.read_bytes() == b"drawn anew"
        assert stored.read_bytes() == before


def test_a_scan_without_a_label_says_so(labelled: Path) -> None:
    with Project(labelled) as opened:
        with pytest.raises(ColdalError, match="has no label yet, and f5 hands one over"):
            program_of(opened, own("see {label}"), "scan_1")
        with pytest.raises(ColdalError, match="no label and no prediction yet"):
            program_of(opened, own("see {mask}"), "scan_1")


def test_keys_of_a_strangers_project_run_only_after_trust(labelled: Path) -> None:
    edit_config(labelled / "coldal.toml", {("keys", "f5"): "see {image}"})
    TrustStore().forget(labelled)
    with Project(labelled) as opened:
        said = [one.what for one in reaches(opened.layout, opened.config)]
        assert said == ["run this program when you press f5: see {image}"]
        with pytest.raises(ColdalError) as caught:
            program_of(opened, own("see {image}"), "scan_0")
        assert caught.value.code == "not-trusted"
        mine = program_of(opened, own("see {image}", personal=True), "scan_0")
    assert mine.words[0] == "see"


CONFIG = '[images]\ndir = "i"\n[keys]\n'


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('f5 = "see {picture}"', "keys.f5: {picture} is unknown"),
        ('f5 = "see \'it"', "keys.f5: its quotes are not closed"),
        ("f5 = 5", "keys.f5: is no command"),
        ('f5 = ""', "keys.f5: is no command"),
        ('f5 = { run = "see", shell = true }', "keys.f5: is no command"),
    ],
)
def test_a_bad_command_is_refused_with_its_line(line: str, what: str) -> None:
    with pytest.raises(ColdalError) as caught:
        parse_config(CONFIG + line + "\n", "coldal.toml")
    assert caught.value.what == what
    assert caught.value.where == "coldal.toml, line 4"


def test_both_forms_are_read() -> None:
    text = CONFIG + 'f5 = "see {image}"\nf6 = { run = "less {image}", terminal = true }\n'
    keys = parse_config(text, "coldal.toml").keys
    assert keys["f5"] == "see {image}"
    assert (keys["f6"].run, keys["f6"].terminal) == ("less {image}", True)  # type: ignore[union-attr]


def program(*words: str, folder: Path) -> Program:
    return Program(own(" ".join(words)), words, folder)


def test_how_a_program_ended_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    code = "import sys; print('no display'); sys.exit(3)"
    start_beside(program(sys.executable, "-c", code, folder=tmp_path), said.append)
    assert said == [f"f5: {sys.executable} ended with exit status 3: no display"]
    start_beside(program(sys.executable, "-c", "", folder=tmp_path), said.append)
    assert said[1:] == [""]
    out = tmp_path / "out"
    with out.open("wb") as stream:
        fine = program(sys.executable, "-c", "print('seen')", folder=tmp_path)
        assert run_here(fine, stream.fileno()) == ""
    assert out.read_text() == "seen\n"
    for run in (lambda one: start_beside(one, said.append), run_here):
        with pytest.raises(ColdalError, match="f5 can't be run: no-such: No such file") as caught:
            run(program("no-such", folder=tmp_path))
        assert caught.value.where == "coldal.toml, line 9"
