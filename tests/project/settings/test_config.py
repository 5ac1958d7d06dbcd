"""coldal.toml: what is refused and how it is said, edits, and the template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coldal_tui.errors import ColdalError
from coldal_tui.imaging.labelfile import MAX_CLASSES
from coldal_tui.project.settings.config import (
    MOST_CLASSES,
    Config,
    ImagesSection,
    edit_config,
    load_config,
    parse_config,
)
from coldal_tui.project.settings.config_template import TEMPLATE, render_template

HEAD = '[images]\ndir = "scans"\n'


def refused(text: str) -> ColdalError:
    with pytest.raises(ColdalError) as caught:
        parse_config(text, "coldal.toml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "key", "allowed"),
    [
        ("[budget]\ntotal = 'ten'", 4, "budget.total", "a whole number from 1 up"),
        ("[budget]\n# so many\ntotal = 0", 5, "budget.total", "a whole number from 1 up"),
        ("[budget]\ntotal = 2.5", 4, "budget.total", "a whole number from 1 up"),
        ("[selection]\n\nalpha = 1.5", 5, "selection.alpha", "a number from 0 to 1"),
        ("[selection]\nalpha = nan", 4, "selection.alpha", "a number from 0 to 1"),
        ("[selection]\nseed = -1", 4, "selection.seed", "a whole number from 0 to 2147483647"),
        ("[validation]\npatients = 'all'", 4, "validation.patients", 'from 0 up or "auto"'),
        ("[train]\nlearning_rate = 0", 4, "train.learning_rate", "a number above 0 to 1"),
        ("[train]\namp = 1", 4, "train.amp", "true or false"),
        ("[train]\npatch = [8]", 4, "train.patch", "a list of 2 to 3, each a whole number"),
        ("[classes]\nnames = []", 4, "classes.names", "a list of at least 1, each text"),
        ("[backend]\ndevice = 'gpu'", 4, "backend.device", '"auto", "cpu", "cuda" or "cuda:1"'),
        ("train.workers = 'x'", 3, "images.train", "dir, include, exclude, patients_csv"),
        (
            "[budget]\nrounds = 3",
            4,
            "budget.rounds",
            "allowed here: total, round0, batch, minutes, minutes_per_scan, enough",
        ),
        ("[budgets]\ntotal = 3", 3, "budgets", "[images], [project], [classes], [budget]"),
        ("[backend.slurm]\ntime = '2 days'", 4, "backend.slurm.time", '"days-hours"'),
        ("[backend.slurm]\ngpus = 1", 4, "backend.slurm.gpus", "partition, cpu_partition, gres"),
        ("[backend]\nslurm = 1", 4, "backend.slurm", "a table"),
        ("[classes]\nnames = ['a', 'b', 'A']", 4, "classes.names", "name each once"),
        ("[classes]\nnames = ['ignore']", 4, "classes.names", "leave them out"),
        ("[classes]\nignore_value = 1", 4, "classes.ignore_value", "any whole number but 0 to 1"),
        (
            "[classes]\nvalues = { '128' = 'lung' }",
            4,
            "classes.values.128",
            "allowed: foreground, background, ignore",
        ),
        ("[classes.values]\n1 = 'foreground'\n2 = 'x'", 5, "classes.values.2", "foreground"),
        ("[budget]\ntotal = 9\nround0 = 10", 5, "budget.round0", "allowed: 1 to 9"),
    ],
)
def test_a_wrong_key_is_answered_with_line_key_and_what_is_allowed(text, line, key, allowed):
    error = refused(HEAD + text)
    assert error.where == f"coldal.toml, line {line}"
    assert error.what.startswith(f"{key}: ")
    assert allowed in str(error.remedy)
    assert error.code == "bad-config"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "coldal.toml", "the table [images] is missing"),
        ("[budget]\ntotal = 3\n[images]\n", "coldal.toml, line 3", "images.dir: is missing"),
        ("images = 3", "coldal.toml, line 1", "images: must be a table"),
        (HEAD + "[budget\n", "coldal.toml, line 3", "not valid TOML: Expected ']'"),
        (HEAD + "[budget]\ntotal =\n", "coldal.toml, line 4", "not valid TOML: Invalid value"),
        (HEAD + "[budget]\ntotal = 'x", "coldal.toml, line 4", "not valid TOML"),
        (HEAD + "include = 3\ninclude = 4\n", "coldal.toml, line 4", "not valid TOML"),
    ],
)
def test_a_file_without_its_shape_is_answered_with_the_line(text, where, what):
    error = refused(text)
    assert error.where == where
    assert error.what.startswith(what)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("^p[0-9]+_", "images.patients_pattern: the pattern captures nothing"),
        ("^(p[0-9]+_", "images.patients_pattern: not a valid regular expression"),
    ],
)
def test_a_patients_pattern_that_captures_no_patient(pattern, what):
    error = refused(f"{HEAD}# who\npatients_pattern = '{pattern}'")
    assert error.where == "coldal.toml, line 4"
    assert error.what.startswith(what)


def test_two_patient_rules():
    error = refused(HEAD + "patients_csv = 'a.csv'\npatients_pattern = '(a)'")
    assert error.where == "coldal.toml, line 4"


def test_lines_inside_a_long_text_are_no_keys():
    text = HEAD + "[project]\nname = '''\n[budget]\ntotal = 5\n'''\n[budget]\ntotal = 0\n"
    assert refused(text).where == "coldal.toml, line 9"


def test_a_label_file_holds_as_many_classes_as_are_allowed():
    assert MOST_CLASSES == MAX_CLASSES


def test_a_file_that_is_missing_or_not_text(tmp_path):
    with pytest.raises(ColdalError, match="project file is missing"):
        load_config(tmp_path / "coldal.toml")
    (tmp_path / "coldal.toml").write_bytes(b"[images]\ndir = '\xff'\n")
    with pytest.raises(ColdalError) as caught:
        load_config(tmp_path / "coldal.toml")
    assert caught.value.where == f"{tmp_path}/coldal.toml, line 2"


def test_a_byte_order_mark_is_no_error(tmp_path):
    (tmp_path / "coldal.toml").write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load_config(tmp_path / "coldal.toml").images.dir == "scans"


def test_the_template_holds_the_defaults():
    config = parse_config(render_template("lungs", "../cxr"), "coldal.toml")
    assert config.project.name == "lungs"
    assert config == Config(images=ImagesSection(dir="../cxr"), project=config.project)


def commented(sign: str) -> list[tuple[str, str, str]]:
    """(table, key, line) of the template's commented keys."""
    found, table = [], ""
    for line in render_template("n", "i").splitlines():
        if header := re.match(r"(?:#: )?\[([\w.]+)\]", line):
            table = header.group(1)
        elif key := re.match(rf"{re.escape(sign)} ((\w+) = .*)", line):
            found.append((table, key.group(2), key.group(1)))
    return found


