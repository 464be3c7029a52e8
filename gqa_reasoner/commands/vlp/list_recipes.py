"""`vlp list`: the systems of the family, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--recipe", metavar="NAME", help="everything about one recipe")
    parser.add_argument("--json", action="store_true", help="every field, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the recipes."""
    from gqa_reasoner.vlp.recipe import list_recipes, load_recipe

    names = [arguments.recipe] if arguments.recipe else list_recipes()
    recipes = [load_recipe(name) for name in names]
    if arguments.json:
        records = [{**asdict(recipe), "letters": recipe.letters} for recipe in recipes]
        print(json.dumps(records, ensure_ascii=False, indent=1))
        return 0
    if arguments.recipe:
        import yaml

        text: str = yaml.safe_dump(asdict(recipes[0]), sort_keys=False, allow_unicode=True)
        print(text, end="")
        return 0
    rows = [("name", "embed · plan", "losses", "transforms", "published", "tiny", "public weights")]
    for recipe in recipes:
        losses = " + ".join(
            name if weight == 1 else f"{weight:g} {name}" for name, weight in recipe.losses.items()
        )
        rows.append(
            (
                recipe.name,
                recipe.letters,
                losses,
                " ".join(recipe.transforms) or "-",
                f"{recipe.published.sizes.layers} x {recipe.published.sizes.width}",
                f"{recipe.tiny.layers} x {recipe.tiny.width}",
                " ".join(item.name for item in recipe.weights) or "-",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0
