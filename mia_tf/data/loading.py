"""From a DataConfig to the Dataset that it names."""

from mia_tf.config import DataConfig
from mia_tf.data import own_arrays, sources
from mia_tf.data.assembly import Pool, assemble
from mia_tf.data.mixtures import MIXTURES
from mia_tf.records import OVER, UNDER, Dataset
from mia_tf.validation import check, check_choice

OWN_PREFIX = "npz:"


def load(config: DataConfig) -> Dataset:
    """Loads the examples that `config` names: a mixture of `MIXTURES`, or "npz:PATH" for a user's own arrays.

    The examples and their order depend on the pixels and `config.seed`, not on the order of rows in the source.

    Raises:
        InputError: the data set is unknown, its data cannot be had (with the commands that would
            help) or are not images and labels, or fewer examples exist than were asked for.
    """
    if config.dataset.startswith(OWN_PREFIX):
        return own_arrays.load(config.dataset.removeprefix(OWN_PREFIX), config)
    check_choice([*MIXTURES, OWN_PREFIX + "PATH"], dataset=config.dataset)
    mixture = MIXTURES[config.dataset]
    num_under = mixture.num_under if config.num_under is None else config.num_under
    check(
        mixture.under is not None or not num_under,
        f"must be 0 or not given: `{mixture.name}` has no under-represented group",
        num_under=num_under,
    )
    parts = [(OVER, mixture.over, mixture.transform_over, config.num_over or mixture.num_over)]
    if num_under:
        parts.append((UNDER, mixture.under, mixture.transform_under, num_under))
    names = [name for _, name, _, _ in parts]
    read = sources.read(names, config.data_source, config.data_dir)
    pools, group_names = {}, list(mixture.group_names)
    for (group, _, transform, count), source in zip(parts, read, strict=True):
        images, test_images = transform(source.images), transform(source.test_images)
        pools[group] = Pool(images, source.labels, test_images, source.test_labels, count)
        if source.stand_in:
            group_names[group] += " (stand-in)"
    return assemble(
        pools,
        config,
        name=mixture.name,
        num_classes=mixture.num_classes,
        group_names=tuple(group_names),
        stand_in=" ".join(source.stand_in for source in read if source.stand_in),
        sources={name: source.provenance for name, source in zip(names, read, strict=True)},
    )


def own_archive_identity(config: DataConfig) -> dict[str, str]:
    """What tells a user's own archive from another in config.json; nothing for a mixture.

    Raises:
        InputError: there is no such archive.
    """
    if not config.dataset.startswith(OWN_PREFIX):
        return {}
    return own_arrays.identity(config.dataset.removeprefix(OWN_PREFIX))
