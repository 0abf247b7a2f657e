"""Which examples of the under-represented group D_U stay in a mixture (Choi et al., section 6), and which leave it.

A selection starts from the random mixture that the rest of the configuration names, so `num_under` counts the
examples that are selected FROM. The over-represented group and the test images stay as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mia_tf.config import EFFICIENTNET, DataConfig
from mia_tf.data import earlier_run
from mia_tf.data.earlier_run import digest_of
from mia_tf.data.mixtures import MIXTURES
from mia_tf.files import expanded
from mia_tf.records import UNDER, Dataset
from mia_tf.validation import check, check_shape, fail

FeatureExtractor = Callable[[Dataset, str, int], np.ndarray]
"""(dataset, name of a network, seed) -> (N, D) features of its images by that network, trained on them."""
COMPONENTS, CLUSTERS = 10, 5
"""Of the PCA and of KMeans (Choi et al., section 6)."""
THRESHOLDS = {"mnist": 0.8, "cifar10": 0.5}
"""Over-represented data set -> the memorization above which an example is a singleton (Choi et al., section 6)."""


def select(dataset: Dataset, config: DataConfig, extract_features: FeatureExtractor | None = None) -> Dataset:
    """Leaves out the examples of `config.without`, then all of D_U but what `config.under` selects.

    Args:
        dataset: the random mixture.
        config: of the mixture and its selection.
        extract_features: needed for "subpopulation"; trains, so it is handed in by who may import a training engine.

    Returns:
        The rest of the mixture in the same order. Its `sources` say what was selected and how, and so does the name
        of the under-represented group.

    Raises:
        InputError: nothing can be selected so.
    """
    if config.without is not None:
        dataset = _without(dataset, config.without)
    if config.under == "random":
        return dataset
    under = dataset.groups == UNDER
    check("under", config.under, under.any(), f"needs an under-represented group, and {dataset.name} has none")
    if config.under == "subpopulation":
        chosen, how = _subpopulation(dataset, config, extract_features)
    else:
        chosen, how = _singletons(dataset, config)
    over_name, under_name = dataset.group_names
    ids = digest_of(dataset.example_ids[chosen])
    summary = f"{config.under}: {chosen.sum():,} of {under.sum():,} {under_name} {how} (ids {ids})"
    return replace(
        _keep(dataset, chosen | ~under, {"selection": summary}),
        group_names=(over_name, f"{under_name}, {config.under}"),
    )


def fingerprint(config: DataConfig) -> dict:
    """What config.json has of a selection besides the settings: defaults as numbers and names, ids as digests.

    Raises:
        InputError: a file that the selection needs cannot be read, or a threshold has no default.
    """
    chosen_by = {}
    if config.without is not None:
        chosen_by["without_digest"] = digest_of(_read_ids(config.without))
    if config.under == "subpopulation":
        chosen_by["features"] = config.features or EFFICIENTNET
    if config.under == "singletons" and config.scores_from is not None:
        chosen_by["threshold"] = _threshold(config)
        chosen_by["singletons_digest"] = digest_of(_above(earlier_run.read(config.scores_from), chosen_by["threshold"]))
    return chosen_by


def check_new_models(config: DataConfig, identity: Mapping, logdir: Path) -> None:
    """Sees to it that nothing is chosen by models and then attacked with the same ones.

    A model is the same if its examples, its initial weights and its order are; examples may be (a threshold of -1
    selects them all), and the seed decides the rest. So a run on singletons has a LOGDIR and a seed of its own.

    Args:
        config: of the new run.
        identity: what its config.json will hold.
        logdir: its folder.

    Raises:
        InputError: the models could be the same, or the memorization is that of another data set.
    """
    if config.under != "singletons" or config.scores_from is None:
        return
    earlier = earlier_run.open_run(config.scores_from)
    settings = earlier.config()
    own = earlier.logdir.resolve() == Path(logdir).resolve()
    check("scores_from", config.scores_from, not own, "must not be --logdir: singletons are trained with new models")
    for name in ("dataset", "dataset_digest"):
        then, now = settings.get(name), identity.get(name)
        allowed = f"must be of the same data: {name} is {then} there, {now} now"
        check("scores_from", config.scores_from, then == now, allowed)
    if identity["seed"] == settings.get("seed"):
        fail("seed", identity["seed"], f"must differ from that of {earlier.logdir}, whose models chose the singletons")


def smallest_cluster(features: np.ndarray, under: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """D_U's members of the smallest of the clusters that all the examples fall into (Choi et al., section 6).

    Features are projected on their first ten principal components and clustered by KMeans, ten starts of it.
    Of clusters of one size, that with more of D_U counts as the smallest.

    Args:
        features: (N, D) floats, of the whole mixture in the paper.
        under: (N,) bool, true for D_U.
        seed: of PCA and KMeans.

    Returns:
        (N,) bool, the members, and (5, 2) int64: the size of each cluster and its number of D_U's examples,
        the smallest cluster first.

    Raises:
        InputError: features that are not finite, or fewer different ones than clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    check_shape("features", features, (len(under), None))
    check("features", "NaN or infinity", np.isfinite(features).all(), "must be finite")
    different = len(np.unique(features, axis=0))
    check("features", f"{different} different ones", different >= CLUSTERS, f"must tell {CLUSTERS} examples apart")
    with threadpool_limits(1):  # threads add up in any order, which is enough to move an example
        projected = PCA(min(COMPONENTS, *features.shape), random_state=seed).fit_transform(features.astype(np.float64))
        cluster = KMeans(CLUSTERS, n_init=10, random_state=seed).fit_predict(projected)
    sizes, of_under = (np.bincount(cluster[rows], minlength=CLUSTERS) for rows in (np.ones_like(under), under))
    order = np.lexsort((-of_under, sizes))
    return under & (cluster == order[0]), np.stack([sizes, of_under], axis=1)[order]


