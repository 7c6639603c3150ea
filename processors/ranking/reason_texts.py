"""What reasons say to people, in their own language: built in for English and Chinese, by settings for any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter

import numpy as np

from processors.common.arrays import Ints
from processors.common.errors import ConfigurationError
from processors.ranking.reason_kinds import KINDS
from processors.ranking.sources.base import LANGUAGES
from processors.users.context import language_of
from processors.users.profile import Profile

Texts = Mapping[str, Mapping[str, str]]
"""By language, and by kind of reason or ``kind.field`` for one field of the context: the text."""


class ReasonTexts:
    """Texts of all kinds of reason in all languages.

    Parameters
    ----------
    default
        Language of users whose own is not known, or has no texts: ``users.ranking.locale``.
    texts
        ``users.ranking.texts``: further languages, or other words than the built-in ones. A kind that a language has no
        text for is told in the default language.

    Attributes
    ----------
    languages : tuple of str
        All languages; the first is the default. A language's number is its index here.

    Raises
    ------
    ConfigurationError
        If the default language has no texts, or a text is for no kind there is or names what its kind does not name.

    Examples
    --------
    >>> texts = ReasonTexts("en", {"de": {"viewed_together": "Oft zusammen mit {item} angesehen"}})
    >>> texts.languages, texts.number_of("de"), texts.number_of("fr"), texts.number_of(None)
    (('en', 'de', 'zh'), 1, 0, 0)
    >>> texts.template(1, 0), texts.template(2, 0)
    ('Oft zusammen mit {item} angesehen', '常与 {item} 一起浏览')
    >>> ReasonTexts("en", {"de": {"trendy": "Beliebt"}})
    Traceback (most recent call last):
    ...
    processors.common.errors.ConfigurationError: users.ranking.texts.de: 'trendy' is no kind of reason, expected one ...
    """

    def __init__(self, default: str = "en", texts: Texts | None = None) -> None:
        own = texts or {}
        if default not in LANGUAGES and default not in own:
            raise ConfigurationError(
                f"users.ranking.locale: there are no texts in {default!r}, expected one of "
                f"{', '.join(sorted({*LANGUAGES, *own}))}, or texts of it in users.ranking.texts.{default}"
            )
        for language, its in own.items():
            if language_of(language) != language or not language:
                raise ConfigurationError(
                    f"users.ranking.texts.{language[:60]}: {language[:60]!r} is no language, expected its short form "
                    "in lower case, such as de"
                )
            for name, text in its.items():
                _check(language, name, text)
        self.languages = (default, *sorted({*LANGUAGES, *own} - {default}))
        self._numbers = {language: number for number, language in enumerate(self.languages)}
        self._own = own

    def number_of(self, language: str | None) -> int:
        """Return the number of a language such as ``de``; that of the default if it is not known or has no texts."""
        return self._numbers.get(language or "", 0)

    def numbers_of(self, profiles: Sequence[Profile]) -> Ints:
        """Return the number of each user's language, int64 of shape (users,)."""
        return np.array([self.number_of(profile.context.get("language")) for profile in profiles], np.int64)

    def template(self, language: int, kind: int, field: str = "") -> str:
        """Return the text of a kind of reason by their numbers, with braces around what it names.

        Parameters
        ----------
        field
            The field of the context that the reason names, such as ``country``, if it names one.
        """
        for name in (self.languages[language], self.languages[0], "en"):
            found = self._text(name, kind, field)
            if found is not None:
                return found
        raise AssertionError(f"{KINDS[kind].kind.name} has no English text")

    def _text(self, language: str, kind: int, field: str) -> str | None:
        own, built_in = self._own.get(language, {}), KINDS[kind].kind
        return (
            own.get(f"{built_in.name}.{field}")
            or own.get(built_in.name)
            or built_in.field_texts.get(field, {}).get(language)
            or built_in.texts.get(language)
        )


def _check(language: str, name: str, text: str) -> None:
    """Refuse a text that says nothing, is for no kind of reason, or names what its kind does not name."""
    where = f"users.ranking.texts.{language}"
    kinds = {entry.kind.name: entry.kind for entry in KINDS}
    kind = kinds.get(name.partition(".")[0])
    if kind is None or (name != kind.name and name.partition(".")[2] not in kind.field_texts):
        raise ConfigurationError(f"{where}: {name!r} is no kind of reason, expected one of {', '.join(kinds)}")
    try:
        named = [(name, form, conversion) for _, name, form, conversion in Formatter().parse(text) if name is not None]
    except ValueError:
        named = [("{", "", None)]
    if named != ([] if kind.links is None else [(kind.links, "", None)]) or not text.strip():
        once = f"{{{kind.links}}} once and no other name" if kind.links else "no name in braces"
        raise ConfigurationError(f"{where}.{name}: {text!r}, expected words for people with {once}")