@pytest.mark.parametrize(("table", "key", "line"), commented("#"))
def test_a_commented_default_is_the_default(table, key, line):
    text = f"{HEAD}{line}\n" if table == "images" else f"{HEAD}[{table}]\n{line}\n"
    config = parse_config(text, "coldal.toml")
    assert config == Config(images=ImagesSection(dir="scans")), key


@pytest.mark.parametrize(("table", "key", "line"), commented("#:"))
def test_a_commented_example_is_allowed_and_no_default(table, key, line):
    text = f"{HEAD}{line}\n" if table == "images" else f"{HEAD}[{table}]\n{line}\n"
    config = parse_config(text, "coldal.toml")
    assert config != Config(images=ImagesSection(dir="scans")), key


def keys_of(struct, table=()):
    """(table, key) of everything that can be set in a struct and those in it."""
    found = set()
    for key in struct.__struct_fields__:
        inner = getattr(struct, key)
        nested = hasattr(inner, "__struct_fields__")
        found |= keys_of(inner, (*table, key)) if nested else {(".".join(table), key)}
    return found


def test_the_template_shows_every_key():
    shown = {(table, key) for sign in ("#", "#:") for table, key, _ in commented(sign)}
    shown |= {
        ("images", "dir"),
        ("project", "name"),
        ("project", "id"),
        ("classes", "names"),
        ("budget", "total"),
    }
    shown |= {("selection", "seed"), ("encoder", "name")}
    known = keys_of(Config(images=ImagesSection(dir="x")))
    named = {("connections", "lab"), ("keys", "f5"), ("keys", "f6")}
    assert shown == known - {("", "connections"), ("", "keys")} | named
    assert max(map(len, TEMPLATE.splitlines())) <= 100


def test_an_edit_keeps_comments_and_everything_else(tmp_path):
    path = tmp_path / "coldal.toml"
    text = render_template("lungs", "../cxr")
    path.write_text(text, "utf-8")
    path.chmod(0o640)
    config = edit_config(path, {("budget", "total"): 30, ("classes", "names"): ("left", "right")})
    assert (config.budget.total, config.classes.names) == (30, ("left", "right"))
    edited = path.read_text("utf-8").splitlines()
    changed = [(old, new) for old, new in zip(text.splitlines(), edited, strict=True) if old != new]
    assert [new.split("#")[0].strip() for _, new in changed] == [
        'names = ["left", "right"]',
        "total = 30",
    ]
    assert all(old.split("#")[1] == new.split("#")[1] for old, new in changed)
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_edit_adds_a_table_and_takes_a_key_away(tmp_path):
    path = tmp_path / "coldal.toml"
    path.write_text(HEAD + "include = ['*.png']  # pictures\n", "utf-8")
    edit_config(path, {("encoder", "weights"): "/w.pt", ("images", "include"): None})
    assert path.read_text("utf-8") == HEAD + '\n[encoder]\nweights = "/w.pt"\n'


def test_an_edit_that_makes_the_file_wrong_writes_nothing(tmp_path):
    path = tmp_path / "coldal.toml"
    path.write_text(HEAD, "utf-8")
    with pytest.raises(ColdalError, match=r"budget\.total"):
        edit_config(path, {("budget", "total"): 0})
    assert path.read_text("utf-8") == HEAD
    assert list(tmp_path.iterdir()) == [path]


def test_an_edit_of_a_file_that_is_no_toml(tmp_path):
    path = tmp_path / "coldal.toml"
    path.write_text(HEAD + "total =", "utf-8")
    with pytest.raises(ColdalError) as caught:
        edit_config(path, {("budget", "total"): 5})
    assert caught.value.where == f"{path}, line 3"


def test_an_edit_keeps_line_ends_and_a_link(tmp_path):
    real, link = tmp_path / "shared.toml", tmp_path / "coldal.toml"
    real.write_bytes(HEAD.replace("\n", "\r\n").encode())
    link.symlink_to(real)
    edit_config(link, {("images", "dir"): "other"})
    assert link.is_symlink()
    assert real.read_bytes() == b'[images]\r\ndir = "other"\r\n'


def test_names_with_quotes_survive_the_template():
    name, images = 'a "b" \\ c', "/data/it's"
    config = parse_config(render_template(name, images), "coldal.toml")
    assert (config.project.name, config.images.dir) == (name, images)
    assert Path(config.images.dir).name == "it's"
