"""Questions over a collection: which / show me / how many / what share / the commonest colour.

A question is taken apart into what it restricts (dates, places), what it wants (the frame) and
what must be seen (phrases, compiled to SQL). What no program covers is searched by vectors, and
the answer says so; what is about one named picture goes to the reasoner.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.errors import InputError
from gqa_reasoner.collection.answers import (
    Found,
    Weighted,
    best_set,
    commonest_attribute,
    commonest_name,
    evidence_boxes,
    weigh,
)
from gqa_reasoner.collection.compile import Compiler, NotCoveredError, Truth, calibration_of
from gqa_reasoner.collection.frames import Frame, read_frame
from gqa_reasoner.collection.phrases import PhraseCompiler
from gqa_reasoner.collection.restrictions import Restriction, split_restrictions
from gqa_reasoner.collection.shelf import Shelf
from gqa_reasoner.collection.vectors import Ranked, rank_by_encoder, rank_by_words

if TYPE_CHECKING:
    import duckdb

    from gqa_reasoner.answer import Answer
    from gqa_reasoner.collection.models import PictureEncoder, Reranker
    from gqa_reasoner.pipeline import Reasoner
    from gqa_reasoner.program.parser import ProgramParser
    from knowledge.ontology import Ontology
    from knowledge.store import TripleStore

__all__ = ["Collection", "Found", "Frame", "read_frame"]

_POSSIBLE = 12
"""Pictures shown from below the line."""
_MENTION = (
    r"(?:\s*\b(?:in|on|of|for|from)\s+)?(?:the\s+)?(?:(?:picture|image|photo|photograph|file)\s+)?"
)


class Collection(Shelf):
    """An indexed folder, open for questions; one object may be used by several threads.

    Args:
        folder: the index that `gqa-reasoner index` wrote.
        parser: question to program; ontology and store: meaning of names, and commonsense.
        encoder: the dual encoder that the index was made with, for visual search.
        reranker: looks again at the best pictures of a visual search.
        reasoner: answers questions about one picture.

    Raises:
        InputError: no index, another version, or not finished.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        parser: ProgramParser,
        ontology: Ontology,
        store: TripleStore | None = None,
        encoder: PictureEncoder | None = None,
        reranker: Reranker | None = None,
        reasoner: Reasoner | None = None,
    ) -> None:
        super().__init__(folder)
        self.parser, self.ontology, self.store = parser, ontology, store
        self.encoder, self.reranker, self.reasoner = encoder, reranker, reasoner

    def find(self, question: str, *, limit: int | None = 20, offset: int = 0) -> Found:
        """Answer a question over the whole collection.

        Args:
            question: any English; questions that the program language covers are computed, others
                fall back to vector search, and the answer says so.
            limit: pictures to return; None for all that fit.
            offset: pictures to leave out before.

        Raises:
            InputError: the question is empty, or limit or offset are below 0.
        """
        if not question.strip():
            raise InputError("question: empty")
        if offset < 0 or (limit is not None and limit < 0):
            raise InputError(f"limit and offset: expected 0 or more, got {limit} and {offset}")
        named = self._named_picture(question)
        if named is not None and self.reasoner is not None:
            return self._about_one(*named)
        text, restrictions = split_restrictions(question)
        frame = read_frame(text)
        asked = _Asked(self, frame, restrictions, limit, offset)
        try:
            return asked.by_program()
        except NotCoveredError as error:
            return asked.by_vectors(f"the program does not cover {error}")

    def ask(self, image_id: str, question: str, *, expansion: str | None = None) -> Answer:
        """Answer a question about one picture with the reasoner.

        The picture is looked at again where its file is still as it was; otherwise the stored
        scene, which lacks the detector's doubts, has to do.

        Raises:
            InputError: no reasoner, no such picture, or an empty question.
        """
        if self.reasoner is None:
            raise InputError("questions about one picture need a reasoner")
        note = None
        try:
            scene = self.reasoner.detect(self.file(image_id), image_id=image_id)
        except InputError as error:
            scene, note = self.scene(image_id), f"{error}; answered from the index"
        answer = self.reasoner.answer_scene(scene, question, expansion=expansion)
        if note is not None:
            answer.notes.append(note)
        return answer

    def _about_one(self, image_id: str, question: str) -> Found:
        answer = self.ask(image_id, question)
        shown = self.shown([(self.number(image_id), float(answer.score))], {})
        program = answer.program.to_semantic() if answer.program is not None else None
        notes = [f"about the picture {image_id}", *answer.notes]
        return Found(answer.text, "reasoner", shown, program, notes, total=1,
                     record=answer.to_json())  # fmt: skip

    def _named_picture(self, question: str) -> tuple[str, str] | None:
        """The picture that a question names by id, file name or stem, and the question without."""
        text = " ".join(question.split())
        said = set(re.findall(r"(?:picture|image|photo|photograph|file)\s+([\w./-]+)", text, re.I))
        words = {word.strip(".,?!") for word in re.findall(r"[\w./-]+", text)}
        likely = sorted(
            word for word in words
            if word and (word in said or re.search(r"\w\.\w|\d{4,}", word))
        )  # fmt: skip
        if not likely:
            return None
        marks = ", ".join("?" * len(likely))
        row = self.cursor().execute(
            "SELECT image_id FROM images WHERE image_id IN "
            f"({marks}) OR parse_filename(image_id) IN ({marks}) OR "
            f"parse_filename(image_id, true) IN ({marks}) ORDER BY image_id LIMIT 1",
            likely * 3,
        ).fetchone()  # fmt: skip
        if row is None:
            return None
        names = {row[0], Path(row[0]).name, Path(row[0]).stem}
        word = max((word for word in likely if word in names), key=len)
        rest = re.sub(_MENTION + re.escape(word), " ", text, flags=re.I)
        rest = re.sub(r"\s+([?.!,])", r"\1", " ".join(rest.split())).strip(" :,")
        return (row[0], rest) if len(rest.split()) > 1 else None


