from __future__ import annotations

from gqa_reasoner.tinygqa.catalogue import (
    COLORS,
    MATERIALS,
    PLACES,
    POSITIONS,
    catalogue,
    categories,
    class_names,
)
from gqa_reasoner.tinygqa.frequencies import FREQUENCY_CORRECTIONS


def test_there_are_at_least_90_classes_in_12_categories() -> None:
    assert len(class_names()) >= 90
    assert len(categories()) >= 12


def test_names_are_lower_case_words_and_unique() -> None:
    names = class_names()
    assert len(set(names)) == len(names)
    assert all(name == name.lower().strip() and "_" not in name for name in names)


def test_rows_use_known_words_only() -> None:
    for row in catalogue().values():
        assert set(row.colors) <= set(COLORS)
        assert set(row.materials) <= set(MATERIALS)
        assert set(row.places) <= set(PLACES)
        assert row.positions <= set(POSITIONS)
        assert 20 <= row.height <= 120


def test_no_two_classes_share_a_glyph() -> None:
    glyphs = [look.glyph for row in catalogue().values() for look in row.looks]
    assert len(set(glyphs)) == len(glyphs)


def test_states_are_attributes_of_their_class() -> None:
    assert {"open", "closed"} <= set(catalogue()["umbrella"].attributes())
    assert {"old", "sitting", "happy"} <= set(catalogue()["man"].attributes())
    assert {"wood", "metal", "plastic", "glass", "brown"} <= set(catalogue()["table"].attributes())


def test_frequency_corrections_name_classes() -> None:
    assert set(FREQUENCY_CORRECTIONS) <= set(class_names())
