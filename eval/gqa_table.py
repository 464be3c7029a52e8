"""One streaming pass over GQA questions: from records to a few compact columns.

Legend: Q balanced questions in file order, C every id seen (predicted, asked or entailed).
All figures of `eval.gqa` are sums over these columns; no question record is kept. Large files are
read here and parsed in worker processes, which share the predictions by fork.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eval.errors import InputError
from eval.gqa_columns import RIGHT, UNPREDICTED, Cell, Columns, Kind, Observer, extract
from eval.json_stream import Piece, files_of, parse, pieces
from eval.predictions import Predictions
from eval.problems import Problems

__all__ = ["QuestionTable", "question_batches", "read_table"]

PARALLEL_BYTES = 1 << 26
"""Files smaller than this are parsed in this process."""


@dataclass
class QuestionTable:
    """The columns; `kind`, `cell`, `image` and `code` have one entry per balanced question (Q)."""

    predictions: Predictions
    codes: dict[str, int]
    """Id to its code (C)."""
    answers: list[str]
    """Prediction by code, for the codes of predicted ids."""
    status: np.ndarray
    """(C,) uint8: ABSENT, WRONG, RIGHT or UNPREDICTED."""
    sources: list[str] = field(default_factory=list)
    code: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    kind: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    cell: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    image: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    entailed: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """Codes entailed by the rightly answered balanced questions, one after the other; -1 for an
    id that is neither predicted nor in the questions file."""
    strangers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Hashes of the unpredicted entailed ids; an outside id needs no memory of its own then."""
    entailed_count: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    kinds: dict[Kind, int] = field(default_factory=dict)
    cells: dict[Cell, int] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    unbalanced: int = 0
    unbalanced_predicted: int = 0
    lacking: dict[str, int] = field(default_factory=dict)
    """Optional field to the number of balanced records without it."""

    def __len__(self) -> int:
        return len(self.code)

    def correct(self) -> np.ndarray:
        """(Q,) bool: the prediction equals the gold answer."""
        return self.status[self.code] == RIGHT

    def names(self) -> list[str]:
        """The ids by code (C)."""
        return list(self.codes)

    def ids(self) -> list[str]:
        """The ids of the balanced questions in file order (Q)."""
        names = self.names()
        return [names[code] for code in self.code.tolist()]

    def missing(self) -> tuple[list[str], list[str]]:
        """The unpredicted (balanced, other) ids of the questions file."""
        absent = np.flatnonzero(self.status == UNPREDICTED)
        is_balanced = np.zeros(len(self.status), dtype=bool)
        is_balanced[self.code] = True
        names = self.names() if len(absent) else []
        both: tuple[list[str], list[str]] = ([], [])
        for code in absent.tolist():
            both[0 if is_balanced[code] else 1].append(names[code])
        return both


def question_batches(questions: Path | Mapping[str, Any]) -> Iterator[tuple[str, Mapping]]:
    """(file, id → record) batches of a file, a folder of files, or records in memory.

    Raises:
        InputError: a file whose top level is an array.
    """
    if isinstance(questions, Mapping):
        yield "questions", questions
        return
    for file in files_of(Path(questions)):
        for piece in pieces(file):
            yield str(file), _object(piece)


def _object(piece: Piece) -> Mapping[str, Any]:
    batch = parse(piece)
    if not isinstance(batch, dict):
        raise InputError(
            f"{piece.path}: whole file: expected {{question id: record}}, got an array"
        )
    return batch


