"""Informers: local copies of the apiserver's objects that report changes to handlers, as in client-go's `tools/cache`.

A `reflector` lists and watches objects of one kind.
An `informer` keeps them in a `store`, and delivers every change to each handler through that handler's own `buffer`.
Informers share nothing but the client.

- `object_keys`: keys and versions, and what is removed from an object before it is stored;
- `store`: objects by key, with indexes;
- `changes`: added, updated, deleted;
- `buffer`: the changes that a handler has not received yet, merged by key so that their number is bounded;
- `handlers`: what a handler is, and the task that delivers changes to it;
- `listing`: a list, page by page;
- `failures`: which error has which consequence;
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
