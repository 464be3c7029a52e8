"""Ablations that can be repeated: a grid of expansion sources, controls and seeds.

`run_ablation` calls an injected `run(configuration)` for every cell of the grid that has not been
run yet, keeps its predictions and its cost, and leaves everything in one folder:

    runs/<hash>.json               configuration, input hashes, cost, hash of the predictions
    runs/<hash>.predictions.json.gz

The hash covers the configuration, the settings, and the content of the question file, of the files
that the settings name and of the weights (`*.safetensors`) in the folders that they name. So a
changed setting or checkpoint is a new run, and an interrupted grid goes on where it stopped.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from eval.errors import InputError
from eval.json_stream import files_of
from eval.predictions import Predictions, read_predictions

__all__ = [
    "AblationConfig",
    "Configuration",
    "Run",
    "RunOutput",
    "configurations",
    "file_digest",
    "prediction_files",
    "read_config",
    "run_ablation",
]

Source = Literal["none", "triples", "coclick", "both"]
Control = Literal["real", "random", "shuffled", "matched"]


class AblationConfig(BaseModel):
    """The YAML file of `gqa-reasoner ablate`; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "ablation"
    questions: Path
    choices: Path | None = None
    output: Path
    sources: list[Source] = Field(default=["none", "triples", "coclick", "both"], min_length=1)
    controls: list[Literal["random", "shuffled", "matched"]] = ["random", "shuffled", "matched"]
    """random: as many items drawn at random; shuffled: the items of other questions; matched: the
    parameters and tokens of the full model without content."""
    controls_of: list[Source] | None = None
    """The sources that get controls; by default the last of `sources`."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    settings: dict[str, Any] = {}
    """Handed to the runner and part of every run's hash."""
    runner: str | None = None
    """`module:function`; called with the settings, returns run(configuration)."""
    predictions: str | None = None
    """Instead of a runner: a path with {source}, {control} and {seed}."""
    missing: Literal["error", "wrong"] = "error"
    focus: str | None = None
    """A table of its own for the questions whose detailed type begins with this."""
    samples: int = Field(default=2000, ge=100)
    """Resamples of the bootstrap and of the permutation test."""

    @field_validator("sources", "controls", "seeds")
    @classmethod
    def _no_repeats(cls, value: list[Any]) -> list[Any]:
        if len(set(value)) < len(value):
            raise ValueError("holds something twice")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> AblationConfig:
        if "none" not in self.sources:
            raise ValueError("sources must hold 'none', which gains are measured against")
        if self.runner and self.predictions:
            raise ValueError("give a runner or predictions, not both")
        unknown = set(self.controls_of or ()) - (set(self.sources) - {"none"})
        if unknown:
            raise ValueError(f"controls_of names {sorted(unknown)}, which sources does not hold")
        return self


def read_config(path: Path) -> AblationConfig:
    """Read a YAML file; relative paths in it start from its folder.

    Raises:
        InputError: not YAML, unknown keys, values of another type; one line per problem.
    """
    path = Path(path)
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path}: whole file: not valid YAML ({first})") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: whole file: expected keys and values")
    try:
        config = AblationConfig(**value)
    except (ValidationError, TypeError) as error:
        if not isinstance(error, ValidationError):
            raise InputError(f"{path}: {error}") from error
        raise InputError("\n".join(_line(path, item) for item in error.errors())) from error
    folder = path.parent
    changes: dict[str, Any] = {
        name: folder / value
        for name in ("questions", "choices", "output")
        if (value := getattr(config, name)) is not None
    }
    if config.predictions is not None:
        changes["predictions"] = str(folder / config.predictions)
    return config.model_copy(update=changes)


