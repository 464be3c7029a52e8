from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.errors import InputError
from eval.retrieval import score_retrieval
from gqa_reasoner.cli import main
from gqa_reasoner.vlp.checkpoint import load_model
from gqa_reasoner.vlp.closed_form import start_in_closed_form
from gqa_reasoner.vlp.correlation import correlate
from gqa_reasoner.vlp.data.feature_cache import write_cache
from gqa_reasoner.vlp.data.lexicon import write_lexicons
from gqa_reasoner.vlp.data.records import write_captions
from gqa_reasoner.vlp.recipe import load_recipe
from gqa_reasoner.vlp.retrieval.bank import QueryBank
from tests.vlp import small

SIZES = {"layers": 1, "pool": "mean", "vision_pool": "mean"}


def similarity(recipe: str, ridge: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 16 other pictures and texts after the start."""
    vision = {"vision_layers": 0} if recipe == "clip" else {}
    model = small.model(load_recipe(recipe), codes=64, **SIZES, **vision)
    pieces, records, features = small.pieces(), small.records(80), small.MadeFeatures(80)
    start_in_closed_form(model, pieces, records[:64], features, ridge=ridge)  # type: ignore[arg-type]
    model.eval()
    test = records[64:]
    ids, mask = pieces.batch([record.captions[1] for record in test], 20)
    cells = features.rows([record.image for record in test])
    with torch.inference_mode():
        if recipe == "clip":
            scores = model.encode_images(cells) @ model.encode_text(ids, mask).T
        else:
            rows = [model.match_score(ids, mask, cell.expand(16, -1, -1)) for cell in cells]
            scores = torch.stack(rows)
    return scores.numpy(), np.arange(16)


@pytest.mark.parametrize("recipe", ["clip", "vilt", "unicoder_vl", "vilbert", "soho"])
def test_the_start_already_finds_the_right_kind(recipe: str) -> None:
    scores, owner = similarity(recipe)
    # Two of the sixteen are of each kind, and they share their texts.
    assert score_retrieval(scores, owner).text_to_image.r5 > 80


def test_directions_are_uncorrelated_and_reproduce_the_correlations() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(400, 6))
    texts = [[number for number in range(5) if images[row, number] > 0.4] for row in range(400)]
    found = correlate(images, texts, np.arange(400), 8, directions=3, ridge=1e-9, least_count=1)
    first = (images - found.image_mean) @ found.images
    counts = np.zeros((400, 8))
    for row, text in enumerate(texts):
        counts[row, text] = 1
    second = counts @ found.pieces + found.text_offset
    assert np.allclose(second.mean(axis=0), 0, atol=1e-9)
    for one in (first, second):
        covariance = one.T @ one / 400
        assert np.allclose(covariance, np.diag(found.correlations), atol=1e-6)
    assert np.allclose(first.T @ second / 400, np.diag(found.correlations**2), atol=1e-6)


def test_several_texts_count_as_repeated_pictures() -> None:
    rng = np.random.default_rng(1)
    images = rng.normal(size=(60, 4))
    texts = [rng.integers(0, 6, 4).tolist() for _ in range(120)]
    owner = np.repeat(np.arange(60), 2)
    once = correlate(images, texts, owner, 6, directions=3)
    again = correlate(images[owner], texts, np.arange(120), 6, directions=3)
    assert np.allclose(once.correlations, again.correlations)


def test_too_little_is_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        correlate(np.eye(4), [[0]] * 4, np.arange(4), 3, directions=3)
    for recipe, changes in (("xgpt", {}), ("clip", {"vision_layers": 1})):
        model = small.model(load_recipe(recipe), **changes)
        with pytest.raises(InputError, match="closed-form start"):
            start_in_closed_form(model, small.pieces(), small.records(), small.MadeFeatures(32))  # type: ignore[arg-type]


def test_command(tmp_path: Path) -> None:
    features, records = small.MadeFeatures(40), small.records(40)
    names = [record.image for record in records]
    write_cache(
        tmp_path / "cache", [(names, features.rows(names))],
        shape=(40, 9, small.WIDTH), grid=(3, 3), tower="made", fingerprint="made",
    )  # fmt: skip
    write_captions(tmp_path / "captions.jsonl", records)
    write_lexicons(tmp_path / "lexicons.json", {"de": {"dog": ("hund",)}})
    (tmp_path / "config.yaml").write_text(
        "vocabulary: 120\nheld_out: 8\npool: mean\nvision_pool: mean\n"
        "sizes: {layers: 1, vision_layers: 0, width: 32, heads: 2, hidden: 32, space: 16}\n"
    )
    words = ["vlp", "start", "--captions", str(tmp_path / "captions.jsonl"), "--features",
             str(tmp_path / "cache"), "--config", str(tmp_path / "config.yaml")]  # fmt: skip
    assert main([*words, "--output", str(tmp_path / "m")]) == 0
    bank = QueryBank.of_model(tmp_path / "m")
    assert bank is not None and bank.images.shape == bank.texts.shape == (16, 16)
    lexicons = ["--lexicons", str(tmp_path / "lexicons.json"), "--output", str(tmp_path / "s")]
    assert main([*words, *lexicons]) == 0
    model, pieces = load_model(tmp_path / "s", recipe="clip")
    assert model.config.fingerprint == "made" and pieces.unknown not in pieces.encode("hund")
    assert main([*words, "--ridge", "0", "--output", str(tmp_path / "n")]) == 2
