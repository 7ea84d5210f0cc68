"""A linear probe: what a straight cut through a model's states tells about a text, the model itself left as it is.

The other form of classifier in `transfer`, beside fine-tuning (`classifier`): fine-tuning asks what a model can learn
from English examples, the probe what its languages have in common already. Nothing reaches the model, so its states are
computed once and the training takes seconds.

A text is the mean of its tokens' states (`states.pooled_states`), those of the input embeddings and of every block one
behind the other: no layer is chosen, since picking the best one would flatter every model. A pair of texts is read as
one row, with the end token between them. Each number is brought to variance 1 over the training texts, and multinomial
logistic regression is fitted to its one minimum.

States of two languages lie apart by a constant that says which language it is, and an English classifier reads that
constant as a class: where it stays, the clone of English-Clone ends at or near chance in every arm whose vocabularies
differ. So every language is moved to mean 0 by itself, which needs its texts but none of their labels (Libovický et al.
2020, Findings of EMNLP, "On the Language Neutrality of Pre-trained Multilingual Representations"; Pires et al. 2019,
ACL, move languages by such a difference for retrieval). It supposes about the same mix of classes in all languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from prealign.evaluation.states import pooled_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PENALTY = 1e-4
"""Half of it times the squared weights is added to the mean loss. Features are scaled to a mean squared length of 1 for
any width and number of layers, so it means the same for all models. A third of it and three times as much moved no
accuracy of four arms of English-Clone (one seed) by more than 6 points, nor their order in the clone."""
MAX_ITERATIONS = 1000
"""Of L-BFGS, which took 180 on two thousand texts, one second."""


def text_features(model: PreTrainedModel, rows: Sequence[Sequence[int]], max_batch_tokens: int) -> NDArray[np.float32]:
    """Texts as vectors: mean states of the input embeddings and of every block, [rows, layers * width].

    Args:
        rows: token ids as `classifier.row_encoder` makes them; the tokens that mark the ends are not read. A text
            without any token is its end token.
        max_batch_tokens: tokens per forward pass.
    """
    texts = [row[1:-1] or row[-1:] for row in rows]
    states = pooled_states(model, texts, ("mean",), max_batch_tokens)["mean"][:-1]  # the last are rows of the output
    return states.transpose(0, 1).flatten(1).numpy()


@dataclass(frozen=True, slots=True)
class Probe:
    """Logistic regression on features that are moved and scaled."""

    weights: NDArray[np.float64]
    """[features, classes]"""
    bias: NDArray[np.float64]
    """[classes]"""
    mean: NDArray[np.float64]
    """Of the training texts, [features]."""
    scale: NDArray[np.float64]
    """What moved features are divided by, [features]: their deviation, times the root of their number."""
    loss: float
    """Mean over the training texts, in nats, without the penalty."""

    def probabilities(self, features: NDArray[np.float32], centred: bool = True) -> NDArray[np.float32]:
        """Probabilities of the classes, [rows, classes].

        Args:
            features: of texts in one language, [rows, features].
            centred: move these texts to mean 0, rather than by the mean of the training texts.
        """
        mean = features.mean(axis=0, dtype=np.float64) if centred else self.mean
        scores = ((features - mean) / self.scale) @ self.weights + self.bias
        return np.asarray(softmax(scores, axis=1), dtype=np.float32)


def fit_probe(features: NDArray[np.float32], labels: Sequence[int], n_classes: int) -> Probe:
    """The minimum of the mean of -ln p(label) + PENALTY / 2 * the sum of squared weights; the bias is free.

    It is the same as scikit-learn's LogisticRegression(C=1 / (rows * PENALTY)) on the scaled features.

    Args:
        features: [rows, features]; about 3 times their size in memory is needed, in float64.
        labels: of each row its class, 0 to n_classes - 1.
    """
    n_rows, width = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1.0) * np.sqrt(width)
    inputs = (features - mean) / scale
    wanted = np.zeros((n_rows, n_classes))
    wanted[np.arange(n_rows), labels] = 1.0

    def parts(flat: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        table = flat.reshape(width + 1, n_classes)
        return table[:-1], table[-1]

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = parts(flat)
        logs = log_softmax(inputs @ weights + bias, axis=1)  # [rows, classes]
        error = (np.exp(logs) - wanted) / n_rows
        gradient = np.vstack([inputs.T @ error + PENALTY * weights, error.sum(axis=0)])
        return float(-(logs * wanted).sum() / n_rows + PENALTY / 2 * (weights**2).sum()), gradient.ravel()

    start = np.zeros((width + 1) * n_classes)
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITERATIONS, "gtol": 1e-6})
    weights, bias = parts(found.x)
    loss = float(found.fun - PENALTY / 2 * (weights**2).sum())
    return Probe(weights=weights, bias=bias, mean=mean, scale=scale, loss=loss)
