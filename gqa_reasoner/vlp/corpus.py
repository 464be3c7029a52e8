"""Captions and picture features as training batches, and the corpus transforms.

Legend: B pictures, N texts, T text length, V cells, F feature width, G longest list of tags.
Transforms: code-switching replaces words by translations (M3P), tag anchors add a detector's
names with their boxes to the text (VisualBERT), un-pairing keeps texts and pictures apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from detectors.errors import InputError
from detectors.scene import Scene

if TYPE_CHECKING:
    from gqa_reasoner.vlp.data.records import CaptionRecord
    from gqa_reasoner.vlp.text import WordPieces

__all__ = ["Batch", "CaptionCorpus", "CorpusSettings", "FeatureRows", "Tags", "code_switch"]

Lexicons = Mapping[str, Mapping[str, Sequence[str]]]
"""Language to English word to translations."""


class FeatureRows(Protocol):
    """Where picture features come from, such as a `FeatureCache`."""

    def rows(self, names: Sequence[str]) -> Tensor:
        """Features (B, V, F) of the named pictures."""
        ...

    def __contains__(self, name: object) -> bool: ...


@dataclass(frozen=True)
class Tags:
    """A detector's names as text: `ids` (B, G), `mask` (B, G), `starts` (B, G),
    `boxes` (B, G, 5) as shares of the picture."""

    ids: Tensor
    mask: Tensor
    starts: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Batch:
    """Texts `ids` (N, T) with `mask`, word `starts` and `language` (N,); each belongs to the
    picture `owner` (N,) of `features` (B, V, F). `tags` are the pictures'."""

    ids: Tensor
    mask: Tensor
    starts: Tensor
    language: Tensor
    owner: Tensor
    features: Tensor
    rows: Tensor
    """(B,) the pictures' places in the corpus."""
    captions: Tensor
    """(N,) which of its picture's texts each is."""
    tags: Tags | None = None


@dataclass(frozen=True)
class CorpusSettings:
    """How records become batches."""

    text_limit: int = 32
    languages: tuple[str, ...] = ("en",)
    code_switch_rate: float = 0.0
    captions_per_image: int = 1
    most_tags: int = 8
    flips: bool = False
    """Use the mirrored picture's features half of the time, where the cache has them."""
    lexicons: Lexicons = field(default_factory=dict)


def code_switch(
    words: Sequence[str],
    lexicons: Lexicons,
    rate: float,
    generator: torch.Generator,
) -> list[str]:
    """Replace each word that has translations with probability `rate` by one of them, in a
    language drawn per word (M3P, section 3.3).

    Raises:
        InputError: no lexicon at all.
    """
    if not lexicons:
        raise InputError("code-switching: expected a lexicon of at least one language, got none")
    languages = sorted(lexicons)
    draws = torch.rand(len(words), 3, generator=generator).tolist()
    result = []
    for word, (chance, which, what) in zip(words, draws, strict=True):
        having = [code for code in languages if lexicons[code].get(word)]
        if not having or chance >= rate:
            result.append(word)
            continue
        options = lexicons[having[int(which * len(having))]][word]
        result.append(options[int(what * len(options))])
    return result


