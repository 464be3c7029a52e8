"""Recipes as data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.recipe import list_recipes, load_recipe

TEN = ["clip", "m3p", "pixel_bert", "s_visualbert", "soho", "u_visualbert", "unicoder_vl",
       "vilbert", "vilt", "xgpt"]  # fmt: skip
DESIGN = {
    "unicoder_vl": ("Ob T · 1", {"masked_words", "masked_class", "match"}),
    "pixel_bert": ("Gr T · 1", {"masked_words", "match"}),
    "vilt": ("Pa T · 1", {"masked_words", "match", "alignment"}),
    "soho": ("Di T · 1", {"masked_words", "masked_codes", "match"}),
    "m3p": ("Ob T · 1", {"masked_words", "masked_features", "match"}),
    "u_visualbert": ("Ob T · 1", {"masked_words", "masked_class"}),
    "s_visualbert": ("Ob T · 1", {"masked_words", "masked_class", "match"}),
    "vilbert": ("Ob T · 2", {"masked_words", "masked_class", "match"}),
    "clip": ("Pa T · D", {"contrastive"}),
    "xgpt": ("Ob T · P", {"next_token", "masked_generation", "denoising", "feature_generation"}),
}


def test_the_ten_systems_are_there() -> None:
    assert list_recipes() == TEN


@pytest.mark.parametrize("name", TEN)
def test_a_recipe_follows_the_design(name: str) -> None:
    recipe = load_recipe(name)
    letters, losses = DESIGN[name]
    assert recipe.name == name
    assert recipe.letters == letters
    assert set(recipe.losses) == losses
    assert "arXiv" in recipe.paper
    assert recipe.published.sizes.width == 768


@pytest.mark.parametrize("name", TEN)
def test_a_model_configuration_survives_json(name: str) -> None:
    config = ModelConfig.from_recipe(load_recipe(name), vocabulary=100, classes=5, width=64)
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def _changed(tmp_path: Path, **changes: object) -> Path:
    source = Path(__file__).parents[2] / "gqa_reasoner" / "vlp" / "recipes" / "vilt.yaml"
    record = {**yaml.safe_load(source.read_text()), **changes}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(record))
    return path


def test_a_file_of_ones_own_is_a_recipe(tmp_path: Path) -> None:
    assert load_recipe(_changed(tmp_path, name="mine")).name == "mine"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"losess": {}}, "unknown keys"),
        ({"plan": "three_stream"}, "plan: expected one of one_stream"),
        ({"losses": {"contrastive": 1.0}}, "a one_stream plan has"),
        ({"losses": {"match": -1.0}}, "expected a weight > 0"),
        ({"losses": {}}, "at least one"),
        ({"transforms": ["shuffle"]}, "transforms: expected one of"),
        ({"vision": "codes"}, "need each other"),
        ({"tiny": {"layers": 1, "width": 10, "heads": 3, "hidden": 4}}, "not a multiple"),
        ({"tiny": {"layers": 1, "width": "big", "heads": 3, "hidden": 4}}, "expected int"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, changes: dict[str, object], line: str) -> None:
    with pytest.raises(InputError, match=line):
        load_recipe(_changed(tmp_path, **changes))


def test_unknown_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="got 'depth'"):
        ModelConfig.from_recipe(load_recipe("clip"), vocabulary=10, depth=3)


def test_the_list_command_prints_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vlp", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == TEN
    assert main(["vlp", "list", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in records] == TEN


def test_an_unknown_recipe_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vlp", "list", "--recipe", "blip3"]) == 2
    found = capsys.readouterr().err
    assert "unicoder_vl" in found
    assert len(found.splitlines()) == 1
