"""The fit is scikit-learn's, of the same rows; so are the figures that are told of it."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score, roc_auc_score

from starmill.core import seeds
from starmill.pipelines.scoring.fit import Rows, auc, fit, r_squared

WIDTH, COUNT = 64, 300
DRAW = seeds.generator(0, "test_fit")
DENSE = DRAW.uniform(size=(COUNT, WIDTH)) * (DRAW.uniform(size=(COUNT, WIDTH)) < 0.2)
SPARSE = csr_matrix(DENSE)
ROWS = Rows(SPARSE.indptr.astype(np.int64), SPARSE.indices.astype(np.int32), SPARSE.data, WIDTH)
SCORES = DENSE @ DRAW.normal(size=WIDTH) + DRAW.normal(size=COUNT) * 0.3 + 40
LABELS = (np.median(SCORES) < SCORES).astype(np.float64)


@pytest.mark.parametrize("l2", [1e-1, 1e-3, 1e-5])
def test_labels_are_fitted_as_scikit_learn_fits_them(l2: float) -> None:
    ours = fit(ROWS, LABELS, True, l2)
    theirs = LogisticRegression(C=1 / (l2 * COUNT), tol=1e-9, max_iter=10_000).fit(SPARSE, LABELS)
    scores = DENSE @ ours.weights + ours.intercept
    assert ours.loss == pytest.approx(log_loss(LABELS, theirs.predict_proba(SPARSE)[:, 1]), rel=2e-3)
    assert ours.loss == pytest.approx(log_loss(LABELS, 1 / (1 + np.exp(-scores))), rel=1e-9)
    found = auc(scores, LABELS)
    assert found == pytest.approx(roc_auc_score(LABELS, theirs.decision_function(SPARSE)), abs=1e-3)
    assert np.abs(scores - theirs.decision_function(SPARSE)).max() < 0.01 * np.abs(scores).max()


def test_scores_are_fitted_as_scikit_learn_fits_them() -> None:
    ours = fit(ROWS, SCORES, False, 1e-3)
    theirs = Ridge(alpha=1e-3 * COUNT, tol=1e-10).fit(DENSE, SCORES)
    assert ours.weights == pytest.approx(theirs.coef_, abs=2e-3) and ours.intercept == pytest.approx(
        theirs.intercept_, abs=2e-3
    )


def test_figures_are_scikit_learns() -> None:
    guesses = np.round(SCORES + DRAW.normal(size=COUNT), 1)  # with ties
    assert auc(guesses, LABELS) == pytest.approx(roc_auc_score(LABELS, guesses), abs=1e-12)
    assert r_squared(guesses, SCORES) == pytest.approx(r2_score(SCORES, guesses), abs=1e-12)
    assert (auc(guesses, np.ones(COUNT)), r_squared(guesses, np.ones(COUNT)), auc(guesses[:0], LABELS[:0])) == (
        None,
        None,
        None,
    )
