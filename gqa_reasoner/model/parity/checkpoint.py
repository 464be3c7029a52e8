"""Checkpoints as folders or hub names: read into the trunk, written back as they came."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detectors.errors import InputError
from gqa_reasoner.model.parity import bert, clip, gpt2, lxmert, t5, vilt, visualbert
from gqa_reasoner.model.parity.keymap import Rule, from_theirs, to_theirs

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]


@dataclass(frozen=True)
class _Family:
    build: Callable[..., nn.Module]
    rules: Callable[..., list[Rule]]
    ignored: Sequence[str]
    prefix: str = ""
    """Before the base model's names in checkpoints that have a head."""


_FAMILIES: Mapping[str, _Family] = {
    "bert": _Family(bert.build, bert.rules, bert.IGNORED, "bert."),
    "roberta": _Family(bert.build, bert.rules, bert.IGNORED, "roberta."),
    "gpt2": _Family(gpt2.build, gpt2.rules, gpt2.IGNORED, "transformer."),
    "clip": _Family(clip.build, clip.rules, clip.IGNORED),
    "visual_bert": _Family(visualbert.build, visualbert.rules, visualbert.IGNORED, "visual_bert."),
    "lxmert": _Family(lxmert.build, lxmert.rules, lxmert.IGNORED, "lxmert."),
    "vilt": _Family(vilt.build, vilt.rules, vilt.IGNORED, "vilt."),
    "t5": _Family(t5.build, t5.rules, t5.IGNORED),
}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint."""

    model: nn.Module
    record: Mapping[str, Any]
    """The checkpoint's own `config.json`."""
    rules: Sequence[Rule]
    prefix: str
    others: Mapping[str, Tensor]
    """Weights without a place in the trunk (heads of other tasks); they are written back."""


def load_checkpoint(place: str | Path) -> Checkpoint:
    """Read a folder, or a hub name, of a family that the trunk knows.

    LXMERT checkpoints with the question-answering head bring it and its label list.

    Raises:
        InputError: no such folder and no such name on the hub (or no network); files missing or
            damaged; another family; weights that do not fit the configuration.
    """
    folder = _folder(place)
    record = _record(folder / "config.json")
    kind = str(record.get("model_type"))
    family = _FAMILIES.get(kind)
    if family is None:
        raise InputError(
            f"{folder}: config.json: model_type: expected one of {', '.join(sorted(_FAMILIES))}, "
            f"got {kind!r}"
        )
    state = _state(folder)
    prefix = family.prefix if any(name.startswith(family.prefix) for name in state) else ""
    options, rule_options = _options(kind, record, state, prefix)
    model = family.build(record, **options)
    own = "answer_head." if kind == "lxmert" else None
    rules = [_prefixed(rule, prefix, own) for rule in family.rules(record, **rule_options)]
    used = {name for rule in rules for name in rule.theirs}
    others = {
        name: value
        for name, value in state.items()
        if name not in used and not name.endswith(tuple(family.ignored))
    }
    if not prefix and others and kind != "t5":
        raise InputError(f"{folder}: weight {next(iter(others))!r} has no place in the trunk")
    loaded = from_theirs(rules, {n: state[n] for n in used if n in state}, str(folder))
    for name, value in model.state_dict().items():
        if name in loaded and loaded[name].shape != value.shape:
            raise InputError(
                f"{folder}: weight {name!r}: expected shape {tuple(value.shape)} from config.json, "
                f"got {tuple(loaded[name].shape)}"
            )
    model.load_state_dict(loaded)
    return Checkpoint(model.eval(), record, rules, prefix, others)


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` under the family's own names."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = to_theirs(checkpoint.rules, checkpoint.model.state_dict())
    others = {name: value.contiguous() for name, value in checkpoint.others.items()}
    save_file({**others, **state}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(dict(checkpoint.record), indent=2) + "\n")


def _options(
    kind: str, record: Mapping[str, Any], state: Mapping[str, Tensor], prefix: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the weights say beyond the configuration: for building, and for the key map."""
    if kind in ("bert", "roberta"):
        pooled = f"{prefix}pooler.dense.weight" in state
        return {"pooled": pooled}, {"pooled": pooled}
    if kind == "lxmert":
        final = state.get("answer_head.logit_fc.3.weight")
        if final is None:
            return {}, {}
        names = record.get("id2label") or {}
        count = len(final)
        labels = [str(names.get(str(i), f"label {i}")) for i in range(count)]
        if len(names) != count:
            labels = [f"label {i}" for i in range(count)]
        return {"labels": labels}, {"answer_head": True}
    if kind == "t5":
        head = "lm_head.weight" in state and not record.get("tie_word_embeddings", True)
        return {}, {"head": head}
    return {}, {}


def _prefixed(rule: Rule, prefix: str, own: str | None) -> Rule:
    if not prefix:
        return rule
    names = tuple(
        name if own is not None and name.startswith(own) else prefix + name for name in rule.theirs
    )
    return Rule(rule.ours, names, rule.transposed, rule.squeezed)


def _folder(place: str | Path) -> Path:
    folder = Path(place)
    if folder.is_dir():
        return folder
    if str(place).startswith((".", "/")) or str(place).count("/") > 1:
        raise InputError(f"{place}: no such folder of a checkpoint")
    try:
        from huggingface_hub import snapshot_download

        wanted = ["config.json", "model.safetensors", "pytorch_model.bin"]
        return Path(snapshot_download(str(place), allow_patterns=wanted))
    except Exception as error:  # the hub raises many kinds: network, name, permission
        line = " ".join(str(error).split())[:160]
        raise InputError(
            f"{place}: no such folder, and not to be had from the hub ({line})"
        ) from None


def _record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a checkpoint's configuration")
    try:
        record = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(record, dict):
        raise InputError(f"{path}: expected an object, got {type(record).__name__}")
    return record


def _state(folder: Path) -> dict[str, Tensor]:
    """The weights; a `.bin` is read without executing anything in it."""
    from safetensors.torch import load_file

    for name in ("model.safetensors", "pytorch_model.bin"):
        path = folder / name
        if not path.is_file():
            continue
        try:
            if name.endswith(".bin"):
                return dict(torch.load(path, map_location="cpu", weights_only=True))
            return load_file(path)
        except Exception as error:  # safetensors and torch raise many kinds
            line = " ".join(str(error).split())[:160]
            raise InputError(f"{path}: not readable weights ({line})") from None
    raise InputError(f"{folder}: no model.safetensors and no pytorch_model.bin")
