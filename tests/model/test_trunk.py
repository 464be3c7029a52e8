from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from detectors.errors import InputError
from gqa_reasoner.model.attention import RelativeBias
from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.masks import Edges
from gqa_reasoner.model.plan import Plan, Row
from gqa_reasoner.model.trunk import Cache, Trunk


def make_trunk(plan: Plan, **changes: object) -> Trunk:
    torch.manual_seed(0)
    sizes = {"width": 16, "heads": 4, "hidden": 24, "epsilon": 1e-5}
    trunk = Trunk(TrunkConfig(plan=plan, **{**sizes, **changes}))  # type: ignore[arg-type]
    if trunk.edge_bias is not None:
        nn.init.normal_(trunk.edge_bias)
    return trunk.eval()


def random_streams(batch: int = 3, text: int = 5, vision: int = 4) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(batch, text, 16, generator=generator),
        torch.randn(batch, vision, 16, generator=generator),
    )


TEXT_MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=torch.bool)
VISION_MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]], dtype=torch.bool)
PLANS = {
    "one_stream": Plan.one_stream(2),
    "two_stream": Plan.two_stream(1),
    "dual": Plan.dual(2, text="causal"),
    "prefix": Plan.prefix(2),
    "encoder_decoder": Plan.encoder_decoder(2, 2),
    "causal": Plan.single(2, "causal"),
}


@pytest.mark.parametrize("before", [True, False])
def test_single_stream_equals_torch_encoder_layer(before: bool) -> None:
    trunk = make_trunk(Plan.single(1), norm_position="pre" if before else "post", final_norm=False)
    layer = nn.TransformerEncoderLayer(
        16, 4, 24, 0.0, activation="gelu", batch_first=True, norm_first=before
    ).eval()
    block = trunk.rows[0]["tied"]
    layer.self_attn.in_proj_weight.data = block.attention.query_key_value.weight.data
    layer.self_attn.in_proj_bias.data = block.attention.query_key_value.bias.data
    pairs = [
        (layer.self_attn.out_proj, block.attention.output),
        (layer.linear1, block.feed_forward.input),
        (layer.linear2, block.feed_forward.output),
        (layer.norm1, block.attention_norm),
        (layer.norm2, block.feed_forward_norm),
    ]
    for theirs, ours in pairs:
        theirs.load_state_dict(ours.state_dict())
    text, _ = random_streams()
    expected = layer(text, src_key_padding_mask=~TEXT_MASK)
    found = trunk(text, text_mask=TEXT_MASK).text
    torch.testing.assert_close(found[TEXT_MASK], expected[TEXT_MASK], rtol=1e-5, atol=1e-5)


def test_joint_and_separate_paths_agree() -> None:
    joint = make_trunk(Plan.one_stream(2))
    separate = make_trunk(Plan((Row(tied=False),) * 2))
    for tied, untied in zip(joint.rows, separate.rows, strict=True):
        untied["t"].load_state_dict(tied["tied"].state_dict())
        untied["v"].load_state_dict(tied["tied"].state_dict())
    text, vision = random_streams()
    masks = {"text_mask": TEXT_MASK, "vision_mask": VISION_MASK}
    first, second = joint(text, vision, **masks), separate(text, vision, **masks)
    torch.testing.assert_close(first.text[TEXT_MASK], second.text[TEXT_MASK])
    torch.testing.assert_close(first.vision[VISION_MASK], second.vision[VISION_MASK])


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("position", ["pre", "post"])
def test_packed_execution_changes_nothing_at_real_positions(name: str, position: str) -> None:
    trunk = make_trunk(PLANS[name], norm_position=position)
    text, vision = random_streams()
    given_vision = None if name == "causal" else vision
    masks = {"text_mask": TEXT_MASK, "vision_mask": None if name == "causal" else VISION_MASK}
    plain = trunk(text, given_vision, **masks)
    packed = trunk(text, given_vision, packed=True, **masks)
    torch.testing.assert_close(packed.text[TEXT_MASK], plain.text[TEXT_MASK])
    assert packed.text[~TEXT_MASK].abs().max() == 0
    if given_vision is not None:
        torch.testing.assert_close(packed.vision[VISION_MASK], plain.vision[VISION_MASK])


