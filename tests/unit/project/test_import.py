"""`import kubemr` loads nothing; its public names are loaded when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kubemr


def test_importing_the_package_loads_no_other_module_of_it() -> None:
    """So that `import kubemr.locks` costs what kubemr.locks costs."""
    program = "import sys, kubemr; print([name for name in sys.modules if name.startswith('kubemr.')])"
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    """`__all__` promises nothing that cannot be had."""
    assert [name for name in kubemr.__all__ if not hasattr(kubemr, name)] == []


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    """As any module would, and saying what there is."""
    with pytest.raises(AttributeError, match=r"no attribute 'JobWroker'; it exports JobWorker"):
        kubemr.__getattr__("JobWroker")
