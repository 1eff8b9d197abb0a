"""Features alike in geometry and every attribute: counted, or all but the first left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.contracts.vector_findings import FindingCode
from services.vector import digests
from services.vector.findings import SHOWN, Findings

_RUN = 2 * 100_000  #: numbers of a file looked at together, two a row


class Repeats:
    """The features of a part that are like an earlier one there. Beyond `most` of them they wait in `file`."""

    def __init__(self, file: Path, *, points: bool, most: int = 500_000) -> None:
        self._file, self._points, self._most = file, points, most
        self._held: list[np.ndarray] = []
        self._rows = self._written = 0

    def note(self, batch: pa.RecordBatch) -> None:
        """Remember a batch. The first column is the id, which is no part of the likeness."""
        ids = batch.column(0).to_numpy().view(np.uint64)
        self._held.append(np.column_stack((digests.of_rows(batch, points=self._points), ids)))
        self._rows += batch.num_rows
        if self._rows - self._written > self._most:
            self._write()

    def report(self, findings: Findings) -> None:
        """Count those that were noted again, once all are noted."""
        count, first = 0, np.empty(0, np.uint64)
        for share in self._shares():
            later = _later(share)
            count += len(later)
            first = np.sort(np.append(first, later))[:SHOWN]
        findings.add(FindingCode.REPEATED_FEATURES, count, first)

    def _write(self) -> None:
        with self._file.open("ab" if self._written else "wb") as file:
            for rows in self._held:
                rows.tofile(file)
        self._held.clear()
        self._written = self._rows

    def _shares(self) -> Iterator[np.ndarray]:
        """All that was noted in runs of about `most` rows, those of one digest in the same run, in their order."""
        if not self._written:
            if self._held:
                yield np.concatenate(self._held)
            return
        self._write()
        bits = (self._rows // self._most).bit_length()  # those a digest begins with tell its share
        for share in range(1 << bits):
            yield np.concatenate([run[run[:, 0] >> np.uint64(64 - bits) == share] for run in self._read()])

    def _read(self) -> Iterator[np.ndarray]:
        with self._file.open("rb") as file:
            while len(run := np.fromfile(file, np.uint64, _RUN)):
                yield run.reshape(-1, 2)


def _later(noted: np.ndarray) -> np.ndarray:
    """Ids of the rows whose digest an earlier row has."""
    seen, ids = noted[:, 0], noted[:, 1]
    ordered = np.sort(seen)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(again):
        return np.empty(0, np.uint64)
    alike = np.flatnonzero(np.isin(seen, again))
    first = np.unique(seen[alike], return_index=True)[1]
    return np.delete(ids[alike], first)


class Seen:
    """What was met so far, as digests too large for chance. Takes some 100 MB a million features."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def without_repeats(self, batch: pa.RecordBatch, findings: Findings) -> pa.RecordBatch:
        """The rows that were not met before. The first column is the id, which is no part of the likeness."""
        rows = zip(*(column.to_pylist() for column in batch.columns[1:]), strict=True)
        new = np.fromiter((self._is_new(repr(row)) for row in rows), bool, batch.num_rows)
        if new.all():
            return batch
        ids = batch.column(0).to_numpy()[~new]
        findings.add(FindingCode.DUPLICATE_FEATURES, len(ids), ids)
        return batch.filter(pa.array(new))

    def _is_new(self, row: str) -> bool:
        digest = hashlib.blake2b(row.encode(errors="surrogatepass"), digest_size=16).digest()
        known = digest in self._digests
        self._digests.add(digest)
        return not known
