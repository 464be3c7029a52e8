from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.errors import InputError
from detectors.scene import Scene, SceneObject
from knowledge.embedding import EmbeddingScorer
from knowledge.expansion import Expander
from knowledge.ontology import Ontology
from knowledge.store import TripleStore

transformers = pytest.importorskip("transformers", reason="needs the extra 'transformers'")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random BERT with a word-level vocabulary."""
    import torch

    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "apple", "is", "red", "eat", "car", "?"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_embeddings_have_unit_length_and_do_not_depend_on_the_batch(encoder: Path) -> None:
    scorer = EmbeddingScorer(encoder, batch_size=2)
    texts = ["apple is red", "car", "eat apple ?", "car"]
    together = scorer.encode(texts)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    alone = EmbeddingScorer(encoder).encode(["eat apple ?"])
    assert together[2] == pytest.approx(alone[0], abs=1e-5)
    scores = scorer.score_texts("apple is red", ["apple is red", "car"])
    assert scores[0] == pytest.approx(1.0, abs=1e-5) and scores[0] > scores[1]
    assert scorer.score_texts("apple", []).shape == (0,)


def test_expansion_takes_another_scorer(encoder: Path) -> None:
    scorer = EmbeddingScorer(encoder)
    expander = Expander(TripleStore.default(), Ontology.default(), scorer=scorer, k=4)
    scene = Scene("1", 9, 9, [SceneObject("0", "apple", 1.0, (0, 0, 1, 1))])
    context = expander.expand(scene, "apple is red ?")
    assert len(context.triples) == 4
    parts = context.triples[0].parts
    expected = scorer.score_texts("apple is red ?", [context.triples[0].text])[0]
    assert parts["lexical"] == pytest.approx(max(expected, 0.0), abs=1e-5)


def test_folders_without_an_encoder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="config"):
        EmbeddingScorer(tmp_path)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="encoder"):
        EmbeddingScorer(tmp_path).encode(["apple"])
