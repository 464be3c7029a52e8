"""The command line as a stranger meets it."""

from __future__ import annotations

import importlib

import pytest

from gqa_reasoner.cli import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert command in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_module_with_the_two_functions(command: str) -> None:
    module = importlib.import_module(f"gqa_reasoner.commands.{command}")
    assert callable(module.add_arguments)
    assert callable(module.run)


@pytest.mark.parametrize("words", [[], ["nonsense"], ["ask"], ["ask", "--unknown"]])
def test_bad_usage_exits_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["reasons", "reasons.txt"])
def test_a_picture_to_write_needs_the_name_of_a_picture(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", name]) == 2
    assert f"'{name}': expected a picture's name, such as out.png" in capsys.readouterr().err
