"""Throughput of the parser, beside a T5-small of random weights; and spaCy's tokens beside ours.

    python benchmarks/bench_parser.py --questions FILE [--t5] [--spacy]

Prints questions per second (one process and two), milliseconds for one question (median and 95th
percentile), the time to load, and with `--t5` the same for a T5-small that writes as many tokens as
the program's text has, greedily. With `--spacy`: the time to import spaCy, to make `blank("en")`,
and the share of questions that it cuts into the same words.
"""

from __future__ import annotations

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from gqa_reasoner.data.questions import iterate_questions


def _parse_all(questions: list[str]) -> int:
    from gqa_reasoner.program.parser import ProgramParser

    parser = _PARSERS.setdefault("one", None) or ProgramParser.from_pretrained()
    _PARSERS["one"] = parser
    return sum(bool(parser.parse(question, 1).programs) for question in questions)


_PARSERS: dict[str, object] = {}


def bench_parser(questions: list[str]) -> None:
    """Load time, single questions, one process, two processes."""
    started = time.perf_counter()
    from gqa_reasoner.program.parser import ProgramParser

    parser = ProgramParser.from_pretrained()
    print(f"import and load: {time.perf_counter() - started:.3f} s")
    parser.parse(questions[0])
    single = []
    for question in questions:
        begun = time.perf_counter()
        parser.parse(question)
        single.append(1000 * (time.perf_counter() - begun))
    single.sort()
    print(
        f"one question: median {statistics.median(single):.2f} ms, 95 % within "
        f"{single[int(0.95 * len(single))]:.2f} ms, longest {single[-1]:.1f} ms"
    )
    begun, cpu = time.perf_counter(), time.process_time()
    parser.parse_batch(questions, top_k=1)
    wall = time.perf_counter() - begun
    print(
        f"one process: {len(questions) / wall:.0f} questions/s "
        f"({len(questions) / (time.process_time() - cpu):.0f} per CPU second; "
        f"{len(set(questions))} of {len(questions)} texts differ)"
    )
    halves = [questions[::2], questions[1::2]]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_parse_all, [half[:2] for half in halves]))
        begun = time.perf_counter()
        list(pool.map(_parse_all, halves))
        print(f"two processes: {len(questions) / (time.perf_counter() - begun):.0f} questions/s")


def bench_t5(questions: list[str], batch: int = 32) -> None:
    """A T5-small of random weights, greedy, as many tokens as the programs' texts have."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from gqa_reasoner.program.parser import ProgramParser

    parser = ProgramParser.from_pretrained()
    texts = []
    for question in questions[: 2 * batch]:
        programs = parser.parse(question, 1).programs
        texts.append(programs[0].program.to_semantic_str() if programs else "select")
    length = int(statistics.mean(len(text) for text in texts) / 3.5)
    torch.manual_seed(0)
    config = T5Config(
        d_model=512, d_ff=2048, num_layers=6, num_heads=8, d_kv=64, decoder_start_token_id=0
    )
    model = T5ForConditionalGeneration(config).eval()
    ids = torch.randint(3, 32000, (batch, 16))
    with torch.inference_mode():
        for size in (1, batch):
            begun = time.perf_counter()
            model.generate(
                ids[:size], max_new_tokens=length, min_new_tokens=length, do_sample=False
            )
            wall = time.perf_counter() - begun
            print(
                f"T5-small, random weights, {length} tokens, batch {size}: "
                f"{size / wall:.1f} questions/s, {1000 * wall / size:.0f} ms each"
            )


def bench_spacy(questions: list[str]) -> None:
    """spaCy's cost, and whether it cuts the questions as the parser does."""
    begun = time.perf_counter()
    import spacy

    print(f"import spacy: {time.perf_counter() - begun:.2f} s")
    begun = time.perf_counter()
    english = spacy.blank("en")
    print(f'spacy.blank("en"): {time.perf_counter() - begun:.2f} s')
    from gqa_reasoner.program.parsing.tokens import tokenize

    begun = time.perf_counter()
    theirs = [
        [token.lower_ for token in document if not token.is_space]
        for document in english.pipe(questions)
    ]
    print(f"spaCy tokenizes {len(questions) / (time.perf_counter() - begun):.0f} questions/s")
    begun = time.perf_counter()
    ours = [tokenize(question) for question in questions]
    print(f"the parser tokenizes {len(questions) / (time.perf_counter() - begun):.0f} questions/s")
    same, examples = 0, []
    for question, left, right in zip(questions, ours, theirs, strict=True):
        while right and not right[-1][0].isalnum() and right[-1] != "'s":
            right.pop()
        right = ["not" if token == "n't" else token for token in right]
        same += left == right
        if left != right and len(examples) < 5:
            examples.append((question, left, right))
    print(f"same words: {same} of {len(questions)}; for example {examples}")


def main() -> None:
    """Run what the options ask for."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--questions", type=Path, required=True)
    options.add_argument("--limit", type=int, default=2000)
    options.add_argument("--t5", action="store_true")
    options.add_argument("--spacy", action="store_true")
    arguments = options.parse_args()
    questions = [record.question for record in iterate_questions(arguments.questions)]
    questions = questions[: arguments.limit]
    bench_parser(questions)
    if arguments.spacy:
        bench_spacy(questions)
    if arguments.t5:
        bench_t5(questions)


if __name__ == "__main__":
    main()
