"""Mistakes that people make in a MapReduceJob: for each the YAML, the field that must be named, words of the message.

The unit tests run the table against `validate`, the end-to-end tests against a real apiserver.
"""

from __future__ import annotations

from support.mistake import Mistake
from support.mistakes_beyond import BEYOND
from support.mistakes_rule import RULE
from support.mistakes_schema import SCHEMA

MISTAKES: tuple[Mistake, ...] = (*SCHEMA, *RULE, *BEYOND)
