"""`gqa-reasoner train --stage detector`: the region detector from scene graphs and pictures."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the detector stage."""
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, metavar="DIR",
                      help="images/ with GQA's sceneGraphs.json or Visual Genome's "
                      "scene_graphs.json to train on")  # fmt: skip
    data.add_argument("--coco", metavar="FILE[#SUBSET]",
                      help="photographs with boxes: a COCO instances file to train on; #SUBSET "
                      "takes the images whose field `subset` says so")  # fmt: skip
    parser.add_argument("--validation", metavar="DIR|FILE[#SUBSET]",
                        help="the same for validation during and after training")  # fmt: skip
    parser.add_argument("--coco-images", type=Path, metavar="DIR",
                        help="the photographs (default: images/ beside the file)")  # fmt: skip
    parser.add_argument("--backbone", metavar="mobilenet_v2:DIR",
                        help="begin with published MobileNetV2 weights instead of the small "
                        "backbone from scratch")  # fmt: skip
    parser.add_argument("--start", type=Path, metavar="WEIGHTS",
                        help="begin with the weights in this folder (config.json, "
                        "model.safetensors), with their sizes and names; with trained_parts in "
                        "the configuration only those parts learn")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR",
                        help="checkpoint, metrics.jsonl and the exported weights")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="YAML",
                        help="training configuration; unknown keys are refused")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="overrides the configuration")
    parser.add_argument("--images", type=int, metavar="N", help="use the first N pictures only")
    parser.add_argument("--resume", action="store_true",
                        help="go on from OUTPUT's checkpoint, if there is one")  # fmt: skip
    parser.add_argument("--stop-after", type=int, metavar="STEP",
                        help="stop with a checkpoint after this step")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train, evaluate and export; 0 done, 1 stopped by a loss that is not finite."""
    from dataclasses import replace

    from detectors.errors import InputError
    from gqa_reasoner.training.detector_coco import read_coco
    from gqa_reasoner.training.detector_data import read_folder
    from gqa_reasoner.training.detector_loop import DetectorTraining, read_config

    config = read_config(arguments.config)
    backbone = _backbone_folder(arguments.backbone)
    if backbone is not None and arguments.start is not None:
        raise InputError("--start, --backbone: expected one of them, both say where to begin")
    if backbone is not None:
        config = replace(config, model=replace(config.model, architecture="mobilenet_v2-fpn"))
    if arguments.coco:
        images = arguments.coco_images
        data = read_coco(arguments.coco, images=images, limit=arguments.images)
        validation = (
            read_coco(arguments.validation, images=images) if arguments.validation else None
        )
    else:
        data = read_folder(arguments.data, arguments.images)
        validation = read_folder(Path(arguments.validation)) if arguments.validation else None
    training = DetectorTraining(
        config,
        data=data,
        validation=validation,
        output=arguments.output,
        seed=arguments.seed,
        steps=arguments.steps,
        command=command_line(arguments),
        backbone=backbone,
        start=arguments.start,
    )
    return training.run(resume=arguments.resume, stop_after=arguments.stop_after)


def _backbone_folder(specification: str | None) -> Path | None:
    from detectors.errors import InputError

    if specification is None:
        return None
    kind, _, folder = specification.partition(":")
    if kind != "mobilenet_v2" or not folder:
        raise InputError(f"--backbone: expected mobilenet_v2:DIR, got {specification!r}")
    return Path(folder)


def command_line(arguments: argparse.Namespace) -> str:
    """The command that repeats this run, for the model card."""
    words = ["gqa-reasoner", "train", "--stage", "detector"]
    for name in ("data", "coco", "coco_images", "validation", "backbone", "start", "output",
                 "config", "seed", "steps", "images"):  # fmt: skip
        value = getattr(arguments, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
