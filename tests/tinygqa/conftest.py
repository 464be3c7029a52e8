"""Fixtures of the TinyGQA tests: the font, or a skip that says what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.errors import InputError
from detectors.scene import Scene
from gqa_reasoner.tinygqa.glyphs import find_font


@pytest.fixture(scope="session")
def font() -> Path:
    try:
        return find_font()
    except InputError as error:
        pytest.skip(f"needs the emoji font: {error}")


@pytest.fixture(scope="session")
def scenes(font: Path) -> list[Scene]:
    from gqa_reasoner.tinygqa.render import plan_scene

    return [plan_scene(1234, index, font).scene for index in range(60)]
