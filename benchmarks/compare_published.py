"""Ours against the real detectron2 and torchvision, stage by stage, with equal seeded weights.

    python benchmarks/compare_published.py --reference detectron2-fpn PICTURE…

References: detectron2-fpn, detectron2-c4, detectron2-r101-fpn (needs detectron2) and
torchvision-fpn (needs torchvision). The reference's random weights are filled from a seed and
scaled so that every stage has something to decide, saved, and read by our loader. Printed for each
stage: the largest difference, relative to the largest value of the stage where that is above 1.
Proposals and objects are paired by their boxes first, for rounding may swap two of equal score.
Exit status 1 if a stage differs by more than `--tolerance`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

import detectors.ops
from detectors.images import load_image
from detectors.preprocessing import prepare
from detectors.pretrained import PretrainedDetector
from detectors.published import TORCHVISION_CLASSES, load_published
from detectors.rcnn_config import detectron2_c4, detectron2_fpn, torchvision_fpn

Stages = dict[str, Tensor]
_MODEL_ZOO = {
    "detectron2-fpn": "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml",
    "detectron2-r101-fpn": "COCO-Detection/faster_rcnn_R_101_FPN_3x.yaml",
    "detectron2-c4": "COCO-Detection/faster_rcnn_R_50_C4_3x.yaml",
}


def fill(model: nn.Module, seed: int) -> None:
    """Seeded weights: He-scaled convolutions, normalization that is far from the identity."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not value.is_floating_point() or "pixel_" in name or "cell_anchors" in name:
                continue
            if name.endswith(("running_var", "norm.weight")) or ".bn" in name:
                low = 0.15 if "conv3.norm.weight" in name or ".bn3.weight" in name else 0.7
                value.copy_(low + 0.2 * torch.rand(value.shape, generator=generator))
            elif value.dim() > 1:
                fan = value[0].numel()
                value.copy_(torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5)
            else:
                value.copy_(0.1 * torch.randn(value.shape, generator=generator))


def spread(layers: list[tuple[nn.Module, float]], run: Callable[[], object]) -> None:
    """Scale each layer so that its outputs have the wanted deviation on one picture."""
    for layer, wanted in layers:
        seen: list[Tensor] = []
        hook = layer.register_forward_hook(lambda _m, _i, output, s=seen: s.append(output))
        run()
        hook.remove()
        deviation = float(torch.cat([part.flatten() for part in seen]).std())
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.mul_(wanted / max(deviation, 1e-12))


def watch(model: nn.Module, names: list[str]) -> dict[str, list[Any]]:
    """Outputs of submodules, collected at every call."""
    kept: dict[str, list[Any]] = {name: [] for name in names}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, key=name: kept[key].append(output)
        )
    return kept


class Detectron2Reference:
    """The real detectron2 with a model-zoo configuration on the processor."""

    def __init__(self, options: argparse.Namespace, picture: PIL.Image.Image) -> None:
        from detectron2 import model_zoo
        from detectron2.config import get_cfg
        from detectron2.data import transforms
        from detectron2.modeling import build_model

        configuration = get_cfg()
        configuration.merge_from_file(model_zoo.get_config_file(_MODEL_ZOO[options.reference]))
        configuration.MODEL.DEVICE = "cpu"
        configuration.INPUT.MIN_SIZE_TEST = options.minimum_side
        configuration.MODEL.RPN.POST_NMS_TOPK_TEST = options.proposals
        self.model = build_model(configuration).eval()
        self.resize = transforms.ResizeShortestEdge(
            [options.minimum_side, options.minimum_side], configuration.INPUT.MAX_SIZE_TEST
        )
        self.pyramid = "fpn" in options.reference
        fill(self.model, options.seed)
        head, predictor = self.model.proposal_generator.rpn_head, self.model.roi_heads.box_predictor
        spread(
            [(head.objectness_logits, 2.0), (head.anchor_deltas, 0.3),
             (predictor.cls_score, 2.5), (predictor.bbox_pred, 1.0)],
            lambda: self.model([self.record(picture)]),
        )  # fmt: skip
        parts = ["backbone", "proposal_generator.rpn_head", "roi_heads.box_predictor"]
        parts += ["roi_heads.box_pooler", "roi_heads.box_head"] if self.pyramid else []
        parts += ["roi_heads.pooler"] if not self.pyramid else []
        self.kept = watch(self.model, [*parts, "proposal_generator"])

    def record(self, picture: PIL.Image.Image) -> dict[str, Any]:
        pixels = np.asarray(picture)[:, :, ::-1]
        resized = self.resize.get_transform(pixels).apply_image(pixels)
        tensor = torch.as_tensor(resized.astype("float32").transpose(2, 0, 1))
        return {"image": tensor, "height": picture.height, "width": picture.width}

    def stages(self, picture: PIL.Image.Image) -> Stages:
        """Every stage's output, as `ours` gives it."""
        for values in self.kept.values():
            values.clear()
        record = self.record(picture)
        with torch.no_grad():
            images = self.model.preprocess_image([record])
            result = self.model([record])[0]["instances"]
        maps = list(self.kept["backbone"][0].values())
        logits, deltas = self.kept["proposal_generator.rpn_head"][0]
        proposals = self.kept["proposal_generator"][0][0][0]
        anchors = self.model.proposal_generator.anchor_generator(maps)
        found: Stages = {"input": images.tensor}
        found |= {f"map {level}": value for level, value in enumerate(maps)}
        found["anchors"] = torch.cat([boxes.tensor for boxes in anchors])
        found["objectness"] = torch.cat([v.permute(0, 2, 3, 1).reshape(-1) for v in logits])
        found["proposal deltas"] = torch.cat(
            [v.view(1, -1, 4, *v.shape[2:]).permute(0, 3, 4, 1, 2).reshape(-1, 4) for v in deltas]
        )
        found["proposals"] = proposals.proposal_boxes.tensor
        found["proposal logits"] = proposals.objectness_logits
        pooled = "roi_heads.box_pooler" if self.pyramid else "roi_heads.pooler"
        found["pooled"] = self.kept[pooled][0]
        scores, moves = self.kept["roi_heads.box_predictor"][0]
        found["class logits"], found["box deltas"] = scores, moves
        found["boxes"], found["scores"] = result.pred_boxes.tensor, result.scores
        found["labels"] = result.pred_classes.float()
        return found

    def save(self, path: Path) -> None:
        torch.save({"model": self.model.state_dict()}, path)


