"""Ways of asking that add nothing: taken off before the grammar reads the question."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from gqa_reasoner.program.parser import ProgramParser
from gqa_reasoner.program.parsing.tokens import tokenize
from gqa_reasoner.program.parsing.wording import plain_wording

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def parser() -> ProgramParser:
    return ProgramParser.from_pretrained()


@pytest.mark.parametrize(
    ("question", "plain", "indirect"),
    [
        ("Can you tell me what color the cup is?", "what color the cup is", True),
        ("Please tell me whether the cup is red.", "do you think the cup is red", True),
        ("Tell me the color of the cup", "what is the color of the cup", True),
        ("The cup is red, isn't it?", "do you think the cup is red", False),
        ("There is a dog, isn't there?", "is there a dog", False),
        ("Isn't the cup red?", "is the cup red", False),
        ("Any dogs here?", "are there any dogs here", False),
        ("Can you spot a dog?", "do you see a dog", False),
        ("On the sofa, is there a dog?", "is there a dog on the sofa", False),
        ("In this photo, is there a dog?", "is there a dog", False),
        ("What is it that he holds?", "what do you think he holds", False),
        ("Who is the one wearing it?", "who is wearing it", False),
        ("Has the boy got a hat?", "does the boy have a hat", False),
        ("Is it not only red but also large?", "is it red and large", False),
        ("Is the grey-coloured centre red?", "is the grey center red", False),
        ("Do you see a dog?", "do you see a dog", False),
        ("What is in front of the car?", "what is in front of the car", False),
        ("Is the door on the right?", "is the door on the right", False),
        ("please", "please", False),
    ],
)
def test_plain_wording(question: str, plain: str, indirect: bool) -> None:
    tokens, asked = plain_wording(tokenize(question))
    assert (" ".join(tokens), asked) == (plain, indirect)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Is it a park?", "Select: scene → Verify place: park"),
        ("Is this a kitchen?", "Select: scene → Verify place: kitchen"),
        ("Is this a dog?", "Select: dog → Exist"),
        ("Are we indoors?", "Select: scene → Verify location: indoors"),
        (
            "What color do you think the bus is, red or blue?",
            "Select: bus → Choose color: red | blue",
        ),
        ("What's the car's colour?", "Select: car → Query: color"),
        ("By whom is the hat worn?", "Select: hat → Relate: person, wearing → Query: name"),
        ("Is a hat worn by the boy?", "Select: boy → Verify rel: hat, wearing, o"),
        ("What is being held by the man?", "Select: man → Relate: _, holding, o → Query: name"),
        (
            "What is pulled by the woman?",
            "Select: woman → Relate: _, pulled by → Query: name",
        ),
        (
            "On which side of the truck is the tree?",
            "Select: truck → Choose rel: tree, left | right",
        ),
        ("Does the man have brown hair?", "Select: man → Relate: hair, of → Verify color: brown"),
        (
            "Is there something you can sit on?",
            "Select: object → Filter knowledge: UsedFor, sitting → Exist",
        ),
        (
            "Is there anything edible on the table?",
            "Select: table → Relate: object, on → Filter knowledge: ReceivesAction, eaten → Exist",
        ),
        ("Is there a young man?", "Select: man → Filter age: young → Exist"),
        ("Is there a red apple?", "Select: apple → Filter color: red → Exist"),
        ("Is the bird little?", "Select: bird → Verify size: small"),
    ],
)
def test_other_words_for_the_same_program(
    parser: ProgramParser, question: str, expected: str
) -> None:
    assert parser.parse(question).best.program.to_display() == expected


def _benchmark() -> ModuleType:
    path = ROOT / "benchmarks" / "parser_paraphrases.py"
    spec = importlib.util.spec_from_file_location("parser_paraphrases", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_held_out_paraphrases_are_mostly_read(parser: ProgramParser) -> None:
    benchmark = _benchmark()
    sentences = list(benchmark.read_paraphrases())
    assert len(sentences) >= 150
    assert len({one.kind for one in sentences}) >= 15
    right = 0
    for one in sentences:
        result = parser.parse(one.question, 1)
        right += bool(result.programs) and benchmark.is_exact(
            result.programs[0].program, one.program
        )
    assert right / len(sentences) >= 0.9
