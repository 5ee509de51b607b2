"""Margins, and what tells by them whether a task was ever learned: attacks on many models at once.

The margin of an image is its class's logit minus the logsumexp of the others', so that its class's
probability is the margin's sigmoid. `measure` gives one row of an array [M, N]; whatever else is
here reads such arrays, and NumPy alone. M models (a seed each), N images, the same in every row.

Sources: U-LiRA (Hayes et al., SaTML 2025); RMIA (Zarifzadeh et al., ICML 2024); the forgetting
score of the NeurIPS 2023 unlearning competition (Triantafillou et al. 2024); KLoM (Georgiev et al.
2024). Bins of KLoM and the floor of a standard deviation are inferred.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:  # it imports jax, which reading tables need not
    from uncle_jax.evaluation.audit.target import Target
    from uncle_jax.methods.protocol import Method

CLIP = 100.0  # of a margin (KLoM)
DELTA = 1e-5  # of the forgetting score
CAP = 50.0  # the largest epsilon
SHIFT = 0.3  # RMIA's a
BINS = 20  # KLoM's, between the smallest and the largest margin of an image


class Margins(NamedTuple):
    """A task's in one state."""

    members: np.ndarray  # [N] of images that the task is, or would have been, learned from
    others: np.ndarray  # [N'] of its test images


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[N] margins, within ±100, of logits [N, Y]; a class with minus infinity counts for nothing.

    nan where a logit is.
    """
    logits, at = np.asarray(logits, np.float64), np.arange(len(labels))
    own, rest = logits[at, labels], logits.copy()
    rest[at, labels] = -np.inf
    top = rest.max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = own - top - np.log(np.exp(rest - top[:, None]).sum(axis=-1))
    return np.clip(value, -CLIP, CLIP)


def measure(method: "Method", state: Any, target: "Target", most: int) -> Margins:
    """The margins of `target` in `state`, of `most` images of each split, the same every time."""

    from uncle_jax.evaluation.audit.target import drawn

    def of(split: Any) -> np.ndarray:
        labels = np.asarray(split.labels)
        chosen = np.sort(drawn(split, most))
        images = np.asarray(split.images)[chosen]
        return margins(np.asarray(method.logits(state, target.task, images)), labels[chosen])

    return Margins(of(target.train), of(target.test))


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The share of pairs in which the positive scores higher; a tie is half a pair."""
    both = np.concatenate([positive, negative])
    _, inverse, counts = np.unique(both, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1, equal for ties
    n, m = len(positive), len(negative)
    return float((rank[:n].sum() - n * (n + 1) / 2) / (n * m))


def true_positives(positive: np.ndarray, negative: np.ndarray, rate: float) -> float:
    """The share of positives above a threshold that at most `rate` of the negatives are above."""
    ordered = np.sort(negative)[::-1]
    return float(np.mean(positive > ordered[int(rate * len(ordered))]))


def u_lira(unlearned: np.ndarray, never: np.ndarray, floor: float = 1e-3) -> np.ndarray:
    """[M] the AUC at which each held-out pair of models is told apart; 0.5 is no better than luck.

    Row m of both [M, N] is held out. An image's score is the log-ratio of its margin under two
    normal distributions, fitted to the other rows of `unlearned` and of `never`; positives are row
    m of `unlearned`, negatives row m of `never`. nan with fewer than three models.
    """
    models = len(unlearned)
    if models < 3 or len(never) != models:
        return np.full(models, np.nan)
    found = []
    for held in range(models):
        score = _ratio(np.delete(unlearned, held, 0), np.delete(never, held, 0), floor)
        found.append(auc(score(unlearned[held]), score(never[held])))
    return np.array(found)


def _ratio(yes: np.ndarray, no: np.ndarray, floor: float) -> Any:
    fits = [(rows.mean(0), np.maximum(rows.std(0, ddof=1), floor)) for rows in (yes, no)]

    def score(x: np.ndarray) -> np.ndarray:
        one, other = (-(((x - mean) / std) ** 2) / 2 - np.log(std) for mean, std in fits)
        return one - other

    return score


def rmia(
    model: Margins, references: np.ndarray, others: np.ndarray, shift: float = SHIFT
) -> np.ndarray:
    """[N + N'] RMIA's scores of `model`'s members, then of its other images.

    An image's ratio is its probability under the model over P = ((1 + a) P_out + 1 - a) / 2, where
    P_out is the mean over reference models; its score is the share of the population, the model's
    other images, whose ratio is smaller. `references` [R, N] and `others` [R, N'] are their
    margins.
    """
    ratios = [
        _sigmoid(own) / (((1 + shift) * _sigmoid(out).mean(axis=0) + 1 - shift) / 2)
        for own, out in ((model.members, references), (model.others, others))
    ]
    population = ratios[1]
    return np.concatenate([(r[:, None] > population).mean(axis=-1) for r in ratios])


def rmia_auc(model: Margins, references: np.ndarray, others: np.ndarray) -> float:
    """How well RMIA tells a model's members from its other images: an AUC."""
    scores = rmia(model, references, others)
    n = len(model.members)
    return auc(scores[:n], scores[n:])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def epsilons(unlearned: np.ndarray, never: np.ndarray) -> np.ndarray:
    """[N] how far each image tells unlearned from never-trained models: epsilon, from 0 to 50.

    The largest over thresholds on the margin, from either side, of ln((1 - delta - FPR) / FNR) and
    of the same with FPR and FNR exchanged. A threshold that makes no error gives 50; one that makes
    errors of one kind alone counts for nothing, for so few models cannot tell its other rate.
    """
    yes, no = unlearned.T[:, None], never.T[:, None]  # [N, 1, M]
    cuts = np.concatenate([unlearned, never]).T[..., None]  # [N, 2 M, 1]
    hits, false = (yes >= cuts).mean(-1), (no >= cuts).mean(-1)  # [N, 2 M]
    found = np.zeros(len(hits))
    for fpr, fnr in ((false, 1 - hits), (1 - false, hits)):
        found[np.any((fpr == 0) & (fnr == 0), axis=-1)] = CAP
        for one, other in ((fpr, fnr), (fnr, fpr)):
            top = 1 - DELTA - one
            told = (other > 0) & (top > 0) & (one > 0)
            ratio = np.where(told, top, 1) / np.where(told, other, 1)
            found = np.maximum(found, np.log(ratio).max(axis=-1))
    return np.minimum(found, CAP)


def forgetting(epsilon: np.ndarray, retained: float = 1.0, test: float = 1.0) -> float:
    """F of the competition: the mean of 2^-floor(2 epsilon), times what is left of usefulness.

    `retained` and `test`: accuracy over retraining's, on retained training and on test images.
    """
    return float(np.mean(0.5 ** np.floor(2 * epsilon))) * retained * test


def klom(unlearned: np.ndarray, never: np.ndarray) -> np.ndarray:
    """[N] KL, over M models in 20 bins, of an image's margins from those of never-trained models.

    Half a count is added to each bin, so that few models give a finite number; what they give where
    nothing differs is not 0, so it is read against `exchanged`.
    """
    both = np.concatenate([unlearned, never])
    low, width = both.min(axis=0), np.ptp(both, axis=0)
    at = [
        np.minimum(BINS * (rows - low) / np.where(width > 0, width, 1), BINS - 1).astype(int)
        for rows in (unlearned, never)
    ]
    p, q = (
        ((rows[..., None] == np.arange(BINS)).sum(0) + 0.5) / (len(rows) + BINS / 2) for rows in at
    )
    return np.sum(p * np.log(p / q), axis=-1)


class Exchanged(NamedTuple):
    """A measure, and what it would be if it were all the same which of a pair was which."""

    value: float
    chance: np.ndarray  # [draws]


def exchanged(of: Any, unlearned: np.ndarray, never: np.ndarray, draws: int = 200) -> Exchanged:
    """The mean over images of `of`, and of the same with rows of equal seeds exchanged at random.

    Row m of both is of one seed. `of`: a function of two [M, N] to [N].
    """
    rng = np.random.RandomState(0)
    found = []
    for _ in range(draws):
        swap = rng.rand(len(never), 1) < 0.5
        pair = np.where(swap, never, unlearned), np.where(swap, unlearned, never)
        found.append(of(*pair).mean())
    return Exchanged(float(of(unlearned, never).mean()), np.array(found))
