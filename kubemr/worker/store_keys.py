"""Whether an address lies in the job's own store, and under which key.

Reducers fetch what mappers stored, thousands of small objects by URL: those go through the store that is
open already, with its connections, and not through a new one each.
"""

from __future__ import annotations

from urllib.parse import unquote

from kubemr.storage.base import ObjectStore
from kubemr.storage.errors import InvalidKeyError


def own_key(url_or_key: str, store: ObjectStore) -> str | None:
    """The key in `store`: of what is no URL the text itself, of a URL that `store.url` gives its key, else None."""
    if "://" not in url_or_key:
        return url_or_key
    root = store.url("x")[:-1]
    if not url_or_key.startswith(root):
        return None
    rest = url_or_key[len(root) :]
    # Some stores' URLs are percent-encoded and some are not: the right reading is the one that gives the URL back.
    return next((key for key in (rest, unquote(rest)) if _has_url(store, key, url_or_key)), None)


def _has_url(store: ObjectStore, key: str, url: str) -> bool:
    try:
        return store.url(key) == url
    except InvalidKeyError:
        return False