def read_table(
    questions: Path | Mapping[str, Any],
    predictions: Predictions,
    *,
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> QuestionTable:
    """Read all questions once.

    Args:
        questions: file, folder of files, or {id: record}.
        predictions: the answers to score.
        observe: called with every balanced (id, record), for what the columns do not hold.
        progress: called with the number of records of each batch.
        workers: processes that parse; None chooses by file size and free cores, 0 is this one.

    Raises:
        InputError: records that cannot be scored, up to 20 lines.
    """
    codes = {identifier: code for code, identifier in enumerate(predictions.answers)}
    answers = list(predictions.answers.values())
    table = QuestionTable(predictions, codes, answers, np.zeros(len(codes), np.uint8))
    problems, parts = Problems(), _Parts()
    if observe is not None or isinstance(questions, Mapping):
        workers = 0
    elif workers is None:
        workers = _free_workers(questions)
    stream: Iterator[tuple[str, Columns]]
    if workers:
        stream = _parallel_columns(Path(questions), codes, answers, workers)  # type: ignore[arg-type]
    elif observe is None and not isinstance(questions, Mapping):
        stream = (
            (str(piece.path), _columns_of(piece, codes, answers))
            for file in files_of(Path(questions))
            for piece in pieces(file)
        )
    else:
        stream = (
            (source, extract(batch, source, codes, answers, observe))
            for source, batch in question_batches(questions)
        )
    for source, columns in stream:
        if not table.sources or table.sources[-1] != source:
            table.sources.append(source)
        _merge(table, columns, source, problems, parts)
        if progress is not None:
            progress(len(columns.code))
    parts.join(table)
    if not len(table) and not table.unbalanced and not problems.count:
        problems.add(", ".join(table.sources), "", "", "holds no questions")
    problems.raise_if_any()
    return table


class _Parts:
    """Column parts of the batches read so far."""

    names = ("code", "kind", "cell", "image", "entailed", "entailed_count", "strangers")

    def __init__(self) -> None:
        self.of: dict[str, list[np.ndarray]] = {name: [] for name in self.names}

    def join(self, table: QuestionTable) -> None:
        for name, arrays in self.of.items():
            if arrays:
                setattr(table, name, np.concatenate(arrays))
        self.of.clear()
        _resolve_strangers(table)


_EMPTY = np.zeros(0, np.int64)


def _resolve_strangers(table: QuestionTable) -> None:
    """Give unpredicted entailed ids that are questions of the file their code, by 64-bit hash."""
    names = [name for name, code in table.codes.items() if code >= len(table.answers)]
    if not names or not len(table.strangers):
        return
    hashes = np.array([hash(name) for name in names], dtype=np.int64)
    order = np.argsort(hashes)
    place = np.minimum(np.searchsorted(hashes[order], table.strangers), len(hashes) - 1)
    found = order[place]
    known = hashes[found] == table.strangers
    unresolved = np.flatnonzero(table.entailed < 0)
    table.entailed[unresolved[known]] = len(table.answers) + found[known]


def _int32(column: Any) -> np.ndarray:
    return np.frombuffer(column, dtype=np.int32) if len(column) else np.zeros(0, np.int32)


def _resolve(column: Any, place: np.ndarray) -> np.ndarray:
    """`column` with -1 - k replaced by `place[k]`."""
    numbers = _int32(column)
    if not len(place):
        return numbers
    resolved = numbers.copy()
    unknown = numbers < 0
    resolved[unknown] = place[-1 - numbers[unknown]]
    return resolved


def _renumber(local: Mapping[Any, int], whole: dict[Any, int], column: Any) -> np.ndarray:
    """`column` of places in `local`, as places in `whole`, which grows by what is new."""
    places = [whole.setdefault(key, len(whole)) for key in local]
    return np.array(places, dtype=np.int32)[_int32(column)]


def _merge(
    table: QuestionTable, columns: Columns, source: str, problems: Problems, parts: _Parts
) -> None:
    """Add one batch to the table."""
    problems.extend(columns.problems)
    for name, count in columns.lacking.items():
        table.lacking[name] = table.lacking.get(name, 0) + count
    for identifier in columns.unknown:
        table.codes.setdefault(identifier, len(table.codes))
    grown = len(table.codes) - len(table.status)
    if grown > 0:
        room = np.zeros(max(grown, len(table.status) // 8), np.uint8)
        table.status = np.concatenate([table.status, room])
    place = np.array([table.codes[identifier] for identifier in columns.unknown], dtype=np.int32)
    code = _resolve(columns.code, place)
    _refuse_repeats(table, code, source, problems)
    outcome = np.frombuffer(columns.outcome, np.uint8)
    balanced = np.frombuffer(columns.balanced, bool)
    table.status[code] = outcome
    table.unbalanced += int(np.count_nonzero(~balanced))
    table.unbalanced_predicted += int(np.count_nonzero(outcome[~balanced] != UNPREDICTED))
    new = {
        "code": code[balanced],
        "kind": _renumber(columns.kinds, table.kinds, columns.kind),
        "cell": _renumber(columns.cells, table.cells, columns.cell),
        "image": _renumber(columns.images, table.images, columns.image),
        "entailed": _int32(columns.entailed),
        "strangers": np.frombuffer(columns.strangers, np.int64) if columns.strangers else _EMPTY,
        "entailed_count": _int32(columns.entailed_count),
    }
    for name, array in new.items():
        parts.of[name].append(array)


def _refuse_repeats(
    table: QuestionTable, code: np.ndarray, source: str, problems: Problems
) -> None:
    again = np.flatnonzero(table.status[code])
    if len(again):
        names = table.names()
        for index in again.tolist():
            problems.add(source, names[code[index]], "", "the id occurs twice")


def _free_workers(questions: Path) -> int:
    """Two or more processes for large files where the system can fork, else none."""
    size = sum(file.stat().st_size for file in files_of(Path(questions)))
    if size < PARALLEL_BYTES or "fork" not in multiprocessing.get_all_start_methods():
        return 0
    try:
        multiprocessing.get_context("fork").Semaphore()
    except (ImportError, OSError):  # a system without shared semaphores
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return min(cores, 4) if cores > 1 else 0


_WORKER: dict[str, Any] = {}
"""In a worker process: the predictions it inherited."""


def _start_worker(codes: Mapping[str, int], answers: list[str]) -> None:
    import gc

    gc.disable()
    _WORKER.update(codes=codes, answers=answers)


def _work(piece: Piece) -> Columns:
    return _columns_of(piece, _WORKER["codes"], _WORKER["answers"])


def _columns_of(piece: Piece, codes: Mapping[str, int], answers: list[str]) -> Columns:
    """By the quick way where it is installed and the piece is regular, else record by record."""
    try:
        from eval.gqa_fast import extract_quickly
    except ImportError:
        quick = None
    else:
        quick = extract_quickly(piece, codes, answers)
    return quick or extract(_object(piece), str(piece.path), codes, answers)


def _parallel_columns(
    path: Path, codes: Mapping[str, int], answers: list[str], workers: int
) -> Iterator[tuple[str, Columns]]:
    """The columns of every piece in file order; at most 2 pieces per worker are under way."""
    context = multiprocessing.get_context("fork")
    waiting: deque[tuple[str, Future[Columns]]] = deque()
    with ProcessPoolExecutor(workers, context, _start_worker, (codes, answers)) as pool:
        for file in files_of(path):
            for piece in pieces(file):
                waiting.append((str(file), pool.submit(_work, piece)))
                if len(waiting) > 2 * workers:
                    source, future = waiting.popleft()
                    yield source, future.result()
        for source, future in waiting:
            yield source, future.result()
