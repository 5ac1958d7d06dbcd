"""Start-up: what the bare command line loads, and that every command's help works."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from coldal_tui.cli import COMMANDS, cli

HEAVY = ["torch", "monai", "lightning", "sklearn", "scipy", "numba", "textual", "numpy"]
HEAVY += ["rich", "apsw", "pydicom", "nibabel", "PIL", "msgspec"]


def loaded_after(code: str) -> list[str]:
    script = f"{code}\nimport sys\nprint(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    return done.stdout.split()


def test_the_command_line_loads_nothing_heavy() -> None:
    assert loaded_after("import coldal_tui.cli") == []


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = "from click.testing import CliRunner; import coldal_tui.cli as c; import sys\n" + (
        "assert CliRunner().invoke(c.cli, ['--help']).exit_code == 0\n"
        "assert 'coldal_tui.cli.common' not in sys.modules"
    )
    assert loaded_after(code) == []


def test_help_of_a_command_loads_no_numbers_and_no_screen() -> None:
    code = (
        "from click.testing import CliRunner; import coldal_tui.cli as c\n"
        "for name in c.COMMANDS: assert CliRunner().invoke(c.cli, [name, '-h']).exit_code == 0"
    )
    assert loaded_after(code) == []


def test_help_lists_every_command_with_what_it_does() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0
    assert done.output.startswith(f"Usage: cli {name} ")


def test_version_names_the_program() -> None:
    from coldal_tui.version import full_version

    assert CliRunner().invoke(cli, ["--version"]).output == f"coldal-tui {full_version()}\n"
