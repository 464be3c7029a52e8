"""Detectors that look for names given as text: OWLv2 and Grounding DINO of `transformers`.

Legend: Q boxes (queries) that the model proposes, L names, T tokens of the prompt.
Sources: OWLv2, Minderer et al. 2023 (arXiv:2306.09683), prompt of section A.1; Grounding DINO,
Liu et al. 2023 (arXiv:2303.05499): the names joined by full stops, a name's score the mean over its
tokens (`create_positive_map_from_span` of its COCO evaluation).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from detectors.adapters.loop import PictureDetector, clip_box
from detectors.adapters.onnx import suppress
from detectors.adapters.transformers_files import load_pretrained
from detectors.errors import InputError
from detectors.scene import SceneObject

__all__ = ["ZeroShotDetector", "read_labels"]

_LABELS_TOGETHER = 48
"""Names a prompt; Grounding DINO reads 256 tokens at most."""
_SEPARATORS = (".", "?")


class ZeroShotDetector(PictureDetector):
    """Looks for any names with OWLv2, OWL-ViT or Grounding DINO.

    Args:
        name: folder or hub name; a hub name is downloaded on first use.
        labels: the names to look for.
        threshold: boxes below this score are dropped.
        iou: overlap above which the weaker of two boxes of one name is dropped.
        duplicate_iou: the same for boxes of different names.

    Raises:
        InputError: no names, transformers is not installed, or the model cannot be used.
    """

    def __init__(
        self,
        name: str,
        labels: Sequence[str],
        *,
        threshold: float = 0.2,
        iou: float = 0.5,
        duplicate_iou: float = 0.8,
    ) -> None:
        self.labels = tuple(dict.fromkeys(_plain(label) for label in labels))
        if not self.labels or not all(self.labels):
            raise InputError(f"detector {name}: needs names to look for, got {list(labels)[:5]}")
        self.name = name
        self.threshold, self.iou, self.duplicate_iou = threshold, iou, duplicate_iou
        self.label = f"zero-shot:{name}"
        self.processor, self.model = load_pretrained(
            name, "AutoProcessor", "AutoModelForZeroShotObjectDetection"
        )
        self.grounded = "dino" in self.model.config.model_type
        self._groups = self._split(self.labels)

    def find(self, image: Image.Image) -> list[SceneObject]:
        """Objects of a picture: each proposed box has the name that fits it best."""
        boxes, scores, labels = [], [], []
        first = 0
        for group in self._groups:
            score = self._grounded if self.grounded else self._by_label
            own_boxes, own_scores = score(image, group)
            best = own_scores.argmax(axis=1)
            boxes.append(own_boxes)
            scores.append(own_scores[np.arange(len(best)), best])
            labels.append(best + first)
            first += len(group)
        return self._chosen(
            image, np.concatenate(boxes), np.concatenate(scores), np.concatenate(labels)
        )

    def _chosen(
        self, image: Image.Image, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray
    ) -> list[SceneObject]:
        passed = scores >= self.threshold
        boxes = np.array([clip_box(box, image) for box in boxes]).reshape(-1, 4)
        whole = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        rows = np.flatnonzero(passed & whole)
        rows = rows[suppress(boxes[rows], scores[rows], labels[rows], self.iou)]
        one_group = np.zeros(len(rows), dtype=np.int64)
        rows = rows[suppress(boxes[rows], scores[rows], one_group, self.duplicate_iou)]
        return [
            SceneObject(str(rank), self.labels[int(label)], float(score), clip_box(box, image))
            for rank, (box, score, label) in enumerate(
                zip(boxes[rows], scores[rows], labels[rows], strict=True)
            )
        ]

    def _by_label(self, image: Image.Image, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """OWL: boxes (Q, 4) in pixels and scores (Q, L), each name a prompt of its own."""
        import torch

        prompts = [[f"a photo of a {label}" for label in labels]]
        inputs = self.processor(
            text=prompts,
            images=image,
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings,
        )
        with torch.inference_mode():
            outputs = self.model(**inputs)
        everything = self.processor.post_process_grounded_object_detection(
            outputs, threshold=-1.0, target_sizes=[(image.height, image.width)]
        )[0]
        return everything["boxes"].numpy(), outputs.logits[0].sigmoid().numpy()

    def _grounded(self, image: Image.Image, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Grounding DINO: boxes (Q, 4) in pixels and scores (Q, L) from one prompt."""
        import torch

        inputs = self.processor(images=image, text=_prompt(labels), return_tensors="pt")
        with torch.inference_mode():
            outputs = self.model(**inputs)
        spans = self._spans(inputs["input_ids"][0].tolist(), labels)
        tokens = outputs.logits[0].sigmoid()
        scores = torch.stack([tokens[:, span].mean(dim=1) for span in spans], dim=1)
        centre, size = outputs.pred_boxes[0].split(2, dim=-1)
        corners = torch.cat([centre - size / 2, centre + size / 2], dim=-1)
        scale = torch.tensor([image.width, image.height] * 2)
        return (corners * scale).numpy(), scores.numpy()

    def _spans(self, tokens: Sequence[int], labels: Sequence[str]) -> list[list[int]]:
        """Positions of each name's tokens, which full stops part.

        Raises:
            InputError: the tokenizer does not part the prompt into as many names.
        """
        tokenizer = self.processor.tokenizer
        stops = set(tokenizer.convert_tokens_to_ids(list(_SEPARATORS)))
        special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        spans: list[list[int]] = [[]]
        for position, token in enumerate(tokens):
            if token in stops:
                spans.append([])
            elif token not in special:
                spans[-1].append(position)
        found = [span for span in spans if span]
        if len(found) != len(labels):
            raise InputError(
                f"detector {self.name}: the prompt of {len(labels)} names holds {len(found)} for "
                "its tokenizer (is it too long?)"
            )
        return found

    def _split(self, labels: Sequence[str]) -> list[tuple[str, ...]]:
        """Names in groups that fit a prompt."""
        most = _LABELS_TOGETHER
        limit = int(getattr(self.model.config, "max_text_len", 0) or 0)
        if self.grounded and limit:
            lengths = [len(self.processor.tokenizer(label)["input_ids"]) for label in labels]
            most = max(min(most, (limit - 2) // max(lengths)), 1)
        return [tuple(labels[start : start + most]) for start in range(0, len(labels), most)]


def read_labels(text: str) -> tuple[str, ...]:
    """Names from a file with one a line, or from a comma-separated list.

    Raises:
        InputError: the file holds no name.
    """
    path = Path(text)
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        names = tuple(line.strip() for line in lines if line.strip())
        if not names:
            raise InputError(f"{path}: no names, expected one a line")
        return names
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _plain(label: str) -> str:
    """Lower case, and without the signs that part names in a prompt."""
    kept = "".join(" " if sign in _SEPARATORS else sign for sign in label.lower())
    return " ".join(kept.split())


def _prompt(labels: Sequence[str]) -> str:
    return " ".join(f"{label}." for label in labels)
