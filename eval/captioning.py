"""Caption metrics of the COCO evaluation: BLEU-1..4, METEOR, ROUGE-L, CIDEr-D and SPICE.

BLEU, ROUGE-L and CIDEr-D are computed here; METEOR and SPICE by the Java programs that come with
pycocoevalcap. What cannot be computed is `None` with the reason.
"""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eval.caption_tokens import java_path, tokenize
from eval.errors import InputError
from eval.figures import Figure
from eval.json_stream import load
from eval.ngrams import bleu, cider, document_frequency, rouge_l
from eval.optional import optional
from eval.problems import Problems, shown

__all__ = ["CaptionScores", "read_captions", "score_captions"]

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
_LABELS = {
    "ptb": "PTB tokenizer (Java), as in the COCO evaluation",
    "plain": "plain tokenizer (Java-free): not comparable with published figures to all digits",
    "none": "captions taken as tokens separated by blanks",
}


@dataclass
class CaptionScores:
    """Figures on pycocoevalcap's scale: 0 to 1, CIDEr 0 to 10."""

    figures: dict[str, Figure]
    per_picture: dict[str, np.ndarray]
    ids: list[str]
    tokenization: str
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> float | None:
        return self.figures[name].value

    def to_json(self) -> dict[str, Any]:
        """Plain figures."""
        result: dict[str, Any] = {name: figure.value for name, figure in self.figures.items()}
        absent = {n: f.reason for n, f in self.figures.items() if f.value is None}
        return result | {
            "pictures": len(self.ids),
            "tokenization": self.tokenization,
            "reasons": absent,
            "notes": self.notes,
        }


def read_captions(path: Path) -> dict[str, list[str]]:
    """Captions by picture id.

    Reads COCO annotations (`{"annotations": [{"image_id", "caption"}]}`), COCO results (a list of
    the same), `{id: caption or list of captions}`, and JSON lines with `image` (or `image_id`)
    and `captions`.

    Raises:
        InputError: another form.
    """
    path = Path(path)
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            try:
                value: Any = [orjson.loads(line) for line in stream if line.strip()]
            except orjson.JSONDecodeError as error:
                raise InputError(f"{path}: a line is not valid JSON ({error})") from error
    else:
        value = load(path)
    if isinstance(value, dict) and isinstance(value.get("annotations"), list):
        value = value["annotations"]
    if isinstance(value, dict):
        value = [{"image_id": k, "captions": v} for k, v in value.items()]
    return _collect(value, path)


def _collect(value: Any, path: Path) -> dict[str, list[str]]:
    problems, found = Problems(), {}  # type: ignore[var-annotated]
    if not isinstance(value, list):
        raise InputError(f"{path}: whole file: expected a list or an object, got {shown(value)}")
    for number, record in enumerate(value):
        record = record if isinstance(record, dict) else {}
        identifier = record.get("image_id", record.get("image"))
        captions = record.get("captions", record.get("caption"))
        captions = [captions] if isinstance(captions, str) else captions
        if identifier is None or not isinstance(captions, list) or not captions:
            what = 'expected "image_id" (or "image") and "caption" (or "captions")'
            problems.add(path, f"record {number}", "", what)
        elif not all(isinstance(caption, str) for caption in captions):
            problems.add(path, str(identifier), "captions", "expected texts")
        else:
            found.setdefault(str(identifier), []).extend(captions)
    problems.raise_if_any()
    return found