class TorchvisionReference:
    """The real `fasterrcnn_resnet50_fpn`."""

    def __init__(self, options: argparse.Namespace, picture: PIL.Image.Image) -> None:
        from torchvision.models.detection import fasterrcnn_resnet50_fpn

        self.model = fasterrcnn_resnet50_fpn(
            weights=None,
            weights_backbone=None,
            min_size=options.minimum_side,
            rpn_post_nms_top_n_test=options.proposals,
        ).eval()
        fill(self.model, options.seed)
        for module in self.model.modules():  # as torchvision does for its published COCO weights
            if "BatchNorm" in type(module).__name__:
                module.eps = 0.0
        head, predictor = self.model.rpn.head, self.model.roi_heads.box_predictor
        spread(
            [(head.cls_logits, 2.0), (head.bbox_pred, 0.3),
             (predictor.cls_score, 2.5), (predictor.bbox_pred, 1.0)],
            lambda: self.model([self.tensor(picture)]),
        )  # fmt: skip
        names = ["transform", "backbone", "rpn", "rpn.head", "rpn.anchor_generator",
                 "roi_heads.box_roi_pool", "roi_heads.box_predictor"]  # fmt: skip
        self.kept = watch(self.model, names)

    @staticmethod
    def tensor(picture: PIL.Image.Image) -> Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255

    def stages(self, picture: PIL.Image.Image) -> Stages:
        """Every stage's output, as `ours` gives it."""
        for values in self.kept.values():
            values.clear()
        with torch.no_grad():
            result = self.model([self.tensor(picture)])[0]
        found: Stages = {"input": self.kept["transform"][0][0].tensors}
        maps = list(self.kept["backbone"][0].values())
        found |= {f"map {level}": value for level, value in enumerate(maps)}
        logits, deltas = self.kept["rpn.head"][0]
        found["anchors"] = self.kept["rpn.anchor_generator"][0][0]
        found["objectness"] = torch.cat([v.permute(0, 2, 3, 1).reshape(-1) for v in logits])
        found["proposal deltas"] = torch.cat(
            [v.view(1, -1, 4, *v.shape[2:]).permute(0, 3, 4, 1, 2).reshape(-1, 4) for v in deltas]
        )
        found["proposals"] = self.kept["rpn"][0][0][0]
        found["pooled"] = self.kept["roi_heads.box_roi_pool"][0]
        scores, moves = self.kept["roi_heads.box_predictor"][0]
        found["class logits"] = torch.cat([scores[:, 1:], scores[:, :1]], dim=1)
        found["box deltas"] = moves[:, 4:]
        found["boxes"], found["scores"] = result["boxes"], result["scores"]
        found["labels"] = result["labels"].float() - 1
        return found

    def save(self, path: Path) -> None:
        published = self.model.state_dict()
        torch.save({k: v for k, v in published.items() if "num_batches" not in k}, path)


