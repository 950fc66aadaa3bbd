"""Modules have names of their own within a package, and no circle of imports, of any kind, joins them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.structure import circle, imports, modules, names_used_twice

PACKAGE = Path(__file__).parents[3] / "kubemr"


def write(root: Path, files: dict[str, str]) -> Path:
    """Write a package named `p` with these files; every folder of it is a package."""
    for name, text in {"__init__.py": "", **files}.items():
        file = root / "p" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in (file.parent, *file.parent.relative_to(root).parents):
            (root / folder).mkdir(exist_ok=True)
        file.write_text(text)
    for folder in (root / "p").rglob("*"):
        if folder.is_dir():
            (folder / "__init__.py").touch()
    return root / "p"


def test_no_circle_of_imports() -> None:
    graph = imports(modules(PACKAGE))
    assert len(graph["kubemr.worker.scheduling.loop"]) > 5  # imports are found
    assert circle(graph) == []


@pytest.mark.parametrize(
    "text",
    [
        "from p import b",
        "import p.b",
        "from p.b import name",
        "from . import b",
        "from .b import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import name",
        "def function():\n    from p.b import name",
    ],
)
def test_every_form_of_import_can_close_a_circle(tmp_path: Path, text: str) -> None:
    package = write(tmp_path, {"a.py": text, "b.py": "from p.c import name", "c.py": "import p.a"})
    assert set(circle(imports(modules(package)))) == {"p.a", "p.b", "p.c"}
    assert circle(imports(modules(write(tmp_path, {"c.py": ""})))) == []


def test_no_module_name_twice_in_one_package() -> None:
    assert names_used_twice(PACKAGE) == {}


def test_a_name_that_is_there_twice_is_found(tmp_path: Path) -> None:
    """Of two modules, of a module and a folder; not of a folder's main module, nor in different packages."""
    package = write(
        tmp_path,
        {
            "one/store.py": "",
            "one/below/store.py": "",
            "one/objects.py": "",
            "one/below/objects/x.py": "",
            "one/node/node.py": "",
            "two/store.py": "",
            "two/__main__.py": "",
            "two/below/__main__.py": "",
        },
    )
    assert names_used_twice(package) == {
        "one: store": ["p/one/below/store.py", "p/one/store.py"],
        "one: objects": ["p/one/below/objects", "p/one/objects.py"],
    }
