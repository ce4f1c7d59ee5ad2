"""Where decisions are written: standard output, or a file that is there under its name only when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import typer

from engine.cli.outputs import is_log
from engine.cli.stopping import stop
from engine.replay.blocks import STDIN
from engine.replay.written import Line, write_lines

SUFFIX = ".partial"  # of what is not whole, or not yet


def check_output(output: str, logs: Sequence[str]) -> None:
    """Stop where it cannot be written, or is one of the logs."""
    path = Path(output)
    if not path.absolute().parent.is_dir():
        stop(f"--decisions: there is no folder {path.parent}")
    for name in (output, os.path.realpath(output) + SUFFIX):
        if is_log(name, logs):
            written = "" if name == output else f" is written as {name} until it is whole, which"
            stop(f"--decisions: {output}{written} is the log itself")


def write_decisions(
    output: str, chunks: Iterable[list[Line]], is_whole: bool, progress: Callable[[int], None] | None = None
) -> str:
    """Write the lines, and say where: what is not whole has another name. Stops where they cannot be written."""
    if output == STDIN:
        _print(chunks, progress)
        return output
    target = os.path.realpath(output)
    # A pipe, say, has no other name.
    has_part = os.path.isfile(target) or not os.path.exists(target)
    part = target + SUFFIX if has_part else target
    try:
        with open(part, "wb") as stream:
            try:
                write_lines(stream.write, chunks, progress)
                stream.flush()
            except BaseException:
                # A part of which nobody is told, such as after Ctrl-C in the midst of it, is not left behind.
                if has_part:
                    os.unlink(part)
                raise
        if has_part and is_whole:
            if os.path.exists(target):
                shutil.copymode(target, part)
            os.replace(part, target)
    except OSError as error:
        if error.filename not in (None, part, target):
            raise
        # Such as a disk that is full: that error does not know the file.
        stop(f"--decisions: {output}: {(error.strerror or 'cannot be written').lower()}")
    return output if is_whole or not has_part else output + SUFFIX


def _print(chunks: Iterable[list[Line]], progress: Callable[[int], None] | None) -> None:
    stream = typer.get_binary_stream("stdout")
    try:
        write_lines(stream.write, chunks, progress)
        stream.flush()
    except BrokenPipeError:
        raise  # whoever read it has enough
    except OSError as error:
        if error.filename is not None:
            raise
        stop(f"--decisions: standard output: {(error.strerror or 'cannot be written').lower()}")