def ours(detector: PretrainedDetector, picture: PIL.Image.Image) -> Stages:
    """The same stages of our network, then the scene that a user gets."""
    model, config = detector.model, detector.config
    prepared = prepare([picture], config)
    found: Stages = {"input": prepared.pictures}
    with torch.inference_mode():
        levels = model.levels(prepared.pictures)
        found |= {f"map {level}": value for level, value in enumerate(levels)}
        raw = model.proposals(levels, tuple(prepared.pictures.shape[2:]))
        boxes, logits = model.proposals.propose(raw, prepared.sizes)
        pooled: list[Tensor] = []
        crop = model._crop
        model._crop = lambda *rest: pooled.append(crop(*rest)) or pooled[-1]  # type: ignore[method-assign]
        output = model.describe(levels, boxes)
        del model._crop
    found["anchors"], found["objectness"] = raw.anchors, raw.logits[0]
    found["proposal deltas"], found["proposals"] = raw.deltas[0], boxes[0]
    found["proposal logits"] = logits[0]
    if config.head == "c4":
        found["pooled"] = torch.cat(pooled)
    else:
        assigned = model.assigner.assign(boxes[0])
        found["pooled"] = torch.empty(len(boxes[0]), *pooled[0].shape[1:])
        for level, part in zip(sorted(set(assigned.tolist())), pooled, strict=True):
            found["pooled"][assigned == level] = part
    found["class logits"] = output.logits
    found["box deltas"] = output.deltas.flatten(1)
    (scene,) = detector.detect([picture])
    found["boxes"] = torch.from_numpy(scene.boxes())
    found["scores"] = torch.tensor([item.score for item in scene.objects])
    classes = {name: place for place, name in enumerate(config.classes)}
    found["labels"] = torch.tensor([float(classes[item.name]) for item in scene.objects])
    return found


def differences(reference: Stages, own: Stages) -> dict[str, float]:
    """Largest difference of each stage; infinite where the shapes differ."""
    own = paired(reference, own)
    result = {}
    for name, wanted in reference.items():
        got = own[name]
        if got.shape != wanted.shape:
            result[name] = float("inf")
            print(f"  {name}: reference {tuple(wanted.shape)}, ours {tuple(got.shape)}")
            continue
        largest = float(wanted.abs().max()) if wanted.numel() else 0.0
        gap = float((wanted - got).abs().max()) if wanted.numel() else 0.0
        result[name] = gap / max(largest, 1.0) if name != "labels" else gap
    return result


def paired(reference: Stages, own: Stages) -> Stages:
    """Our proposals and objects in the order of the reference's, as close as boxes allow."""
    own = dict(own)
    groups = (
        ("proposals", ("proposals", "proposal logits", "pooled", "class logits", "box deltas")),
        ("boxes", ("boxes", "scores", "labels")),
    )
    for key, members in groups:
        if reference[key].shape != own[key].shape:
            continue
        cost = torch.cdist(reference[key], own[key], p=float("inf"))
        if key == "boxes":
            other = reference["labels"][:, None] != own["labels"][None]
            cost = cost + 1e4 * other
        order = torch.from_numpy(linear_sum_assignment(cost.numpy())[1])
        for name in members:
            own[name] = own[name][order]
    return own


def load_ours(options: argparse.Namespace, path: Path) -> PretrainedDetector:
    """Our detector with the reference's saved weights, through the public loader."""
    from dataclasses import replace

    detector = load_published(path)
    base = {
        "torchvision-fpn": lambda: torchvision_fpn(TORCHVISION_CLASSES),
        "detectron2-fpn": lambda: detectron2_fpn(detector.config.classes),
        "detectron2-r101-fpn": lambda: detectron2_fpn(detector.config.classes, 101),
        "detectron2-c4": lambda: detectron2_c4(detector.config.classes),
    }[options.reference]()
    if detector.config != base:
        raise SystemExit(
            f"{options.reference}: the loader took the file for {detector.config.detector_name}"
        )
    detector.config = detector.model.config = replace(base, minimum_side=options.minimum_side)
    proposals = detector.model.proposals
    proposals.settings = proposals.settings._replace(after_nms=options.proposals)
    return detector


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--reference", choices=[*_MODEL_ZOO, "torchvision-fpn"], required=True)
    parser.add_argument("--minimum-side", type=int, default=800)
    parser.add_argument(
        "--proposals", type=int, default=1000, help="left after suppression (published: 1,000)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument(
        "--compiled", action="store_true",
        help="let ours use torchvision's kernels; without it our own plain ones are compared",
    )  # fmt: skip
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.compiled:
        detectors.ops._torchvision_ops = lambda: None
    pictures = [load_image(path) for path in arguments.pictures]
    torchvision = arguments.reference == "torchvision-fpn"
    kind = TorchvisionReference if torchvision else Detectron2Reference
    reference = kind(arguments, pictures[0])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.pth"
        reference.save(file)
        detector = load_ours(arguments, file)
    worst: dict[str, float] = {}
    for path, picture in zip(arguments.pictures, pictures, strict=True):
        wanted = reference.stages(picture)
        gaps = differences(wanted, ours(detector, picture))
        counts = f"{len(wanted['proposals'])} proposals, {len(wanted['boxes'])} objects"
        print(f"{path.name}: {counts}, worst {max(gaps.values()):.2e}", flush=True)
        worst = {name: max(gap, worst.get(name, 0.0)) for name, gap in gaps.items()}
    print(f"{arguments.reference}, {len(pictures)} pictures, largest difference of each stage:")
    for name, gap in worst.items():
        print(f"  {name}: {gap:.1e}{'' if gap <= arguments.tolerance else '  DIFFERS'}")
    return 0 if max(worst.values()) <= arguments.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
