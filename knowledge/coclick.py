"""Co-click queries: what people searched for when they clicked a picture, or one like it.

A log has rows (query, image, clicks), the layout of Clickture (Hua et al. 2013), indexed as a
bipartite graph of queries and images. Legend: Q queries, I images, E edges.
Leak rules, on by default: never the question itself, never a question that is `equivalent` to it
or in an `entailed` relation with it in either direction; answers are never read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectors.errors import InputError
from detectors.scene import Scene
from knowledge.coclick_leaks import QuestionFamilies, normalized_text
from knowledge.conceptnet import ReadReport, _lines
from knowledge.context import CoClickQuery
from knowledge.lemmas import STOP_WORDS, Lemmatizer, tokenize
from knowledge.similarity import SceneIndex

__all__ = ["CoClickLog"]

RESTART = 0.5
"""Probability of the walk to go back to its start after each round."""
NEIGHBOURS = 5
_MAX_QUERY = 500


class CoClickLog:
    """A bipartite query-image graph with look-ups for scenes; immutable.

    Args:
        rows: (query, image id, clicks); equal pairs are added up.
        families: leak relations of the questions that queries were made from.
        question_ids: for each row the question it was made from, if any.
        index: finds pictures like a given one; its images without clicks are ignored.
        transductive: whether a picture's own queries may be used for it.
        leak_rules: switch the rules off only to measure what they prevent.
    """

    def __init__(
        self,
        rows: Sequence[tuple[str, str, float]],
        *,
        families: QuestionFamilies | None = None,
        question_ids: Sequence[str | None] | None = None,
        index: SceneIndex | None = None,
        transductive: bool = True,
        leak_rules: bool = True,
    ) -> None:
        self.transductive = transductive
        self.leak_rules = leak_rules
        self.report = ReadReport(lines=len(rows), kept=len(rows))
        self._families = families or QuestionFamilies()
        self._index = index
        queries: dict[str, int] = {}
        images: dict[str, int] = {}
        edges: Counter[tuple[int, int]] = Counter()
        self._question_ids: dict[int, dict[str, None]] = {}
        for number, (query, image, clicks) in enumerate(rows):
            q = queries.setdefault(query, len(queries))
            i = images.setdefault(image, len(images))
            edges[q, i] += clicks  # type: ignore[assignment]
            question_id = question_ids[number] if question_ids is not None else None
            if question_id is not None:
                self._question_ids.setdefault(q, {})[question_id] = None
        self._queries, self._images = tuple(queries), images
        self._image_names = tuple(images)
        pairs = np.array(list(edges), dtype=np.int64).reshape(-1, 2)
        clicks_of = np.array(list(edges.values()), dtype=np.float64)
        self._by_query = _Rows(pairs[:, 0], pairs[:, 1], clicks_of, len(queries))
        self._by_image = _Rows(pairs[:, 1], pairs[:, 0], clicks_of, len(images))
        self._lemmatizer = Lemmatizer.default()
        self._texts = tuple(normalized_text(query) for query in self._queries)
        self._topics = [frozenset(_topics(self._lemmatizer, query)) for query in self._queries]
        self._counts = Counter(lemma for topics in self._topics for lemma in topics)

    @classmethod
    def read(cls, path: str | Path, *, strict: bool = False, **options: Any) -> CoClickLog:
        """Read a log of tab-separated rows: query, image, clicks (text or gzip).

        Broken rows are counted in `report` and skipped, or refused in strict mode.

        Raises:
            InputError: a broken row in strict mode, or no usable row at all.
        """
        place = Path(path)
        report = ReadReport()
        rows: list[tuple[str, str, float]] = []
        for line in _lines(place):
            report.lines += 1
            if not line.strip() or line.startswith(b"#"):
                report.filtered += 1
                continue
            try:
                rows.append(_parse_row(line))
                report.kept += 1
            except ValueError as error:
                problem = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
                report.note(place, report.lines, problem, strict=strict)
        if not rows:
            first = f"; first: {report.first_broken[0]}" if report.first_broken else ""
            raise InputError(f"{place}: click log: no usable row in {report.lines} lines{first}")
        log = cls(rows, **options)
        log.report = report
        return log

    @classmethod
    def open(cls, path: str | Path) -> CoClickLog:
        """Read a log, skipping broken rows; see `read`."""
        return cls.read(path)

    @classmethod
    def from_questions(cls, questions: Iterable[Any], **options: Any) -> CoClickLog:
        """Make a log from GQA-format questions: each is a query of its image, clicked once.

        Only `question`, `imageId`, `entailed` and `equivalent` are read, never an answer.

        Args:
            questions: `Question` objects, or (id, record) pairs.
            options: of the constructor.
        """
        rows: list[tuple[str, str, float]] = []
        ids: list[str | None] = []
        families = QuestionFamilies()
        for item in questions:
            question_id, text, image, entailed, equivalent = _question_fields(item)
            rows.append((text, image, 1.0))
            ids.append(question_id)
            families.add(question_id, image, text, entailed, equivalent)
        return cls(rows, families=families, question_ids=ids, **options)

    def with_scenes(self, scenes: Iterable[Scene]) -> CoClickLog:
        """The same log that finds pictures like a given one by their scenes or features."""
        log = object.__new__(CoClickLog)
        log.__dict__ = {**self.__dict__}
        log._index = SceneIndex(scene for scene in scenes if scene.image_id in self._images)
        return log

    @property
    def query_count(self) -> int:
        """How many distinct queries the log has."""
        return len(self._queries)

    @property
    def image_count(self) -> int:
        """How many distinct images the log has."""
        return len(self._image_names)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._images

    def own_queries(self, image_id: str) -> list[tuple[str, float]]:
        """An image's own queries with their clicks, most clicked first; [] if unknown."""
        number = self._images.get(image_id)
        if number is None:
            return []
        found, clicks = self._by_image.row(number)
        order = np.lexsort((found, -clicks))
        return [(self._queries[int(found[i])], float(clicks[i])) for i in order]

    def queries_for(
        self, scene: Scene, question: str, *, question_id: str | None = None, k: int = 6
    ) -> list[CoClickQuery]:
        """The best queries for a scene and question, under the leak rules, best first.

        relevance = half the walk's share (relative to the best query) + half the similarity of
        query and question.
        """
        seeds, source = self._seeds(scene)
        if not seeds or k <= 0:
            return []
        own = self._images.get(scene.image_id, -1)
        shares = self._walk(seeds, -1 if self.transductive else own)
        blocked = self._blocked_ids(scene.image_id, question, question_id)
        text = normalized_text(question)
        topics = frozenset(_topics(self._lemmatizer, question))
        own = own if self.transductive else -1
        found: list[CoClickQuery] = []
        if not shares:
            return []
        best = max(shares.values())
        for query, share in shares.items():
            if self.leak_rules and self._leaks(query, text, blocked):
                continue
            image, clicks = self._evidence(query, own, seeds)
            relevance = 0.5 * share / best + 0.5 * self._similarity(topics, self._topics[query])
            ids = self._question_ids.get(query)
            found.append(
                CoClickQuery(
                    text=self._queries[query],
                    clicks=clicks,
                    image_id=self._image_names[image],
                    relevance=relevance,
                    source=source if image in seeds else "walk",
                    object_ids=_mentioned(scene, self._topics[query], self._lemmatizer),
                    question_id=next(iter(ids)) if ids else None,
                )
            )
        found.sort(key=lambda item: (-item.relevance, item.text))
        return found[:k]

    def random_queries(
        self, kept: Sequence[CoClickQuery], scene: Scene, generator: np.random.Generator
    ) -> tuple[CoClickQuery, ...]:
        """As many queries of other pictures, drawn at random, with the relevances of `kept`.

        A control: what the content of the true queries is worth shows in the difference.
        """
        own = self._images.get(scene.image_id, -1)
        found: list[CoClickQuery] = []
        for item in kept:
            for _ in range(20):
                query = int(generator.integers(len(self._queries)))
                images, clicks = self._by_query.row(query)
                if own not in images:
                    break
            else:
                continue
            found.append(
                CoClickQuery(
                    text=self._queries[query],
                    clicks=float(clicks[0]),
                    image_id=self._image_names[int(images[0])],
                    relevance=item.relevance,
                    source="random",
                    object_ids=_mentioned(scene, self._topics[query], self._lemmatizer),
                )
            )
        return tuple(found)

    def _seeds(self, scene: Scene) -> tuple[dict[int, float], str]:
        """Images the walk starts from, with weights that sum to 1, and how they were found."""
        number = self._images.get(scene.image_id)
        if number is not None and self.transductive:
            return {number: 1.0}, "own"
        if self._index is None:
            return {}, "similar"
        near = self._index.nearest(scene, NEIGHBOURS, exclude=scene.image_id)
        total = sum(value for _, value in near)
        if total <= 0:
            return {}, "similar"
        return {self._images[image]: value / total for image, value in near if value > 0}, "similar"

    def _walk(self, seeds: Mapping[int, float], hidden: int) -> dict[int, float]:
        """Two-round random walk with restart: the share of each reached query.

        An image passes its share to its queries by clicks, a query to its images by clicks; after
        the first round the walk goes back to the seeds with probability `RESTART`. It never
        passes through the image `hidden`.
        """
        first = _spread(seeds, self._by_image)
        images = _spread(first, self._by_query)
        second: dict[int, float] = {image: RESTART * share for image, share in seeds.items()}
        for image, share in images.items():
            if image != hidden:
                second[image] = second.get(image, 0.0) + (1 - RESTART) * share
        return _spread(second, self._by_image)

    def _evidence(self, query: int, own: int, seeds: Mapping[int, float]) -> tuple[int, float]:
        """The image behind a query: the scene's own, else a seed, else its most clicked one."""
        images, clicks = self._by_query.row(query)
        preferred = [int(i == own) * 2 + int(int(i) in seeds) for i in images]
        place = max(range(len(images)), key=lambda n: (preferred[n], clicks[n], -int(images[n])))
        return int(images[place]), float(clicks[place])

    def _blocked_ids(self, image_id: str, question: str, question_id: str | None) -> frozenset[str]:
        if not self.leak_rules:
            return frozenset()
        return self._families.blocked(image_id, question, question_id)

    def _leaks(self, query: int, text: str, blocked: frozenset[str]) -> bool:
        if self._texts[query] == text:
            return True
        ids = self._question_ids.get(query)
        return ids is not None and not blocked.isdisjoint(ids)

    def _similarity(self, one: frozenset[str], two: frozenset[str]) -> float:
        """Cosine of two lemma sets weighted by rarity in the log."""
        shared = one & two
        if not shared:
            return 0.0
        return math.fsum(map(self._rarity, shared)) / math.sqrt(
            math.fsum(map(self._rarity, one)) * math.fsum(map(self._rarity, two))
        )

    def _rarity(self, lemma: str) -> float:
        return math.log(1 + (len(self._queries) + 1) / (self._counts.get(lemma, 0) + 1))


