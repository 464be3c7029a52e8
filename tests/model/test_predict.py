"""`predict`: several processes, stored scenes, and a published-shape LXMERT on its features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gqa_reasoner.cli import main
from gqa_reasoner.data.questions import Question, write_questions

EXAMPLES = Path(__file__).parents[2] / "gqa_reasoner" / "examples"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "is",
    "it",
    "red",
    "what",
    "color",
    "?",
    "the",
]
ANSWERS = ["yes", "no", "red"]
FEATURE_SIZE = 20


def answers_of(path: Path) -> dict[str, str]:
    return {item["questionId"]: item["prediction"] for item in json.loads(path.read_text())}


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    texts = ("Is there a couch?", "What color is the sky?", "Is it indoors?")
    items = [
        Question(f"{name}-{n}", text, name)
        for name in ("beach", "couches")
        for n, text in enumerate(texts)
    ]
    write_questions(tmp_path / "questions.json", items)
    return tmp_path / "questions.json"


def test_stored_scenes_and_several_processes_answer_the_same(
    questions: Path, tmp_path: Path
) -> None:
    base = ["predict", "--questions", str(questions)]
    scenes, out = tmp_path / "scenes", tmp_path / "a.json"
    words = [*base, "--images", str(EXAMPLES), "--scenes", str(scenes), "--output", str(out)]
    assert main(words) == 0
    assert sorted(path.stem for path in scenes.glob("*.npz")) == ["beach", "couches"]
    again = tmp_path / "b.json"
    assert main([*base, "--scenes", str(scenes), "--workers", "2", "--output", str(again)]) == 0
    assert answers_of(out) == answers_of(again) and len(answers_of(out)) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected --images DIR"),
        (["--images", "a", "--scene-graphs", "b"], "expected --images DIR"),
        (["--features", "a"], "--features is for --model lxmert:DIR"),
        (["--model", "lxmert:a", "--images", "b"], "reads --features FILE"),
        (["--model", "vilbert", "--images", "b"], "expected reasoner or lxmert:DIR"),
        (["--images", "a", "--workers", "0"], "--workers: expected at least 1"),
        (["--scenes", "none"], "no stored scenes"),
    ],
)
def test_sources_that_do_not_go_together_are_refused(
    words: list[str], message: str, questions: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    base = ["predict", "--questions", str(questions), "--output", str(tmp_path / "o.json")]
    assert main([*base, *words]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Path, Any]:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LxmertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=32, l_layers=1, r_layers=1, x_layers=1,
        visual_feat_dim=FEATURE_SIZE, num_qa_labels=len(ANSWERS),
    )  # fmt: skip
    model = transformers.LxmertForQuestionAnswering(config).eval()
    torch.nn.init.normal_(model.answer_head.logit_fc[3].weight)
    folder = tmp_path / "lxmert"
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "trainval_label2ans.json").write_text(json.dumps(ANSWERS))
    return folder, model


def write_features(path: Path, size: int = FEATURE_SIZE) -> dict[str, Any]:
    """An official-layout file of two pictures, with 36 and 30 regions; what each picture has."""
    h5py = pytest.importorskip("h5py")
    random = np.random.default_rng(0)
    features = random.normal(size=(2, 36, size)).astype(np.float32)
    low = random.uniform(0, 50, size=(2, 36, 2))
    boxes = np.concatenate([low, low + random.uniform(1, 50, size=(2, 36, 2))], axis=-1)
    with h5py.File(path, "w") as handle:
        handle["features"], handle["bboxes"] = features, boxes.astype(np.float32)
    counts = {"beach": 36, "couches": 30}
    info = {
        name: {"width": 120, "height": 110, "objectsNum": count, "idx": row}
        for row, (name, count) in enumerate(counts.items())
    }
    (path.parent / "gqa_objects_info.json").write_text(json.dumps(info))
    scale = np.asarray([120, 110] * 2)
    return {
        name: (features[row, :count], (boxes[row, :count] / scale).astype(np.float32))
        for row, (name, count) in enumerate(counts.items())
    }


def test_lxmert_answers_from_36_box_features_as_transformers_does(
    checkpoint: tuple[Path, Any], questions: Path, tmp_path: Path
) -> None:
    folder, theirs = checkpoint
    known = write_features(tmp_path / "gqa_objects.h5")
    out = tmp_path / "out.json"
    words = ["predict", "--questions", str(questions), "--model", f"lxmert:{folder}"]
    assert main([*words, "--features", str(tmp_path / "gqa_objects.h5"), "--output", str(out)]) == 0
    from transformers import BertTokenizer

    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"), do_lower_case=True)
    for record in json.loads(questions.read_text()).items():
        name, text = record[1]["imageId"], record[1]["question"]
        values, boxes = (torch.from_numpy(part)[None] for part in known[name])
        ids = torch.tensor([tokenizer.encode(text)])
        best = theirs(ids, values, boxes).question_answering_score.argmax().item()
        assert answers_of(out)[record[0]] == ANSWERS[best], record


def test_lxmert_refuses_what_does_not_fit(
    checkpoint: tuple[Path, Any], questions: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder, _ = checkpoint
    file = tmp_path / "gqa_objects.h5"
    write_features(file, size=7)
    words = ["predict", "--questions", str(questions), "--model", f"lxmert:{folder}",
             "--features", str(file), "--output", str(tmp_path / "o.json")]  # fmt: skip
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "feature size 7" in error and "trained on 20" in error
    assert "gqa-reasoner features check" in error
    write_features(file)
    (folder / "trainval_label2ans.json").write_text(json.dumps(ANSWERS[:2]))
    assert main(words) == 2
    assert "2 answers, but the head of" in capsys.readouterr().err
    (folder / "trainval_label2ans.json").unlink()
    assert main(words) == 2
    assert "answers have no names" in capsys.readouterr().err
    (tmp_path / "labels.json").write_text(json.dumps({"no": 1, "yes": 0, "red": 2}))
    assert main([*words, "--labels", str(tmp_path / "labels.json")]) == 0
    (folder / "vocab.txt").unlink()
    assert main([*words, "--labels", str(tmp_path / "labels.json")]) == 2
    assert "vocab.txt: no such file" in capsys.readouterr().err
