"""The overlay picture: boxes coloured by step, beside a panel with answer, program and knowledge.

All sizes are in pixels of the picture that is drawn; boxes arrive in pixels of the original.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

__all__ = ["render_overlay"]

Colour = tuple[int, int, int]

STEP_COLOURS: tuple[Colour, ...] = (
    (31, 119, 180),
    (214, 69, 65),
    (44, 150, 72),
    (230, 126, 34),
    (125, 84, 178),
    (22, 160, 160),
    (199, 62, 140),
    (120, 94, 60),
)
_PAPER: Colour = (251, 250, 247)
_INK: Colour = (33, 37, 41)
_GREY: Colour = (120, 124, 130)
_RULE: Colour = (224, 221, 214)
_ACCENT: Colour = (20, 90, 160)
_BAR: Colour = (205, 220, 236)

_PANEL_WIDTH = 460
_MARGIN = 24
_LEAST_SIDE = 560
_MOST_SIDE = 1024
_FONT_FILES = {False: ("DejaVuSans.ttf", "Arial.ttf"), True: ("DejaVuSans-Bold.ttf", "Arialbd.ttf")}


def render_overlay(image: Image.Image, question: str, answer: Any) -> Image.Image:
    """The picture with the boxes that the answer rests on, and a panel that says why.

    Args:
        image: the original picture, to whose pixels the boxes of the trace refer.
        question: the question as asked.
        answer: an `Answer` (its `text, score, candidates, trace, context, notes` are read).

    Returns:
        A new RGB picture.
    """
    trace = list(answer.trace or ())
    picture, scale = _scaled(image)
    _draw_boxes(picture, trace, scale)
    panel = _Panel()
    _write_panel(panel, question, answer, trace)
    height = max(picture.height, panel.bottom + _MARGIN)
    canvas = Image.new("RGB", (picture.width + _PANEL_WIDTH, height), _PAPER)
    canvas.paste(picture, (0, (height - picture.height) // 2))
    canvas.paste(panel.image.crop((0, 0, _PANEL_WIDTH, height)), (picture.width, 0))
    return canvas


def _scaled(image: Image.Image) -> tuple[Image.Image, float]:
    """The picture at a readable size, and by how much it was enlarged."""
    longest = max(image.size)
    scale = 1.0
    if longest < _LEAST_SIDE or longest > _MOST_SIDE:
        scale = min(max(longest, _LEAST_SIDE), _MOST_SIDE) / longest
    if longest < _LEAST_SIDE:  # a small picture is drawn at the size of the panel's text
        scale = 720 / longest
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS), scale


@lru_cache(maxsize=32)
def _font(size: int, bold: bool = False) -> Any:
    """A readable font of the machine, or Pillow's own."""
    for name in _FONT_FILES[bold]:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def step_colour(place: int) -> Colour:
    """The colour of a step."""
    return STEP_COLOURS[place % len(STEP_COLOURS)]


def _draw_boxes(picture: Image.Image, trace: Sequence[Any], scale: float) -> None:
    """Every object once, in the colour of the last step that finds it, labelled with its steps.

    A step that shows the same objects as an earlier one (a query) does not label them again.
    """
    found: dict[tuple[str, tuple[float, ...]], tuple[list[int], float]] = {}
    for place, record in enumerate(trace):
        if record["objects"] in [earlier["objects"] for earlier in trace[:place]]:
            continue
        for item in record["objects"]:
            key = (item["name"], tuple(float(value) for value in item["box"]))
            steps, weight = found.get(key, ([], 0.0))
            found[key] = ([*steps, place], max(weight, float(item["weight"])))
    draw = ImageDraw.Draw(picture)
    order = sorted(found, key=lambda key: -_area(key[1]))
    for key in order:
        steps, _ = found[key]
        box = [value * scale for value in key[1]]
        _outline(draw, box, step_colour(steps[-1]), picture.size)
    taken: list[tuple[float, float, float, float]] = []
    for key in order:
        steps, weight = found[key]
        box = [value * scale for value in key[1]]
        _label(draw, box, f"{key[0]} {weight:.2f}", steps, picture.size, taken)


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _outline(draw: ImageDraw.ImageDraw, box: list[float], colour: Colour, size: Any) -> None:
    x1, y1 = max(box[0], 2), max(box[1], 2)
    x2, y2 = max(min(box[2], size[0] - 3), x1 + 4), max(min(box[3], size[1] - 3), y1 + 4)
    draw.rounded_rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), 6, outline=(255, 255, 255), width=5)
    draw.rounded_rectangle((x1, y1, x2, y2), 5, outline=colour, width=3)


