"""Domains as people and addresses name them: which of them are the same, and which lie within which."""

from __future__ import annotations

import re
from functools import lru_cache

from processors.common.text import folded

_HOST = re.compile(
    r"^(?:[a-z][a-z0-9+.-]*://)?+(?:[^/?#@\\]*@)?"  # scheme, user
    r"([^/?#@:\\\s]+?)\.?(?::\d*)?(?:[/?#\\].*)?$",  # host, port, path
    re.DOTALL,
)
_LABELS = re.compile(r"^[\w-]+(?:\.[\w-]+)*$")
_MOST_REMEMBERED = 16_384


@lru_cache(_MOST_REMEMBERED)
def domain_of(text: str) -> str:
    """Return the domain that a text names, or the address in it leads to; an empty text if it is none.

    Case, Unicode form and a leading ``www.`` make no difference; names in other scripts are the same as their ASCII
    form (IDNA).

    Examples
    --------
    >>> domain_of("https://www.Shop.example:8443/tents?x=a@b"), domain_of("shop.example."), domain_of("no domain")
    ('shop.example', 'shop.example', '')
    >>> domain_of("bücher.example")
    'xn--bcher-kva.example'
    """
    found = _HOST.match(folded(text.strip()))
    if found is None or not _LABELS.match(found[1]):
        return ""
    try:
        host = found[1].encode("idna").decode("ascii")
    except UnicodeError:
        host = found[1]
    return host.removeprefix("www.")


def enclosing(domain: str) -> list[str]:
    """Return a domain and all that it lies within, the narrowest first.

    Examples
    --------
    >>> enclosing("a.shop.example")
    ['a.shop.example', 'shop.example', 'example']
    """
    labels = domain.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))] if domain else []
