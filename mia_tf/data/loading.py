"""From a DataConfig to the Dataset that it names."""

from dataclasses import replace

import numpy as np

from mia_tf.config import DataConfig
from mia_tf.data import notes, own_arrays, selection, sources
from mia_tf.data.assembly import Pool, assemble, example_ids
from mia_tf.data.catalogue import SourceData
from mia_tf.data.mixtures import MIXTURES, Change, Mixture
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import check, check_choice

OWN_PREFIX = "npz:"


def load(config: DataConfig, extract_features: selection.FeatureExtractor | None = None) -> Dataset:
    """Loads the examples that `config` names: a mixture of `MIXTURES`, or "npz:PATH" for a user's own arrays.

    The examples and their order depend on the pixels and `config.data_seed`, not on the order of rows in the source.

    Args:
        config: which examples.
        extract_features: what `selection.select` needs for subpopulations.

    Raises:
        InputError: the data set is unknown; its data are not available (the message has the commands that would help);
            they are not images and labels; fewer examples exist than were requested; or `config.pixmix` is given for a
            data set that is not augmented.
    """
    _check_pixmix(config)
    if config.dataset.startswith(OWN_PREFIX):
        dataset = own_arrays.load(config.dataset.removeprefix(OWN_PREFIX), config)
    else:
        dataset = _load_mixture(config)
    return notes.with_notes(selection.select(dataset, config, extract_features))


def _load_mixture(config: DataConfig) -> Dataset:
    """The random mixture that `config` names."""
    check_choice("dataset", config.dataset, [*MIXTURES, OWN_PREFIX + "PATH"])
    mixture = MIXTURES[config.dataset]
    num_under = mixture.num_under if config.num_under is None else config.num_under
    check(
        "num_under",
        num_under,
        mixture.under is not None or not num_under,
        f"must be 0 or not given: `{mixture.name}` has no under-represented group",
    )
    names, change = [mixture.over], Change()
    if num_under and mixture.under:
        pooled = config.pool_test and mixture.under_from == "test"
        check("pool_test", True, not pooled, f"leaves no test images, of which `{mixture.name}` takes its group")
        names.append(mixture.under)
        embedded = config.data_source == "embedded"  # needs no folder, so none is looked for
        folder = None if embedded else sources.folder_of_archives(config.data_dir)
        change = mixture.change_under(folder, config.pixmix)
    names = list(dict.fromkeys(names))
    read = dict(zip(names, sources.read(names, config.data_source, config.data_dir), strict=True))
    if config.pool_test:
        read = {name: _with_test_images(source) for name, source in read.items()}
    over = read[mixture.over]
    pools = {OVER: _over_pool(mixture, over, config.num_over or mixture.num_over)}
    stand_ins = [over.stand_in, ""]
    if num_under and mixture.under:
        under = read[mixture.under]
        pools[UNDER] = _under_pool(mixture, under, pools[OVER], num_under, change)
        stand_ins[UNDER] = under.stand_in
    group_names = zip(mixture.group_names, stand_ins, strict=True)
    return assemble(
        pools,
        config,
        name=mixture.name,
        num_classes=mixture.num_classes,
        group_names=tuple(name + " (stand-in)" * bool(sentence) for name, sentence in group_names),
        stand_in=" ".join(dict.fromkeys(filter(None, stand_ins))),
        sources={**{name: _described(source) for name, source in read.items()}, **change.sources},
    )


def _check_pixmix(config: DataConfig) -> None:
    """Raises InputError if `pixmix` is given for a data set that PixMix does not make."""
    augmented = [name for name, mixture in MIXTURES.items() if mixture.pixmix]
    allowed = f"needs --dataset={' or '.join(augmented)}"
    check("pixmix", config.pixmix, config.pixmix is None or config.dataset in augmented, allowed)


def _with_test_images(source: SourceData) -> SourceData:
    """The test images among the others, of which none are left."""
    return replace(
        source,
        images=np.concatenate([source.images, source.test_images]),
        labels=np.concatenate([source.labels, source.test_labels]),
        test_images=source.test_images[:0],
        test_labels=source.test_labels[:0],
        provenance=f"{source.provenance}, test images included",
    )


def _described(source: SourceData) -> str:
    """Where a source came from and how much there was: a folder may hold a part of the data set."""
    return f"{source.provenance} ({len(source.images):,} images and {len(source.test_images):,} test images)"


def _over_pool(mixture: Mixture, source: SourceData, count: int | None) -> Pool:
    """What the over-represented group is chosen from."""
    images, test_images = mixture.transform_over(source.images), mixture.transform_over(source.test_images)
    return Pool(images, source.labels, test_images, source.test_labels, count)


def _under_pool(mixture: Mixture, source: SourceData, over: Pool, count: int, change: Change) -> Pool:
    """What the under-represented group is chosen from: pictures that occur once, and not in the other group.

    A copy of an example in the training set would be remembered in its place. Where the group is made of the other
    group's source, changed, its examples are chosen from the other end.
    """
    about = {"test_count": mixture.num_test_under, "change": change.apply}
    if mixture.under == mixture.over and mixture.under_from == "train":
        return replace(over, count=count, from_end=True, **about)
    images, test_images = mixture.transform_under(source.images), mixture.transform_under(source.test_images)
    labels, test_labels = source.labels, source.test_labels
    if mixture.under_from == "test":
        images, labels, test_images, test_labels = test_images, test_labels, images[:0], labels[:0]
    ids, rows, times = np.unique(example_ids(images), return_index=True, return_counts=True)
    rows = np.sort(rows[(times == 1) & ~np.isin(ids, example_ids(over.images))])
    return Pool(images[rows], labels[rows], test_images, test_labels, count, **about)


def fingerprint(config: DataConfig) -> dict:
    """What config.json has of the data besides the settings: what tells files apart whose paths it does not hold.

    Raises:
        InputError: there is no such file, or `config.pixmix` is given for a data set that is not augmented.
    """
    _check_pixmix(config)
    own = config.dataset.startswith(OWN_PREFIX)
    archive = own_arrays.fingerprint(config.dataset.removeprefix(OWN_PREFIX)) if own else {}
    return {**archive, **selection.fingerprint(config)}
