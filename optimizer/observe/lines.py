"""The lines of a file of traces, plain or gzip, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from optimizer.errors import InputError

LINE_BYTES_MAX = 16 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@dataclass
class Lines:
    """Iterates over (line number, bytes), without blank lines; None stands for a line that is too long.

    `truncated` says afterwards where a damaged gzip file ended; what was whole until there has been given.
    """

    path: Path
    truncated: str | None = None
    bytes_read: int = field(default=0, init=False)  # of the file as it is, for progress
    bytes_total: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        try:
            self.bytes_total = self.path.stat().st_size
            with self.path.open("rb") as file:
                packed = file.read(2) == _GZIP_MAGIC
                file.seek(0)
                if packed:
                    with gzip.GzipFile(fileobj=file) as unpacked:
                        yield from self._read(unpacked, file)
                else:
                    yield from self._read(file, file)
        except gzip.BadGzipFile as error:
            raise InputError(f"{str(self.path)!r} is a damaged gzip file ({error}); copy it again.") from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"Cannot read {str(self.path)!r} ({reason}); give the path of a file of traces."
            ) from error

    def _read(self, stream: BinaryIO | gzip.GzipFile, file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
        number = 0
        while True:
            try:
                line = stream.readline(LINE_BYTES_MAX + 1)
                too_long = len(line) > LINE_BYTES_MAX and not line.endswith(b"\n")
                if too_long:
                    _skip_line(stream)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                if number == 0 and isinstance(error, gzip.BadGzipFile):
                    raise
                what = "ends too early" if isinstance(error, EOFError) else "is damaged"
                kept = f"its first {number} lines were" if number != 1 else "its first line was"
                advice = "copy it again and import it once more"
                self.truncated = f"The gzip file {str(self.path)!r} {what}: {kept} read; {advice}."
                return
            if not line:
                return
            number += 1
            self.bytes_read = file.tell()
            if number == 1:
                line = line.removeprefix(_BOM)
            if too_long:
                yield number, None
            elif line := line.strip():
                yield number, line


def _skip_line(stream: BinaryIO | gzip.GzipFile) -> None:
    while (rest := stream.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
        pass
