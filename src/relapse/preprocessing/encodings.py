"""Encodings kept while many models are compared on the same rows: each is learnt once, not once a model."""

import hashlib
import pickle
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


class Encodings:
    """What encoders and expanders learnt from rows, and what they made of rows.

    Parameters
    ----------
    table
        The table that all rows come from; its index tells them apart.

    Raises
    ------
    ValueError
        Two rows have the same index.
    """

    def __init__(self, table: "pd.DataFrame") -> None:
        if not table.index.is_unique:
            raise ValueError("Rows are told apart by the table's index, which is not unique.")
        self._fitted: dict[bytes, Any] = {}
        self._matrices: dict[tuple[bytes, bytes], Array] = {}

    def keep(self, model: Any) -> None:
        """Make an unfitted ``model`` take its encodings from here, and leave here what it learns anew."""
        model.set_params(encoder=KeptEncoder(model.encoder, self), expander=KeptEncoder(model.expander, self))

    def learn(self, model: Any, seen: "pd.DataFrame", unseen: "pd.DataFrame") -> None:
        """Do ahead what every model with the encodings of ``model`` will look up, fitted to ``seen`` rows."""
        encoder = KeptEncoder(model.encoder, self).fit(seen)
        encoded = [encoder.transform(rows) for rows in (seen, unseen)]
        # What a reducer makes of them hangs on the outcomes, and is not kept.
        if model.reducer is None:
            expander = KeptEncoder(model.expander, self).fit(encoded[0])
            for matrix in encoded:
                expander.transform(matrix)

    def fitted(self, encoder: Any, rows: "pd.DataFrame | Array") -> tuple[Any, bytes]:
        """The encoder fitted on ``rows``, and the key that it is kept under."""
        # An encoder is a handful of settings: of two that are alike, pickle may at worst see two.
        key = hashlib.blake2b(pickle.dumps(encoder) + _identity(rows)).digest()
        if key not in self._fitted:
            self._fitted[key] = clone(encoder).fit(rows)
        return self._fitted[key], key

    def matrix(self, key: bytes, rows: "pd.DataFrame | Array") -> Array:
        """What the encoder kept under ``key`` makes of ``rows``: a matrix (len(rows), p) of one's own."""
        at = key, _identity(rows)
        if at not in self._matrices:
            self._matrices[at] = self._fitted[key].transform(rows)
        # In the order of its memory, on which the last digit of a sum hangs.
        return self._matrices[at].copy(order="K")


def _identity(rows: "pd.DataFrame | Array") -> bytes:
    """What tells rows apart: a table's index, a matrix's values."""
    if isinstance(rows, np.ndarray):
        return hashlib.blake2b(repr(rows.shape).encode() + np.ascontiguousarray(rows).tobytes()).digest()
    return rows.index.to_numpy().tobytes()


class KeptEncoder(TransformerMixin, BaseEstimator):
    """An encoder, or expander, whose work is looked up in :class:`Encodings` before it is done."""

    def __init__(self, encoder: Any, encodings: Encodings) -> None:
        self.encoder = encoder
        self.encodings = encodings

    def __sklearn_clone__(self) -> Self:
        return type(self)(self.encoder, self.encodings)

    def fit(self, X: "pd.DataFrame | Array", y: object = None) -> Self:
        """Learn from rows ``X``, or find what was learnt from them."""
        self.encoder_, self.key_ = self.encodings.fitted(self.encoder, X)
        return self

    def transform(self, X: "pd.DataFrame | Array") -> Array:
        """The matrix (len(X), p) of rows ``X``."""
        return self.encodings.matrix(self.key_, X)
