"""Word count as a kubemr worker: which words are there in all inputs, and how often?

A word is a run of bytes without white space, in any encoding of the text.
So the counts are those of `tr -s '[:space:]' '\\n' | sort | uniq -c` in the C locale.

An input is one of these:

- a URL
- a split, in a job with `spec.split`
- a path, or a glob pattern such as `json/*.py` (`**` stands for any folders), relative to the job argument `root`

A result has a line `word<TAB>count` for every word of its partition, sorted.
The worker prints the job argument `say` for each input, which shows where the output of user code appears.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from glob import glob
from os.path import join

import kubemr

REMEMBERED = 1_000_000
"""How many words' partitions to cache."""


class WordCount(kubemr.JobWorker):
    """Counts words; one output per partition, and one result per partition."""

    def worker_init(self) -> None:
        """Create the cache of partitions."""
        self._partitions: dict[bytes, int] = {}

    def map(self, input: str) -> dict[int, str]:
        """Count the words of one input."""
        if said := self.job.jobargs.get("say"):
            print(said)
        words: Counter[bytes] = Counter()
        for text in self._texts(input):
            words.update(text.split())
        partitions: dict[int, list[bytes]] = {}
        for word, count in sorted(words.items()):
            partitions.setdefault(self._partition(word), []).append(b"%s\t%d\n" % (word, count))
        return {number: self.store(f"{number}.txt", b"".join(lines)) for number, lines in partitions.items()}

    def reduce(self, inputs: list[str]) -> str:
        """Add up the counts of one partition's words."""
        words: Counter[bytes] = Counter()
        for url in inputs:
            for word, count in counts(self.fetch(url)):
                words[word] += count
        lines = (b"%s\t%d\n" % item for item in sorted(words.items()))
        return self.store(f"{self.task.number}.txt", b"".join(lines))

    def _texts(self, input: str) -> Iterator[bytes]:
        """Yield the contents of the files that an input names, or the records of a split."""
        if input.startswith("{"):
            yield from self.records(input)
            return
        if "://" in input:
            yield self.fetch(input)
            return
        root = self.job.jobargs.get("root", "")
        paths = sorted(glob(input, root_dir=root or None, recursive=True))
        if not paths:
            raise FileNotFoundError(f"input {input!r}: there is no such file in {root or 'the working directory'}")
        for path in paths:
            with open(join(root, path), "rb") as file:
                yield file.read()

    def _partition(self, word: bytes) -> int:
        number = self._partitions.get(word)
        if number is None:
            if len(self._partitions) >= REMEMBERED:
                self._partitions.clear()
            number = self._partitions[word] = fnv1a(word) % self.job.partitions
        return number


def fnv1a(data: bytes) -> int:
    """Return the 32-bit FNV-1a hash (http://www.isthe.com/chongo/tech/comp/fnv/), the same in all processes."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def counts(lines: bytes) -> Iterable[tuple[bytes, int]]:
    """Return the words and their counts in a result or a map output."""
    fields = lines.split()  # no word holds white space
    return zip(fields[::2], map(int, fields[1::2]), strict=True)


if __name__ == "__main__":
    kubemr.serve(WordCount())