class _Rows:
    """Weighted edges grouped by their first end (compressed sparse rows)."""

    def __init__(
        self, starts: np.ndarray, ends: np.ndarray, weights: np.ndarray, count: int
    ) -> None:
        order = np.lexsort((ends, starts))
        self._ends, self._weights = ends[order], weights[order]
        degrees = np.bincount(starts, minlength=count) if count else np.zeros(0, np.int64)
        self._offsets = np.concatenate([[0], np.cumsum(degrees)])

    def row(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The far ends and weights of one row."""
        start, end = self._offsets[number], self._offsets[number + 1]
        return self._ends[start:end], self._weights[start:end]


def _spread(shares: Mapping[int, float], rows: _Rows) -> dict[int, float]:
    """Pass each share on to a row's ends in proportion to the weights."""
    found: dict[int, float] = {}
    for number in sorted(shares):
        ends, weights = rows.row(number)
        total = float(weights.sum())
        if total <= 0:
            continue
        for end, weight in zip(ends.tolist(), weights.tolist(), strict=True):
            found[end] = found.get(end, 0.0) + shares[number] * weight / total
    return found


def _parse_row(line: bytes) -> tuple[str, str, float]:
    cells = line.decode().split("\t")
    if len(cells) != 3:
        raise ValueError(f"expected 3 columns (query, image, clicks), got {len(cells)}")
    query, image = " ".join(cells[0].split()), cells[1].strip()
    if not query or not image:
        raise ValueError("empty query or image id")
    if len(query) > _MAX_QUERY:
        raise ValueError(f"query of {len(query)} characters (limit {_MAX_QUERY})")
    try:
        clicks = float(cells[2])
    except ValueError:
        raise ValueError(f"clicks: expected a number, got {cells[2].strip()[:40]!r}") from None
    if not math.isfinite(clicks) or clicks < 0:
        raise ValueError(f"clicks: expected a number of at least 0, got {cells[2].strip()}")
    return query, image, clicks


def _question_fields(item: Any) -> tuple[str, str, str, Sequence[str], Sequence[str]]:
    if isinstance(item, tuple):
        question_id, record = item
        return (
            str(question_id),
            record["question"],
            str(record["imageId"]),
            record.get("entailed") or (),
            record.get("equivalent") or (),
        )
    return item.id, item.question, item.image_id, item.entailed or (), item.equivalent or ()


def _topics(lemmatizer: Lemmatizer, text: str) -> list[str]:
    return [lemmatizer.lemma(word) for word in tokenize(text) if word not in STOP_WORDS]


def _mentioned(scene: Scene, topics: frozenset[str], lemmatizer: Lemmatizer) -> tuple[str, ...]:
    """Ids of the scene's objects whose whole name is in the query."""
    return tuple(
        item.id
        for item in scene.objects
        if (words := lemmatizer.lemmas(item.name)) and topics.issuperset(words)
    )
