"""Peers: trained by the reasoner's command, blind to programs and executions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.model.batch import collate
from gqa_reasoner.model.peers.base import PEERS, Peer, create_peer
from gqa_reasoner.model.reasoner import ReasonerConfig
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from gqa_reasoner.training.encoded_store import read_shard
from tests.model.test_reasoner_training import CONFIG, data, run, world_tools  # noqa: F401


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_trains_by_the_reasoners_command_and_reads_back(
    name: str,
    data: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch_geometric")
    pytest.importorskip("transformers")
    assert run(data, tmp_path / "run", model_name=name, config=replace(CONFIG, steps=3)) == 0
    weights = tmp_path / "run" / "weights"
    model = Peer.from_pretrained(weights)
    assert model.name == name
    shard = read_shard(tmp_path / "run" / "cache" / "encoded" / "00000.npz")
    batch = collate([e.question for e in shard.examples], [shard.scenes[e.scene] for e in
                    shard.examples])  # fmt: skip
    with torch.inference_mode():
        logits = model(batch).logits
    assert logits.shape == (len(shard.examples), len(model.vocabulary.answers))
    assert torch.isfinite(logits).all()
    blind = collate(
        [e.question._replace(pointed=e.question.pointed * 0, executed=e.question.executed[:0],
                             executed_share=e.question.executed_share[:0]) for e in shard.examples],
        [shard.scenes[e.scene] for e in shard.examples],
    )  # fmt: skip
    with torch.inference_mode():
        torch.testing.assert_close(model(blind).logits, logits)


def test_minutes_end_a_run(data: Path, tmp_path: Path) -> None:  # noqa: F811
    config = replace(CONFIG, minutes=0.005, steps=10**6)
    assert run(data, tmp_path / "run", config=config) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert 1 <= summary["steps"] < 10**4


def test_unknown_names_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected reasoner, lxmert"):
        create_peer("bottom-up", ReasonerConfig(), ReasonerVocabulary())
    with pytest.raises(InputError, match="no such file"):
        Peer.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="'peer' is missing"):
        Peer.from_pretrained(tmp_path)
