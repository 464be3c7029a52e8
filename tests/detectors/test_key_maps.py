from __future__ import annotations

import pytest
import torch

from detectors import rcnn_config
from detectors.errors import InputError
from detectors.key_maps import DETECTRON2, TORCHVISION, KeyMap, load_weights, rename
from detectors.rcnn import RCNN
from detectors.rcnn_config import RCNNConfig
from tests.detectors import published


def names(count: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(count))


@pytest.mark.parametrize(
    ("config", "tensors", "key_map"),
    [
        (rcnn_config.detectron2_fpn(names(5)), published.detectron2_fpn(5), DETECTRON2),
        (rcnn_config.detectron2_c4(names(5)), published.detectron2_c4(5), DETECTRON2),
        (
            rcnn_config.bottom_up_attention(names(7), names(4)),
            published.lxmert(7, 4),
            DETECTRON2,
        ),
        (rcnn_config.torchvision_fpn(names(5)), published.torchvision_fpn(6), TORCHVISION),
        (
            rcnn_config.torchvision_fpn(names(5)),
            published.torchvision_fpn(6, new_names=True),
            TORCHVISION,
        ),
    ],
    ids=["detectron2-fpn", "detectron2-c4", "lxmert", "torchvision", "torchvision-new"],
)
def test_published_names_and_shapes_fit(
    config: RCNNConfig, tensors: dict[str, torch.Tensor], key_map: KeyMap
) -> None:
    model = RCNN(config)
    load_weights(model, tensors, key_map, "file")
    loaded = model.state_dict()
    taken = {rename(name, key_map)[1]: tensor for name, tensor in tensors.items()}
    for name, tensor in taken.items():
        if name is not None and not name.startswith("predictor"):
            assert torch.equal(loaded[name], tensor), name


def test_torchvision_background_becomes_the_last_class() -> None:
    tensors = published.torchvision_fpn(4)
    model = RCNN(rcnn_config.torchvision_fpn(names(3)))
    load_weights(model, tensors, TORCHVISION, "file")
    logits = tensors["roi_heads.box_predictor.cls_score.bias"]
    assert torch.equal(model.predictor.classes.bias, logits[[1, 2, 3, 0]])
    deltas = tensors["roi_heads.box_predictor.bbox_pred.bias"]
    assert torch.equal(model.predictor.deltas.bias, deltas[4:])


def test_missing_unexpected_and_wrong_numbers_of_classes_are_listed() -> None:
    tensors = published.detectron2_c4(5)
    model = RCNN(rcnn_config.detectron2_c4(names(5)))
    less = {name: t for name, t in tensors.items() if "rpn_head.conv" not in name}
    less["roi_heads.mask_head.weight"] = torch.zeros(1)
    with pytest.raises(InputError, match=r"missing \[proposals\.shared\.bias") as caught:
        load_weights(model, less, DETECTRON2, "file")
    assert "unexpected [roi_heads.mask_head.weight]" in str(caught.value)
    with pytest.raises(InputError, match=r"predictor\.classes\.bias: expected \(7,\), got \(6,\)"):
        load_weights(RCNN(rcnn_config.detectron2_c4(names(6))), tensors, DETECTRON2, "file")


def test_a_name_that_comes_twice_is_refused() -> None:
    tensors = published.torchvision_fpn(6)
    tensors["rpn.head.conv.0.0.bias"] = tensors["rpn.head.conv.bias"]
    with pytest.raises(InputError, match="second time"):
        load_weights(RCNN(rcnn_config.torchvision_fpn(names(5))), tensors, TORCHVISION, "file")


@pytest.mark.parametrize(("field", "value"), [("depth", 18), ("head", "c5"), ("pooling", "mean")])
def test_variants_that_do_not_exist_are_refused(field: str, value: object) -> None:
    with pytest.raises(InputError, match=field):
        RCNNConfig(("a",), **{field: value})  # type: ignore[arg-type]
