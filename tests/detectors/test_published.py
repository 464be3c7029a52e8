from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detectors.errors import InputError
from detectors.published import TORCHVISION_CLASSES, load_published, recognize
from tests.detectors import published


def test_files_are_recognized_by_their_names() -> None:
    fpn, _ = recognize(published.detectron2_fpn(), None, "x")
    assert (fpn.head, fpn.depth, fpn.background_first) == ("fpn", 50, False)
    c4, _ = recognize(published.detectron2_c4(), None, "x")
    assert (c4.head, c4.depth) == ("c4", 50)
    torchvision, _ = recognize(published.torchvision_fpn(), None, "x")
    assert torchvision.background_first
    assert torchvision.norm_epsilon == 0.0


def test_torchvision_classes_have_their_coco_numbers() -> None:
    assert len(TORCHVISION_CLASSES) == 90
    assert TORCHVISION_CLASSES[0] == "person"
    assert TORCHVISION_CLASSES[16] == "cat"
    assert TORCHVISION_CLASSES[89] == "toothbrush"
    assert TORCHVISION_CLASSES[11] == "unused 12"


def test_other_files_and_other_numbers_of_classes_are_refused(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="neither detectron2's nor torchvision's"):
        load_published(tmp_path / "other.pth")
    with pytest.raises(InputError, match="5 classes besides background, but 80 names"):
        recognize(published.detectron2_c4(5), None, "x")
    less = {k: v for k, v in published.detectron2_c4(80).items() if "res4.5" not in k}
    with pytest.raises(InputError, match="res4 has 5 blocks"):
        recognize(less, None, "x")
