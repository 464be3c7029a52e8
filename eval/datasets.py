"""Scores of the data sets beside GQA by name, for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eval.errors import InputError
from eval.json_stream import load
from eval.problems import Problems, shown

__all__ = ["score_dataset", "text_of"]


def score_dataset(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Score `options["predictions"]` with the figures of one data set.

    Args:
        name: gqa-ood, vqa-v2, nlvr, captions or retrieval.
        options: paths and settings under the names of the command line.

    Raises:
        InputError: a needed path that is absent, or input that cannot be scored.
    """
    scorers = {
        "gqa-ood": _gqa_ood,
        "vqa-v2": _vqa_v2,
        "nlvr": _nlvr,
        "captions": _captions,
        "retrieval": _retrieval,
    }
    return scorers[name](options)


def _need(options: Mapping[str, Any], *names: str) -> list[Path]:
    absent = [f"--{name}" for name in names if options.get(name) is None]
    if absent:
        raise InputError(f"--dataset {options['dataset']} needs {' and '.join(absent)}")
    return [Path(options[name]) for name in names]


def _gqa_ood(options: Mapping[str, Any]) -> dict[str, Any]:
    from eval.gqa_ood import score_gqa_ood

    head, tail = _need(options, "head", "tail")
    missing, normalize = options["missing"], options["normalize"]
    predictions = Path(options["predictions"])
    return score_gqa_ood(head, tail, predictions, missing=missing, normalize=normalize).to_json()


def _vqa_v2(options: Mapping[str, Any]) -> dict[str, Any]:
    from eval.vqa_v2 import read_vqa, score_vqa

    (questions,) = _need(options, "questions")
    predictions = _vqa_answers(Path(options["predictions"]))
    scores = score_vqa(
        read_vqa(questions), predictions, missing=options["missing"], source=str(questions)
    )
    return scores.to_json()


def _vqa_answers(path: Path) -> dict[str, str]:
    """The official results form `[{"question_id", "answer"}]`, or an object by id."""
    value = load(path)
    if isinstance(value, dict):
        value = [{"question_id": key, "answer": answer} for key, answer in value.items()]
    problems, found = Problems(), {}  # type: ignore[var-annotated]
    for number, record in enumerate(value if isinstance(value, list) else [value]):
        fields = record if isinstance(record, dict) else {}
        identifier = fields.get("question_id", fields.get("questionId"))
        answer = fields.get("answer", fields.get("prediction"))
        if identifier is None or not isinstance(answer, str):
            what = f'expected {{"question_id", "answer"}}, got {shown(record)}'
            problems.add(path, f"record {number}", "", what)
        elif str(identifier) in found:
            problems.add(path, str(identifier), "question_id", "occurs twice")
        else:
            found[str(identifier)] = answer
    problems.raise_if_any()
    return found


def _nlvr(options: Mapping[str, Any]) -> dict[str, Any]:
    from eval.nlvr import read_nlvr, read_nlvr_predictions, score_nlvr

    (examples,) = _need(options, "questions")
    predictions = read_nlvr_predictions(Path(options["predictions"]))
    return score_nlvr(
        read_nlvr(examples), predictions, missing=options["missing"], source=str(examples)
    ).to_json()


def _captions(options: Mapping[str, Any]) -> dict[str, Any]:
    from eval.captioning import read_captions, score_captions

    (references,) = _need(options, "questions")
    true = read_captions(references)
    said = read_captions(Path(options["predictions"]))
    problems = Problems()
    for identifier, captions in said.items():
        if len(captions) > 1:
            what = f"expected one caption, got {len(captions)}"
            problems.add(options["predictions"], identifier, "caption", what)
    problems.raise_if_any()
    notes = []
    absent = [identifier for identifier in true if identifier not in said]
    if options["missing"] == "wrong" and absent:
        notes.append(f"missing: {len(absent)} pictures have no caption and count as an empty one")
        said |= {identifier: [""] for identifier in absent}
    candidates = {identifier: captions[0] for identifier, captions in said.items()}
    scores = score_captions(candidates, true, tokenizer=options["tokenizer"])
    scores.notes.extend(notes)
    return scores.to_json()


def _retrieval(options: Mapping[str, Any]) -> dict[str, Any]:
    from eval.retrieval import five_fold, score_retrieval

    path = Path(options["predictions"])
    try:
        with np.load(path, allow_pickle=False) as archive:
            similarity, owner = archive["similarity"], archive["image_of_text"]
    except (ValueError, KeyError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InputError(f"{path}: expected .npz with similarity and image_of_text") from error
    folds = options["folds"]
    if folds > 1:
        return five_fold(similarity, owner, folds).to_json()
    return score_retrieval(similarity, owner).to_json()


def text_of(result: Mapping[str, Any], indent: str = "") -> str:
    """Figures as lines; nested ones are set in."""
    lines = []
    for name, value in result.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", text_of(value, indent + "  ")]
        elif isinstance(value, list):
            lines += [f"{indent}{name}: {item}" for item in value]
        elif value is None:
            lines.append(f"{indent}{name}: n/a")
        else:
            lines.append(
                f"{indent}{name}: {value:.6g}"
                if isinstance(value, float)
                else f"{indent}{name}: {value}"
            )
    return "\n".join(line for line in lines if line)