@pytest.mark.parametrize("name", ["one_stream", "two_stream", "prefix"])
def test_padding_has_no_influence(name: str) -> None:
    trunk = make_trunk(PLANS[name])
    text, vision = random_streams()
    masked = trunk(text, vision, text_mask=TEXT_MASK, vision_mask=VISION_MASK)
    alone = trunk(text[1:2, :3], vision[1:2])
    torch.testing.assert_close(masked.text[1:2, :3], alone.text)
    torch.testing.assert_close(masked.vision[1:2], alone.vision)


@pytest.mark.parametrize("name", ["causal", "prefix", "encoder_decoder"])
def test_decoding_with_a_cache_equals_the_whole_pass(name: str) -> None:
    trunk = make_trunk(PLANS[name], norm_position="pre", relative_buckets=8)
    text, vision = random_streams()
    source = None if name == "causal" else vision
    source_mask = None if name == "causal" else VISION_MASK
    whole = trunk(text, source, vision_mask=source_mask).text
    cache, steps = Cache(), []
    for position in range(text.shape[1]):
        step = trunk(
            text[:, position : position + 1],
            source if position == 0 else None,
            vision_mask=source_mask,
            cache=cache,
        )
        steps.append(step.text)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-4, atol=1e-5)


def test_causal_text_does_not_see_later_positions() -> None:
    trunk = make_trunk(Plan.single(2, "causal"))
    text, _ = random_streams()
    changed = text.clone()
    changed[:, 3:] += 1
    first, second = trunk(text).text, trunk(changed).text
    torch.testing.assert_close(first[:, :3], second[:, :3])
    assert (first[:, 3:] - second[:, 3:]).abs().max() > 1e-3


def test_prefix_positions_see_each_other_and_nothing_later() -> None:
    trunk = make_trunk(Plan.single(1, "prefix"))
    text, _ = random_streams()
    lengths = torch.tensor([2, 3, 1])
    base = trunk(text, prefix=lengths).text
    changed = text.clone()
    changed[:, 1] += 1
    moved = (trunk(changed, prefix=lengths).text - base).abs().amax(dim=-1) > 1e-6
    assert moved[0].tolist() == [True, True, True, True, True]
    assert moved[2].tolist() == [False, True, True, True, True]


def test_encoder_does_not_depend_on_the_decoder() -> None:
    trunk = make_trunk(PLANS["encoder_decoder"])
    text, vision = random_streams()
    torch.testing.assert_close(trunk(text, vision).vision, trunk(text * 2, vision).vision)


@pytest.mark.parametrize(
    ("row", "position", "visible"),
    [
        (Row(tt="off", tv="off", vt="off", vv="axial", axis=1), 4, [1, 4]),
        (Row(tt="off", tv="off", vt="off", vv="axial", axis=2), 4, [3, 4, 5]),
        (Row(tt="off", tv="off", vt="off", vv="axial", axis=0), 4, [4, 10]),
        (Row(tt="off", tv="off", vt="off", vv="axial", axis=2, grid_causal=True), 4, [3, 4]),
        (Row(tt="off", tv="off", vt="off", vv="near", extent=(0, 1, 1)), 0, [0, 1, 3, 4]),
    ],
)
def test_grid_rows_see_what_their_rule_says(row: Row, position: int, visible: list[int]) -> None:
    trunk = make_trunk(Plan((row,)))
    vision = torch.randn(1, 12, 16, generator=torch.Generator().manual_seed(2))
    grid = (2, 2, 3)
    reached = [
        index for index in range(12) if influence(trunk, vision, index, position, grid) > 1e-6
    ]
    assert reached == visible


def influence(
    trunk: Trunk, vision: torch.Tensor, source: int, target: int, grid: tuple[int, int, int]
) -> float:
    changed = vision.clone()
    changed[0, source, 0] += 1
    before, after = (trunk(vision=v, grid=grid).vision[0, target] for v in (vision, changed))
    return (before - after).abs().max().item()


