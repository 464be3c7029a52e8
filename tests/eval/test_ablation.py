"""Ablations: the grid, resuming, the table, and that a real gain is told from a chance one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from eval.ablation import (
    AblationConfig,
    Configuration,
    RunOutput,
    configurations,
    read_config,
    run_ablation,
)
from eval.ablation_table import ablation_table, holm, sign_flip_test, table_json
from eval.ablation_write import as_csv, as_latex, as_markdown, write_ablation
from eval.errors import InputError
from gqa_reasoner.cli import main

NUMBER = 600


def write_questions(folder: Path) -> Path:
    records = {
        str(n): {
            "question": "Is it?",
            "imageId": f"n{n // 5}",
            "answer": "yes",
            "isBalanced": True,
            "types": {
                "structural": "query" if n % 2 else "verify",
                "semantic": "attr",
                "detailed": "x",
            },
            "groups": {"global": None},
            "semantic": [],
            "entailed": [],
        }
        for n in range(NUMBER)
    }
    path = folder / "questions.json"
    path.write_text(json.dumps(records))
    return path


def make_config(tmp_path: Path, **changes: Any) -> AblationConfig:
    value = {"questions": write_questions(tmp_path), "output": tmp_path / "out", "samples": 500}
    return AblationConfig(**(value | {"seeds": [0, 1]} | changes))


def answers(configuration: Configuration) -> RunOutput:
    """Context helps by ten points, `coclick` and the controls do not."""
    share = 0.7 if configuration.label in ("triples", "both") else 0.6
    rng = np.random.default_rng(configuration.seed)
    said = {str(n): "yes" if rng.random() < share else "no" for n in range(NUMBER)}
    tokens = 0.0 if configuration.source == "none" else 12.0
    return RunOutput(said, seconds=0.6, tokens=tokens, details={"parameters": 7})


def test_the_focus_has_a_table_of_its_own(tmp_path: Path) -> None:
    config = make_config(tmp_path, sources=["none", "triples"], controls=[], focus="x")
    runs, _ = run_ablation(config, answers)
    table = ablation_table(config, runs)
    assert table.focus_questions == NUMBER
    none, triples = table.focus_rows
    assert none.gain is None and none.mcnemar is None
    assert triples.accuracy.mean == table.rows[1].accuracy.mean
    assert triples.mcnemar is not None
    assert triples.mcnemar.only_first > triples.mcnemar.only_second
    assert "detailed type x" in as_markdown(table)
    assert json.loads(json.dumps(table_json(table)))["focus_rows"][1]["label"] == "triples"
    absent = config.model_copy(update={"focus": "knowledge"})
    with pytest.raises(InputError, match="focus"):
        ablation_table(absent, runs)


def test_the_grid_holds_sources_controls_and_seeds(tmp_path: Path) -> None:
    labels = [c.label for c in configurations(make_config(tmp_path, seeds=[4]))]
    assert labels == [
        "none", "triples", "coclick", "both", "both (random)", "both (shuffled)", "both (matched)",
    ]  # fmt: skip
    config = make_config(tmp_path, seeds=[4], controls=["random"], controls_of=["triples"])
    assert configurations(config)[-1] == Configuration("triples", "random", 4, {})


def test_an_interrupted_grid_goes_on_where_it_stopped(tmp_path: Path) -> None:
    config, calls = make_config(tmp_path), []

    def interrupted(configuration: Configuration) -> RunOutput:
        calls.append(configuration)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return answers(configuration)

    with pytest.raises(KeyboardInterrupt):
        run_ablation(config, interrupted)
    runs, failures = run_ablation(config, interrupted)
    assert (len(runs), failures) == (14, [])
    assert len(calls) == 15
    again, _ = run_ablation(config, lambda configuration: pytest.fail("ran again"))
    assert [run.digest for run in again] == [run.digest for run in runs]


def test_changed_settings_questions_or_predictions_are_run_anew(tmp_path: Path) -> None:
    config = make_config(tmp_path, sources=["none"], controls=[], seeds=[0])
    (run,), _ = run_ablation(config, answers)
    changed = config.model_copy(update={"settings": {"k": 4}})
    (other,), _ = run_ablation(changed, answers)
    assert other.digest != run.digest
    stored = config.output / "runs" / f"{run.digest}.predictions.json.gz"
    stored.write_bytes(b"damaged")
    calls: list[Configuration] = []
    run_ablation(config, lambda c: calls.append(c) or answers(c))
    assert len(calls) == 1


def test_changed_weights_are_run_anew(tmp_path: Path) -> None:
    folder = tmp_path / "seed0" / "reasoner"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"one")
    settings = {"weights": str(tmp_path / "seed{seed}"), "k": 3}
    config = make_config(tmp_path, sources=["none"], controls=[], seeds=[0], settings=settings)
    (first,), _ = run_ablation(config, answers)
    assert first.record["inputs"]["settings.weights"]
    (same,), _ = run_ablation(config, answers)
    (folder / "model.safetensors").write_bytes(b"two")
    (second,), _ = run_ablation(config, answers)
    assert first.digest == same.digest != second.digest


def test_a_failed_run_is_listed_and_the_others_go_on(tmp_path: Path) -> None:
    config = make_config(tmp_path, controls=[])

    def sometimes(configuration: Configuration) -> RunOutput:
        if configuration.source == "coclick" and configuration.seed == 1:
            raise ValueError("no log")
        return answers(configuration)

    runs, failures = run_ablation(config, sometimes)
    assert failures == ["coclick seed 1: no log"]
    table = ablation_table(config, runs)
    assert any("coclick: 1 of 2 seeds" in note for note in table.notes)


def test_gains_are_told_from_chance(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    runs, _ = run_ablation(config, answers)
    rows = {row.label: row for row in ablation_table(config, runs).rows}
    assert rows["triples"].gain is not None
    assert 6 < rows["triples"].gain.mean < 14
    assert rows["triples"].p_corrected < 0.02
    assert rows["coclick"].p_corrected == 1
    assert rows["none"].gain is None
    assert rows["both"].tokens == 12
    assert rows["both"].milliseconds == pytest.approx(1.0)
    assert set(rows["both"].by_type) == {"query", "verify"}
    table = ablation_table(config, runs)
    assert [control for _, control, *_ in table.against_controls] == [
        "both (random)",
        "both (shuffled)",
        "both (matched)",
    ]


def test_every_form_of_the_table_holds_the_same_rows(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    config = make_config(tmp_path)
    runs, _ = run_ablation(config, answers)
    table = ablation_table(config, runs)
    assert all(path.stat().st_size > 0 for path in write_ablation(tmp_path / "t", table, runs))
    assert as_markdown(table).count("both (random)") >= 3
    assert r"\toprule" in as_latex(table)
    assert len(as_csv(table).splitlines()) == 8
    assert len(json.loads(json.dumps(table_json(table)))["rows"]) == 7
    records = json.loads((tmp_path / "t/runs.json").read_text())
    assert len({record["hash"] for record in records}) == 14
    assert records[0]["inputs"]["questions"]
    assert records[0]["details"] == {"parameters": 7}


def test_sign_flips_of_whole_pictures() -> None:
    rng = np.random.default_rng(0)
    pictures = np.repeat(np.arange(50), 4)
    assert sign_flip_test(np.zeros(200), pictures) == 1
    assert sign_flip_test(np.ones(200), pictures, samples=999) == pytest.approx(0.001)
    assert sign_flip_test(rng.normal(size=200), pictures) > 0.01
    one_picture = np.where(pictures == 3, 1.0, 0.0)
    assert sign_flip_test(one_picture, pictures) == pytest.approx(1, abs=0.01)


def test_holm_correction() -> None:
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert corrected == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"seed": 1}, "seed: is not a key of this file"),
        ({"sources": ["triples"]}, "sources must hold 'none'"),
        ({"sources": ["none", "none"]}, "holds something twice"),
        ({"sources": ["none", "web"]}, "sources.1"),
        ({"seeds": "x"}, "seeds"),
        ({"runner": "a:b", "predictions": "p"}, "not both"),
        ({"controls_of": ["none"]}, "controls_of names"),
        ({"samples": 3}, "samples"),
    ],
)
def test_a_wrong_configuration_is_refused(
    tmp_path: Path, changes: Mapping[str, Any], what: str
) -> None:
    path = tmp_path / "grid.yaml"
    value = {"questions": "questions.json", "output": "out"} | dict(changes)
    path.write_text(yaml.safe_dump(value))
    with pytest.raises(InputError, match=what):
        read_config(path)


def test_the_command_makes_the_table_from_prediction_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    write_questions(tmp_path)
    for source in ("none", "both"):
        for seed in (0, 1):
            said = answers(Configuration(source, "real", seed)).predictions
            (tmp_path / f"{source}-real-{seed}.json").write_text(json.dumps(said))
    grid = tmp_path / "grid.yaml"
    value = {
        "questions": "questions.json",
        "output": "out",
        "sources": ["none", "both"],
        "controls": [],
        "seeds": [0, 1],
        "samples": 200,
        "predictions": "{source}-{control}-{seed}.json",
    }
    grid.write_text(yaml.safe_dump(value))
    assert main(["ablate", "--config", str(grid), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 2
    assert (tmp_path / "out/table.md").is_file()
    assert main(["ablate", "--config", str(grid), "--seeds", "0", "9"]) == 1
    assert "both seed 9" in capsys.readouterr().err
    assert main(["ablate", "--config", str(grid), "--set", "miss"]) == 2
    assert "expected NAME=VALUE" in capsys.readouterr().err
    assert main(["ablate", "--config", str(grid), "--set", "miss=0.4", "--json"]) == 0
    capsys.readouterr()
    record = json.loads((tmp_path / "out/runs.json").read_text())[0]
    assert record["configuration"]["settings"]["miss"] == 0.4
    grid.write_text(yaml.safe_dump(value | {"predictions": None, "runner": "nowhere:run"}))
    assert main(["ablate", "--config", str(grid)]) == 2
    assert "cannot import 'nowhere:run'" in capsys.readouterr().err
