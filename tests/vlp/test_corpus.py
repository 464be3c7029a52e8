"""Batches and corpus transforms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.vlp.corpus import CaptionCorpus, CorpusSettings, code_switch
from gqa_reasoner.vlp.objectives import Objective
from gqa_reasoner.vlp.recipe import load_recipe

from . import small


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_batch_holds_captions_of_its_pictures() -> None:
    corpus = small.corpus(load_recipe("clip"), captions_per_image=2)
    batch = corpus.batch([3, 8], _generator())
    assert batch.owner.tolist() == [0, 0, 1, 1]
    texts = [small.pieces().decode(row.tolist()) for row in batch.ids]
    assert all("bird" in text for text in texts[:2])
    assert all("dog" in text for text in texts[2:])
    assert torch.equal(batch.features, corpus.features.rows(["3.jpg", "8.jpg"]))
    again = corpus.batch([3, 8], _generator())
    assert torch.equal(batch.ids, again.ids)


def test_code_switching_replaces_only_known_words() -> None:
    words = ["a", "dog", "and", "cat"]
    always = code_switch(words, {"de": small.LEXICONS["de"]}, 1.0, _generator())
    assert always == ["a", "hund", "and", "katze"]
    assert code_switch(words, small.LEXICONS, 0.0, _generator()) == words
    drawn = [
        word
        for seed in range(200)
        for word in code_switch(["dog"], small.LEXICONS, 0.5, _generator(seed))
    ]
    assert 70 < drawn.count("dog") < 130
    assert set(drawn) == {"dog", "hund", "chien", "pes"}


def test_a_multilingual_batch_names_its_languages() -> None:
    recipe = load_recipe("m3p")
    corpus = small.corpus(recipe, captions_per_image=3)
    batch = corpus.batch([1], _generator())
    assert sorted(batch.language.tolist()) == [0, 0, 1]


def test_tags_are_words_with_their_boxes() -> None:
    corpus = small.corpus(load_recipe("s_visualbert"))
    tags = corpus.batch([0, 1], _generator()).tags
    pieces = small.pieces()
    assert [pieces.decode(row.tolist()) for row in tags.ids] == ["dog", "cat"]
    first = tags.boxes[0, 0].tolist()
    assert first == pytest.approx([0.1, 0.2, 0.6, 0.7, 0.25])
    assert tags.boxes[0, tags.mask[0].sum() - 1].tolist() == [0.0] * 5


def test_unpaired_training_never_joins_a_caption_and_a_picture() -> None:
    recipe = load_recipe("u_visualbert")
    model = small.model(recipe)
    seen = []
    forward = model.trunk.forward

    def spy(text=None, vision=None, **options):
        seen.append((text.shape[1], vision is not None))
        return forward(text, vision, **options)

    model.trunk.forward = spy
    corpus = small.corpus(recipe)
    objective = Objective(recipe, len(small.pieces()), small.classes())
    batch = corpus.batch([0, 1, 2, 3], _generator())
    objective.losses(model, batch, _generator())
    assert seen == [(batch.ids.shape[1], False), (1 + batch.tags.ids.shape[1], True)]
    # captions in another order change the text side alone
    turned = replace(batch, ids=batch.ids.flip(0), mask=batch.mask.flip(0))
    first = objective.losses(model, batch, _generator())["masked_class"]
    second = objective.losses(model, turned, _generator())["masked_class"]
    assert torch.equal(first, second)


def test_a_mask_says_nothing_about_the_match() -> None:
    recipe = load_recipe("unicoder_vl")
    model = small.model(recipe)
    corpus = small.corpus(recipe)
    objective = Objective(recipe, len(small.pieces()), small.classes())
    batch = corpus.batch(list(range(16)), _generator())
    seen = []
    embed = model.embed_text
    model.embed_text = lambda ids, **options: seen.append(ids) or embed(ids, **options)
    generator = _generator(5)
    objective.losses(model, batch, generator)
    matched, _ = objective._partners(batch, _generator(5))
    hidden = (seen[0] != batch.ids).any(dim=1)
    assert not matched.all()
    # about nine of ten hidden words change the ids, in true and in false pairs alike
    assert hidden[~matched].float().mean() > 0.6
    assert hidden[matched].float().mean() > 0.6


def test_bad_input_is_named() -> None:
    settings = CorpusSettings()
    with pytest.raises(InputError, match=r"2 of 4 name pictures that are not there: 2.jpg"):
        CaptionCorpus(small.records(4), small.MadeFeatures(2), small.pieces(), settings)
    with pytest.raises(InputError, match="language 'fr': no captions in it and no lexicon"):
        CaptionCorpus(
            small.records(4),
            small.MadeFeatures(4),
            small.pieces(),
            replace(settings, languages=("en", "fr")),
        )
    with pytest.raises(InputError, match="needs a lexicon"):
        CaptionCorpus(
            small.records(4),
            small.MadeFeatures(4),
            small.pieces(),
            replace(settings, code_switch_rate=0.5),
        )
    with pytest.raises(InputError, match="2 pictures of the captions have none: 2, 3"):
        CaptionCorpus(
            small.records(4), small.MadeFeatures(4), small.pieces(), settings, small.scenes(2)
        )
    with pytest.raises(InputError, match="expected captions, got none"):
        CaptionCorpus([], small.MadeFeatures(4), small.pieces(), settings)