class _Asked:
    """One question under way."""

    def __init__(
        self,
        collection: Collection,
        frame: Frame,
        restrictions: Sequence[Restriction],
        limit: int | None,
        offset: int,
    ) -> None:
        self.c, self.frame, self.restrictions = collection, frame, restrictions
        self.limit, self.offset = limit, offset
        self.connection: duckdb.DuckDBPyConnection = collection.cursor()
        self.scope = None
        if restrictions:
            condition = " AND ".join(f"({item.condition})" for item in restrictions)
            self.scope = (condition, [value for item in restrictions for value in item.parameters])
        self.compiler = Compiler(
            collection.vocabulary,
            collection.ontology,
            collection.store,
            calibration_of(collection.settings),
            self.scope,
        )
        self.phrases = PhraseCompiler(self.compiler, collection.parser)

    def by_program(self) -> Found:
        """The computed answer.

        Raises:
            NotCoveredError: the program language or the tables do not cover it.
        """
        kind = self.frame.kind
        given = self.phrases.truth(self.frame.given) if self.frame.given else None
        if kind == "commonest":
            found = self._commonest(given)
        elif kind == "commonest name":
            counts, truth = commonest_name(
                self.connection, self.compiler, self.frame.attribute_type or "object", given=given
            )
            found = self._most(counts, truth)
        elif kind == "count":
            found = self._things()
        else:
            found = self._pictures(given)
        programs = self.phrases.programs
        found.program = programs[0][1].to_semantic() if programs else None
        found.parts = [
            {"question": question, "program": program.to_semantic(), "text": program.to_display()}
            for question, program in programs
        ]
        found.notes = [*found.notes, *self.compiler.notes, *self._undated()]
        return found

    def _pictures(self, given: Truth | None) -> Found:
        frame, compiler = self.frame, self.compiler
        if frame.phrase is not None:
            truth = self.phrases.truth(frame.phrase)
        elif frame.question:
            compiled = self.phrases.question(frame.question)
            if compiled.truth is None:
                if compiled.asked is not None and compiled.objects is not None:
                    return self._asked_of_all(compiled.asked, compiled.objects)
                raise NotCoveredError("a question that is not about which pictures")
            truth = compiled.truth
        else:
            truth = Truth(
                compiler.new("SELECT image, 1.0::DOUBLE AS p FROM images WHERE FALSE"), 1.0
            )
        if given is None:
            return self._answer(weigh(self.connection, compiler, truth))
        shown = list(compiler.evidence)
        base = weigh(self.connection, compiler, given)
        both = weigh(self.connection, compiler, compiler.combine([given, truth], True))
        compiler.evidence[:] = shown
        return self._answer(Weighted(both.numbers, both.p, round(base.expected)))

    def _answer(self, weighted: Weighted) -> Found:
        """Pictures and the words for them."""
        kept = best_set(weighted.p)
        expected, size = weighted.expected, weighted.size
        kind = self.frame.kind
        if kind == "share":
            answer = f"{min(round(expected) / size, 1):.1%}" if size else "n/a"
        elif kind == "how many":
            answer = str(round(expected))
        elif kind == "any":
            answer = "yes" if kept else "no"
        else:
            answer = f"{kept} picture{'' if kept == 1 else 's'}" if kept else "0"
        found = self._show(answer, weighted, kept)
        found.counts = {"likely": float(kept), "expected": round(expected, 2), "of": float(size)}
        if not size:
            found.notes.append("no picture of the index fits the dates and places asked for")
        elif not kept:
            found.notes.append(f"none of {size} pictures fits")
        return found

    def _show(self, answer: str, weighted: Weighted, kept: int) -> Found:
        last = kept if self.limit is None else min(self.offset + self.limit, kept)
        rows = list(zip(weighted.numbers.tolist(), weighted.p.tolist(), strict=True))
        page = rows[self.offset : last]
        possible = rows[kept : kept + _POSSIBLE]
        boxes = evidence_boxes(
            self.connection, self.compiler, [number for number, _ in page + possible]
        )
        found = Found(answer, "program", self.c.shown(page, boxes), total=kept,
                      possible=self.c.shown(possible, boxes))  # fmt: skip
        left = kept - len(page)
        if left > 0:
            found.notes.append(f"{left} more pictures fit")
        gone = sum(bool(item["missing"]) for item in found.images)
        if gone:
            found.notes.append(
                f"{gone} of the pictures shown are no longer in the folder; index it again"
            )
        return found

    def _commonest(self, given: Truth | None) -> Found:
        kind = self.frame.attribute_type or ""
        if given is not None:
            raise NotCoveredError("the commonest value among restricted pictures")
        compiled = self.phrases.question(self.frame.question)
        if compiled.asked is None or compiled.objects is None:
            raise NotCoveredError(f"the {kind} of things")
        return self._asked_of_all(compiled.asked, compiled.objects)

    def _asked_of_all(self, asked: str, objects: str) -> Found:
        """What a question about one thing comes to over all pictures: the commonest answer."""
        if asked == "count":
            return self._things(objects)
        if asked in ("name", "type"):
            counts, truth = commonest_name(self.connection, self.compiler, "object", objects)
        else:
            from gqa_reasoner.collection.compile import Compiled

            counts, truth = commonest_attribute(
                self.connection, self.compiler, Compiled(objects=objects, asked=asked), asked
            )
        return self._most(counts, truth)

    def _most(self, counts: list[tuple[str, float]], truth: Truth | None) -> Found:
        if truth is None or not counts:
            return Found("none found", "program", [], notes=["no picture shows any of these"])
        weighted = weigh(self.connection, self.compiler, truth)
        found = self._show(counts[0][0], weighted, best_set(weighted.p))
        found.counts = {name: round(value, 2) for name, value in counts[:10]}
        return found

    def _things(self, objects: str | None = None) -> Found:
        """How many things there are in all pictures together."""
        table = objects or self.phrases.objects(self.frame.phrase or "")
        self.compiler.evidence.append(table)
        row = self.connection.execute(
            self.compiler.sql(f"SELECT coalesce(sum(p), 0) FROM {table}"), self.compiler.parameters
        ).fetchone()
        total = float(row[0]) if row else 0.0
        weighted = weigh(self.connection, self.compiler, self.compiler.exists(table))
        found = self._show(str(round(total)), weighted, best_set(weighted.p))
        found.counts = {"expected": round(total, 2), "pictures": float(found.total)}
        return found

    def by_vectors(self, reason: str) -> Found:
        """Ranked pictures without a count, and why."""
        limit = 20 if self.limit is None else self.offset + self.limit
        text = self.frame.phrase or self.frame.question.rstrip("?")
        ranked, way = self._ranked(text, limit)
        ranked = ranked[self.offset :]
        images = self.c.shown(ranked, {})
        notes = [f"{reason}; ranked by {way} instead", *self._undated()]
        if not ranked:
            answer = "0"
            notes.append("no picture fits any word of the question")
        elif self.frame.kind == "which":
            answer = f"{len(images)} picture{'' if len(images) == 1 else 's'}"
        else:
            answer = "unknown"
            notes.append("ranked pictures cannot be counted")
        return Found(answer, "vector", images, notes=notes, total=len(images))

    def _ranked(self, text: str, limit: int) -> tuple[Ranked, str]:
        where, values = self.scope or ("TRUE", [])
        if self.c.encoder is not None:
            rows = self.connection.execute(
                f"SELECT i.image FROM images i WHERE i.embedded AND {where} ORDER BY i.image",
                values,
            ).fetchnumpy()
            numbers = np.asarray(rows["image"])
            if len(numbers):
                found = rank_by_encoder(
                    self.c.folder, text, numbers, limit, self.c.encoder, self.c.reranker,
                    self.c.file_of,
                )  # fmt: skip
                way = "the dual encoder" + (", reranked" if self.c.reranker is not None else "")
                return found, way
        found = rank_by_words(self.connection, text, self.c.ontology, limit, self.scope)
        way = "the words of the scenes"
        return found, way if self.c.encoder is not None else way + " (no dual encoder was given)"

    def _undated(self) -> list[str]:
        """How the restrictions were read, and how many pictures cannot fit for want of a date."""
        notes = [item.text for item in self.restrictions]
        for column in dict.fromkeys(item.needs for item in self.restrictions):
            row = self.connection.execute(
                f"SELECT count(*) FROM images WHERE {column} IS NULL"
            ).fetchone()
            if row and row[0]:
                what = "date" if column == "taken" else "place"
                notes.append(f"{row[0]} pictures carry no {what} and were left out")
        return notes
