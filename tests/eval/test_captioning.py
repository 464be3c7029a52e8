"""Caption metrics against pycocoevalcap and the figures of the COCO evaluation."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.caption_tokens import java_path, tokenize
from eval.captioning import read_captions, score_captions
from eval.errors import InputError
from eval.ngrams import bleu, cider, document_frequency, rouge_l

TOKENS = ["a", "the", "dog", "red", "runs", "on"]
WORDS = st.lists(st.sampled_from(TOKENS), max_size=9).map(" ".join)
needs_java = pytest.mark.skipif(java_path() is None, reason="needs Java for the PTB tokenizer")


@st.composite
def caption_sets(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    number = draw(st.integers(1, 5))
    candidates = [draw(WORDS) for _ in range(number)]
    references = [draw(st.lists(WORDS, min_size=1, max_size=3)) for _ in range(number)]
    return candidates, references


@settings(max_examples=80, deadline=None)
@given(caption_sets())
def test_ngram_metrics_equal_pycocoevalcap_for_equal_tokens(
    sets: tuple[list[str], list[list[str]]],
) -> None:
    pytest.importorskip("pycocoevalcap")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    candidates, references = sets
    truth = dict(enumerate(references))
    said = {number: [caption] for number, caption in enumerate(candidates)}
    with contextlib.redirect_stdout(io.StringIO()):
        expected_bleu, single_bleu = Bleu(4).compute_score(truth, said, verbose=0)
    corpus, single = bleu(candidates, references)
    assert corpus == pytest.approx(expected_bleu, rel=1e-9)
    assert pytest.approx(np.array(single_bleu), rel=1e-9) == single.T
    mean, single = rouge_l(candidates, references)
    expected, expected_single = Rouge().compute_score(truth, said)
    assert mean == pytest.approx(expected)
    assert single == pytest.approx(expected_single)
    if any(caption for captions in references for caption in captions):
        mean, single = cider(candidates, references)
        expected, expected_single = Cider().compute_score(truth, said)
        assert mean == pytest.approx(expected, abs=1e-9)
        assert single == pytest.approx(expected_single, abs=1e-9)


def test_document_frequencies_of_other_captions_change_cider_only() -> None:
    candidates, references = ["a dog runs"], [["a dog runs fast"]]
    alone, _ = cider(candidates, references)
    others = document_frequency([["a cat"], ["a dog"], ["the sea"]])
    known, _ = cider(candidates, references, frequency=others)
    assert alone == 0
    assert known > 0


def flickr_dev(shared: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    path = shared / "data/flickr8k/captions.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    dev = [row for row in rows if row["split"] == "dev"]
    said = {row["image"]: row["captions"][0] for row in dev}
    return said, {row["image"]: row["captions"][1:] for row in dev}


GOLDEN = {
    "BLEU-1": 0.627513,
    "BLEU-2": 0.443430,
    "BLEU-3": 0.307081,
    "BLEU-4": 0.211601,
    "ROUGE-L": 0.491734,
    "CIDEr": 0.803662,
}


@needs_java
def test_flickr8k_dev_has_the_known_figures(shared: Path) -> None:
    pytest.importorskip("pycocoevalcap")
    scores = score_captions(*flickr_dev(shared), tokenizer="ptb", metrics=list(GOLDEN))
    for name, value in GOLDEN.items():
        assert scores[name] == pytest.approx(value, abs=6e-7), name
    assert "PTB" in scores.tokenization


@needs_java
@pytest.mark.slow
def test_meteor_of_flickr8k_dev_has_the_known_figure(shared: Path) -> None:
    pytest.importorskip("pycocoevalcap")
    scores = score_captions(*flickr_dev(shared), tokenizer="ptb", metrics=["METEOR"])
    assert scores["METEOR"] == pytest.approx(0.254980, abs=6e-7)


@needs_java
def test_the_plain_tokenizer_nearly_always_agrees_with_the_ptb_one(shared: Path) -> None:
    pytest.importorskip("pycocoevalcap")
    path = shared / "data/flickr8k/captions.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()[:1500]]
    captions = [caption for row in rows for caption in row["captions"]]
    pairs = zip(tokenize(captions, "ptb"), tokenize(captions, "plain"), strict=True)
    assert sum(a == b for a, b in pairs) / len(captions) > 0.999


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("A dog, running!", "a dog running"),
        ("The man's dog can't swim.", "the man 's dog ca n't swim"),
        ("two-year-old (girl)", "two-year-old -lrb- girl -rrb-"),
        ("It costs $5.50", "it costs $ 5.50"),
        ("", ""),
    ],
)
def test_plain_tokens(caption: str, tokens: str) -> None:
    assert tokenize([caption], "plain") == [tokens]


def test_scores_without_java_are_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.captioning.java_path", lambda: None)
    scores = score_captions({"1": "a dog"}, {"1": ["a dog runs"]})
    assert "Java-free" in scores.tokenization
    assert scores["METEOR"] is None
    assert "needs Java" in scores.to_json()["reasons"]["METEOR"]
    assert scores["BLEU-1"] > 0


def test_every_reader_form_gives_the_same_captions(tmp_path: Path) -> None:
    records = [{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}]
    forms = {
        "coco.json": json.dumps({"annotations": records}),
        "list.json": json.dumps(records),
        "object.json": json.dumps({"1": ["a", "b"]}),
        "lines.jsonl": json.dumps({"image": "1", "captions": ["a", "b"]}),
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text)
        assert read_captions(tmp_path / name) == {"1": ["a", "b"]}, name
    (tmp_path / "bad.json").write_text('[{"image_id": 1}, {"image_id": 2, "caption": 3}]')
    with pytest.raises(InputError) as error:
        read_captions(tmp_path / "bad.json")
    assert len(str(error.value).splitlines()) == 2


def test_pictures_without_caption_or_reference_are_named() -> None:
    with pytest.raises(InputError) as error:
        score_captions({"1": "a"}, {"2": ["b"]}, tokenizer="plain")
    assert len(str(error.value).splitlines()) == 2
    with pytest.raises(InputError, match="BLEU-9"):
        score_captions({"1": "a"}, {"1": ["b"]}, tokenizer="plain", metrics=["BLEU-9"])