@pytest.mark.parametrize("plan", [Plan.one_stream(2), Plan((Row(tied=False),) * 2)])
def test_edges_add_their_weighted_bias_to_the_logits(plan: Plan) -> None:
    trunk = make_trunk(plan, edge_types=3)
    text, vision = random_streams(batch=2)
    edges = Edges(
        batch=torch.tensor([0, 1, 1]),
        query=torch.tensor([2, 7, 7]),
        key=torch.tensor([6, 0, 0]),
        kind=torch.tensor([0, 1, 2]),
        weight=torch.tensor([1.0, 0.5, 2.0]),
    )
    biased = trunk(text, vision, edges=edges, keep_attention=[0])
    plain = trunk(text, vision, keep_attention=[0])
    if plan.rows[0].joint:
        table = trunk.edge_bias.detach()[0]
        logit = (biased.attention[0] + 1e-12).log() - (plain.attention[0] + 1e-12).log()
        change = logit[0, :, 2, 6] - logit[0, :, 2, 0]
        torch.testing.assert_close(change, table[0], rtol=1e-3, atol=1e-4)
        change = logit[1, :, 7, 0] - logit[1, :, 7, 1]
        torch.testing.assert_close(change, 0.5 * table[1] + 2 * table[2], rtol=1e-3, atol=1e-4)
    assert (biased.vision[1] - plain.vision[1]).abs().max() > 1e-4
    biased.text.sum().backward()
    biased_again = trunk(text, vision, edges=edges)
    (biased_again.text.square().sum() + biased_again.vision.square().sum()).backward()
    assert trunk.edge_bias.grad.abs().max() > 0


@pytest.mark.parametrize("both", [True, False])
def test_relative_buckets_follow_the_published_rule(both: bool) -> None:
    import math

    bias = RelativeBias(2, 32, 128, both=both)

    def slow(offset: int) -> int:
        buckets, first = 32, 0
        if both:
            buckets = 16
            first = buckets if offset > 0 else 0
            reach = abs(offset)
        else:
            reach = max(-offset, 0)
        exact = buckets // 2
        if reach < exact:
            return first + reach
        grown = int(math.log(reach / exact) / math.log(128 / exact) * (buckets - exact))
        return first + min(exact + grown, buckets - 1)

    offsets = list(range(-200, 201))
    found = bias.bucket(torch.tensor(offsets)).tolist()
    wrong = [o for o, b in zip(offsets, found, strict=True) if b != slow(o)]
    # float32 and float64 logarithms may differ at exact powers
    assert len(wrong) <= 2


