"""English noun number: singular and plural of a name, by spelling rules and a table of exceptions.

A name may have several words; the head is inflected ("vase of roses" -> "vases of roses").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["Inflector"]

_ES_ENDINGS = ("s", "x", "z", "ch", "sh")
_MEMO_LIMIT = 100_000


class Inflector:
    """Singular and plural forms.

    Args:
        irregular: pairs (singular, plural); a plural of "=" marks a name with one form only.
        names: known singular names; their plurals are undone even where the rules would not.
    """

    def __init__(
        self, irregular: Iterable[tuple[str, str]] = (), names: Iterable[str] = ()
    ) -> None:
        self._plural: dict[str, str] = {}
        self._singular: dict[str, str] = {}
        self._invariant: set[str] = set()
        for singular, plural in irregular:
            if plural == "=":
                self._invariant.add(singular)
                continue
            self._plural.setdefault(singular, plural)
            if plural not in self._invariant:
                self._singular.setdefault(plural, singular)
        self._memo: dict[str, str] = {}
        known = dict.fromkeys(names)
        for name in known:
            plural = self._inflect(name, self._plural, _plural_by_rule)
            if (
                self._inflect(name, self._singular, _singular_by_rule) not in known
                or name == plural
            ):
                continue
            if plural not in known and plural not in self._invariant:
                self._singular.setdefault(plural, name)

    def singular(self, name: str) -> str:
        """The singular of a name; a name that is already singular comes back unchanged."""
        found = self._memo.get(name)
        if found is None:
            if len(self._memo) >= _MEMO_LIMIT:
                self._memo.clear()
            found = self._memo[name] = self._inflect(name, self._singular, _singular_by_rule)
        return found

    def plural(self, name: str) -> str:
        """The plural of a singular name; a name that has no plural comes back unchanged."""
        if self.is_plural(name):
            return name
        return self._inflect(name, self._plural, _plural_by_rule)

    def is_plural(self, name: str) -> bool:
        """Whether the name has a singular of another spelling."""
        return self.singular(name) != name

    def is_invariant(self, name: str) -> bool:
        """Whether the name has one form for both numbers ("sheep", "pants")."""
        return name in self._invariant or name.rsplit(" ", 1)[-1] in self._invariant

    def _inflect(self, name: str, table: Mapping[str, str], rule: object) -> str:
        before, head, after = _split_head(name)
        for form in dict.fromkeys((name, head)):
            prefix, suffix = ("", "") if form == name else (before, after)
            if form in self._invariant:
                return name
            if form in table:
                return prefix + table[form] + suffix
            if table is self._singular and form in self._plural:
                return name
        return before + rule(head) + after  # type: ignore[operator]


def _split_head(name: str) -> tuple[str, str, str]:
    """Cut a name into (text before the head word, head word, text after it)."""
    front, link, back = name.partition(" of ")
    before, space, head = front.rpartition(" ")
    return before + space, head, link + back


def _singular_by_rule(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is", "'s")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zzes", "ches", "shes", "oes")):
        return word[:-2]
    return word[:-1]


def _plural_by_rule(word: str) -> str:
    if not word:
        return word
    if word.endswith("y") and len(word) > 1 and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(_ES_ENDINGS):
        return word + "es"
    return word + "s"
