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
