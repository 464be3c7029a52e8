"""The arrows between the rooms hold, and no room pulls in more than it may."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("detectors", "knowledge", "eval", "gqa_reasoner")
ALLOWED = {
    "detectors": {"detectors"},
    "knowledge": {"knowledge", "detectors.scene", "detectors.errors"},
    "eval": {"eval"},
    "gqa_reasoner": set(OURS),
}


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", OURS)
def test_a_room_imports_only_what_the_design_allows(room: str) -> None:
    wrong = []
    for path in sorted((ROOT / room).rglob("*.py")):
        for name in sorted(_imports(path)):
            if name.split(".")[0] not in OURS:
                continue
            if not any(
                name == allowed or name.startswith(allowed + ".") for allowed in ALLOWED[room]
            ):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_eval_needs_no_torch() -> None:
    imported = {name for path in (ROOT / "eval").rglob("*.py") for name in _imports(path)}
    assert not {name for name in imported if name.split(".")[0] == "torch"}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from gqa_reasoner.cli import main; main(['--help']);"
        "heavy = {'torch', 'transformers', 'spacy', 'torch_geometric', 'numpy', 'PIL'};"
        "sys.exit(1 if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "COMMAND" in done.stdout
