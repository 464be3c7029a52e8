"""`VisionLanguageModel` under every plan."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.vlp.checkpoint import check_tower, load_model, save_model
from gqa_reasoner.vlp.embed import cell_boxes
from gqa_reasoner.vlp.heads import Pool
from gqa_reasoner.vlp.recipe import list_recipes, load_recipe

from . import small


def _pairs(count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids, mask = small.pieces().batch(["a dog is here .", "one boat", "a cat"][:count], 20)
    features = small.MadeFeatures(8).rows([f"{number}.jpg" for number in range(count)])
    return ids, mask, features


def test_boxes_of_cells() -> None:
    boxes = cell_boxes((2, 4))
    assert boxes.shape == (8, 5)
    assert boxes[5].tolist() == [0.25, 0.5, 0.5, 1.0, 0.125]


def test_pools_by_hand_leave_padding_out() -> None:
    values = torch.tensor([[[1.0, 5.0], [3.0, -1.0], [99.0, 99.0]]])
    mask = torch.tensor([[True, True, False]])
    assert Pool("first", 2)(values, mask).tolist() == [[1.0, 5.0]]
    assert Pool("last", 2)(values, mask).tolist() == [[3.0, -1.0]]
    assert Pool("mean", 2)(values, mask).tolist() == [[2.0, 2.0]]
    assert Pool("max", 2)(values, mask).tolist() == [[3.0, 5.0]]
    attend = Pool("attend", 2, heads=2)
    attend.score.weight.data.zero_()
    attend.score.bias.data.zero_()
    assert torch.allclose(attend(values, mask), torch.tensor([[2.0, 2.0]]))


@pytest.mark.parametrize("pool", ["first", "mean", "max", "attend"])
@pytest.mark.parametrize("name", ["clip", "vilt", "vilbert"])
def test_padding_changes_nothing(name: str, pool: str) -> None:
    model = small.model(load_recipe(name), pool=pool).eval()
    ids, mask, features = _pairs()

    def read(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if name == "clip":
            return model.encode_text(ids, mask)
        return model.match_score(ids, mask, features)

    wider = torch.nn.functional.pad(ids, (0, 3)), torch.nn.functional.pad(mask, (0, 3))
    assert torch.allclose(read(ids, mask), read(*wider), atol=1e-5)


def test_a_dual_encoder_embeds_apart_at_length_one() -> None:
    model = small.model(load_recipe("clip")).eval()
    ids, mask, features = _pairs()
    texts, images = model.encode_text(ids, mask), model.encode_images(features)
    assert texts.shape == images.shape == (3, 16)
    assert torch.allclose(texts.norm(dim=1), torch.ones(3))
    alone = model.encode_images(features[1:2])
    assert torch.allclose(alone, images[1:2], atol=1e-6)


def test_matching_from_tokens_is_matching_from_words() -> None:
    for name in ("unicoder_vl", "vilbert", "soho"):
        model = small.model(load_recipe(name)).eval()
        ids, mask, features = _pairs()
        tokens = model.embed_images(features).tokens
        found = model.match_tokens(model.embed_text(ids), mask, tokens)
        assert torch.equal(found, model.match_score(ids, mask, features))


def test_decoding_step_by_step_gives_the_logits_of_teacher_forcing() -> None:
    model = small.model(load_recipe("xgpt")).eval()
    ids, _, features = _pairs()
    full = model.caption_logits(ids, None, features)
    state = model.begin_captions(features)
    steps = [model.caption_step(state, ids[:, place]) for place in range(ids.shape[1])]
    assert torch.allclose(torch.stack(steps, dim=1), full, atol=1e-5)


def test_reordered_beams_go_on_as_their_own_rows() -> None:
    model = small.model(load_recipe("xgpt")).eval()
    ids, _, features = _pairs()
    state = model.begin_captions(features)
    model.caption_step(state, ids[:, 0])
    order = torch.tensor([2, 0, 0, 1])
    state.reorder(order)
    found = model.caption_step(state, ids[order, 1])
    full = model.caption_logits(ids, None, features)
    assert torch.allclose(found, full[order, 1], atol=1e-5)


def test_a_caption_does_not_see_later_words() -> None:
    model = small.model(load_recipe("xgpt")).eval()
    ids, _, features = _pairs()
    changed = ids.clone()
    changed[:, 3] = 9
    first = model.caption_logits(ids, None, features)
    second = model.caption_logits(changed, None, features)
    assert torch.allclose(first[:, :3], second[:, :3], atol=1e-6)
    assert not torch.allclose(first[:, 3:], second[:, 3:], atol=1e-3)


def test_methods_of_another_plan_say_so() -> None:
    ids, mask, features = _pairs()
    with pytest.raises(InputError, match="encode_text needs dual"):
        small.model(load_recipe("vilt")).encode_text(ids, mask)
    with pytest.raises(InputError, match="match_score needs one_stream or two_stream"):
        small.model(load_recipe("clip")).match_score(ids, mask, features)
    with pytest.raises(InputError, match="begin_captions needs encoder_decoder"):
        small.model(load_recipe("clip")).begin_captions(features)


def test_wrong_features_and_long_texts_are_refused() -> None:
    model = small.model(load_recipe("clip"))
    with pytest.raises(InputError, match=r"expected \(batch, 9, 24\)"):
        model.encode_images(torch.zeros(1, 4, 24))
    with pytest.raises(InputError, match="at most 32 word pieces, got 40"):
        model.encode_text(torch.zeros(1, 40, dtype=torch.long))


@pytest.mark.parametrize("name", list_recipes())
def test_a_saved_model_reproduces_its_outputs(name: str, tmp_path: Path) -> None:
    model = small.model(load_recipe(name)).eval()
    save_model(tmp_path, model, small.pieces())
    loaded, pieces = load_model(tmp_path, recipe=name)
    assert len(pieces) == model.config.vocabulary
    assert loaded.config == model.config
    ids, mask, features = _pairs()

    def outputs(one: object) -> torch.Tensor:
        if name == "clip":
            return one.encode_text(ids, mask) @ one.encode_images(features).T
        if name == "xgpt":
            return one.caption_logits(ids, mask, features)
        return one.match_score(ids, mask, features)

    assert torch.equal(outputs(model), outputs(loaded))


def test_loading_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a model folder"):
        load_model(tmp_path / "none")
    model = small.model(load_recipe("vilt"))
    save_model(tmp_path, model, small.pieces())
    with pytest.raises(InputError, match="expected a model of recipe 'clip', got one of 'vilt'"):
        load_model(tmp_path, recipe="clip")
    with pytest.raises(InputError, match="another image tower"):
        check_tower(model.config, "other", "cache")
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="not readable weights"):
        load_model(tmp_path)
