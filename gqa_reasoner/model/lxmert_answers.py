"""GQA answers of an LXMERT checkpoint with its answer head, from a region-feature file.

Made for folders shaped like the published GQA checkpoint: `config.json`, weights, `vocab.txt`,
and the answers' names, which that checkpoint's configuration does not hold: they are read from
`trainval_label2ans.json` or `trainval_ans2label.json` beside it, or from a file that is given.

Legend: B questions, T word pieces, V regions, F feature size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from detectors.errors import InputError

if TYPE_CHECKING:
    from detectors.features.protocol import FeatureReader
    from gqa_reasoner.data.questions import Question
    from gqa_reasoner.model.parity.lxmert import Lxmert

__all__ = ["LABEL_FILES", "LxmertAnswers", "read_labels"]

LABEL_FILES = ("trainval_label2ans.json", "trainval_ans2label.json")
LONGEST = 20
"""Word pieces of a question, `[CLS]` and `[SEP]` included, as the checkpoint was trained."""
_PLACEHOLDER = re.compile(r"(?:LABEL_|label )\d+")


class LxmertAnswers:
    """The checkpoint, its word pieces, its answers, and the features of the pictures.

    Raises:
        InputError: no LXMERT checkpoint with an answer head; no names for its answers, or another
            number of them; no vocabulary; features of another width than it was trained on.
    """

    def __init__(self, folder: Path, features: FeatureReader, labels: Path | None = None) -> None:
        from gqa_reasoner.model.parity.checkpoint import load_checkpoint
        from gqa_reasoner.model.parity.lxmert import Lxmert

        checkpoint = load_checkpoint(folder)
        model = checkpoint.model
        if not isinstance(model, Lxmert) or model.answer_head is None:
            kind = checkpoint.record.get("model_type")
            raise InputError(
                f"{folder}: expected an LXMERT checkpoint with the question-answering head "
                f"(answer_head.*), got model_type {kind!r} without one"
            )
        self.model: Lxmert = model
        self.labels = _labels(Path(folder), model.labels, labels)
        self.tokenizer = _tokenizer(Path(folder))
        self.features = features
        self._check_width(Path(folder))
        self._warned = False

    def _check_width(self, folder: Path) -> None:
        wanted, path = self.model.regions.features.in_features, self.features.path
        if not len(self.features):
            raise InputError(f"{path}: holds no image")
        found = self.features.read(self.features.image_ids[0]).features.shape[1]
        if found != wanted:
            raise InputError(
                f"{path}: feature size {found}, but {folder} was trained on {wanted}; "
                f"`gqa-reasoner features check TRAINED {path}` says whether features fit"
            )

    @torch.inference_mode()
    def answer(self, questions: Sequence[Question]) -> list[str]:
        """One answer each; pictures with fewer regions than others are masked.

        Raises:
            InputError: a picture is not in the feature file, or its regions are damaged.
        """
        ids, mask = self._pieces([question.question for question in questions])
        read = {q.image_id: self.features.read(q.image_id) for q in questions}
        regions = [read[question.image_id] for question in questions]
        most = max(len(item.features) for item in regions)
        if most == 0:
            raise InputError(f"{self.features.path}: image {regions[0].image_id}: no regions")
        values = torch.zeros(len(regions), most, regions[0].features.shape[1])
        boxes = torch.zeros(len(regions), most, 4)
        region_mask = torch.zeros(len(regions), most, dtype=torch.bool)
        for row, item in enumerate(regions):
            count = len(item.features)
            size = torch.tensor([item.width, item.height] * 2, dtype=torch.float32).clamp(min=1)
            values[row, :count] = torch.from_numpy(item.features)
            boxes[row, :count] = torch.from_numpy(item.boxes) / size
            region_mask[row, :count] = True
        some = None if bool(region_mask.all()) else region_mask
        scores = self.model(ids, values, boxes, mask, some, packed=True).answers
        assert scores is not None  # checked when loading
        return [self.labels[i] for i in scores.argmax(dim=-1).tolist()]

    def _pieces(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T) word pieces and which are real."""
        rows = [self.tokenizer.encode(text) for text in texts]
        if not self._warned and max(len(row) for row in rows) > LONGEST:
            import sys

            self._warned = True
            print(f"questions longer than {LONGEST} word pieces are cut (said once)",
                  file=sys.stderr)  # fmt: skip
        rows = [row if len(row) <= LONGEST else [*row[: LONGEST - 1], row[-1]] for row in rows]
        length = max(len(row) for row in rows)
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        mask = torch.zeros(len(rows), length, dtype=torch.bool)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = True
        return ids, mask


def _labels(folder: Path, named: Sequence[str], given: Path | None) -> tuple[str, ...]:
    """The answers' names in the head's order."""
    beside = [folder / name for name in LABEL_FILES if (folder / name).is_file()]
    source = given or (beside[0] if beside else None)
    if source is not None:
        labels = read_labels(source)
        if len(labels) != len(named):
            raise InputError(
                f"{source}: {len(labels)} answers, but the head of {folder} has {len(named)}"
            )
        return labels
    if all(_PLACEHOLDER.fullmatch(name) for name in named):
        raise InputError(
            f"{folder}: the head's {len(named)} answers have no names; put "
            f"{LABEL_FILES[0]} beside the weights or give --labels FILE"
        )
    return tuple(named)


def read_labels(path: Path) -> tuple[str, ...]:
    """A JSON list of answers, or an object from answer to its number.

    Raises:
        InputError: no such file, not JSON, or numbers that do not run from 0.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of answers")
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if isinstance(record, dict):
        if sorted(record.values(), key=str) != sorted(range(len(record)), key=str):
            raise InputError(f"{path}: expected answers numbered from 0 to {len(record) - 1}")
        record = sorted(record, key=record.__getitem__)
    if not isinstance(record, list) or not all(isinstance(name, str) for name in record):
        raise InputError(f"{path}: expected a list of answers, or an object of their numbers")
    return tuple(record)


def _tokenizer(folder: Path) -> Any:
    """The checkpoint's uncased word pieces."""
    path = folder / "vocab.txt"
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the checkpoint's word pieces")
    from transformers import BertTokenizer

    return BertTokenizer(vocab=str(path), do_lower_case=True)
