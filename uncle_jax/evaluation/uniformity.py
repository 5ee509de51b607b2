"""UNI: how near a network's answers are to a uniform guess, as the paper's code measures it."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [B, Y] of logits [B, Y], in float32."""
    logits = np.asarray(logits, np.float32)
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def uniformity(logits: np.ndarray) -> float:
    """UNI of logits [B, Y] in per cent: 100 (1 - J), J of each answer from the uniform one.

    J = (KL(m || p) + KL(m || u)) / 2 for p the softmax, u uniform and m halfway between, summed
    over classes, mean over images. The authors' code has the arguments of KL in this order, so it
    is no Jensen-Shannon divergence: 100 for uniform answers, negative for confident ones, minus
    infinity once a probability underflows in float32. Classes that the task does not have (logit
    minus infinity throughout) are left out. nan if any logit is nan.
    """
    p = softmax(logits[:, ~np.all(logits == -np.inf, axis=0)])
    u = np.float32(1 / p.shape[-1])
    m = (p + u) / 2
    with np.errstate(divide="ignore"):
        divergence = (m * (np.log(m) - np.log(p)) + m * (np.log(m) - np.log(u))).sum(axis=-1) / 2
    return float(100 * (1 - divergence.mean()))