def _label(
    draw: ImageDraw.ImageDraw,
    box: list[float],
    text: str,
    steps: list[int],
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """A tag at the box's upper edge: one coloured number per step, then the name."""
    font, bold = _font(14), _font(13, True)
    numbers = [str(place) for place in steps]
    widths = [draw.textlength(number, font=bold) + 10 for number in numbers]
    width = sum(widths) + draw.textlength(text, font=font) + 12
    height = 21.0
    x = min(max(box[0], 2), max(size[0] - width - 2, 2))
    y = box[1] - height - 3 if box[1] - height - 3 >= 2 else max(box[1], 0) + 4
    while any(_overlap((x, y, x + width, y + height), other) for other in taken):
        y += height + 2
        if y + height > size[1]:
            break
    taken.append((x, y, x + width, y + height))
    draw.rounded_rectangle((x, y, x + width, y + height), 5, fill=(255, 255, 255))
    for number, wide, place in zip(numbers, widths, steps, strict=True):
        draw.rounded_rectangle((x + 2, y + 2, x + wide, y + height - 2), 4, fill=step_colour(place))
        middle = (x + 1 + wide / 2, y + height / 2)
        draw.text(middle, number, (255, 255, 255), font=bold, anchor="mm")
        x += wide
    draw.text((x + 6, y + height / 2), text, _INK, font=font, anchor="lm")


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


class _Panel:
    """A column of text that grows downwards."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (_PANEL_WIDTH, 4000), _PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.bottom = _MARGIN

    @property
    def width(self) -> int:
        return _PANEL_WIDTH - 2 * _MARGIN

    def text(
        self, text: str, size: int, colour: Colour = _INK, *, bold: bool = False, indent: int = 0
    ) -> None:
        font = _font(size, bold)
        for line in _wrapped(self.draw, text, font, self.width - indent):
            if self.bottom > self.image.height - 60:
                return
            self.draw.text((_MARGIN + indent, self.bottom), line, colour, font=font)
            self.bottom += round(size * 1.38)

    def heading(self, text: str) -> None:
        self.bottom += 12
        self.draw.line(
            (_MARGIN, self.bottom, _PANEL_WIDTH - _MARGIN, self.bottom), fill=_RULE, width=1
        )
        self.bottom += 10
        self.text(text.upper(), 11, _GREY, bold=True)
        self.bottom += 3

    def bar(self, text: str, share: float) -> None:
        """A candidate answer with a bar as long as its probability."""
        y, height = self.bottom, 22
        length = self.width * min(max(share, 0.0), 1.0)
        right = _MARGIN + max(length, 3)
        self.draw.rounded_rectangle((_MARGIN, y, right, y + height), 4, fill=_BAR)
        middle = y + height / 2
        self.draw.text((_MARGIN + 8, middle), text, _INK, font=_font(14), anchor="lm")
        self.draw.text(
            (_PANEL_WIDTH - _MARGIN, middle), f"{share:.2f}", _GREY, font=_font(13), anchor="rm"
        )
        self.bottom += height + 4

    def step(self, place: int, text: str, found: str) -> None:
        """A program step with its coloured number, and what it found."""
        y = self.bottom
        self.draw.rounded_rectangle((_MARGIN, y, _MARGIN + 22, y + 20), 5, fill=step_colour(place))
        self.draw.text(
            (_MARGIN + 11, y + 10), str(place), (255, 255, 255), _font(13, True), anchor="mm"
        )
        self.bottom += 1
        self.text(text, 14, indent=32)
        if found:
            self.text(found, 12, _GREY, indent=32)
        self.bottom += 5


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: Any, width: float) -> Iterable[str]:
    """Lines no wider than `width`; a single word that is wider is cut."""
    line = ""
    for word in text.split():
        while draw.textlength(word, font=font) > width and len(word) > 1:
            cut = len(word)
            while cut > 1 and draw.textlength(word[:cut], font=font) > width:
                cut -= 1
            if line:
                yield line
                line = ""
            yield word[:cut]
            word = word[cut:]
        longer = f"{line} {word}".strip()
        if line and draw.textlength(longer, font=font) > width:
            yield line
            line = word
        else:
            line = longer
    if line:
        yield line


def _write_panel(panel: _Panel, question: str, answer: Any, trace: Sequence[Any]) -> None:
    panel.text(question[:400], 17, bold=True)
    panel.bottom += 10
    panel.text(str(answer.text), 30, _ACCENT, bold=True)
    panel.bottom += 6
    for item in list(answer.candidates or ())[:3]:
        panel.bar(str(item.answer)[:40], float(item.score))
    if trace:
        panel.heading("Program")
        for place, record in enumerate(trace):
            panel.step(place, str(record["step"]), _found_text(record))
    triples = list(answer.context.triples)[:8] if answer.context is not None else []
    if triples:
        panel.heading("Knowledge")
        for item in triples:
            panel.text(f"• {item.text}", 13)
    queries = list(answer.context.queries)[:4] if answer.context is not None else []
    if queries:
        panel.heading("Asked about the same picture")
        for item in queries:
            panel.text(f"• {item.text}", 13)
    notes = list(getattr(answer, "notes", None) or ())
    if notes:
        panel.heading("Notes")
        for note in notes[:6]:
            panel.text(str(note), 12, _GREY)


def _found_text(record: Any) -> str:
    if "truth" in record:
        return f"{'yes' if record['truth'] >= 0.5 else 'no'} {record['truth']:.2f}"
    return ", ".join(f"{item['name']} {item['weight']:.2f}" for item in record["objects"][:4])
