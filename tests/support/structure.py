"""Read the structure of a package from its sources: its modules, and which of them import which.

All imports count: also those under `if TYPE_CHECKING`, and those inside functions.  import-linter checks layers, and
leaves circles within one layer alone.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


def modules(package: Path) -> dict[str, Path]:
    """Return the files of a package by the dotted names of their modules; a folder has the name of its `__init__`."""
    return {
        ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in sorted(package.rglob("*.py"))
    }


def imports(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return the modules among `files` that each of them imports."""
    return {module: set(_imported(module, file, files)) - {module} for module, file in files.items()}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the modules of one circle of imports, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def names_used_twice(package: Path) -> dict[str, list[str]]:
    """Return the names that two modules, or two folders, have below one folder of `package`.

    A folder may hold a module with the folder's own name, as `informer/informer.py`.  `__init__` and `__main__` have
    fixed names.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for folder in (each for each in sorted(package.iterdir()) if (each / "__init__.py").exists()):
        places: dict[str, set[Path]] = defaultdict(set)
        for file in sorted(folder.rglob("*.py")):
            if file.name == "__init__.py":
                if file.parent != folder:
                    places[file.parent.name].add(file.parent)
            elif file.name != "__main__.py":
                places[file.stem].add(file.parent if file.parent.name == file.stem else file)
        for name, several in places.items():
            if len(several) > 1:
                found[f"{folder.name}: {name}"] += sorted(str(each.relative_to(package.parent)) for each in several)
    return dict(found)


def _imported(module: str, file: Path, files: Mapping[str, Path]) -> Iterator[str]:
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, [above, node.module]))
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            while name and name not in files:
                name = name.rpartition(".")[0]
            if name:
                yield name
