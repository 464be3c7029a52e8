"""A toy language for decoding tests: any history has its own random next-word distribution."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
import torch
from torch import Tensor

from gqa_reasoner.vlp.captioning.rules import Rules


class ToySteps:
    """Logits depend on the picture's own number and on the whole history."""

    def __init__(self, names: list[int], vocabulary: int, sharpness: float = 2.0) -> None:
        self.names, self.vocabulary, self.sharpness = list(names), vocabulary, sharpness
        self.pictures, self.device = len(names), torch.device("cpu")
        self.histories: list[list[tuple[int, ...]]] = [[()] for _ in names]
        self.calls = 0

    def logits(self, name: int, history: tuple[int, ...]) -> np.ndarray:
        seed = zlib.crc32(repr((name, history)).encode())
        generator = np.random.default_rng(seed)
        return generator.normal(size=self.vocabulary) * self.sharpness

    def step(self, words: Tensor) -> Tensor:
        self.calls += 1
        self.histories = [
            [(*history, word) for history, word in zip(beams, row, strict=True)]
            for beams, row in zip(self.histories, words.tolist(), strict=True)
        ]
        rows = [
            [self.logits(name, history) for history in beams]
            for name, beams in zip(self.names, self.histories, strict=True)
        ]
        return torch.tensor(np.array(rows), dtype=torch.float32)

    def reorder(self, source: Tensor) -> None:
        self.histories = [
            [beams[k] for k in row]
            for beams, row in zip(self.histories, source.tolist(), strict=True)
        ]

    def keep(self, pictures: Tensor) -> None:
        chosen = pictures.tolist()
        self.names = [self.names[b] for b in chosen]
        self.histories = [self.histories[b] for b in chosen]
        self.pictures = len(chosen)


def log_probabilities(
    name: int, words: tuple[int, ...], rules: Rules, vocabulary: int
) -> list[float]:
    """Of each word of a caption, and of its end."""
    toy, history, found = ToySteps([name], vocabulary), (rules.start,), []
    for word in (*words, rules.end):
        logits = toy.logits(name, history)
        found.append(float(logits[word] - np.log(np.exp(logits).sum())))
        history = (*history, word)
    return found


def allowed(words: tuple[int, ...], rules: Rules, vocabulary: int) -> set[int]:
    """What may follow, by the letter of `Rules`."""
    if len(words) >= rules.max_length:
        return {rules.end}
    size = rules.no_repeat
    grams = {words[i : i + size] for i in range(len(words) - size + 1)} if size else set()
    free = {
        word
        for word in range(vocabulary)
        if word != rules.end
        and word not in rules.forbidden
        and not (size and (*words, word)[-size:] in grams)
    }
    return free | {rules.end} if len(words) >= rules.min_length or not free else free


def all_captions(rules: Rules, vocabulary: int) -> list[tuple[int, ...]]:
    """Every caption that the rules allow."""
    found, open_ = [], [()]
    for _ in itertools.repeat(None, rules.max_length + 1):
        following = []
        for words in open_:
            for word in sorted(allowed(words, rules, vocabulary)):
                if word == rules.end:
                    found.append(words)
                else:
                    following.append((*words, word))
        open_ = following
    return found
