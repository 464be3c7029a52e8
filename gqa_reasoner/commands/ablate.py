"""`gqa-reasoner ablate`: the table of expansion sources, with controls, seeds and significance."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

DEFAULT_RUNNER = "gqa_reasoner.ablation_runner:make_runner"
"""Called as make_runner(config, settings); returns run(configuration) -> RunOutput or answers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="YAML", help="the grid (see docs)")
    add("--output", type=Path, metavar="DIR", help="instead of the file's output folder")
    add("--seeds", type=int, nargs="+", metavar="S", help="instead of the file's seeds")
    add(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="settings instead of the file's, for example miss=0.4",
    )
    add("--list", action="store_true", help="only list the runs of the grid")
    add("--json", action="store_true", help="print the table as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run what is missing, write the table; exit 1 when a run failed."""
    from tqdm import tqdm

    from eval.ablation import configurations, read_config, run_ablation
    from eval.ablation_table import ablation_table, table_json
    from eval.ablation_write import as_markdown, write_ablation

    config = read_config(arguments.config)
    changes = {"output": arguments.output, "seeds": arguments.seeds}
    config = config.model_copy(update={k: v for k, v in changes.items() if v is not None})
    config = config.model_copy(update={"settings": config.settings | _settings(arguments.set)})
    grid = configurations(config)
    if arguments.list:
        for configuration in grid:
            print(f"{configuration.label} seed {configuration.seed}")
        return 0
    with tqdm(total=len(grid), unit=" runs", disable=None, file=sys.stderr) as bar:

        def tell(line: str) -> None:
            bar.update()
            bar.write(line, file=sys.stderr)

        runs, failures = run_ablation(config, _runner(config), progress=tell)
    table = ablation_table(config, runs)
    written = write_ablation(config.output, table, runs)
    if arguments.json:
        print(json.dumps(table_json(table) | {"failures": failures}, ensure_ascii=False))
    else:
        print(as_markdown(table))
        print("\n".join(f"wrote {path}" for path in written))
    for line in failures:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failures else 0


def _settings(pairs: list[str]) -> dict[str, Any]:
    """Settings from NAME=VALUE pairs, values read as YAML.

    Raises:
        InputError: not of that form.
    """
    import yaml

    from eval.errors import InputError

    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            sign = ""
        if not sign or not name:
            raise InputError(f"--set: expected NAME=VALUE, got {pair!r}")
    return found


def _runner(config: Any) -> Any:
    """The function that answers all questions under one configuration.

    Raises:
        InputError: the runner cannot be imported.
    """
    from eval.ablation import prediction_files
    from eval.errors import InputError

    if config.predictions is not None:
        return prediction_files(config.predictions)
    name = config.runner or DEFAULT_RUNNER
    module, _, function = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"runner: cannot import {name!r} ({error})") from error
    return make(config, config.settings)