def score_captions(
    candidates: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    *,
    tokenizer: str = "auto",
    metrics: Sequence[str] = METRICS,
    frequency_references: Mapping[str, Sequence[str]] | None = None,
) -> CaptionScores:
    """Score one candidate per picture against its references.

    Args:
        candidates: picture id to caption.
        references: picture id to captions.
        tokenizer: ptb, plain, none, or auto (ptb where Java is installed).
        metrics: a selection of `METRICS`.
        frequency_references: captions to count CIDEr's document frequencies over.

    Raises:
        InputError: no candidates, pictures without references or references left out.
    """
    problems = Problems()
    for identifier in candidates:
        if not references.get(identifier):
            problems.add("references", identifier, "", "no references for this picture")
    for identifier in references:
        if identifier not in candidates:
            problems.add("candidates", identifier, "", "no caption for this picture")
    if not candidates:
        problems.add("candidates", "", "", "hold no captions")
    for name in metrics:
        if name not in METRICS:
            problems.add("metrics", name, "", f"expected some of {', '.join(METRICS)}")
    problems.raise_if_any()
    ids = list(candidates)
    if tokenizer == "auto":
        tokenizer = "ptb" if java_path() else "plain"
    said = tokenize([candidates[i] for i in ids], tokenizer)
    true = _tokenized(references, ids, tokenizer)
    scores = CaptionScores({}, {}, ids, _LABELS[tokenizer])
    others = None
    if frequency_references is not None:
        others = list(_tokenized(frequency_references, list(frequency_references), tokenizer))
        scores.notes.append(f"CIDEr: document frequencies of {len(others)} other pictures")
    _score_ngrams(scores, said, true, metrics, others)
    for name, run in (("METEOR", _meteor), ("SPICE", _spice)):
        if name in metrics:
            scores.figures[name] = _by_java(run, said, true, scores, name)
    scores.figures = {name: scores.figures[name] for name in METRICS if name in metrics}
    return scores


def _tokenized(
    captions: Mapping[str, Sequence[str]], ids: Sequence[str], tokenizer: str
) -> list[list[str]]:
    flat = iter(tokenize([caption for i in ids for caption in captions[i]], tokenizer))
    return [[next(flat) for _ in captions[i]] for i in ids]


def _score_ngrams(
    scores: CaptionScores,
    said: list[str],
    true: list[list[str]],
    metrics: Sequence[str],
    others: list[list[str]] | None,
) -> None:
    def put(name: str, value: float, single: np.ndarray) -> None:
        if name in metrics:
            scores.figures[name] = Figure(value, len(said))
            scores.per_picture[name] = single

    if any(name.startswith("BLEU") for name in metrics):
        corpus, single = bleu(said, true)
        for order in range(4):
            put(f"BLEU-{order + 1}", corpus[order], single[:, order])
    if "ROUGE-L" in metrics:
        put("ROUGE-L", *rouge_l(said, true))
    if "CIDEr" in metrics:
        frequency = document_frequency(others) if others is not None else None
        put("CIDEr", *cider(said, true, frequency=frequency))


def _by_java(
    run: Any, said: list[str], true: list[list[str]], scores: CaptionScores, name: str
) -> Figure:
    """A figure that a Java program computes, or the reason why it cannot."""
    if java_path() is None:
        return Figure(None, 0, f"{name} needs Java (apt-get install default-jre)")
    try:
        value, single = run(said, true)
    except (InputError, OSError, ValueError, subprocess.SubprocessError) as error:
        return Figure(None, 0, f"{name} did not run: {str(error).splitlines()[0]}")
    scores.per_picture[name] = single
    return Figure(value, len(said))


def _meteor(said: list[str], true: list[list[str]]) -> tuple[float, np.ndarray]:
    module = optional("pycocoevalcap.meteor.meteor", "METEOR")
    scorer = module.Meteor()
    value, single = scorer.compute_score(
        dict(enumerate(true)), {number: [caption] for number, caption in enumerate(said)}
    )
    return float(value), np.asarray(single, dtype=np.float64)


_SPICE_MODELS = "stanford-corenlp-3.6.0-models.jar"


def _spice(said: list[str], true: list[list[str]]) -> tuple[float, np.ndarray]:
    module = optional("pycocoevalcap.spice.spice", "SPICE")
    folder = Path(module.__file__ or "").parent
    if not (folder / "lib" / _SPICE_MODELS).is_file():
        raise InputError(
            f"its Stanford models ({_SPICE_MODELS}, not in the package) are absent; with a network "
            "run: python -c 'from pycocoevalcap.spice.spice import Spice; Spice()'"
        )
    value, single = module.Spice().compute_score(
        dict(enumerate(true)), {number: [caption] for number, caption in enumerate(said)}
    )
    return float(value), np.array([item["All"]["f"] for item in single], dtype=np.float64)
