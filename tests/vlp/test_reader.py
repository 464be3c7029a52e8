"""The reader: a one-stream model that ranks what a dual encoder found, as its residual."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.cli import main
from gqa_reasoner.vlp.checkpoint import save_model
from gqa_reasoner.vlp.closed_form import start_in_closed_form
from gqa_reasoner.vlp.cross_fit import cross_fitted_guide
from gqa_reasoner.vlp.data.feature_cache import write_cache
from gqa_reasoner.vlp.data.records import write_captions
from gqa_reasoner.vlp.generation import shifted
from gqa_reasoner.vlp.groups import Groups
from gqa_reasoner.vlp.losses import IGNORED
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.objectives import Guide
from gqa_reasoner.vlp.pair_score import blank_memory, read_pairs
from gqa_reasoner.vlp.reader_losses import group_ranking, ranking_losses
from gqa_reasoner.vlp.reading import read_pictures, read_texts
from gqa_reasoner.vlp.recipe import load_recipe
from gqa_reasoner.vlp.retrieval.rerank import load_reranker, place_candidates
from gqa_reasoner.vlp.training import Trainer
from gqa_reasoner.vlp.training_config import TrainingConfig

from . import small

RECIPE = Path(__file__).parents[2] / "configs/vlp/reader.yaml"


def reader(**sizes: object) -> VisionLanguageModel:
    return small.model(load_recipe(RECIPE), **sizes).eval()


def texts_and_cells(count: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    batch = small.corpus(load_recipe(RECIPE), captions_per_image=1).batch(
        list(range(count)), torch.Generator().manual_seed(1)
    )
    return batch.ids, batch.mask, batch.features


def dual(folder: Path, count: int = 64) -> Path:
    model = small.model(load_recipe("clip"), layers=1, pool="mean", vision_layers=0)
    start_in_closed_form(
        model,
        small.pieces(),
        small.records(count),
        small.MadeFeatures(count),  # type: ignore[arg-type]
    )
    save_model(folder, model, small.pieces())
    return folder


def guide(folder: Path, count: int = 64, folds: int = 4) -> Guide:
    corpus = small.corpus(load_recipe(RECIPE), count)
    return cross_fitted_guide(dual(folder), corpus, corpus.features, folds=folds)  # type: ignore[arg-type]


def test_reading_apart_gives_what_the_trunk_gives_together() -> None:
    model = reader()
    ids, mask, cells = texts_and_cells()
    inputs, labels = shifted(ids, mask)
    real = labels != IGNORED
    with torch.no_grad():
        tokens = model.embed_images(cells).tokens
        together = model.trunk(model.embed_text(inputs), tokens, text_mask=real).text
        memory = read_pictures(model, tokens)
        apart = read_texts(model, memory, torch.arange(len(ids)), inputs, real)
    assert torch.allclose(apart.states, together[real], atol=1e-5)


def test_the_likelihood_is_the_sum_over_the_words_that_the_trunk_predicts() -> None:
    model = reader()
    ids, mask, cells = texts_and_cells()
    inputs, labels = shifted(ids, mask)
    with torch.no_grad():
        logits = model.word_logits(
            model.generate_states(inputs, labels != IGNORED, model.embed_images(cells).tokens, None)
        ).log_softmax(dim=-1)
        memory = read_pictures(model, model.embed_images(cells).tokens)
        found = read_pairs(model, memory, torch.arange(len(ids)), ids, mask).likelihood
    wanted = logits.gather(2, labels.clamp(min=0)[..., None])[..., 0]
    expected = wanted.masked_fill(labels == IGNORED, 0.0).sum(dim=1)
    assert torch.allclose(found, expected, atol=1e-4)


def test_a_pair_costs_no_other_pair_its_score() -> None:
    """Many pairs at once, pictures repeated, give what each pair gives alone."""
    model = reader()
    ids, mask, cells = texts_and_cells(3)
    with torch.no_grad():
        memory = read_pictures(model, model.embed_images(cells).tokens)
        picture = torch.tensor([2, 2, 0])
        many = read_pairs(model, memory, picture, ids, mask).likelihood
        for row, at in enumerate(picture.tolist()):
            length = int(mask[row].sum())
            alone = read_pairs(
                model,
                read_pictures(model, model.embed_images(cells[at : at + 1]).tokens),
                torch.zeros(1, dtype=torch.int64),
                ids[row : row + 1, :length],
                mask[row : row + 1, :length],
            )
            assert torch.allclose(many[row], alone.likelihood[0], atol=1e-4)


def test_without_a_picture_all_pictures_are_the_same() -> None:
    model = reader()
    with torch.no_grad():
        memory = blank_memory(model)
    assert len(memory) == 1


def test_cross_fitted_scores_never_come_from_a_model_that_saw_the_picture(tmp_path: Path) -> None:
    """Another caption of a picture changes the scores of other folds, never those of its own."""
    corpus = small.corpus(load_recipe(RECIPE), 64)
    folder = dual(tmp_path / "dual")
    before = cross_fitted_guide(folder, corpus, corpus.features, folds=4)  # type: ignore[arg-type]
    changed = small.corpus(load_recipe(RECIPE), 64)
    changed.texts[5] = [("en", "there is one tree outside .")] * 2
    after = cross_fitted_guide(folder, changed, changed.features, folds=4)  # type: ignore[arg-type]
    assert before.fold is not None
    same = before.fold == before.fold[5]
    other = torch.arange(64) != 5
    assert torch.equal(before.images[same], after.images[same])
    assert torch.equal(before.texts[same & other], after.texts[same & other])
    assert not torch.allclose(before.images[~same], after.images[~same])


def test_confused_pictures_are_of_the_same_fold(tmp_path: Path) -> None:
    found = guide(tmp_path / "dual")
    assert found.fold is not None
    near = found.neighbours(5)
    assert near.shape == (64, 5)
    assert bool((found.fold[near] == found.fold[:, None]).all())
    assert not bool((near == torch.arange(64)[:, None]).any())


def test_groups_repeat_no_picture_and_are_reproducible(tmp_path: Path) -> None:
    groups = Groups(guide(tmp_path / "dual"), size=4, near=6)
    first = groups.drawn([3, 9], np.random.default_rng(0))
    assert first == groups.drawn([3, 9], np.random.default_rng(0))
    assert first[0] == 3 and first[4] == 9
    assert len(set(first[:4])) == 4


def test_the_ranking_loss_equals_hand_computed_cross_entropies() -> None:
    scores = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    to_picture = (np.log(1 + np.exp(-2)) + np.log(1 + np.exp(-2))) / 2
    to_text = (np.log(1 + np.exp(-1)) + np.log(1 + np.exp(-3))) / 2
    found = group_ranking(scores, torch.tensor([0, 1]), 2)
    assert float(found) == pytest.approx((to_picture + to_text) / 2, abs=1e-6)


def test_several_texts_of_a_picture_do_not_compete() -> None:
    scores = torch.tensor([[5.0, -5.0], [4.0, -5.0], [-5.0, 5.0]])
    found = group_ranking(scores, torch.tensor([0, 0, 1]), 2)
    assert float(found) < 1e-3


def test_an_untrained_residual_ranks_as_the_dual_encoder_does() -> None:
    """With no share of the likelihood, and a match head that starts at zero, the score is 0."""
    model = reader()
    assert model.pair_score is not None
    model.pair_score.log_share.data.fill_(float("-inf"))
    ids, mask, cells = texts_and_cells(4)
    with torch.no_grad():
        second = model.match_score(ids, mask, cells).numpy()[None]
    assert np.array_equal(second, np.zeros((1, 4)))
    first = np.array([[0.1, 0.4, 0.3, 0.2, 0.0]])
    placed = place_candidates(
        first, np.array([[1, 2, 3, 0]]), second, float(model.pair_score.guide.detach())
    )
    assert np.array_equal(np.argsort(-placed), np.argsort(-first))


def test_it_learns_to_find_the_pictures_and_is_saved_and_loaded(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPE)
    settings = TrainingConfig(
        objective="retrieval", guided=True, group=4, near=12, batch_size=16, learning_rate=3e-3,
        warmup_steps=4, precision="float32", steps=120, writing=1.0,
    )  # fmt: skip
    corpus = small.corpus(recipe, 64)
    model = small.model(recipe)
    assert model.pair_score is not None
    model.pair_score.log_guide.data.fill_(-20.0)  # the toy's guide is perfect: do without
    trainer = Trainer(settings, recipe, model, corpus, tmp_path / "ranked",
                      guide=guide(tmp_path / "dual"))  # fmt: skip
    ranking = [trainer.train_step()["ranking"] for _ in range(120)]
    assert sum(ranking[-20:]) < 0.8 * sum(ranking[:20])
    save_model(tmp_path / "model", trainer.model.eval(), corpus.pieces)
    reranker = load_reranker(tmp_path / "model")
    lines = [f"a {name} is here ." for name in small.NAMES]
    cells = corpus.features.rows([f"{number}.jpg" for number in range(8)])
    every = np.arange(64)
    scores = reranker.pair_scores(lines, every // 8, cells, every % 8).reshape(8, 8)
    assert (scores.argmax(axis=1) == np.arange(8)).sum() >= 6
    one = reranker.model.match_score(*corpus.pieces.batch(lines, 20), cells).detach().numpy()
    assert np.allclose(one, scores.diagonal(), atol=1e-4)


def test_pictures_that_make_no_groups_are_refused() -> None:
    recipe = load_recipe(RECIPE)
    batch = small.corpus(recipe).batch([0, 1, 2], torch.Generator())
    with pytest.raises(InputError, match="groups of at least 2"):
        ranking_losses(small.model(recipe), batch, torch.Generator(), guide=None, group=2)


def test_folds_that_cannot_be_dealt_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folds: expected 2 to 32, got 40"):
        guide(tmp_path / "dual", folds=40)
    with pytest.raises(InputError, match="folds"):
        TrainingConfig(folds=1)


def test_commands_train_a_reader_and_resume_it_exactly(tmp_path: Path) -> None:
    features, records = small.MadeFeatures(120), small.records(120)
    names = [record.image for record in records]
    write_cache(
        tmp_path / "cache", [(names, features.rows(names))],
        shape=(120, 9, small.WIDTH), grid=(3, 3), tower="made", fingerprint="made",
    )  # fmt: skip
    write_captions(tmp_path / "captions.jsonl", records)
    sizes = "sizes: {layers: 1, width: 32, heads: 2, hidden: 32, space: 8"
    (tmp_path / "dual.yaml").write_text(
        "vocabulary: 120\nheld_out: 8\npool: mean\nvision_pool: mean\n"
        f"{sizes}, vision_layers: 0}}\n"
    )
    shared = "held_out: 8\nbatch_size: 8\nsteps: 4\nvalidate_every: 2\ncheckpoint_every: 1\n"
    (tmp_path / "write.yaml").write_text(f"{shared}vocabulary: 120\nblank: 0.2\n{sizes}}}\n")
    (tmp_path / "rank.yaml").write_text(
        f"{shared}objective: retrieval\nfolds: 2\ngroup: 2\nword_dropout: 0.1\n"
    )
    data = ["--captions", str(tmp_path / "captions.jsonl"), "--features", str(tmp_path / "cache")]

    def command(action: str, config: str, output: str, *more: str) -> list[str]:
        return ["vlp", action, *data, "--config", str(tmp_path / f"{config}.yaml"),
                "--output", str(tmp_path / output), *more]  # fmt: skip

    recipe = ["--recipe", str(RECIPE)]
    assert main(command("start", "dual", "dual")) == 0
    assert main(command("pretrain", "write", "write", *recipe)) == 0
    rank = [*recipe, "--task", "retrieval", "--guide", str(tmp_path / "dual"),
            "--model", str(tmp_path / "write" / "model")]  # fmt: skip
    assert main(command("finetune", "rank", "whole", *rank)) == 0
    assert main(command("finetune", "rank", "parts", *rank, "--stop-after", "2")) == 0
    assert main(command("finetune", "rank", "parts", *rank, "--resume")) == 0
    first, second = (
        (tmp_path / name / "model" / "model.safetensors").read_bytes()
        for name in ("whole", "parts")
    )
    assert first == second
    assert main(command("finetune", "rank", "alone", *rank[:-4], *rank[-2:])) == 2
