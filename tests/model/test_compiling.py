"""`torch.compile` over the trunk's blocks: an option that changes nothing but the speed."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from detectors.errors import InputError
from gqa_reasoner.model.compiling import cpp_compiler
from gqa_reasoner.model.plan import Plan
from tests.model.test_reasoner_training import CONFIG, data, run, world_tools  # noqa: F401
from tests.model.test_trunk import TEXT_MASK, VISION_MASK, make_trunk, random_streams


@pytest.mark.slow
@pytest.mark.skipif(cpp_compiler() is None, reason="torch.compile needs a C++ compiler")
def test_compiled_blocks_give_the_plain_outputs_and_gradients() -> None:
    plain = make_trunk(Plan.one_stream(1), norm_position="pre")
    compiled = copy.deepcopy(copy.deepcopy(plain).compile_blocks())
    text, vision = random_streams()
    block = compiled.blocks(0)["tied"]
    assert block.finish.args[0] is block  # type: ignore[attr-defined]  # a copy runs its own weights
    found = []
    for trunk in (plain, compiled):
        output = trunk(text, vision, text_mask=TEXT_MASK, vision_mask=VISION_MASK, packed=True)
        (output.text.square().mean() + output.vision.sum()).backward()
        found.append((output.text, output.vision, *(p.grad for p in trunk.parameters())))
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    with torch.inference_mode():
        frozen = compiled.freeze()(text, vision)
        torch.testing.assert_close(frozen.text, plain(text, vision).text, rtol=1e-4, atol=1e-5)


def test_a_missing_compiler_is_said_before_anything_runs(
    data: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="compile: no C\\+\\+ compiler: 'no-such-compiler'"):
        run(data, tmp_path / "run", config=replace(CONFIG, compile=True))
    with pytest.raises(InputError, match="only the reasoner's trunk is compiled"):
        run(data, tmp_path / "peer", config=replace(CONFIG, compile=True), model_name="gine")
