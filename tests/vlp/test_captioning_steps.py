"""The fast steps against the trunk's cache and against no cache at all."""

from __future__ import annotations

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.model.masks import FORBIDDEN
from gqa_reasoner.vlp.captioning.beam import BeamSettings, beam_search
from gqa_reasoner.vlp.captioning.beam_steps import BeamSteps, Memory
from gqa_reasoner.vlp.captioning.rules import Rules
from gqa_reasoner.vlp.captioning.sampling import NucleusSettings, greedy, sample
from gqa_reasoner.vlp.captioning.steps import TrunkSteps
from gqa_reasoner.vlp.captioning.teaching import taught_logits
from gqa_reasoner.vlp.config import ModelConfig
from gqa_reasoner.vlp.model import VisionLanguageModel
from gqa_reasoner.vlp.recipe import Sizes

RULES = Rules(5, 6, forbidden=(0, 1, 2, 3, 4, 5), min_length=2, max_length=7, no_repeat=2)


@pytest.fixture(scope="module", params=["pre", "post"])
def model(request) -> VisionLanguageModel:
    torch.manual_seed(0)
    config = ModelConfig(
        recipe="toy",
        plan="encoder_decoder",
        vision="grid",
        sizes=Sizes(layers=2, vision_layers=1, width=16, heads=2, hidden=24, text_length=12),
        losses=("next_token",),
        vocabulary=20,
        tower_width=6,
        grid=(2, 3),
        norm=request.param,
    )
    made = VisionLanguageModel(config).eval()
    with torch.no_grad():
        for value in made.parameters():
            value.add_(torch.randn_like(value) * 0.2)
    return made


@pytest.fixture(scope="module")
def features() -> torch.Tensor:
    return torch.randn(4, 6, 6, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_fast_steps_and_cached_steps_and_whole_passes_agree(model, features):
    fast, plain = BeamSteps(model, Memory.encode(model, features), 6), TrunkSteps(model, features)
    generator = torch.Generator().manual_seed(2)
    beams, said = 1, torch.full((4, 1, 1), 5)
    pictures = torch.arange(4)
    for time in range(5):
        logits = [steps.step(said[..., -1]) for steps in (fast, plain)]
        seen = features[pictures].repeat_interleave(beams, dim=0)
        whole = model.caption_logits(said.flatten(0, 1), None, seen)[:, -1]
        torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(logits[0].flatten(0, 1), whole, rtol=1e-4, atol=1e-5)
        source = torch.randint(0, beams, (len(pictures), 3), generator=generator)
        said = said.gather(1, source[..., None].expand(-1, -1, said.shape[-1]))
        newest = torch.randint(7, 20, (len(pictures), 3, 1), generator=generator)
        said, beams = torch.cat([said, newest], dim=-1), 3
        for steps in (fast, plain):
            steps.reorder(source)
        if time in (1, 3):
            left = torch.tensor([0, 3, 2] if time == 1 else [2])
            pictures, said = pictures[left], said[left]
            for steps in (fast, plain):
                steps.keep(left)


@torch.no_grad()
def test_decoding_is_the_same_with_either_steps(model, features):
    for decode in (
        lambda steps: beam_search(steps, RULES, BeamSettings(beams=4, count=2)),
        lambda steps: greedy(steps, RULES),
        lambda steps: sample(steps, RULES, NucleusSettings(count=2)),
    ):
        fast = decode(BeamSteps(model, Memory.encode(model, features), RULES.max_length + 1))
        plain = decode(TrunkSteps(model, features))
        assert [[c.tokens for c in one] for one in fast] == [[c.tokens for c in o] for o in plain]


@torch.no_grad()
def test_a_batch_says_what_single_pictures_say(model, features):
    def decode(some: torch.Tensor) -> list:
        steps = BeamSteps(model, Memory.encode(model, some), RULES.max_length + 1)
        return beam_search(steps, RULES, BeamSettings(beams=3, count=3))

    together = decode(features)
    for number, captions in enumerate(together):
        alone = decode(features[number : number + 1])[0]
        assert [c.tokens for c in alone] == [c.tokens for c in captions]
        assert [c.score for c in alone] == pytest.approx([c.score for c in captions], abs=1e-4)


@torch.no_grad()
def test_hidden_cells_do_not_matter(model, features):
    bias = torch.zeros(4, 6)
    bias[:, 2:] = FORBIDDEN
    changed = features.clone()
    changed[:, 2:] += 5
    logits = [
        BeamSteps(model, Memory.encode(model, some, bias), 3).step(torch.full((4, 1), 5))
        for some in (features, changed)
    ]
    torch.testing.assert_close(logits[0], logits[1])
    free = BeamSteps(model, Memory.encode(model, features), 3).step(torch.full((4, 1), 5))
    assert not torch.allclose(free, logits[0], atol=1e-3)


@torch.no_grad()
def test_memory_repeats_a_picture_for_its_regions(model, features):
    memory = Memory.encode(model, features).select(torch.tensor([1, 1, 0]))
    logits = BeamSteps(model, memory, 3).step(torch.full((3, 1), 5))
    torch.testing.assert_close(logits[0], logits[1])
    single = BeamSteps(model, Memory.encode(model, features[:1]), 3).step(torch.full((1, 1), 5))
    torch.testing.assert_close(logits[2], single[0], rtol=1e-4, atol=1e-5)


def test_another_plan_is_refused():
    config = ModelConfig(
        recipe="toy",
        plan="one_stream",
        vision="grid",
        sizes=Sizes(layers=1, width=16, heads=2, hidden=24),
        losses=("masked_words",),
        vocabulary=20,
        tower_width=6,
        grid=(2, 3),
    )
    with pytest.raises(InputError, match="encoder–decoder"):
        Memory.encode(VisionLanguageModel(config).eval(), torch.zeros(1, 6, 6))


@torch.no_grad()
def test_captions_taught_together_equal_captions_taught_alone(model, features):
    ids = torch.randint(7, 20, (4, 3, 5), generator=torch.Generator().manual_seed(3))
    lengths = torch.tensor([[5, 3, 1], [2, 2, 2], [5, 5, 5], [1, 4, 3]])
    mask = torch.arange(5) < lengths[..., None]
    together = taught_logits(model, features, ids, mask)
    alone = model.caption_logits(ids.flatten(0, 1), None, features.repeat_interleave(3, dim=0))
    expected = alone.unflatten(0, (4, 3))[mask]
    torch.testing.assert_close(together, expected, rtol=1e-4, atol=1e-5)
