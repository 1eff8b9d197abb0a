"""Features alike in geometry and every attribute: counted, or all but the first left out."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from core.contracts.vector_findings import FindingCode
from services.vector import digests
from services.vector.findings import Findings


class Repeats:
    """The features of a part that are like an earlier one there. Takes 16 MB a million features."""

    def __init__(self, *, points: bool) -> None:
        self._points = points
        self._ids: list[np.ndarray] = []
        self._digests: list[np.ndarray] = []

    def note(self, batch: pa.RecordBatch) -> None:
        """Remember a batch. The first column is the id, which is no part of the likeness."""
        self._ids.append(batch.column(0).to_numpy())
        self._digests.append(digests.of_rows(batch, points=self._points))

    def report(self, findings: Findings) -> None:
        """Count those that were noted again, once all are noted."""
        if not self._ids:
            return
        seen, ids = np.concatenate(self._digests), np.concatenate(self._ids)
        ordered = np.sort(seen)
        again = ordered[1:][ordered[1:] == ordered[:-1]]
        if not len(again):
            return
        alike = np.flatnonzero(np.isin(seen, again))
        first = np.unique(seen[alike], return_index=True)[1]
        later = np.delete(ids[alike], first)
        findings.add(FindingCode.REPEATED_FEATURES, len(later), later)


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
