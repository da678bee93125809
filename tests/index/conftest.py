"""One thread for FAISS and BLAS: on a busy machine, waiting for other threads takes longer than these tests compute."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Effective only if NumPy has not been imported yet.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import faiss
import pytest


@pytest.fixture(autouse=True, scope="package")
def _single_thread() -> Iterator[None]:
    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(n_threads)
