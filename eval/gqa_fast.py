"""The quick way from a piece of a questions file to columns, where `msgspec` is installed.

Only the fields that the figures need are decoded, straight into slots. A piece with anything out
of the ordinary (a field that is absent or of another type, a repeated id, invalid JSON) is left to
`gqa_columns.extract`, which gives the same columns and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from eval.gqa_columns import RIGHT, UNPREDICTED, WRONG, Columns, add_entailed
from eval.json_stream import Piece

__all__ = ["extract_quickly"]


class _Types(msgspec.Struct, gc=False):
    structural: str | None
    semantic: str | None
    detailed: str | None


class _Groups(msgspec.Struct, gc=False, rename={"whole": "global"}):
    whole: str | None


class _Step(msgspec.Struct, gc=False):
    operation: str
    argument: str


class _Question(msgspec.Struct, gc=False):
    answer: str
    isBalanced: bool
    types: _Types
    groups: _Groups
    semantic: list[_Step]
    question: str
    entailed: list[str]
    imageId: str


_DECODER = msgspec.json.Decoder(dict[str, _Question])


def extract_quickly(piece: Piece, codes: Mapping[str, int], answers: list[str]) -> Columns | None:
    """The columns of `gqa_columns.extract`, or None where that function must look itself.

    Args:
        piece: entries of a questions file.
        codes: question id to its place in `answers`.
        answers: the predictions.
    """
    try:
        batch = _DECODER.decode(piece.data)
    except msgspec.MsgspecError:
        return None
    if len(batch) != piece.entries:
        return None
    out = Columns()
    kinds, cells, images, unknown = out.kinds, out.cells, out.images, out.unknown
    add_code, add_outcome, add_balanced = out.code.append, out.outcome.append, out.balanced.append
    add_kind, add_cell, add_image = out.kind.append, out.cell.append, out.image.append
    for identifier, record in batch.items():
        code, gold = codes.get(identifier), record.answer
        if code is None:
            code = -1 - unknown.setdefault(identifier, len(unknown))
            predicted, outcome = None, UNPREDICTED
        else:
            predicted = answers[code]
            outcome = RIGHT if predicted == gold else WRONG
        add_code(code)
        add_outcome(outcome)
        add_balanced(record.isBalanced)
        if not record.isBalanced:
            continue
        steps = 0
        for step in record.semantic:
            text = f"{step.operation}: {step.argument}"
            if not ("exist" in text or "query: name" in text or "choose name" in text):
                steps += 1
        types, words = record.types, len(record.question.split())
        kind = (types.structural, types.semantic, types.detailed, steps, words)
        cell = (record.groups.whole, gold, predicted)
        add_kind(kinds.setdefault(kind, len(kinds)))  # type: ignore[arg-type]
        add_cell(cells.setdefault(cell, len(cells)))
        add_image(images.setdefault(record.imageId, len(images)))
        if outcome == RIGHT and record.entailed:
            add_entailed(out, code, record.entailed, codes)
    return out
