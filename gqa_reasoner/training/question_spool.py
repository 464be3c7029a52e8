"""Questions by picture, kept on disk: a run over GQA's 14 million holds 16 bytes for each.

They come in the order of their files, where the questions about one picture need not be
neighbours; they are written once to a file without a name, which the system removes when the run
ends, and read back picture by picture.
"""

from __future__ import annotations

import json
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gqa_reasoner.data.questions import Question

__all__ = ["QuestionSpool"]


class QuestionSpool(Mapping[str, list[Question]]):
    """The questions about each picture, in the order in which they were given.

    Args:
        questions: read once.
        folder: where the file lies while it is used.
    """

    def __init__(self, questions: Iterable[Question], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # open as long as self
        self._places: dict[str, array[int]] = {}
        start = 0
        for question in questions:
            line = json.dumps([question.id, question.to_gqa()], ensure_ascii=False).encode()
            self._file.write(line)
            self._places.setdefault(question.image_id, array("Q")).extend((start, len(line)))
            start += len(line)
        self._file.flush()

    def __getitem__(self, image_id: str) -> list[Question]:
        places = self._places[image_id]
        found = []
        for start, length in zip(places[::2], places[1::2], strict=True):
            # read at a place, so that forked workers do not share a position
            question_id, record = json.loads(os.pread(self._file.fileno(), length, start))
            found.append(Question.from_gqa(question_id, record))
        return found

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
