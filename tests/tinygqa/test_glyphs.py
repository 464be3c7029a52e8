from __future__ import annotations

from pathlib import Path

import pytest

from detectors.errors import InputError
from gqa_reasoner.tinygqa.glyphs import FONT_VARIABLE, GlyphFont, find_font


def test_a_missing_font_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="apt-get install fonts-noto-color-emoji") as caught:
        find_font(tmp_path / "absent.ttf")
    assert "\n" not in str(caught.value)


def test_the_environment_names_the_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "font.ttf"
    path.write_bytes(b"")
    monkeypatch.setenv(FONT_VARIABLE, str(path))
    assert find_font() == path


def test_a_file_that_is_no_font_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "font.ttf"
    path.write_text("not a font")
    with pytest.raises(InputError, match="NotoColorEmoji"):
        GlyphFont(path)


def test_a_glyph_is_cropped_and_coloured(font: Path) -> None:
    glyph = GlyphFont(font).glyph("🍎")
    assert glyph.mode == "RGBA"
    assert 80 <= glyph.width <= 140 and 80 <= glyph.height <= 140


def test_an_absent_glyph_is_refused(font: Path) -> None:
    with pytest.raises(InputError, match=r"U\+E123"):
        GlyphFont(font).glyph("\ue123")
