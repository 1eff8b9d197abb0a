"""Features alike in geometry and every attribute: only the first stays. Costs some 100 MB a million features."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from core.contracts.vector_findings import FindingCode
from services.vector.findings import Findings


class Seen:
    """What was met so far, as digests."""

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
