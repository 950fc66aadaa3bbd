"""Informers: local copies of the apiserver's objects that tell handlers what changed, as in client-go's `tools/cache`.

A `reflector` lists and watches one kind of object.  An `informer` keeps what it says in a `store` and hands every
change to each handler through a `buffer` of its own.  Informers share nothing but the client.

- `objects`: keys, versions and what is cut off an object before it is stored;
- `store`: objects by key, with indexes;
- `changes`: added, updated, deleted;
- `buffer`: what a handler has yet to hear, merged by key so that it stays bounded;
- `handlers`: what a handler is, and the task that feeds it;
- `listing`: a list, page by page;
- `failures`: which error leads to what;
- `reflector`, `informer`: as above.
"""

from kubemr.controller.informer.handlers import EnqueueKeys, Handler, Registration
from kubemr.controller.informer.informer import Informer
from kubemr.controller.informer.object_keys import Object, key_of, make_key, split_key, strip_managed_fields
from kubemr.controller.informer.reflector import Reflector, ReflectorStore
from kubemr.controller.informer.store import IndexFunction, Store, by_label

__all__ = [
    "EnqueueKeys",
    "Handler",
    "IndexFunction",
    "Informer",
    "Object",
    "Reflector",
    "ReflectorStore",
    "Registration",
    "Store",
    "by_label",
    "key_of",
    "make_key",
    "split_key",
    "strip_managed_fields",
]
