"""What the model is held against, and how: rules, logistic regression, and two figures of a list of alerts."""

import numpy as np

ALERTS = 100  # payments that people can look at in a day


def average_precision(scores: np.ndarray, fraud: np.ndarray) -> float:
    """The area under precision over recall; payments of one score count together."""
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(fraud[order])
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    gained = np.diff(np.append(0, hits[ends]))
    return float((gained * hits[ends] / (ends + 1)).sum() / max(1, fraud.sum()))


def recall_at_alerts(scores: np.ndarray, fraud: np.ndarray, days: np.ndarray, alerts: int = ALERTS) -> float:
    """The share of fraud that is among so many alerts of each day, those with the highest scores of their day."""
    found = 0.0
    for day in np.unique(days):
        here = days == day
        ranked = scores[here]
        if len(ranked) <= alerts:
            found += fraud[here].sum()
            continue
        least = np.sort(ranked)[-alerts]
        surely, equal = ranked > least, ranked == least
        # Of payments with the same score nobody knows which are looked at: each counts by its chance.
        chance = (alerts - surely.sum()) / equal.sum()
        found += fraud[here][surely].sum() + chance * fraud[here][equal].sum()
    return float(found / max(1, fraud.sum()))


def rules(rows: np.ndarray, names: list[str]) -> np.ndarray:
    """How many rules of a fraud desk a payment breaks, with the amount among equals: nothing of it is learnt."""
    of = {name: rows[:, place] for place, name in enumerate(names)}
    broken = (
        (of["amount"] > 220).astype(float)
        + (of["amount_to_usual"] > 4)
        + (of["terminal_risk_7d"] > 0.2)
        + (of["terminal_risk_30d"] > 0.2)
        + ((of["night"] > 0) & (of["online"] > 0))
        + (of["card_payments_1d"] > 8)
    )
    return broken + 0.5 * of["amount"] / (1 + of["amount"].max())


def logistic_regression(x: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The scores of a logistic regression on the same features, scaled, and with logarithms of what is skewed."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, test = (np.log1p(np.maximum(rows, 0)) for rows in (x, test))
    scale = StandardScaler().fit(x)
    model = LogisticRegression(max_iter=2000, class_weight="balanced").fit(scale.transform(x), y)
    return model.predict_proba(scale.transform(test))[:, 1]
