"""Write the CRDs, and the reference of all fields, from the definitions.

python -m kubemr.resources.generate manifests/ [docs/api.md]
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from kubemr.resources.api_reference import reference
from kubemr.resources.crd import crd
from kubemr.resources.definitions.objects import KINDS

HEADER = "# Generated from kubemr/resources/definitions by `python -m kubemr.resources.generate`; do not edit.\n"


def crd_file(kind: str) -> str:
    """Return the file's name below the folder of manifests."""
    return f"crds/{crd(kind)['metadata']['name']}.yaml"


class _Dumper(yaml.SafeDumper):
    """Repeats shared parts instead of naming them by anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def to_yaml(document: object) -> str:
    """Return a document as it stands in a generated file."""
    return HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def files(manifests: Path, docs: Path | None) -> dict[Path, str]:
    """Return the text of each file that `generate` writes."""
    written = {manifests / crd_file(kind): to_yaml(crd(kind)) for kind in KINDS}
    if docs is not None:
        written[docs] = reference()
    return written


def main(argv: list[str]) -> int:
    """Write the files, and return the exit code."""
    if not 1 <= len(argv) <= 2:
        print(__doc__, file=sys.stderr)
        return 2
    for path, text in files(Path(argv[0]), Path(argv[1]) if len(argv) == 2 else None).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
