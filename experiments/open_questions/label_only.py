"""LiRA's third open question: what do attacks that see labels alone achieve at a low false positive rate?

    python -m experiments.open_questions.label_only --logdirs runs/mnist_svhn_q18 runs/cifar10_q18

Every attack gets the first 1, 2 and 18 queries, or as many as --queries says: the image, its mirror image, and both
shifted. The LOGDIRs need that many (`python -m mia_tf.inference --queries=18`). Beside the attacks stands the LiRA
variant that the number of models recommends, which sees the confidences of the same queries.
Writes label_only.csv into experiments/results/open_questions.
Cost: about a minute per LOGDIR of 32 models, 2,625 examples and 18 queries on one core, besides its training.
Measured: experiments/results/open_questions/label_only.md.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mia_tf
from experiments import commands
from mia_tf.analysis.tables import write_rows
from mia_tf.attacks.lira import recommended_online
from mia_tf.validation import check, part_of

OUT = Path(__file__).parent.parent / "results" / "open_questions"
LABEL_ONLY = ("label_only_gap", "label_only")
METRICS = ("auroc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001", "tpr_at_fpr_0.001_per_target")
COLUMNS = (
    *("dataset", "num_models", "queries", "attack", "population", "metric", "value", "ci_low", "ci_high"),
    *("num_targets", "num_members", "num_nonmembers", "seed", "note", "logdir"),
)


def with_queries(shadows: mia_tf.ShadowModels, queries: int) -> mia_tf.ShadowModels:
    """The same record with the first `queries` queries of each example."""
    limited = shadows.subset(range(len(shadows)))
    num_examples, _, num_outputs = shadows.models[0].shape
    limited.models = [
        replace(
            model,
            shape=(num_examples, queries, num_outputs),
            read=lambda start, stop, model=model: model.read(start, stop)[:, :queries],
        )
        for model in shadows.models
    ]
    return limited


def rows(name: str, shadows: mia_tf.ShadowModels, queries: Sequence[int], seed: int) -> list[tuple]:
    """Rows of the CSV, of one record, which is called `name`."""
    attacks = [*LABEL_ONLY, recommended_online(len(shadows))]
    measured = []
    for count in queries:
        audit = mia_tf.audit(with_queries(shadows, count), attacks=attacks, fpr=(0.01, 0.001), seed=seed)
        table = audit.attacks[audit.attacks["metric"].isin(METRICS)]
        for row in table.itertuples(index=False, name=None):
            measured.append((shadows.about.name, len(shadows), count, *row[:-1], seed, row[-1], name))
    return measured


def main() -> None:
    """Audits every LOGDIR with each number of queries."""
    parser = commands.Parser(__doc__)
    parser.add_argument("--logdirs", type=commands.folder, nargs="+", required=True, help="runs with 18 queries")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--out", type=commands.folder_to_write, default=OUT, help="folder of the CSV")
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 2, 18], help="numbers of queries (1 2 18)")
    options = parser.parse_args()
    most = max(options.queries)
    check("queries", options.queries, min(options.queries) >= 1, "must be at least 1")
    records = [mia_tf.ShadowModels.open(folder, argument="logdirs") for folder in options.logdirs]
    for folder, shadows in zip(options.logdirs, records, strict=True):
        allowed = f"must have {most} queries and logits (python -m mia_tf.inference)"
        check(
            part_of("logdirs", str(folder)),
            f"{shadows.shape[1]} queries",
            shadows.has_logits and shadows.shape[1] >= most,
            allowed,
        )
    table = [
        row
        for folder, shadows in zip(options.logdirs, records, strict=True)
        for row in rows(folder.name, shadows, options.queries, options.seed)
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    print(write_rows(options.out / "label_only.csv", COLUMNS, table))


if __name__ == "__main__":
    commands.run(main)
