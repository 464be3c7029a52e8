"""The baseline of the parser's table: a plain seq2seq transformer with copying.

    python benchmarks/parser_seq2seq.py --questions FILES… [--folds 5] [--fold 0] [--minutes 18]

Trained on the same real records as the parser's fold (the same split by picture), measured on the
same held-out pictures, greedily; `--parser` trains the project's parser on that fold as well.
Words in, the program's text out; at every step the output distribution is a mixture of the output
vocabulary and of the question's own words (See, Liu & Manning 2017). Legend: B batch, S source
words, T target tokens, V vocabulary, D width.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gqa_reasoner.program.parser import ParseResult, ProgramParser, ScoredProgram
from gqa_reasoner.program.parsing.learning import Example
from gqa_reasoner.program.parsing.tokens import tokenize
from gqa_reasoner.program.parsing.vocabulary import OntologyVocabulary
from gqa_reasoner.program.steps import Program, Step
from gqa_reasoner.training.parser import read_examples
from gqa_reasoner.training.parser import train as train_parser
from gqa_reasoner.training.parser_evaluation import Tally, fold_of, format_table

PAD, START, END, UNKNOWN = range(4)
BATCH = 48
WORD_DROPOUT = 0.1
"""Share of question words that the encoder does not see: it must then be copied by place."""
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")


def to_tokens(example: Example) -> list[str]:
    """The program as tokens: `OP:relate person , wearing , s [ 0 ] ;` …"""
    out: list[str] = []
    for operation, argument, dependencies in example.draft:
        out.append(f"OP:{operation}")
        for mark in ",|()":
            argument = argument.replace(mark, f" {mark} ")
        out += argument.split()
        out.append("[" + ",".join(map(str, dependencies)) + "]")
    return out


def to_program(tokens: list[str]) -> Program | None:
    """The program of tokens, None if they are not one."""
    steps: list[Step] = []
    operation = ""
    words: list[str] = []
    for token in tokens:
        if token.startswith("OP:"):
            operation, words = token[3:], []
        elif token.startswith("["):
            argument = " ".join(words)
            for mark in ",|()":
                argument = argument.replace(f" {mark} ", mark).replace(f"{mark} ", mark)
                argument = argument.replace(f" {mark}", mark)
            inside = token.strip("[]")
            steps.append(
                Step(operation, argument, tuple(int(x) for x in inside.split(",") if x.isdigit()))
            )
        else:
            words.append(token)
    return Program(tuple(steps)) if steps else None


class Copier(nn.Module):
    """A transformer encoder–decoder whose output may copy source words.

    Args:
        size: V, shared by questions and programs.
        width: D.
        layers: of the encoder and of the decoder.
    """

    def __init__(self, size: int, width: int = 192, layers: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(size, width, padding_idx=PAD)
        nn.init.normal_(self.embed.weight, std=width**-0.5)
        self.place = nn.Embedding(80, width)
        self.core = nn.Transformer(
            width, 4, layers, layers, 4 * width, dropout=0.2, batch_first=True, norm_first=True
        )
        self.copy_query = nn.Linear(width, width)
        self.gate = nn.Linear(width, 1)

    def _in(self, ids: Tensor) -> Tensor:
        return self.embed(ids) * self.embed.embedding_dim**0.5 + self.place(
            torch.arange(ids.shape[1])
        )

    def forward(self, source: Tensor, copies: Tensor, target: Tensor, extra: int) -> Tensor:
        """Log-probabilities (B, T, V + extra) of the next token.

        Args:
            source: (B, S) ids; copies: (B, S) ids that may exceed V (words out of vocabulary).
            target: (B, T) ids so far.
            extra: number of out-of-vocabulary ids in the batch.
        """
        hidden_pad = source == PAD
        memory = self.core.encoder(self._in(source), src_key_padding_mask=hidden_pad)
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        state = self.core.decoder(
            self._in(target), memory, tgt_mask=causal, memory_key_padding_mask=hidden_pad
        )
        words = (state @ self.embed.weight.T).softmax(-1)
        attention = self.copy_query(state) @ memory.transpose(1, 2)
        attention = attention.masked_fill(hidden_pad[:, None], -1e9).softmax(-1)
        gate = self.gate(state).sigmoid()
        words = torch.cat([words * gate, words.new_zeros(*words.shape[:2], extra)], -1)
        index = copies[:, None].expand(-1, target.shape[1], -1)
        return (words.scatter_add(2, index, attention * (1 - gate)) + 1e-9).log()


class Vocabulary:
    """Word ids; words of one question beyond the vocabulary get ids after it."""

    def __init__(self, examples: list[Example], minimum: int = 2) -> None:
        counts = Counter(word for e in examples for word in (*tokenize(e.question), *to_tokens(e)))
        kept = sorted(
            word for word, n in counts.items() if n >= minimum or word.startswith(("OP:", "["))
        )
        self.words = [*SPECIAL, *kept]
        self.ids = {word: place for place, word in enumerate(self.words)}

    def source(self, words: list[str]) -> tuple[list[int], list[int], list[str]]:
        """Ids, copy ids, and the words beyond the vocabulary."""
        beyond: list[str] = []
        copies = []
        for word in words:
            if word not in self.ids and word not in beyond:
                beyond.append(word)
            known = self.ids.get(word)
            copies.append(len(self.words) + beyond.index(word) if known is None else known)
        return [self.ids.get(word, UNKNOWN) for word in words], copies, beyond


def pad(rows: list[list[int]]) -> Tensor:
    """Rows as one (B, longest) tensor."""
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def _batches(prepared: list[Any], generator: np.random.Generator) -> Iterator[list[Any]]:
    """Batches of pairs of similar length, in random order, pass after pass."""
    while True:
        drawn = generator.permutation(len(prepared))
        order = sorted(drawn, key=lambda i: len(prepared[int(i)][2]) + generator.uniform(0, 4))
        starts = generator.permutation(range(0, len(order), BATCH))
        for start in starts:
            yield [prepared[int(i)] for i in order[start : start + BATCH]]


def train(examples: list[Example], minutes: float, seed: int = 0) -> tuple[Copier, Vocabulary]:
    """Train until the time is up (CPU minutes of this process)."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    dice = torch.Generator().manual_seed(seed)
    vocabulary = Vocabulary(examples)
    model = Copier(len(vocabulary.words))
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    prepared = []
    for example in examples:
        ids, places, beyond = vocabulary.source(tokenize(example.question))
        target = [
            vocabulary.ids.get(
                t, len(vocabulary.words) + beyond.index(t) if t in beyond else UNKNOWN
            )
            for t in to_tokens(example)
        ]
        prepared.append((ids, places, target, len(beyond)))
    started, step = time.process_time(), 0
    batches = _batches(prepared, generator)
    while (share := (time.process_time() - started) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, (step + 1) / 200) * (1 - share)
        chosen = next(batches)
        source, copies = pad([c[0] for c in chosen]), pad([c[1] for c in chosen])
        unseen = torch.rand(source.shape, generator=dice) < WORD_DROPOUT
        source = source.masked_fill(unseen & (source != PAD), UNKNOWN)
        wanted = pad([[*c[2], END] for c in chosen])
        given = pad([[START, *c[2]] for c in chosen])
        given = given.where(given < len(vocabulary.words), torch.tensor(UNKNOWN))
        scores = model(source, copies, given, max(c[3] for c in chosen))
        loss = nn.functional.nll_loss(scores.flatten(0, 1), wanted.flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 200 == 0:
            passes = step * BATCH / len(prepared)
            print(
                f"step {step}: loss {loss.item():.3f}, pass {passes:.0f}, {share:.0%}", flush=True
            )
    return model.eval(), vocabulary


@torch.inference_mode()
def greedy(model: Copier, vocabulary: Vocabulary, questions: list[str]) -> list[list[str]]:
    """Program tokens of questions, greedily, at most 60 tokens."""
    rows = [vocabulary.source(tokenize(question)) for question in questions]
    source, copies = pad([row[0] for row in rows]), pad([row[1] for row in rows])
    extra = max(len(row[2]) for row in rows)
    given = torch.full((len(rows), 1), START)
    found: list[list[int]] = [[] for _ in rows]
    done = [False] * len(rows)
    for _ in range(60):
        best = model(source, copies, given, extra)[:, -1].argmax(-1)
        for place, token in enumerate(best.tolist()):
            done[place] = done[place] or token == END
            if not done[place]:
                found[place].append(token)
        if all(done):
            break
        known = best.where(best < len(vocabulary.words), torch.tensor(UNKNOWN))
        given = torch.cat([given, known[:, None]], 1)
    size = len(vocabulary.words)
    return [
        [
            vocabulary.words[t] if t < size else row[2][t - size]
            for t in tokens
            if t - size < len(row[2])
        ]
        for tokens, row in zip(found, rows, strict=True)
    ]


def main() -> None:
    """Train on all folds but one, measure on that one."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--questions", type=Path, nargs="+", required=True)
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--fold", type=int, default=0)
    options.add_argument("--minutes", type=float, default=18.0)
    options.add_argument("--parser", action="store_true", help="train our parser there as well")
    arguments = options.parse_args()
    records, examples = read_examples(arguments.questions)
    places = [fold_of(record.image_id, arguments.folds) for record in records]
    learning = [e for e, place in zip(examples, places, strict=True) if place != arguments.fold]
    texts = {example.question for example in learning}
    held = [
        pair
        for *pair, place in zip(records, examples, places, strict=True)
        if place == arguments.fold
    ]
    tally = Tally()
    model, vocabulary = train(learning, arguments.minutes)
    for start in range(0, len(held), 64):
        batch = held[start : start + 64]
        outputs = greedy(model, vocabulary, [record.question for record, _ in batch])
        for (record, example), tokens in zip(batch, outputs, strict=True):
            program = to_program(tokens)
            scored = (ScoredProgram(program, 1.0),) if program else ()
            tally.add(record, example, ParseResult(scored), record.question in texts)
    print("seq2seq")
    print(format_table({"rows": tally.rows()}), flush=True)
    if arguments.parser:
        print("this project's parser, trained on the same records alone")
        print(format_table({"rows": _own(learning, held, texts).rows()}))


def _own(learning: list[Example], held: list[Any], texts: set[str]) -> Tally:
    """The project's parser on the same fold."""
    ontology = OntologyVocabulary()
    learner = train_parser(learning, ontology)
    parser = ProgramParser(learner.lexicon, learner.learned(), ontology)
    tally = Tally()
    for record, example in held:
        tally.add(record, example, parser.parse(record.question), record.question in texts)
    return tally


if __name__ == "__main__":
    main()
