"""Examples of a report: a question with its picture, boxes, program and triples."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eval.errors import InputError
from eval.gqa import GQAScores
from eval.gqa_table import question_batches
from eval.json_stream import load, pieces

__all__ = ["Example", "ReportSources", "choose_examples", "example_html", "read_examples"]

_COLOURS = ("#c2542d", "#2f6f9f", "#5b8c3e", "#8a5a9e", "#b8860b", "#3a8f8f")
_WIDTH = 420


@dataclass(frozen=True)
class ReportSources:
    """Where a report finds what its examples show; all but the questions are optional."""

    questions: Path | Mapping[str, Any]
    scene_graphs: Path | None = None
    images: Path | None = None
    traces: Path | None = None


@dataclass
class Box:
    """A box to draw: (x1, y1, x2, y2) as shares of width and height."""

    name: str
    corners: tuple[float, float, float, float]
    weight: float | None = None


@dataclass
class Example:
    """One question as the report shows it."""

    identifier: str
    question: str
    image: str
    gold: str
    predicted: str
    correct: bool
    kind: str
    gold_program: list[str] = field(default_factory=list)
    program: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    triples: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    size: tuple[int, int] | None = None
    picture: str = ""
    """`data:` address, empty where there is no picture."""


def choose_examples(scores: GQAScores, number: int, seed: int) -> list[str]:
    """Ids to show: two of three wrong, spread over the structural types, chosen by `seed`."""
    table, rng = scores.table, np.random.default_rng(seed)
    correct = table.correct()
    structural = np.array([str(k[0]) for k in table.kinds], dtype=object)[table.kind]
    types = sorted(set(structural.tolist()))
    chosen: list[int] = []
    for right, wanted in ((False, number - number // 3), (True, number // 3)):
        for place, name in enumerate(types):
            share = wanted // len(types) + (place < wanted % len(types))
            rows = np.flatnonzero((structural == name) & (correct == right))
            chosen.extend(rng.permutation(rows)[:share].tolist())
    ids = table.ids()
    return [ids[row] for row in chosen]


def read_examples(scores: GQAScores, ids: Sequence[str], sources: ReportSources) -> list[Example]:
    """Find the records, graphs, pictures and traces of the chosen ids.

    Raises:
        InputError: files of another form.
    """
    wanted, found = set(ids), {}
    for _, batch in question_batches(sources.questions):
        for identifier in wanted & batch.keys():
            found[identifier] = _example(identifier, batch[identifier], scores)
    if sources.scene_graphs is not None:
        _add_graphs(found, sources)
    if sources.traces is not None:
        _add_traces(found, sources.traces)
    if sources.images is not None:
        for example in found.values():
            _add_picture(example, sources.images)
    return [found[identifier] for identifier in ids if identifier in found]


def _example(identifier: str, record: Mapping[str, Any], scores: GQAScores) -> Example:
    predicted = scores.table.predictions.answers.get(identifier)
    types = record.get("types") or {}
    example = Example(
        identifier,
        str(record.get("question", "")),
        str(record.get("imageId", "")),
        record["answer"],
        "(no prediction)" if predicted is None else predicted,
        predicted == record["answer"],
        " · ".join(str(types[k]) for k in ("structural", "semantic", "detailed") if types.get(k)),
    )
    example.gold_program = _steps(record.get("semantic"))
    example.boxes = [
        Box(str(pointer), (0, 0, 0, 0))
        for part in ("question", "fullAnswer", "answer")
        for pointer in ((record.get("annotations") or {}).get(part) or {}).values()
    ]
    return example


def _steps(program: Any) -> list[str]:
    """`operation: argument [dependencies]` per step; empty for anything else."""
    lines = []
    for step in program if isinstance(program, list) else []:
        if isinstance(step, Mapping):
            needs = step.get("dependencies") or []
            tail = f" {list(needs)}" if needs else ""
            lines.append(f"{step.get('operation', '')}: {step.get('argument', '')}{tail}")
    return lines


def _add_graphs(found: dict[str, Example], sources: ReportSources) -> None:
    """Turn the object ids that the annotations name into boxes."""
    by_image: dict[str, list[Example]] = {}
    for example in found.values():
        by_image.setdefault(example.image, []).append(example)
    for _, batch in question_batches(Path(sources.scene_graphs or "")):
        for image in by_image.keys() & batch.keys():
            graph = batch[image]
            for example in by_image[image]:
                example.size = (int(graph["width"]), int(graph["height"]))
                example.boxes = list(_graph_boxes(example.boxes, graph))


def _graph_boxes(pointers: Iterable[Box], graph: Mapping[str, Any]) -> Iterable[Box]:
    seen = set()
    width, height = graph["width"], graph["height"]
    for pointer in pointers:
        item = graph["objects"].get(pointer.name)
        if item is None or pointer.name in seen:
            continue
        seen.add(pointer.name)
        x, y, w, h = (float(item[key]) for key in "xywh")
        corners = (x / width, y / height, (x + w) / width, (y + h) / height)
        yield Box(str(item["name"]), corners)


def _traces(path: Path) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """`{id: answer}`, a list of answers with "questionId", or such answers one per line."""
    if path.name.endswith(".jsonl"):
        values = [orjson.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    elif next(iter(pieces(path))).data[:1] == b"{":
        for _, batch in question_batches(path):
            yield from batch.items()
        return
    else:
        values = load(path)
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("questionId"), str):
            yield value["questionId"], value


def _add_traces(found: dict[str, Example], path: Path) -> None:
    """Program, boxes with their weights, triples and queries of `ask --json` answers."""
    for identifier, trace in _traces(path):
        example = found.get(identifier)
        if example is None:
            continue
        try:
            example.program = _steps(trace.get("program"))
            context = trace.get("context") or {}
            example.triples = [
                f"{t['head']} — {t['relation']} — {t['tail']} ({float(t['relevance']):.2f})"
                for t in context.get("triples", [])[:8]
            ]
            example.queries = [str(q["text"]) for q in context.get("queries", [])[:5]]
            boxes = [o for step in trace.get("trace") or [] for o in step.get("objects", [])]
            if boxes:
                example.boxes = list(_trace_boxes(boxes, example, trace))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"expected an answer of `ask --json` ({error})"
            raise InputError(f"{path}: {identifier}: {what}") from error


def _trace_boxes(
    objects: Sequence[Mapping[str, Any]], example: Example, trace: Mapping[str, Any]
) -> Iterable[Box]:
    """The boxes a trace rests on, each with its largest weight; pixels become shares."""
    width = trace.get("width") or (example.size or (0, 0))[0]
    height = trace.get("height") or (example.size or (0, 0))[1]
    best: dict[tuple[str, tuple[float, ...]], float] = {}
    for item in objects:
        corners = tuple(float(value) for value in item["box"])
        key = (str(item["name"]), corners)
        best[key] = max(best.get(key, 0.0), float(item.get("weight", 0.0)))
    for (name, corners), weight in sorted(best.items(), key=lambda pair: -pair[1])[:6]:
        if weight < 0.05:
            continue
        x1, y1, x2, y2 = corners
        if width and height:
            yield Box(name, (x1 / width, y1 / height, x2 / width, y2 / height), weight)
        else:
            yield Box(name, (x1, y1, x2, y2), weight)


def _add_picture(example: Example, folder: Path) -> None:
    """The picture as a small JPEG inside the page."""
    from PIL import Image

    path = next(
        (p for s in (".jpg", ".png", ".jpeg") if (p := folder / f"{example.image}{s}").is_file()),
        None,
    )
    if path is None:
        return
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable picture ({error})") from error
    size = example.size or picture.size
    if example.size is None:
        example.boxes = [_scaled(box, picture.size) for box in example.boxes]
    example.size = size
    height = max(1, round(_WIDTH * picture.height / picture.width))
    buffer = io.BytesIO()
    picture.resize((_WIDTH, height)).save(buffer, "JPEG", quality=80)
    example.picture = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _scaled(box: Box, size: tuple[int, int]) -> Box:
    """Pixels to shares, where no graph told the size before."""
    if max(box.corners) <= 1:
        return box
    x1, y1, x2, y2 = box.corners
    return Box(box.name, (x1 / size[0], y1 / size[1], x2 / size[0], y2 / size[1]), box.weight)


def example_html(example: Example) -> str:
    """The card of one example."""
    mark = "right" if example.correct else "wrong"
    sign = "✓ right" if example.correct else "✗ wrong"
    lines = [
        f'<article class="card {mark}"><h3>{escape(example.question)}</h3>',
        f'<p class="meta">{escape(example.identifier)} · picture {escape(example.image)}'
        f" · {escape(example.kind)}</p>",
        _drawing(example),
        f'<p class="answers"><span class="verdict">{sign}</span> predicted '
        f"<b>{escape(example.predicted)}</b>, gold <b>{escape(example.gold)}</b></p>",
    ]
    for title, items in (
        ("Program", example.program),
        ("Gold program", example.gold_program),
        ("Triples", example.triples),
        ("Co-click queries", example.queries),
    ):
        if items:
            rows = "".join(f"<li>{escape(item)}</li>" for item in items)
            tag = "ol" if "rogram" in title else "ul"
            lines.append(f"<h4>{title}</h4><{tag} start='0'>{rows}</{tag}>")
    return "\n".join([*lines, "</article>"])


def _drawing(example: Example) -> str:
    """Picture with boxes as SVG; boxes alone on grey where there is no picture."""
    boxes = [box for box in example.boxes if box.corners[2] > box.corners[0]]
    if not example.picture and (not boxes or example.size is None):
        return ""
    width, height = example.size or (1, 1)
    tall = round(_WIDTH * height / width)
    parts = [
        f'<svg class="picture" viewBox="0 0 {_WIDTH} {tall}" role="img" '
        f'aria-label="picture {escape(example.image)}">'
    ]
    if example.picture:
        parts.append(f'<image href="{example.picture}" width="{_WIDTH}" height="{tall}"/>')
    else:
        parts.append(f'<rect width="{_WIDTH}" height="{tall}" fill="#e8ecf0"/>')
    for number, box in enumerate(boxes):
        colour = _COLOURS[number % len(_COLOURS)]
        x, y = box.corners[0] * _WIDTH, box.corners[1] * tall
        w, h = (box.corners[2] - box.corners[0]) * _WIDTH, (box.corners[3] - box.corners[1]) * tall
        label = box.name if box.weight is None else f"{box.name} {box.weight:.2f}"
        wide = 8.0 * len(label) + 9
        left, top = min(max(x, 0), max(0.0, _WIDTH - wide)), max(y, 0)
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="none" '
            f'stroke="{colour}" stroke-width="2.5"/>'
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="17" fill="{colour}"/>'
            f'<text x="{left + 4:.1f}" y="{top + 12.5:.1f}" class="label">{escape(label)}</text>'
        )
    return "".join([*parts, "</svg>"])
