"""`ReasonerModel`: a one-stream trunk over the expanded graph, an answer head and a mixture.

Legend: B questions, T text tokens, V vision tokens, D width, A answers, Y question types.
The answer head scores `h · E(answer)`, where E is tied to the word embedding, so that what
attention carries from an object or a word can be said aloud. Answer-type masking is learned:
log P(type | question) mixes one learned mask over the answers per type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.errors import InputError
from gqa_reasoner.model.batch import Batch, TokenBags, drop_sources
from gqa_reasoner.model.config import TrunkConfig
from gqa_reasoner.model.dropout import ByteDropout
from gqa_reasoner.model.encode import GEOMETRY, KINDS, POSITIONS, edge_kind_count
from gqa_reasoner.model.expanded_graph import Sources, split_words
from gqa_reasoner.model.frozen import native_bfloat16
from gqa_reasoner.model.mixture import Mixture
from gqa_reasoner.model.plan import Plan
from gqa_reasoner.model.trunk import Trunk
from gqa_reasoner.model.vocabulary import ReasonerVocabulary
from knowledge.gate import ContextGate

if TYPE_CHECKING:
    from detectors.scene import Scene
    from gqa_reasoner.model.inference import AnswerDistribution
    from gqa_reasoner.program.executor import Execution
    from gqa_reasoner.program.parser import ParseResult
    from knowledge.context import Context

__all__ = ["ReasonerConfig", "ReasonerModel", "ReasonerOutput"]

DEFAULT_WEIGHTS = Path(__file__).parents[1] / "weights" / "reasoner"
HIDEABLE = ("program", "guidance", "executed", "triples", "queries", "edges")
"""Sources of the expanded graph that a model can be built without."""


@dataclass(frozen=True)
class ReasonerConfig:
    """Sizes of the reasoner; the trunk's plan is always one stream with typed-edge bias."""

    width: int = 128
    heads: int = 4
    layers: int = 4
    hidden: int = 512
    feature_size: int = 0
    """Size of the detector's region features; 0: not used."""
    dropout: float = 0.1
    context_gate: bool = False
    """Whether a learned gate weighs each triple and query against taking none of them."""
    without: tuple[str, ...] = ()
    """Sources that the model never sees, in training or afterwards, of `HIDEABLE`."""
    executor_mixture: bool = True
    """Whether the executed answers are mixed with the neural side's; False: that side answers."""

    def __post_init__(self) -> None:
        odd = sorted(set(self.without) - set(HIDEABLE))
        if odd:
            raise InputError(
                f"reasoner configuration: without: expected some of {', '.join(HIDEABLE)}; "
                f"got {odd[0]!r}"
            )

    @property
    def guided(self) -> bool:
        """Whether the execution's object weights reach the model."""
        return not {"program", "guidance"} & set(self.without)

    def trunk(self, edge_types: int) -> TrunkConfig:
        """The trunk's configuration."""
        return TrunkConfig(
            plan=Plan.one_stream(self.layers),
            width=self.width,
            heads=self.heads,
            hidden=self.hidden,
            norm_position="pre",
            epsilon=1e-5,
            edge_types=edge_types,
            dropout=self.dropout,
            attention_dropout=0.0,
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ReasonerConfig:
        """Read a record of the fields.

        Raises:
            InputError: an unknown key.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(record) - known)
        if unknown:
            raise InputError(
                f"reasoner configuration: unknown key {unknown[0]!r}, "
                f"expected one of {', '.join(sorted(known))}"
            )
        return cls(**{**record, "without": tuple(record.get("without", ()))})


class ReasonerOutput(NamedTuple):
    """What the neural side says."""

    logits: Tensor
    """(B, A) with the type mask applied."""
    type_logits: Tensor
    """(B, Y)."""
    attention: Tensor | None
    """(B, T, V) attention of text to vision in the last row, mean over heads."""
    taken: Tensor | None = None
    """(B, T) how far the gate takes each triple and query, 0 elsewhere; None without a gate."""


class ReasonerModel(nn.Module):
    """The transformer over the expanded graph."""

    answer_words: Tensor
    answer_offsets: Tensor
    answer_weights: Tensor

    def __init__(self, config: ReasonerConfig, vocabulary: ReasonerVocabulary) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        width = config.width
        self.words = nn.Embedding(len(vocabulary.words) + 2, width)
        self.second = nn.Linear(width, width, bias=False)
        self.place = nn.Embedding(len(KINDS) * POSITIONS, width)
        self.geometry = nn.Linear(GEOMETRY, width)
        self.features = None
        if config.feature_size:
            self.features = nn.Sequential(
                nn.LayerNorm(config.feature_size), nn.Linear(config.feature_size, width)
            )
        self.norm = nn.LayerNorm(width)
        self.dropout = ByteDropout(config.dropout)
        self.gate = ContextGate(width) if config.context_gate else None
        if config.context_gate:
            self.nothing = nn.Parameter(torch.zeros(width))
        self.trunk = Trunk(config.trunk(edge_kind_count(vocabulary)))
        self.head = nn.Sequential(
            nn.Linear(3 * width, width), nn.GELU(), nn.LayerNorm(width), ByteDropout(config.dropout)
        )
        self.answer_own = nn.Embedding(len(vocabulary.answers), width)
        self.answer_from_words = nn.Linear(width, width, bias=False)
        self.answer_bias = nn.Parameter(torch.zeros(len(vocabulary.answers)))
        self.types = nn.Linear(width, max(len(vocabulary.types), 1))
        self.type_mask = nn.Parameter(
            torch.full((max(len(vocabulary.types), 1), len(vocabulary.answers)), 2.0)
        )
        self.mixture = Mixture(enabled=config.executor_mixture)
        self.trunk_type: torch.dtype | None = None
        for embedding in (self.words, self.place, self.answer_own):
            nn.init.normal_(embedding.weight, std=0.3 if embedding is self.words else 0.05)
        self._register_answers()

    def _register_answers(self) -> None:
        """Buffers that spell each answer in words; rebuilt from the vocabulary, never saved."""
        bags = [self.vocabulary.word_list(split_words(a)) for a in self.vocabulary.answers]
        counts = torch.tensor([0, *(len(bag) for bag in bags)])
        shares = [1 / len(bag) for bag in bags for _ in bag]
        self.register_buffer(
            "answer_words", torch.tensor([i for bag in bags for i in bag]), persistent=False
        )
        self.register_buffer("answer_offsets", counts.cumsum(0)[:-1], persistent=False)
        self.register_buffer("answer_weights", torch.tensor(shares), persistent=False)

    def states(
        self, batch: Batch, *, keep_attention: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """(B, T, D) and (B, V, D) after the trunk; the last row's attention; the gate's shares."""
        text, vision = self._embed(batch)
        taken = None
        if self.gate is not None:
            taken = self._taken(self.gate, batch, text)
            item = taken[..., None]
            text = torch.where(item > 0, item * text + (1 - item) * self.nothing, text)
        last = self.config.layers - 1
        kind = self.trunk_type or text.dtype
        output = self.trunk(
            text.to(kind),
            vision.to(kind),
            text_mask=batch.text_mask,
            vision_mask=batch.vision_mask,
            edges=None if "edges" in self.config.without else batch.edges,
            packed=True,
            keep_attention=(last,) if keep_attention else (),
        )
        attention = None
        if keep_attention:
            length = text.shape[1]
            attention = output.attention[last].mean(dim=1)[:, :length, length:]
        return output.text.to(text.dtype), output.vision.to(text.dtype), attention, taken

    def forward(self, batch: Batch, *, keep_attention: bool = False) -> ReasonerOutput:
        """Answer logits for a batch."""
        batch = self.visible(batch)
        states, objects, attention, taken = self.states(batch, keep_attention=keep_attention)
        rows = torch.arange(len(batch), device=states.device)
        answer, step = states[:, 0], states[rows, batch.last_step]
        pointed = (batch.pointed[:, None] @ objects).squeeze(1)
        hidden = self.head(torch.cat([answer, step, pointed], dim=-1))
        spelled = functional.embedding_bag(
            self.answer_words,
            self.words.weight,
            self.answer_offsets,
            mode="sum",
            per_sample_weights=self.answer_weights,
        )
        answers = self.answer_own.weight + self.answer_from_words(spelled)
        logits = hidden @ answers.T + self.answer_bias
        type_logits = self.types(answer)
        shares = type_logits.softmax(dim=-1) @ torch.sigmoid(self.type_mask)
        logits = logits + shares.clamp(min=1e-6).log()
        return ReasonerOutput(logits, type_logits, attention, taken)

    def visible(self, batch: Batch) -> Batch:
        """The batch as this model may see it, see `ReasonerConfig.without`."""
        hidden = [name for name in self.config.without if name != "edges"]
        if not hidden:
            return batch
        return drop_sources(batch, [Sources(**dict.fromkeys(hidden, False))] * len(batch))

    def _taken(self, gate: ContextGate, batch: Batch, text: Tensor) -> Tensor:
        """(B, T) the share of each triple and query against the learned null, 0 elsewhere.

        What is not taken gives way to the embedding `nothing`; which objects an item anchors to
        stays visible through its edges.
        """
        asked = ((batch.kind == KINDS.index("token")) & batch.text_mask).to(text.dtype)
        question = (asked[:, None] @ text).squeeze(1) / asked.sum(1, keepdim=True).clamp(min=1)
        context = (batch.kind == KINDS.index("triple")) | (batch.kind == KINDS.index("query"))
        context &= batch.text_mask
        weights, null = gate(question, text, torch.ones_like(asked), context)
        return weights / (weights + null[:, None])

    def _embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Tokens of both streams, (B, T, D) and (B, V, D)."""
        size, length = batch.kind.shape
        text = self._bags(batch.text_first, batch.text_second, size, length)
        text = text + self.place(batch.kind * POSITIONS + batch.position)
        vision = self._bags(
            batch.vision_first, batch.vision_second, size, batch.vision_mask.shape[1]
        )
        vision = vision + self.geometry(batch.geometry)
        if self.features is not None and batch.features is not None:
            vision = vision + self.features(batch.features)
        return self.dropout(self.norm(text)), self.dropout(self.norm(vision))

    def _bags(self, first: TokenBags, second: TokenBags, size: int, length: int) -> Tensor:
        total = [
            functional.embedding_bag(
                bags.ids,
                self.words.weight,
                bags.offsets,
                mode="sum",
                per_sample_weights=bags.weights,
            )
            for bags in (first, second)
        ]
        return (total[0] + self.second(total[1])).view(size, length, -1)

    def answer_scene(
        self,
        scene: Scene,
        question: str,
        parse: ParseResult,
        execution: Execution | None,
        context: Context | None,
    ) -> AnswerDistribution:
        """Answer one question about one scene; see `inference.answer_prepared`."""
        from gqa_reasoner.model.inference import answer_prepared, prepare

        prepared = prepare(self.vocabulary, scene, question, parse, execution, context)
        return answer_prepared(self, [prepared])[0]

    def for_prediction(self, *, bfloat16: bool | None = None) -> ReasonerModel:
        """Make ready for many questions: no gradients and no `state_dict` afterwards.

        Args:
            bfloat16: whether the trunk computes in bfloat16; None: where the processor multiplies
                it natively. Embeddings, head and mixture stay in float32.
        """
        if bfloat16 is None:
            bfloat16 = native_bfloat16()
        if bfloat16 and self.trunk_type is None:
            self.trunk_type = torch.bfloat16
            self.trunk.to(torch.bfloat16)
        self.trunk.freeze()
        return self.eval()

    def save_pretrained(self, folder: Path, card: str | None = None) -> None:
        """Write `model.safetensors` (half precision), `config.json` and the model card."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = {
            name: value.detach().half().contiguous() for name, value in self.state_dict().items()
        }
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        record = {"model": asdict(self.config), "vocabulary": self.vocabulary.to_json()}
        (folder / "config.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        if card is not None:
            (folder / "README.md").write_text(card)

    @classmethod
    def from_pretrained(cls, folder: Path | None = None) -> ReasonerModel:
        """Load a folder that `save_pretrained` wrote; None: the shipped weights.

        Raises:
            InputError: a file is missing or unreadable, or the weights do not fit the
                configuration; the line names the file and the field.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        place = Path(folder) if folder is not None else DEFAULT_WEIGHTS
        config, weights = place / "config.json", place / "model.safetensors"
        for path in (config, weights):
            if not path.is_file():
                raise InputError(f"{path}: no such file; expected a folder of reasoner weights")
        try:
            record = json.loads(config.read_text())
            parts = record["model"], record["vocabulary"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{config}: expected an object with 'model' and 'vocabulary': {error}"
            ) from None
        try:
            model = cls(ReasonerConfig.from_json(parts[0]), ReasonerVocabulary.from_json(parts[1]))
        except InputError as error:
            raise InputError(f"{config}: {error}") from None
        try:
            state = {name: value.float() for name, value in load_file(weights).items()}
        except SafetensorError as error:
            raise InputError(f"{weights}: not a readable safetensors file: {error}") from None
        _check_state(model, state, weights)
        model.load_state_dict(state)
        return model.eval()


def _check_state(model: nn.Module, state: Mapping[str, Tensor], source: Path) -> None:
    """Raise at the first name or shape that differs."""
    wanted = model.state_dict()
    odd = sorted(set(wanted) ^ set(state))
    if odd:
        side = "lacks" if odd[0] in wanted else "has the unknown"
        raise InputError(f"{source}: {side} weight {odd[0]!r}; is it of another architecture?")
    for name, value in wanted.items():
        if value.shape != state[name].shape:
            raise InputError(
                f"{source}: weight {name!r}: expected shape {tuple(value.shape)} from config.json, "
                f"got {tuple(state[name].shape)}"
            )