def _line(path: Path, item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    what = "is not a key of this file" if item["type"] == "extra_forbidden" else item["msg"]
    return ": ".join(part for part in (str(path), where, what) if part)


@dataclass(frozen=True)
class Configuration:
    """One cell of the grid: what `run` is to do."""

    source: str
    control: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """`triples`, or `both (random)` for a control."""
        return self.source if self.control == "real" else f"{self.source} ({self.control})"


@dataclass(frozen=True)
class RunOutput:
    """What `run` gives back; a plain mapping of predictions will do where cost is unknown."""

    predictions: Mapping[str, str]
    seconds: float | None = None
    """Time of answering alone; the time of the whole call is taken where it is None."""
    tokens: float | None = None
    """Context tokens per question."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Anything else to record: parameters, checkpoint hashes, …"""


Runner = Callable[[Configuration], "RunOutput | Mapping[str, str]"]


@dataclass(frozen=True)
class Run:
    """A finished run, read back from its files."""

    configuration: Configuration
    digest: str
    predictions: Predictions
    seconds_per_question: float
    tokens: float | None
    record: Mapping[str, Any]


def configurations(config: AblationConfig) -> list[Configuration]:
    """The cells of the grid in table order; all seeds of a row stand together."""
    controlled: list[str] = [str(source) for source in config.sources if source != "none"][-1:]
    if config.controls_of is not None:
        controlled = list(config.controls_of)
    rows: list[tuple[str, str]] = [(source, "real") for source in config.sources]
    rows += list(itertools.product(controlled, config.controls))
    return [
        Configuration(source, control, seed, config.settings)
        for source, control in rows
        for seed in config.seeds
    ]


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder in order."""
    digest = hashlib.sha256()
    for file in files_of(path):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _digest(configuration: Configuration, inputs: Mapping[str, Any]) -> str:
    value = {"configuration": asdict(configuration), "inputs": inputs}
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def run_ablation(
    config: AblationConfig,
    run: Runner,
    *,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[Run], list[str]]:
    """Run what is missing of the grid.

    Args:
        config: the grid.
        run: answers all questions under one configuration.
        progress: told one line per run.

    Returns:
        (the finished runs in grid order, one line per run that failed)
    """
    folder = config.output / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    common = {"questions": file_digest(config.questions), "runner": config.runner or ""}
    done, failures = [], []
    for configuration in configurations(config):
        inputs = common | _made_elsewhere(config, configuration) | _named_files(configuration)
        digest = _digest(configuration, inputs)
        found = _read_run(folder, digest, configuration)
        state = "kept"
        if found is None:
            state = "run"
            try:
                _write_run(folder, digest, configuration, inputs, run)
            except Exception as error:
                first = (str(error).splitlines() or [type(error).__name__])[0]
                line = f"{configuration.label} seed {configuration.seed}: {first}"
                failures.append(line)
                if progress is not None:
                    progress(f"failed {line}")
                continue
            found = _read_run(folder, digest, configuration)
        if found is not None:
            done.append(found)
            if progress is not None:
                cost = f"{found.seconds_per_question * 1000:.1f} ms per question"
                progress(f"{state} {configuration.label} seed {configuration.seed} ({cost})")
    return done, failures


def _made_elsewhere(config: AblationConfig, configuration: Configuration) -> dict[str, str]:
    """The hash of a prediction file made elsewhere: a changed file is a new run."""
    if config.predictions is None:
        return {}
    path = _filled(config.predictions, configuration)
    return {"predictions": file_digest(path) if path.is_file() else "absent"}


def _named_files(configuration: Configuration) -> dict[str, str]:
    """Hashes of the files, and of the weights in the folders, that the settings name."""
    found = {}
    for name, value in sorted(configuration.settings.items()):
        if not isinstance(value, str) or not value:
            continue
        path = _filled(value, configuration) if "{" in value else Path(value)
        if path.is_file():
            found[f"settings.{name}"] = file_digest(path)
        elif path.is_dir():
            digest = hashlib.sha256()
            for file in sorted(path.rglob("*.safetensors")):
                digest.update(f"{file.relative_to(path)} {file_digest(file)}\n".encode())
                found[f"settings.{name}"] = digest.hexdigest()
    return found


def _filled(pattern: str, configuration: Configuration) -> Path:
    try:
        return Path(
            pattern.format(
                source=configuration.source,
                control=configuration.control,
                seed=configuration.seed,
            )
        )
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(f"path: {pattern!r} names an unknown field ({error})") from error


def _write_run(
    folder: Path, digest: str, configuration: Configuration, inputs: Mapping[str, Any], run: Runner
) -> None:
    """Run one configuration; the record appears last, so a half-written run does not count."""
    started = time.perf_counter()
    output = run(configuration)
    elapsed = time.perf_counter() - started
    if not isinstance(output, RunOutput):
        output = RunOutput(output)
    predictions = Predictions.from_mapping(output.predictions)
    records = [{"questionId": k, "prediction": v} for k, v in predictions.answers.items()]
    data = gzip.compress(orjson.dumps(records), mtime=0)
    (folder / f"{digest}.predictions.json.gz").write_bytes(data)
    seconds = elapsed if output.seconds is None else output.seconds
    record = {
        "hash": digest,
        "configuration": asdict(configuration),
        "inputs": dict(inputs),
        "questions": len(records),
        "predictions_sha256": hashlib.sha256(data).hexdigest(),
        "seconds": seconds,
        "seconds_measured": "answering" if output.seconds is not None else "whole call",
        "tokens_per_question": output.tokens,
        "details": dict(output.details),
        "python": platform.python_version(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    partial = folder / f"{digest}.json.part"
    partial.write_text(json.dumps(record, indent=1, sort_keys=True, default=str) + "\n")
    partial.replace(folder / f"{digest}.json")


def _read_run(folder: Path, digest: str, configuration: Configuration) -> Run | None:
    """The stored run; None when it is absent or its predictions were changed or lost."""
    path, answers = folder / f"{digest}.json", folder / f"{digest}.predictions.json.gz"
    if not path.is_file() or not answers.is_file():
        return None
    try:
        record = json.loads(path.read_text())
    except ValueError:
        return None
    if hashlib.sha256(answers.read_bytes()).hexdigest() != record.get("predictions_sha256"):
        return None
    predictions = read_predictions(answers)
    seconds = record["seconds"] / max(1, len(predictions.answers))
    tokens = record["tokens_per_question"]
    return Run(configuration, digest, predictions, seconds, tokens, record)


def prediction_files(pattern: str) -> Runner:
    """A runner that reads predictions made elsewhere, from `…{source}…{control}…{seed}…`."""

    def run(configuration: Configuration) -> RunOutput:
        path = _filled(pattern, configuration)
        found = read_predictions(path)
        details = {"file": str(path), "sha256": file_digest(path)}
        return RunOutput(found.answers, seconds=0.0, details=details)

    return run


def rows_of(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by row label, in table order; the seeds of a row stand together."""
    rows: dict[str, list[Run]] = {}
    for run in runs:
        rows.setdefault(run.configuration.label, []).append(run)
    return rows