def _subpopulation(dataset: Dataset, config: DataConfig, extract_features: FeatureExtractor | None):
    """(N,) bool of the chosen, and how they were chosen."""
    if extract_features is None:
        fail("under", config.under, "needs a function that computes features (mia_tf.training.features.extract)")
    network = config.features or EFFICIENTNET
    features = extract_features(dataset, network, config.data_seed)
    under = dataset.groups == UNDER
    clustered = under if config.clustered == "under" else np.ones_like(under)
    chosen = np.zeros_like(under)
    chosen[clustered], clusters = smallest_cluster(features[clustered], under[clustered], config.data_seed)
    what = "D_U" if config.clustered == "under" else "the mixture"
    sizes = ", ".join(f"{of_under:,} of {size:,}" for size, of_under in clusters)
    if not chosen.any():
        remedy = f"({sizes}); --clustered=under takes clusters of D_U alone"
        fail("under", config.under, f"finds none of D_U in the smallest cluster of {network}'s features {remedy}")
    return chosen, f"in the smallest cluster of {network}'s features (clusters of {what}: {sizes})"


def _singletons(dataset: Dataset, config: DataConfig):
    """(N,) bool of the chosen, and how they were chosen."""
    earlier, threshold = earlier_run.read(config.scores_from or ""), _threshold(config)
    if bool(earlier.stand_in) != bool(dataset.stand_in):
        fail("scores_from", config.scores_from, "must be a run on the same data, not a stand-in for one of the two")
    under = dataset.groups == UNDER
    # If labels are drawn at random, another mixture has the same pictures under other labels.
    known = earlier.under & np.isfinite(earlier.memorization)
    ours, theirs = _labelled(dataset.example_ids, dataset.labels), _labelled(earlier.example_ids, earlier.labels)
    unknown = under & ~np.isin(ours, theirs[known])
    if unknown.any():
        which = f"{unknown.sum()} of its {under.sum()} have none there under their labels"
        fail("scores_from", config.scores_from, f"must have the memorization of all of D_U's examples; {which}")
    chosen = under & np.isin(ours, theirs[known & (earlier.memorization > threshold)])
    scored = earlier.under & np.isin(earlier.example_ids, dataset.example_ids[under])
    if not chosen.any():
        fail(
            "threshold", threshold, f"must be below {earlier.memorization[scored].max():.3g}, the highest memorization"
        )
    error = np.median(earlier.memorization_se[scored])
    measured = f"by {earlier.num_models} models of {earlier.logdir} (configuration {earlier.config_digest})"
    return chosen, f"with memorization above {threshold:g} {measured}, standard error {error:.2g} in the median"


def _labelled(example_ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) str that tell a picture under one label from any other."""
    return np.char.add(example_ids, np.char.mod(" %d", labels))


def _threshold(config: DataConfig) -> float:
    """The one given, or the paper's for the over-represented data set."""
    if config.threshold is not None:
        return config.threshold
    over = MIXTURES[config.dataset].over if config.dataset in MIXTURES else None
    if over not in THRESHOLDS:
        fail("threshold", None, f"must be given: there is no default for dataset={config.dataset}")
    return THRESHOLDS[over]


def _above(earlier: earlier_run.EarlierRun, threshold: float) -> np.ndarray:
    """Ids of the earlier run's D_U with memorization above the threshold."""
    return earlier.example_ids[earlier.under & (earlier.memorization > threshold)]


def _without(dataset: Dataset, path: str) -> Dataset:
    """The mixture without the examples whose ids a file names."""
    ids = _read_ids(path)
    unknown = sorted(set(ids) - set(dataset.example_ids.tolist()))
    if unknown:
        fail("without", path, f"must name examples of {dataset.name}; {len(unknown)} are not, {unknown[0]} first")
    leave = np.isin(dataset.example_ids, ids)
    counts = f"{leave.sum():,} of {len(leave):,} examples, {leave[dataset.groups == UNDER].sum():,} of D_U,"
    return _keep(dataset, ~leave, {"without": f"{counts} left out as {path} says (ids {digest_of(ids)})"})


def _read_ids(path: str) -> list[str]:
    """The different lines of a text file, in order; empty ones and spaces around them do not count."""
    try:
        lines = expanded(path, "without").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        fail("without", path, f"must be a text file of example ids, one per line ({getattr(error, 'strerror', error)})")
    ids = {line.strip() for line in lines} - {""}
    check("without", path, bool(ids), "must name an example, one per line")
    return sorted(ids)


def _keep(dataset: Dataset, rows: np.ndarray, sources: Mapping[str, str]) -> Dataset:
    """The examples of (N,) bool `rows`, with more said of where they come from."""
    names = ("images", "labels", "groups", "example_ids")
    arrays = {name: getattr(dataset, name)[rows] for name in names}
    return replace(dataset, **arrays, sources={**dataset.sources, **sources})
