"""Names of published weights to names of `detectors.rcnn.RCNN`, and strict loading.

A map is a list of (pattern, replacement); the first pattern that matches the whole name wins.
Names that a map sends to None are known and not needed (fixed anchors, pixel means, counters).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from detectors.errors import InputError
from detectors.rcnn import RCNN

__all__ = ["DETECTRON2", "TORCHVISION", "KeyMap", "load_weights", "rename"]

KeyMap = Sequence[tuple[str, str | None]]

DETECTRON2: KeyMap = (
    (r"pixel_(mean|std)", None),
    (r"proposal_generator\.anchor_generator\.cell_anchors\.\d+", None),
    (r".*\.num_batches_tracked", None),
    (r"backbone\.(?:bottom_up\.)?(stem|res[2-5])\.(.+)", r"backbone.\1.\2"),
    (r"backbone\.fpn_lateral([2-5])\.(weight|bias)", r"pyramid.lateral.{\1-2}.\2"),
    (r"backbone\.fpn_output([2-5])\.(weight|bias)", r"pyramid.output.{\1-2}.\2"),
    (r"proposal_generator\.rpn_head\.conv\.(.+)", r"proposals.shared.\1"),
    (r"proposal_generator\.rpn_head\.objectness_logits\.(.+)", r"proposals.objectness.\1"),
    (r"proposal_generator\.rpn_head\.anchor_deltas\.(.+)", r"proposals.box_deltas.\1"),
    (r"roi_heads\.res5\.(.+)", r"box_head.\1"),
    (r"roi_heads\.box_head\.fc1\.(.+)", r"box_head.1.\1"),
    (r"roi_heads\.box_head\.fc2\.(.+)", r"box_head.3.\1"),
    (r"roi_heads\.box_predictor\.cls_score\.(.+)", r"predictor.classes.\1"),
    (r"roi_heads\.box_predictor\.bbox_pred\.(.+)", r"predictor.deltas.\1"),
    (r"roi_heads\.box_predictor\.cls_embedding\.(.+)", r"attributes.embedding.\1"),
    (r"roi_heads\.box_predictor\.fc_attr\.(.+)", r"attributes.hidden.\1"),
    (r"roi_heads\.box_predictor\.attr_score\.(.+)", r"attributes.output.\1"),
)
"""detectron2 (pyramid and C4) and the Visual Genome model published for LXMERT and VisualBERT,
which keeps detectron2's names and adds the attribute head."""

TORCHVISION: KeyMap = (
    (r".*\.num_batches_tracked", None),
    (r"backbone\.body\.fc\.(weight|bias)", None),
    (r"backbone\.body\.conv1\.weight", r"backbone.stem.conv1.weight"),
    (r"backbone\.body\.bn1\.(.+)", r"backbone.stem.conv1.norm.\1"),
    (
        r"backbone\.body\.layer([1-4])\.(\d+)\.conv(\d)\.weight",
        r"backbone.res{\1+1}.\2.conv\3.weight",
    ),
    (r"backbone\.body\.layer([1-4])\.(\d+)\.bn(\d)\.(.+)", r"backbone.res{\1+1}.\2.conv\3.norm.\4"),
    (
        r"backbone\.body\.layer([1-4])\.(\d+)\.downsample\.0\.weight",
        r"backbone.res{\1+1}.\2.shortcut.weight",
    ),
    (
        r"backbone\.body\.layer([1-4])\.(\d+)\.downsample\.1\.(.+)",
        r"backbone.res{\1+1}.\2.shortcut.norm.\3",
    ),
    (r"backbone\.fpn\.inner_blocks\.(\d)(?:\.0)?\.(weight|bias)", r"pyramid.lateral.\1.\2"),
    (r"backbone\.fpn\.layer_blocks\.(\d)(?:\.0)?\.(weight|bias)", r"pyramid.output.\1.\2"),
    (r"rpn\.head\.conv(?:\.0\.0)?\.(weight|bias)", r"proposals.shared.\1"),
    (r"rpn\.head\.cls_logits\.(.+)", r"proposals.objectness.\1"),
    (r"rpn\.head\.bbox_pred\.(.+)", r"proposals.box_deltas.\1"),
    (r"roi_heads\.box_head\.fc6\.(.+)", r"box_head.1.\1"),
    (r"roi_heads\.box_head\.fc7\.(.+)", r"box_head.3.\1"),
    (r"roi_heads\.box_predictor\.cls_score\.(.+)", r"predictor.classes.\1"),
    (r"roi_heads\.box_predictor\.bbox_pred\.(.+)", r"predictor.deltas.\1"),
)
"""`fasterrcnn_resnet50_fpn`, in the names of the published file and of today's module."""

_SUM = re.compile(r"\{(\d+)([+-])(\d+)\}")


def rename(name: str, key_map: KeyMap) -> tuple[bool, str | None]:
    """Whether the map knows `name`, and its new name (None: not needed)."""
    for pattern, replacement in key_map:
        match = re.fullmatch(pattern, name)
        if match is not None:
            if replacement is None:
                return True, None
            expanded = match.expand(replacement)
            return True, _SUM.sub(_evaluate, expanded)
    return False, None


def _evaluate(match: re.Match[str]) -> str:
    first, sign, second = match.groups()
    return str(int(first) + int(second) if sign == "+" else int(first) - int(second))


def load_weights(model: RCNN, tensors: Mapping[str, Tensor], key_map: KeyMap, source: str) -> None:
    """Put published tensors into `model`.

    With `background_first` the class columns are turned so that background is the last, and the
    box deltas of background are left out.

    Raises:
        InputError: tensors are missing, unexpected, named twice, or of another shape; the line
            lists them. A wrong number of classes shows as a shape.
    """
    renamed: dict[str, Tensor] = {}
    unexpected = []
    for name, tensor in tensors.items():
        known, target = rename(name, key_map)
        if not known:
            unexpected.append(name)
        elif target is not None:
            if target in renamed:
                raise InputError(f"{source}: weights: {name} gives {target} a second time")
            renamed[target] = tensor
    if model.config.background_first:
        _turn_background(renamed)
    expected = model.state_dict()
    missing = sorted(set(expected) - set(renamed))
    unexpected += sorted(set(renamed) - set(expected))
    if missing or unexpected:
        raise InputError(
            f"{source}: weights: missing {_list(missing)}, unexpected {_list(sorted(unexpected))}"
        )
    wrong = [
        f"{name}: expected {tuple(expected[name].shape)}, got {tuple(tensor.shape)}"
        for name, tensor in sorted(renamed.items())
        if tensor.shape != expected[name].shape
    ]
    if wrong:
        raise InputError(f"{source}: weights: wrong shapes: {'; '.join(wrong)}")
    model.load_state_dict({name: t.to(expected[name].dtype) for name, t in renamed.items()})


def _turn_background(tensors: dict[str, Tensor]) -> None:
    for kind in ("weight", "bias"):
        name = f"predictor.classes.{kind}"
        if name in tensors:
            tensors[name] = torch.cat([tensors[name][1:], tensors[name][:1]])
        name = f"predictor.deltas.{kind}"
        if name in tensors:
            tensors[name] = tensors[name][4:]


def _list(names: Sequence[str]) -> str:
    """Names as a list; of many only the first twenty, with the number of all."""
    shown = ", ".join(names[:20])
    return f"[{shown}]" if len(names) <= 20 else f"[{shown}, … {len(names)} in all]"
