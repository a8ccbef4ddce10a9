"""The README's commands are those that there are."""

from __future__ import annotations

import re
import shlex
from importlib import metadata
from pathlib import Path

import pytest
import typer

from mage.scenes.cli import assemble

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^(?:PYTHONPATH=\. )?mage ([^#>\n]+)", README.replace("\\\n", " "), re.MULTILINE)


@pytest.fixture(scope="module")
def commands():
    app, _ = assemble(metadata.entry_points(group="mage.commands"))
    return typer.main.get_command(app).commands


def test_the_readme_shows_commands():
    assert len(LINES) > 25


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_readme_and_its_options_exist(commands, line):
    name, *words = shlex.split(line)
    options = {option for parameter in commands[name].params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= options


def test_all_commands_are_in_the_readme(commands):
    assert {name for name in commands if f"mage {name}" not in README} == set()
