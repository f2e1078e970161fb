"""A sealed file: one of safetensors whose header holds the model's description, and a sha256 of all its bytes.

The seal is the first thing that the description says, so that it stands at one place of the file. It is computed over
the whole file with zeros in that place: not one bit can change unseen. It tells damage, not who wrote the file.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from math import prod
from typing import IO, Any, cast

from ..errors import FileError, PartError

Path = str | os.PathLike[str]
KEY = "wye"
BLANK = "0" * 64
HEAD = b'{"__metadata__":{"wye":"{\\"sha256\\":\\"'
"""How each header begins, behind its length of 8 bytes."""
PLACE = 8 + len(HEAD)
END = PLACE + len(BLANK)
LINE = 64
"""The bytes of a line of the cache, at which the frameworks let tensors begin."""
CHUNK = 2**18
LONGEST = 2_000
"""The longest key, in characters."""
MOST = 16 * 2**20
"""The longest header in bytes: that of some 70,000 tensors."""
SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""The dtypes of safetensors, and their bytes."""
WHOLE = "take another copy of it, or save the model again"


@dataclass(frozen=True)
class Plain:
    """A tensor to be written: its dtype in the words of safetensors, its shape, and its bytes, lowest ones first."""

    dtype: str
    shape: Sequence[int]
    data: memoryview


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
    file: IO[bytes]

    def check(self) -> None:
        """Compares the seal with the bytes of the file.

        Raises:
            FileError: the file is not what was sealed.
        """
        found, sealed = _digest(self.file), self.header[PLACE:END].decode("ascii", "replace")
        if found != sealed:
            raise damaged(self.path, f"its sha256 is {found[:16]}..., and it was sealed with {sealed[:16]}...")

    @property
    def in_place(self) -> bool:
        """Whether the path still leads to this file, and not to one that has taken its place since."""
        return os.path.samestat(os.fstat(self.file.fileno()), os.stat(self.path))


def write(path: Path, text: str, tensors: Mapping[str, Plain]) -> None:
    """Writes a file of safetensors, and seals it.

    Tensors whose bytes fill whole lines of the cache come first, and the header is as long as some of those: so almost
    all lie where they can be used as they are, and give the bits that they gave in memory of their own.

    Args:
        path: of the file, which is not there yet.
        text: the description of the model, which begins with a blank seal.
        tensors: the tensors by key.
    """
    keys = sorted(tensors, key=lambda key: len(tensors[key].data) % LINE > 0)
    table: dict[str, Any] = {"__metadata__": {KEY: text}}
    end = 0
    for key in keys:
        start, end = end, end + len(tensors[key].data)
        table[key] = {"dtype": tensors[key].dtype, "shape": tensors[key].shape, "data_offsets": [start, end]}
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-(8 + len(header)) % LINE)
    if len(header) > MOST:
        got, fix = f"{len(header):,} bytes of {MOST:,}", "save its parts in files of their own"
        raise PartError("the model has more parts than one file tells.", "save(...)", got, fix)
    digest = hashlib.sha256()
    with open(path, "xb", buffering=0) as file:
        for data in (memoryview(len(header).to_bytes(8, "little") + header), *(tensors[key].data for key in keys)):
            for start in range(0, len(data), CHUNK):  # hashed while it is still near
                digest.update(data[start : start + CHUNK])
                _put(file, data[start : start + CHUNK])
        file.seek(PLACE)
        file.write(digest.hexdigest().encode())


def _put(file: FileIO, data: memoryview) -> None:
    """All of it: a file may take less at once."""
    while data:
        data = data[file.write(data) :]


def _digest(file: IO[bytes]) -> str:
    """The sha256 of a file with a blank in the place of its seal; its pages are read where they are."""
    digest = hashlib.sha256()
    with (
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages,
        memoryview(pages) as view,
        view[:PLACE] as begin,
        view[END:] as rest,
    ):
        for part in (begin, BLANK.encode(), rest):
            digest.update(part)
    return digest.hexdigest()


@contextmanager
def opened(path: Path) -> Generator[Sealed, None, None]:
    """Opens a file of `wye.save` and reads its header.

    Raises:
        FileError: it is another file, or its header makes no sense.
        OSError: there is no such file.
    """
    with open(path, "rb") as file:
        yield _read_header(os.fspath(path), file)


def _read_header(path: str, file: IO[bytes]) -> Sealed:
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
        if sound and len(key) <= LONGEST and len(shape) <= 64 and prod(shape) * SIZES[dtype] == stop - start:
            return Stored(dtype, tuple(shape), start, stop)
    except (KeyError, TypeError, ValueError):
        pass
    raise FileError("a tensor of the file makes no sense.", path, f"`{key[:60]}`: {str(entry)[:120]}", WHOLE)
