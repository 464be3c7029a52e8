"""Zero-shot detectors find the names that they are given, from tiny local folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors.adapters.zero_shot import ZeroShotDetector, read_labels
from detectors.errors import InputError
from detectors.factory import create_detector
from gqa_reasoner.cli import main

transformers = pytest.importorskip("transformers")


def make_owl(place: Path) -> Path:
    import torch
    from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil

    torch.manual_seed(0)
    signs = [chr(code) for code in range(33, 127)]
    words = [*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: place_ for place_, word in enumerate(words)}
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {
        **sizes,
        "vocab_size": len(words),
        "max_position_embeddings": 40,
        "bos_token_id": len(words) - 2,
        "eos_token_id": len(words) - 1,
        "pad_token_id": 0,
    }
    config = transformers.Owlv2Config(
        text_config=text,
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    model = transformers.Owlv2ForObjectDetection(config)
    with torch.no_grad():
        model.box_head.dense2.weight.mul_(0.01)  # boxes near their cells, not squeezed to lines
    model.save_pretrained(place)
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[])
    images = Owlv2ImageProcessorPil(size={"height": 32, "width": 32})
    transformers.Owlv2Processor(images, tokenizer).save_pretrained(place)
    return place


def make_grounding_dino(place: Path) -> Path:
    import torch
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
        GroundingDinoImageProcessorPil,
    )

    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "cat", "dog", "hot", "red"]
    (place / "words.txt").write_text("\n".join(words) + "\n")
    tokenizer = transformers.BertTokenizer(vocab=str(place / "words.txt"))
    sizes = {"num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.GroundingDinoConfig(
        text_config=transformers.BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=1, **sizes
        ),
        backbone_config=transformers.SwinConfig(
            image_size=32, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2],
            window_size=2, out_indices=[2, 3, 4],
        ),
        d_model=32, encoder_layers=1, encoder_ffn_dim=16, encoder_attention_heads=2,
        decoder_layers=2, decoder_ffn_dim=16, decoder_attention_heads=2, num_queries=5,
        num_feature_levels=3, max_text_len=12,
    )  # fmt: skip
    transformers.GroundingDinoForObjectDetection(config).save_pretrained(place)
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 64})
    transformers.GroundingDinoProcessor(images, tokenizer).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def owl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_owl(tmp_path_factory.mktemp("owl"))


@pytest.fixture(scope="module")
def grounding_dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_grounding_dino(tmp_path_factory.mktemp("grounding"))


@pytest.mark.parametrize("kind", ["owl", "grounding_dino"])
def test_a_local_folder_gives_scenes_with_the_given_names(
    kind: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    detector = create_detector(f"zero-shot:{folder}#Hot dog., cat", threshold=0.0)
    scene = detector.detect([Image.new("RGB", (60, 40), (200, 20, 20))], ["red"])[0]
    assert scene.image_id == "red"
    assert scene.detector.startswith("zero-shot:")
    assert scene.objects
    for item in scene.objects:
        assert item.name in ("hot dog", "cat")
        assert 0 <= item.box[0] < item.box[2] <= 60
        assert 0 <= item.box[1] < item.box[3] <= 40
        assert item.attributes


def test_owl_scores_are_those_of_the_library(owl: Path) -> None:
    import torch

    labels = ("cat", "dog", "tree")
    detector = ZeroShotDetector(str(owl), labels, threshold=0.0, iou=2.0, duplicate_iou=2.0)
    picture = Image.new("RGB", (60, 40), (10, 200, 20))
    inputs = detector.processor(
        text=[[f"a photo of a {label}" for label in labels]], images=picture,
        return_tensors="pt", padding=True,
    )  # fmt: skip
    with torch.inference_mode():
        found = detector.processor.post_process_grounded_object_detection(
            detector.model(**inputs), threshold=0.0, target_sizes=[(40, 60)]
        )[0]
    scene = detector.detect([picture])[0]
    assert len(scene.objects) > 5  # others lie in the padding below the picture
    for item in scene.objects:
        row = int((found["scores"] - item.score).abs().argmin())
        assert float(found["scores"][row]) == pytest.approx(item.score, abs=1e-6)
        assert int(found["labels"][row]) == labels.index(item.name)
        limits = torch.tensor([60, 40, 60, 40])
        clipped = torch.minimum(found["boxes"][row].clamp(min=0), limits)
        assert item.box == pytest.approx(clipped.tolist(), abs=1e-3)


def test_long_lists_are_split_so_that_prompts_fit(grounding_dino: Path) -> None:
    names = ["hot dog", "cat", "dog", "red cat", "red dog", "hot cat"]
    detector = ZeroShotDetector(str(grounding_dino), names, threshold=0.0)
    assert [len(group) for group in detector._groups] == [2, 2, 2]
    scene = detector.detect([Image.new("RGB", (60, 40))])[0]
    assert {item.name for item in scene.objects} <= set(names)


def test_a_names_score_is_the_mean_over_its_tokens(grounding_dino: Path) -> None:
    detector = ZeroShotDetector(str(grounding_dino), ["hot dog", "cat"])
    tokens = detector.processor.tokenizer("hot dog. cat.")["input_ids"]
    assert detector._spans(tokens, ("hot dog", "cat")) == [[1, 2], [4]]
    with pytest.raises(InputError, match="prompt of 3 names holds 2"):
        detector._spans(tokens, ("hot dog", "cat", "dog"))


def test_overlapping_boxes_keep_the_better_name() -> None:
    detector = ZeroShotDetector.__new__(ZeroShotDetector)
    detector.labels = ("cat", "dog")
    detector.threshold, detector.iou, detector.duplicate_iou = 0.2, 0.5, 0.8
    boxes = np.array([[0, 0, 20, 20], [0, 0, 20, 21], [0, 0, 20, 30], [40, 0, 90, 20]], float)
    scores, labels = np.array([0.6, 0.7, 0.5, 0.1]), np.array([0, 1, 0, 0])
    found = detector._chosen(Image.new("RGB", (60, 40)), boxes, scores, labels)
    assert [(item.name, round(item.score, 2)) for item in found] == [("dog", 0.7)]


def test_names_come_from_a_file_a_list_or_the_ontology(
    owl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.txt").write_text("cat\n\nHot dog\n")
    assert read_labels(str(tmp_path / "names.txt")) == ("cat", "Hot dog")
    assert read_labels("a, b") == ("a", "b")
    Image.new("RGB", (60, 40)).save(tmp_path / "p.png")
    options = ["detect", str(tmp_path / "p.png"), "--detector", f"zero-shot:{owl}", "--json"]
    assert main([*options, "--threshold", "0", "--labels", "@furniture"]) == 0
    names = {item["name"] for item in json.loads(capsys.readouterr().out)[0]["objects"]}
    assert names
    assert main([*options, "--labels", "@gadzooks"]) == 2
    assert "no category 'gadzooks'" in capsys.readouterr().err
    assert main([*options, "--labels", ","]) == 2
    assert "no names" in capsys.readouterr().err


def test_bad_folders_and_needless_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a usable folder"):
        create_detector(f"zero-shot:{tmp_path}#cat")
    with pytest.raises(InputError, match="only zero-shot:NAME takes names"):
        create_detector("default", labels=["cat"])
    with pytest.raises(InputError, match="expected something after 'zero-shot:'"):
        create_detector("zero-shot:")
    with pytest.raises(InputError, match="needs names to look for"):
        ZeroShotDetector("x", ["."])
