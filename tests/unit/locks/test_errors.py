"""All exceptions of kubemr.locks are one family."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest

import kubemr.locks
from kubemr.locks import ConfigError, InvalidLockError, LocksError, StoppedError, errors


def exceptions() -> list[type[BaseException]]:
    """Every exception class that a module of the package defines, private ones too."""
    modules = [import_module(f"kubemr.locks.{found.name}") for found in pkgutil.iter_modules(kubemr.locks.__path__)]
    return sorted(
        {
            value
            for module in modules
            for value in vars(module).values()
            if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == module.__name__
        },
        key=lambda error: error.__name__,
    )


def test_the_walk_finds_the_exceptions() -> None:
    """Those that users meet most, of several modules."""
    names = {error.__name__ for error in exceptions()}
    assert names >= {"LocksError", "LockLostError", "LeaseLostError", "RequestRefusedError", "ConfigError"}


@pytest.mark.parametrize("error", exceptions(), ids=lambda error: error.__name__)
def test_each_exception_is_caught_by_the_base_class(error: type[BaseException]) -> None:
    """It is a LocksError, is named as an error, exported, and part of the tree in the docstring of errors.py."""
    assert issubclass(error, LocksError)
    assert error.__name__.endswith("Error")
    assert getattr(kubemr.locks, error.__name__) is error
    assert error.__name__ in kubemr.locks.__all__
    assert f"* {error.__name__} " in (errors.__doc__ or "").replace("\n", " \n")


def test_the_tree_names_nothing_else() -> None:
    """An exception that was removed leaves the docstring too."""
    listed = {line.split()[1] for line in (errors.__doc__ or "").splitlines() if line.lstrip().startswith("* ")}
    assert listed == {error.__name__ for error in exceptions()}


def test_a_stop_is_no_other_kind_of_error() -> None:
    """Code that handles wrong values, or what the system or a storage raises, does not catch a stop."""
    assert StoppedError.__bases__ == (LocksError,)
    assert LocksError.__bases__ == (Exception,)


@pytest.mark.parametrize("error", [ConfigError, InvalidLockError])
def test_wrong_values_stay_value_errors(error: type[Exception]) -> None:
    """As code expects that knows nothing of the base class."""
    assert issubclass(error, ValueError)
