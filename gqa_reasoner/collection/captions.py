"""Captions of pictures from a file: COCO's form, a JSON object, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from detectors.errors import InputError

__all__ = ["caption_of", "read_captions"]


def read_captions(path: str | Path) -> dict[str, str]:
    """Captions by picture name (with or without folder and suffix); several are joined by ". ".

    Read are COCO captions (`images`, `annotations`), `{name: text or [texts]}`, and lines of
    `{"image": name, "caption": text}` or `"captions": [texts]`.

    Raises:
        InputError: the file is none of these.
    """
    place = Path(path)
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: captions: cannot be read ({error})") from None
    try:
        found = _of_json(json.loads(text))
    except json.JSONDecodeError:
        found = _of_lines(place, text)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: captions: not a captions file ({error!r})") from None
    if not found:
        raise InputError(f"{path}: captions: none in it")
    return found


def caption_of(captions: Mapping[str, str], image_id: str) -> str | None:
    """The caption of a picture under its whole name, its file name or its stem."""
    name = Path(image_id)
    for key in (image_id, name.name, name.stem):
        if key in captions:
            return captions[key]
    return None


def _of_json(content: Any) -> dict[str, str]:
    if not isinstance(content, Mapping):
        raise TypeError(f"expected an object, got {type(content).__name__}")
    if "annotations" in content and "images" in content:
        names = {item["id"]: str(item["file_name"]) for item in content["images"]}
        listed: dict[str, list[str]] = {}
        for item in content["annotations"]:
            listed.setdefault(names[item["image_id"]], []).append(str(item["caption"]))
        return {name: _joined(texts) for name, texts in listed.items()}
    if {"image", "caption"} <= set(content) or {"image", "captions"} <= set(content):
        return dict([_of_record(content)])
    return {str(name): _joined(texts) for name, texts in content.items()}


def _of_lines(place: Path, text: str) -> dict[str, str]:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            name, caption = _of_record(json.loads(line))
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{place}: captions: line {number}: {error!r}") from None
        found[name] = caption
    return found


def _of_record(record: Any) -> tuple[str, str]:
    return str(record["image"]), _joined(record.get("captions", record.get("caption")))


def _joined(texts: Any) -> str:
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
        raise ValueError("a caption must be text or a list of texts")
    return ". ".join(item.strip().rstrip(".") for item in texts if item.strip())
