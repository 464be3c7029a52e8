"""`gqa-reasoner train --stage reasoner`: the transformer over the expanded graph."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the reasoner stage."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="images/, sceneGraphs.json and questions.json to train on",
    )
    parser.add_argument(
        "--scene-graphs",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="instead of --data: scene graphs to train on, no pictures needed",
    )
    parser.add_argument(
        "--questions",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="instead of --data: questions, real or generated; those of other pictures are skipped",
    )
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        help="region features (official .h5 folder, .tsv, …) as scenes; with --questions",
    )
    parser.add_argument(
        "--class-names",
        type=Path,
        metavar="FILE",
        help="names of the feature file's class ids, one a line",
    )
    parser.add_argument(
        "--detector-weights",
        type=Path,
        metavar="DIR",
        help="detector that makes the scenes; `oracle` or absent: the scene graphs themselves",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="cache, checkpoint, metrics.jsonl and the exported weights",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="training configuration; unknown keys are refused",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="encoded questions, shared by runs with the same data_seed (default: OUTPUT/cache)",
    )
    parser.add_argument(
        "--scenes",
        type=Path,
        metavar="DIR",
        help="detected scenes, shared by all runs over the same pictures (default: in the cache)",
    )
    parser.add_argument(
        "--model",
        default="reasoner",
        metavar="NAME",
        help="reasoner, or a peer on the same data: lxmert, visualbert, mcan, gatv2, gine, rgcn, "
        "lcgn (words and objects alone, no program)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="train for M processor minutes instead of a number of steps",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="overrides the configuration")
    parser.add_argument("--images", type=int, metavar="N", help="use the first N pictures only")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that detect, parse and execute",
    )
    parser.add_argument(
        "--prepare-only",
        action="store_true",
        help="stop when every scene is detected and every question encoded",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from OUTPUT's checkpoint, if there is one"
    )
    parser.add_argument(
        "--stop-after", type=int, metavar="STEP", help="stop with a checkpoint after this step"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prepare, train, fit the mixture and export; 1 when the loss stopped being finite."""
    from gqa_reasoner.training.reasoner_config import read_config
    from gqa_reasoner.training.reasoner_run import train_reasoner

    weights = arguments.detector_weights
    if weights is not None and str(weights) == "oracle":
        weights = None
    from detectors.errors import InputError

    files = bool(arguments.scene_graphs or arguments.features), bool(arguments.questions)
    if (arguments.data is None) != all(files) or (arguments.data is not None and any(files)):
        raise InputError(
            "expected either --data DIR, or --questions with --scene-graphs or --features"
        )
    if arguments.data is None and weights is not None:
        raise InputError("--detector-weights needs --data with images/; the scenes are given")
    if arguments.class_names is not None and arguments.features is None:
        raise InputError("--class-names belongs to --features")
    config = read_config(arguments.config)
    if arguments.minutes is not None:
        config = replace(config, minutes=arguments.minutes)
    return train_reasoner(
        config,
        data=arguments.data or arguments.questions[0].parent,
        detector_weights=weights,
        output=arguments.output,
        seed=arguments.seed,
        steps=arguments.steps,
        image_limit=arguments.images,
        workers=arguments.workers,
        prepare_only=arguments.prepare_only,
        resume=arguments.resume,
        stop_after=arguments.stop_after,
        cache=arguments.cache,
        scenes=arguments.scenes,
        model_name=arguments.model,
        graph_files=arguments.scene_graphs,
        question_files=arguments.questions,
        features=arguments.features,
        class_names=arguments.class_names,
    )
