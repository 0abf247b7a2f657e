"""Three models of scikit-learn on its breast-cancer table, audited as a user would, without a folder of models.

    python -m experiments.audits.breast_cancer --num_models=64

569 rows, two classes. Each model is trained on a random half of the rows. A random forest returns probabilities, among
them exact zeros and ones; gradient boosting and a support vector machine return one number, the logit of the second
class. Writes experiments/results/audits/breast_cancer.csv.
Cost: about a minute on one core for 64 models of each kind.
Expected: with 64 forests RMIA's AUROC is about 0.76, where the plain confidence (Yeom) has 0.57 to 0.60.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import mia_tf
from experiments import commands
from mia_tf.analysis.tables import write_rows

OUT = Path(__file__).parent.parent / "results" / "audits"
COLUMNS = (
    *("model", "attack", "metric", "value", "ci_low", "ci_high", "num_models", "num_members", "num_nonmembers"),
    *("seed", "note"),
)
ATTACKS = ("yeom", "lira_online_fixed", "lira_online", "rmia")
METRICS = ("auroc", "tpr_at_fpr_0.001", "tpr_at_fpr_0.001_per_target")
MODELS: dict[str, tuple[Callable, str, str]] = {
    "random forest": (lambda seed: RandomForestClassifier(100, random_state=seed), "predict_proba", "probabilities"),
    "gradient boosting": (lambda seed: GradientBoostingClassifier(random_state=seed), "decision_function", "sigmoid"),
    "support vector machine": (
        lambda seed: make_pipeline(StandardScaler(), SVC(C=10, random_state=seed)),
        "decision_function",
        "sigmoid",
    ),
}
"""Name -> (makes a model from a seed, its method that answers, what it returns)."""


def audit(name: str, num_models: int, seed: int) -> mia_tf.Audit:
    """Trains `num_models` models of a kind, each on a random half of the rows, and audits them."""
    make, method, outputs = MODELS[name]
    x, y = load_breast_cancer(return_X_y=True)
    members = np.random.default_rng(seed).random((num_models, len(y))) < 0.5
    trained = [make(seed + k).fit(x[member], y[member]) for k, member in enumerate(members)]
    answers = np.array([getattr(model, method)(x) for model in trained])
    shadows = mia_tf.ShadowModels(logits=answers, members=members, labels=y, outputs=outputs)
    return mia_tf.audit(shadows, attacks=ATTACKS, seed=seed)


def rows(name: str, audited: mia_tf.Audit) -> list[tuple]:
    """Rows of the CSV."""
    table = audited.attacks[audited.attacks["metric"].isin(METRICS)]
    columns = ["attack", "metric", "value", "ci_low", "ci_high"]
    counts = ["num_targets", "num_members", "num_nonmembers"]
    return [
        (name, *row[:-1], audited.about["seed"], row[-1])
        for row in table[[*columns, *counts, "note"]].itertuples(index=False, name=None)
    ]


def main() -> None:
    """Audits every kind of model."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--num_models", type=int, default=16, help="models of each kind (default: 16)")
    parser.add_argument("--seed", type=int, default=0, help="of the halves, the models and the bootstrap")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSV")
    options = parser.parse_args()
    table = []
    for name in MODELS:
        audited = audit(name, options.num_models, options.seed)
        print(f"{name}\n{audited}\n", flush=True)
        table += rows(name, audited)
    options.out.mkdir(parents=True, exist_ok=True)
    print(write_rows(options.out / "breast_cancer.csv", COLUMNS, table))


if __name__ == "__main__":
    commands.run(main)