class CaptionCorpus:
    """Records with their features, drawn as batches.

    Args:
        records: pictures and captions.
        features: by the records' `image`.
        pieces: the text's word pieces.
        settings: see `CorpusSettings`.
        scenes: per image id what a detector found, for tag anchors.

    Raises:
        InputError: no records, pictures without features, a language without captions or
            lexicon, pictures without a scene.
    """

    def __init__(
        self,
        records: Sequence[CaptionRecord],
        features: FeatureRows,
        pieces: WordPieces,
        settings: CorpusSettings,
        scenes: Mapping[str, Scene] | None = None,
    ) -> None:
        if not records:
            raise InputError("corpus: expected captions, got none")
        missing = [item.image for item in records if item.image not in features]
        if missing:
            raise InputError(
                f"captions: {len(missing)} of {len(records)} name pictures that are not there: "
                f"{', '.join(missing[:3])}"
            )
        self.records, self.features = list(records), features
        self.pieces, self.settings = pieces, settings
        self.scenes = scenes
        limit = settings.text_limit - 2
        self.texts = [_texts(record, settings.languages) for record in records]
        self._check_languages()
        self._encoded = [[pieces.encode(text, limit) for _, text in texts] for texts in self.texts]
        self._tags = None if scenes is None else self._encode_tags(scenes)

    def _check_languages(self) -> None:
        present = {code for texts in self.texts for code, _ in texts}
        for code in self.settings.languages:
            if code not in present and code not in self.settings.lexicons:
                raise InputError(
                    f"corpus: language {code!r}: no captions in it and no lexicon for it; "
                    "captions are in " + ", ".join(sorted(present))
                )
        if self.settings.code_switch_rate > 0 and not self.settings.lexicons:
            raise InputError("corpus: code-switching needs a lexicon of at least one language")

    def __len__(self) -> int:
        return len(self.records)

    def _encode_tags(self, scenes: Mapping[str, Scene]) -> list[tuple[list[int], Tensor]]:
        missing = [item.image_id for item in self.records if item.image_id not in scenes]
        if missing:
            raise InputError(
                f"scenes: {len(missing)} pictures of the captions have none: "
                f"{', '.join(missing[:3])}"
            )
        result = []
        room = self.settings.text_limit // 2
        for record in self.records:
            scene = scenes[record.image_id]
            objects = sorted(scene.objects, key=lambda item: -item.score)
            ids: list[int] = []
            boxes: list[list[float]] = []
            for item in objects[: self.settings.most_tags]:
                found = self.pieces.encode(item.name)
                if len(ids) + len(found) >= room:
                    break
                ids += found
                boxes += [_share_box(item.box, scene)] * len(found)
            result.append(([*ids, self.pieces.sep], torch.tensor([*boxes, [0.0] * 5])))
        return result

    def batch(self, rows: Sequence[int], generator: torch.Generator) -> Batch:
        """Texts and features of some pictures; which captions, and how they are switched and
        mirrored, follows from the generator."""
        settings = self.settings
        chosen: list[list[int]] = []
        language, owner, captions = [], [], []
        for place, row in enumerate(rows):
            count = min(settings.captions_per_image, len(self.texts[row]))
            order = torch.randperm(len(self.texts[row]), generator=generator)[:count]
            for number in order.tolist():
                chosen.append(self._ids(row, number, generator))
                language.append(settings.languages.index(self.texts[row][number][0]))
                owner.append(place)
                captions.append(number)
        ids, mask = self._padded(chosen)
        starts = self._starts(ids, mask)
        return Batch(
            ids=ids,
            mask=mask,
            starts=starts,
            language=torch.tensor(language),
            owner=torch.tensor(owner),
            features=self._features(rows, generator),
            rows=torch.tensor(list(rows)),
            captions=torch.tensor(captions),
            tags=self.tags(rows),
        )

    def _ids(self, row: int, number: int, generator: torch.Generator) -> list[int]:
        language, text = self.texts[row][number]
        rate = self.settings.code_switch_rate
        if rate > 0 and language == "en":
            from gqa_reasoner.vlp.text import basic_words

            words = code_switch(basic_words(text), self.settings.lexicons, rate, generator)
            found = self.pieces.encode(" ".join(words), self.settings.text_limit - 2)
        else:
            found = self._encoded[row][number]
        return [self.pieces.cls, *found, self.pieces.sep]

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        longest = max(len(row) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
        lengths = torch.tensor([len(row) for row in rows])
        return ids, torch.arange(longest)[None] < lengths[:, None]

    def _starts(self, ids: Tensor, mask: Tensor) -> Tensor:
        flat = self.pieces.word_starts(ids.flatten().tolist())
        return torch.tensor(flat).view(ids.shape) & mask

    def _features(self, rows: Sequence[int], generator: torch.Generator) -> Tensor:
        names = [self.records[row].image for row in rows]
        if self.settings.flips and self._tags is None:  # boxes of tags are not mirrored
            from gqa_reasoner.vlp.data.feature_cache import FLIP

            turned = torch.rand(len(names), generator=generator) < 0.5
            names = [
                name + FLIP if turn and name + FLIP in self.features else name
                for name, turn in zip(names, turned.tolist(), strict=True)
            ]
        return self.features.rows(names)

    def tags(self, rows: Sequence[int]) -> Tags | None:
        """The tags of some pictures, or None where there are no scenes."""
        if self._tags is None:
            return None
        ids, mask = self._padded([self._tags[row][0] for row in rows])
        boxes = torch.zeros(*ids.shape, 5)
        for place, row in enumerate(rows):
            boxes[place, : len(self._tags[row][1])] = self._tags[row][1]
        return Tags(ids, mask, self._starts(ids, mask), boxes)


def _texts(record: CaptionRecord, languages: Sequence[str]) -> list[tuple[str, str]]:
    """(language, text) of every caption in one of the languages."""
    found = [("en", text) for text in record.captions] if "en" in languages else []
    for code in languages:
        if code != "en":
            found += [(code, text) for text in record.translations.get(code, ())]
    if not found:
        raise InputError(f"captions: {record.image}: no caption in any of {', '.join(languages)}")
    return found


def _share_box(box: Sequence[float], scene: Scene) -> list[float]:
    """Pixel corners to (left, top, right, bottom, area) as shares of the picture."""
    left, top, right, bottom = (float(value) for value in box)
    width, height = max(scene.width, 1), max(scene.height, 1)
    left, right, top, bottom = left / width, right / width, top / height, bottom / height
    return [left, top, right, bottom, (right - left) * (bottom - top)]
