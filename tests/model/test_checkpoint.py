from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.model.parity.checkpoint import load_checkpoint, save_checkpoint
from gqa_reasoner.model.parity.lxmert import Lxmert

transformers = pytest.importorskip("transformers")
BERT = {
    "vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 20,
}  # fmt: skip
LXMERT = {
    "vocab_size": 30, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 20, "l_layers": 1, "r_layers": 1, "x_layers": 1,
    "visual_feat_dim": 20, "num_qa_labels": 3, "id2label": {0: "yes", 1: "no", 2: "red"},
}  # fmt: skip
IDS = torch.tensor([[5, 6, 7, 2]])


def saved(kind: str, config: Any, folder: Path) -> Any:
    torch.manual_seed(0)
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("kind", ["BertModel", "BertForMaskedLM"])
def test_a_bert_folder_loads_and_is_written_back(kind: str, tmp_path: Path) -> None:
    theirs = saved(kind, transformers.BertConfig(**BERT), tmp_path / "a")
    checkpoint = load_checkpoint(tmp_path / "a")
    base = theirs if kind == "BertModel" else theirs.bert
    expected = base(IDS).last_hidden_state
    torch.testing.assert_close(checkpoint.model(IDS).last, expected, rtol=1e-5, atol=1e-5)
    save_checkpoint(checkpoint, tmp_path / "b")
    again = getattr(transformers, kind).from_pretrained(tmp_path / "b").eval()
    for name, value in theirs.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_lxmert_brings_its_answer_head_and_labels(tmp_path: Path) -> None:
    config = transformers.LxmertConfig(**LXMERT)
    theirs = saved("LxmertForQuestionAnswering", config, tmp_path / "a")
    model = load_checkpoint(tmp_path / "a").model
    assert isinstance(model, Lxmert) and model.labels == ("yes", "no", "red")
    features, boxes = torch.randn(1, 3, 20), torch.rand(1, 3, 4)
    expected = theirs(IDS, features, boxes).question_answering_score
    torch.testing.assert_close(model(IDS, features, boxes).answers, expected, rtol=1e-5, atol=1e-5)


def test_bad_checkpoints_are_refused_with_file_and_field(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_checkpoint(tmp_path / "none")
    folder = tmp_path / "a"
    saved("BertModel", transformers.BertConfig(**BERT), folder)
    config = folder / "config.json"
    record = json.loads(config.read_text())
    config.write_text(json.dumps({**record, "vocab_size": 31}))
    with pytest.raises(InputError, match=r"embedding\.words\.weight.*\(31, 32\)"):
        load_checkpoint(folder)
    config.write_text(json.dumps({**record, "num_hidden_layers": 3}))
    with pytest.raises(InputError, match="is missing"):
        load_checkpoint(folder)
    config.write_text(json.dumps({**record, "model_type": "llama"}))
    with pytest.raises(InputError, match="model_type: expected one of"):
        load_checkpoint(folder)
    config.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        load_checkpoint(folder)
    config.write_text(json.dumps(record))
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="not readable weights"):
        load_checkpoint(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        load_checkpoint(folder)
