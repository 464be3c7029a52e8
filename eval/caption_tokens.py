"""Tokenization of captions before they are scored.

`ptb`: the Stanford PTB tokenizer that ships with pycocoevalcap (needs Java), as in the COCO
evaluation. `plain`: a Java-free approximation of it; figures with it are labelled so. `none`:
the captions are tokens separated by blanks already.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from eval.errors import InputError
from eval.optional import optional

__all__ = ["TOKENIZERS", "java_path", "tokenize"]

TOKENIZERS = ("ptb", "plain", "none")
_PUNCTUATION = "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;"
"""What the COCO evaluation removes. Brackets come out as -lrb- and stay, as there."""
_JAR = "stanford-corenlp-3.4.1.jar"
_TOKEN = re.compile(
    r"(?P<clitic>'(?:s|m|d|ll|re|ve)\b)|(?P<word>(?:[a-z]\.){2,}|\d+(?:[.,:/]\d+)+|"
    r"(?:mr|mrs|ms|dr|jr|sr|st|vs|prof|ave|blvd|rd|inc|ltd)\.(?!\w)|\w+(?:[-/.]\w+)*(?:'(?!s\b|m\b|d\b|ll\b|re\b|ve\b|t\b)\w+)*)|(?P<mark>[^\w\s])"
)
_NOT = re.compile(r"(?<=\w)n't\b")
_KEPT_MARKS = {mark: mark for mark in "$%#@&*/+=<>"} | {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
}
_SPLIT_WORDS = {"cannot": "can not", "gonna": "gon na", "gotta": "got ta", "wanna": "wan na"}


def java_path() -> str | None:
    """The `java` program, None where there is none."""
    return shutil.which("java")


def tokenize(captions: Sequence[str], tokenizer: str) -> list[str]:
    """Each caption as lower-case tokens separated by single blanks, without punctuation.

    Raises:
        InputError: an unknown tokenizer, or `ptb` without Java or pycocoevalcap.
    """
    if tokenizer == "none":
        return list(captions)
    if tokenizer == "plain":
        return [_plain(caption) for caption in captions]
    if tokenizer != "ptb":
        raise InputError(f"tokenizer: expected one of {', '.join(TOKENIZERS)}, got {tokenizer!r}")
    return _ptb(captions)


def _ptb(captions: Sequence[str]) -> list[str]:
    package = optional("pycocoevalcap.tokenizer.ptbtokenizer", "the PTB tokenizer")
    jar = Path(package.__file__ or "").parent / _JAR
    java = java_path()
    if java is None or not jar.is_file():
        raise InputError(
            "the PTB tokenizer needs Java: apt-get install default-jre, or --tokenizer plain"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "captions.txt"
        file.write_text("\n".join(" ".join(c.splitlines()) for c in captions), encoding="utf-8")
        command = [java, "-Dfile.encoding=UTF-8", "-cp", str(jar)]
        command += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
        done = subprocess.run([*command, str(file)], capture_output=True, check=False)
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    if done.returncode or len(lines) < len(captions):
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise InputError(f"the PTB tokenizer failed: {''.join(last) or 'lines are missing'}")
    return [_joined(line.rstrip().split(" ")) for line in lines[: len(captions)]]


def _joined(tokens: Iterable[str]) -> str:
    dropped = frozenset(_PUNCTUATION.split())
    return " ".join(token for token in tokens if token not in dropped)


def _plain(caption: str) -> str:
    """Words, numbers and clitics by pattern; marks that the COCO evaluation drops are dropped."""
    text = _NOT.sub(" n't", caption.lower().replace("\u2019", "'"))
    tokens: list[str] = []
    for piece in text.split():
        if piece == "n't":
            tokens.append(piece)
            continue
        for found in _TOKEN.finditer(piece):
            token = found.group()
            if found.lastgroup == "mark":
                token = _KEPT_MARKS.get(token, "")
            tokens.extend(_SPLIT_WORDS.get(token, token).split())
    return _joined(tokens)
