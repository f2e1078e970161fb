"""A sealed file: one of safetensors whose header holds the model's description, and a sha256 of all its bytes.

The seal is the first thing that the description says, so that it stands at one place of the file. It is computed over
the whole file with zeros in that place: not one bit can change unseen. It tells damage, not who wrote the file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO, cast

from ..errors import FileError

Path = str | os.PathLike[str]
KEY = "wye"
BLANK = "0" * 64
HEAD = b'{"__metadata__":{"wye":"{\\"sha256\\":\\"'
"""How each header begins, behind its length of 8 bytes."""
PLACE = 8 + len(HEAD)
MOST = 16 * 2**20
"""The longest header in bytes: that of some 70,000 tensors."""
CHUNK = 2**18
SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""The dtypes of safetensors, and their bytes."""
WHOLE = "take another copy of it, or save the model again"


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its dtype in the words of safetensors, its shape, and where its bytes begin and end."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Sealed:
    """An open file whose header makes sense, and whose seal is still to be compared.

    Args:
        path: of the file, for errors.
        text: the description of the model.
        tensors: what the file holds by key, in the order of their bytes.
        header: the bytes before the tensors.
        file: the file, behind its header.
    """

    path: str
    text: str
    tensors: Mapping[str, Stored]
    header: bytes
    file: BinaryIO

    def fill(self, place: Callable[[str], memoryview]) -> None:
        """Reads each tensor into its place, in order, and compares the seal with what was read.

        Args:
            place: for a key the bytes that its tensor is to be read into, as many as it has.

        Raises:
            FileError: the file is not what was sealed; what was read is then worth nothing.
        """
        digest = hashlib.sha256(_blanked(self.header))
        for key, stored in self.tensors.items():
            view = place(key)[: stored.stop - stored.start]
            for start in range(0, len(view), CHUNK):
                self._read(view[start : start + CHUNK], digest)
        self._compare(digest.hexdigest())

    def check(self) -> None:
        """Compares the seal, and keeps nothing.

        Raises:
            FileError: the file is not what was sealed.
        """
        digest, scratch = hashlib.sha256(_blanked(self.header)), memoryview(bytearray(CHUNK))
        left = max((stored.stop for stored in self.tensors.values()), default=0)
        while left:
            count = min(left, CHUNK)
            self._read(scratch[:count], digest)
            left -= count
        self._compare(digest.hexdigest())

    def _read(self, view: memoryview, digest: Any) -> None:
        if self.file.readinto(view) != len(view):  # type: ignore[attr-defined]
            raise damaged(self.path, "it ends before its tensors do")
        digest.update(view)

    def _compare(self, found: str) -> None:
        sealed = self.header[PLACE : PLACE + len(BLANK)].decode("ascii", "replace")
        if found != sealed:
            raise damaged(self.path, f"its sha256 is {found[:16]}..., and it was sealed with {sealed[:16]}...")


def seal(path: Path) -> None:
    """Writes the seal into a file whose description begins with a blank one."""
    digest = hashlib.sha256()
    with open(path, "r+b") as file:
        begin = file.read(PLACE + len(BLANK))
        assert begin[8:] == HEAD + BLANK.encode(), "safetensors writes a header in another order than it used to"
        digest.update(begin)
        scratch = memoryview(bytearray(CHUNK))
        while count := file.readinto(scratch):
            digest.update(scratch[:count])
        file.seek(PLACE)
        file.write(digest.hexdigest().encode())


@contextmanager
def opened(path: Path) -> Generator[Sealed, None, None]:
    """Opens a file of `wye.save` and reads its header.

    Raises:
        FileError: it is another file, or its header makes no sense.
        OSError: there is no such file.
    """
    with open(path, "rb") as file:
        yield _read_header(os.fspath(path), file)


def _read_header(path: str, file: BinaryIO) -> Sealed:
    size = os.fstat(file.fileno()).st_size
    begin = file.read(PLACE)
    length = int.from_bytes(begin[:8], "little")
    if begin[8:] != HEAD:
        raise _other(path, begin, size)
    if not len(HEAD) + len(BLANK) <= length <= MOST:
        raise FileError(
            "the header of the file is longer than any.", path, f"{length:,} bytes, of {MOST:,} at most", WHOLE
        )
    header = begin + file.read(8 + length - PLACE)
    if len(header) != 8 + length:
        raise damaged(path, "it ends within its header")
    table = parsed(path, header[8:].decode("utf-8", "replace"))
    text = table.pop("__metadata__")[KEY]  # HEAD has shown that both are there
    return Sealed(path, text, _tensors(path, table, size - len(header)), header, file)


def _other(path: str, begin: bytes, size: int) -> FileError:
    """What it is instead, as far as its first bytes tell."""
    if begin[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        what = "a zip, as torch.save and Keras write" if begin[:2] == b"PK" else "a pickle, which may run any code"
        fix = "save the model by wye.save; a .keras file is read by wye.keras.load"
        return FileError("the file is none that wye.save wrote.", path, what, fix)
    if begin[8:9] == b"{":
        fix = "read tensors alone into a model: model.load_state_dict(safetensors.torch.load_file(path))"
        return FileError("the file holds no model of wye.", path, "a header without the description of one", fix)
    return FileError("the file is none that wye.save wrote.", path, f"{size:,} bytes of something else", WHOLE)


def damaged(path: str, got: str) -> FileError:
    return FileError("the file is damaged: it is not what was written.", path, got, WHOLE)


def parsed(path: str, text: str) -> dict[str, Any]:
    """A text of JSON that is one object; no key stands twice in any.

    Raises:
        FileError: it is none.
    """
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_finite)
    except RecursionError:
        raise FileError("the header of the file is nested too deep.", path, "JSON", WHOLE) from None
    except ValueError as error:
        raise FileError("the header of the file is no JSON.", path, str(error)[:200], WHOLE) from None
    if not isinstance(found, dict):
        raise FileError("the header of the file is no JSON object.", path, type(found).__name__, WHOLE)
    return cast(dict[str, Any], found)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:60]!r} stands twice")
        found[key] = value
    return found


def _finite(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _tensors(path: str, table: Mapping[str, Any], size: int) -> dict[str, Stored]:
    """The table of tensors in the order of their bytes, which follow one another and fill the file."""
    found = sorted(((key, _stored(path, key, entry)) for key, entry in table.items()), key=_bytes_of)
    end = 0
    for key, stored in found:
        if stored.start != end:
            raise FileError("tensors of the file overlap, or leave a gap.", path, f"`{key}`", WHOLE)
        end = stored.stop
    if end != size:
        raise damaged(path, f"{size:,} bytes of tensors, where its header tells of {end:,}")
    return dict(found)


def _bytes_of(item: tuple[str, Stored]) -> tuple[int, int]:
    return item[1].start, item[1].stop


def _stored(path: str, key: str, entry: Any) -> Stored:
    try:
        dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        sound = len(entry) == 3 and all(type(one) is int and 0 <= one < 2**63 for one in (*shape, start, stop))
        if sound and len(shape) <= 64 and prod(shape) * SIZES[dtype] == stop - start:
            return Stored(dtype, tuple(shape), start, stop)
    except (KeyError, TypeError, ValueError):
        pass
    raise FileError("a tensor of the file makes no sense.", path, f"`{key[:60]}`: {str(entry)[:120]}", WHOLE)


def _blanked(header: bytes) -> bytes:
    return header[:PLACE] + BLANK.encode() + header[PLACE + len(BLANK) :]