def test_checkpointing_keeps_outputs_and_gradients() -> None:
    trunk = make_trunk(Plan.two_stream(2), dropout=0.0, attention_dropout=0.0).train()
    text, vision = random_streams()
    gradients = []
    for checkpointing in (False, True):
        trunk.checkpointing = checkpointing
        trunk.zero_grad()
        output = trunk(text, vision, text_mask=TEXT_MASK)
        (output.text.square().sum() + output.vision.sum()).backward()
        gradients.append([p.grad.clone() for p in trunk.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 10
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)


def test_a_scene_without_objects_stays_finite() -> None:
    trunk = make_trunk(Plan.two_stream(1))
    text, vision = random_streams()
    nothing = torch.zeros(3, 4, dtype=torch.bool)
    output = trunk(text, vision, vision_mask=nothing)
    assert torch.isfinite(output.text).all()
    assert torch.isfinite(trunk(text, vision[:, :0]).text).all()


def test_text_alone_passes_through_a_cross_row_unchanged() -> None:
    trunk = make_trunk(Plan((Row(tt="off", vv="off", tied=False),)))
    text, _ = random_streams()
    assert torch.equal(trunk(text).text, text)


def test_bad_requests_name_the_field() -> None:
    with pytest.raises(InputError, match="width 8"):
        make_trunk(Plan.single(1), width=8, heads=3)
    with pytest.raises(InputError, match="activation"):
        make_trunk(Plan.single(1), activation="swish")
    with pytest.raises(InputError, match="expected width 16, got 8"):
        make_trunk(Plan.single(1))(torch.zeros(1, 2, 8))
    with pytest.raises(InputError, match="grid"):
        make_trunk(Plan.vision(1, "near"))(vision=torch.zeros(1, 2, 16))
    with pytest.raises(InputError, match="prefix"):
        make_trunk(Plan.single(1, "prefix"))(torch.zeros(1, 2, 16))
    with pytest.raises(InputError, match="neither"):
        make_trunk(Plan.single(1))()
    with pytest.raises(InputError, match="unknown key 'colour'"):
        Plan.from_json([{"colour": "red"}])
    with pytest.raises(InputError, match="unknown key 'depth'"):
        TrunkConfig.from_json({"plan": [{}], "depth": 3})


kinds = st.sampled_from(["off", "full"])
rows = st.builds(
    Row,
    tt=st.sampled_from(["full", "causal", "prefix"]),
    tv=kinds,
    vt=kinds,
    vv=st.sampled_from(["off", "full", "causal", "axial", "near"]),
    tied=st.booleans(),
    feed_forward=st.booleans(),
    axis=st.integers(0, 2),
    extent=st.tuples(*[st.integers(0, 3)] * 3),
    grid_causal=st.booleans(),
)


@given(st.lists(rows, min_size=1, max_size=6), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_configuration_reads_back_equal(layers: list[Row], heads: int) -> None:
    config = TrunkConfig(plan=Plan(tuple(layers)), width=heads * 8, heads=heads)
    assert TrunkConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("name", PLANS)
def test_packed_gradients_equal_padded_ones(name: str) -> None:
    trunk = make_trunk(PLANS[name], dropout=0.0, attention_dropout=0.0)
    text, vision = random_streams()
    given_vision = None if name == "causal" else vision
    masks = {"text_mask": TEXT_MASK, "vision_mask": None if name == "causal" else VISION_MASK}
    gradients = []
    for packed in (False, True):
        trunk.zero_grad()
        output = trunk(text, given_vision, packed=packed, **masks)
        loss = output.text[TEXT_MASK].square().sum()
        if output.vision is not None:
            loss = loss + output.vision[VISION_MASK].square().sum()
        loss.backward()
        gradients.append({n: p.grad.clone() for n, p in trunk.named_parameters()
                          if p.grad is not None})  # fmt: skip
    assert gradients[0].keys() == gradients[1].keys()
    for key, value in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("plan", [Plan.one_stream(2), Plan((Row(tied=False),) * 2)])
def test_packed_edges_and_kept_attention_equal_padded_ones(plan: Plan) -> None:
    trunk = make_trunk(plan, edge_types=3)
    text, vision = random_streams()
    holes = TEXT_MASK.clone()
    holes[0, 1] = False  # a position in the middle is hidden, as `drop_sources` does
    edges = Edges(
        batch=torch.tensor([0, 0, 1, 1, 2]),
        query=torch.tensor([2, 1, 7, 7, 0]),
        key=torch.tensor([6, 0, 0, 0, 1]),
        kind=torch.tensor([0, 2, 1, 2, 1]),
        weight=torch.tensor([1.0, 3.0, 0.5, 2.0, 1.0]),
    )
    masks = {"text_mask": holes, "vision_mask": VISION_MASK, "edges": edges}
    plain = trunk(text, vision, keep_attention=[1], **masks)
    packed = trunk(text, vision, keep_attention=[1], packed=True, **masks)
    torch.testing.assert_close(packed.text[holes], plain.text[holes])
    torch.testing.assert_close(packed.vision[VISION_MASK], plain.vision[VISION_MASK])
    if plan.rows[0].joint:
        rows = torch.cat([holes, VISION_MASK], dim=1)
        first, second = (o.attention[1].transpose(1, 2)[rows] for o in (packed, plain))
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_relative_positions_survive_packing_and_hidden_states_can_be_left_out(packed: bool) -> None:
    trunk = make_trunk(Plan.one_stream(2), relative_buckets=8, norm_position="pre")
    text, vision = random_streams()
    masks = {"text_mask": TEXT_MASK, "vision_mask": VISION_MASK}
    plain = trunk(text, vision, **masks)
    lean = trunk(text, vision, packed=packed, keep_hidden=False, **masks)
    assert len(plain.hidden) == 3 and lean.hidden == []
    torch.testing.assert_close(lean.text[TEXT_MASK], plain.text[TEXT_MASK])


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("position", ["pre", "post"])
def test_a_frozen_trunk_gives_the_same_states(name: str, position: str) -> None:
    trunk = make_trunk(PLANS[name], norm_position=position)
    text, vision = random_streams()
    given_vision = None if name == "causal" else vision
    masks = {"text_mask": TEXT_MASK, "vision_mask": None if name == "causal" else VISION_MASK}
    with torch.inference_mode():
        before = trunk(text, given_vision, packed=True, **masks)
        after = trunk.freeze(rows=12)(text, given_vision, packed=True, **masks)
    torch.testing.assert_close(after.text, before.text, rtol=1e-5, atol=1e-5)
    if before.vision is not None:
        torch.testing.assert_close(after.vision, before.vision, rtol=1e-5, atol=1e-5)
