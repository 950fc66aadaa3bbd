"""Draw what `make demo` shows on a terminal: `make picture` writes docs/run.svg.

The demo runs in a real terminal of this process's own (pty), a terminal in memory interprets what it prints (pyte), and
rich draws the last screen.  The first line, which names a folder of this machine, is left out.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import sys
import tempfile
import termios
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
COLUMNS, LINES = 96, 44
STORE = "kubemr-results"


def screen_of(command: list[str], environ: dict[str, str]) -> pyte.Screen:
    """Run `command` in a terminal, and return the screen at its end.  Raises RuntimeError when the command fails."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.execvpe(command[0], command, environ)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # EIO: the command has closed the terminal
            break
        if not data:
            break
        stream.feed(data)
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {code}:\n" + "\n".join(screen.display).rstrip())
    return screen


def text_of(screen: pyte.Screen) -> list[Text]:
    """Return the lines of the screen with their colours, without blank ones at the end."""
    lines = []
    for number in range(screen.lines):
        line = Text()
        for column in range(screen.columns):
            character = screen.buffer[number][column]
            colour = "" if character.fg == "default" else character.fg.replace("bright", "bright_")
            if colour and len(colour) == 6 and all(each in "0123456789abcdef" for each in colour):
                colour = f"#{colour}"
            style = " ".join(filter(None, ["bold" if character.bold else "", colour]))
            line.append(character.data, style.replace("brown", "yellow"))
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def main() -> None:
    """Write the picture to the path that the first argument names."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLUMNS": str(COLUMNS),
            "LINES": str(LINES),
            "KUBEMR_DEMO_STORE": str(Path(folder) / STORE),
        }
        screen = screen_of([sys.executable, str(ROOT / "examples/wordcount/demo.py")], environ)
        lines = text_of(screen)[1:]
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for line in lines:
        line.plain = line.plain.replace(folder, "/tmp")
        console.print(line, no_wrap=True, overflow="crop")
    Path(sys.argv[1]).write_text(console.export_svg(title="make demo"))


if __name__ == "__main__":
    main()
