"""Footnote 11 of Choi et al.: attacks on the examples of one data set alone that models memorize most.

    python -m experiments.memorized_alone --logdir=runs/cpu/mnist_again --chosen_by=runs/cpu/mnist --threshold=0.4

The models of one LOGDIR choose the examples: memorization above the threshold, in the paper 0.4 on MNIST and 0.8 on
CIFAR-10. The models of another LOGDIR, with a seed and subsets of their own, are attacked. The paper does not say that
its models are others; if they are the same, chance alone makes the chosen examples look vulnerable.
Writes LOGDIR/analysis as `mia_tf.analyze` does. The chosen examples are its under-represented group.
Cost: that of `mia_tf.analyze`. `experiments.runs` calls this command.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments import commands
from mia_tf.analysis import study
from mia_tf.analysis.result import Audit
from mia_tf.data import earlier_run
from mia_tf.files import folder_to_fill
from mia_tf.labels import normalize_groups
from mia_tf.progress import show_steps
from mia_tf.records import ALL
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.validation import check


def analyze(
    logdir: Path,
    chosen_by: Path,
    threshold: float,
    num_shadow: Sequence[int] = (),
    attacks: Sequence[str] | None = None,
) -> Audit:
    """Attacks the models of a LOGDIR and writes its analysis.

    Args:
        logdir: whose models are attacked.
        chosen_by: an analyzed LOGDIR of the same examples with another seed, whose models choose.
        threshold: the memorization above which examples are chosen.
        num_shadow, attacks: as for `mia_tf.audit`.

    Returns:
        The audit, with the groups "under", the chosen examples, and "over", the others.

    Raises:
        InputError: the LOGDIRs have different examples or one seed, or no example is above the threshold.
    """
    earlier, shadows = earlier_run.read(chosen_by, "chosen_by"), ShadowModels.open(logdir)
    same = np.array_equal(earlier.example_ids, shadows.ids)
    check("chosen_by", chosen_by, same, "must be of the same examples in the same order as --logdir")
    seed = earlier_run.open_run(logdir, "logdir").config().get("seed")
    other = earlier.config.get("seed")
    check("chosen_by", chosen_by, seed != other, f"must have another seed than --logdir, not {seed} too")
    chosen = earlier.memorization > threshold
    most = np.nanmax(earlier.memorization)
    check("threshold", threshold, chosen.any(), f"must be below {most:.3g}, the highest memorization")
    check("threshold", threshold, not chosen.all(), "must leave examples that are not chosen")
    name = shadows.about.group_titles.get(ALL, "examples")
    shadows.groups = normalize_groups(chosen.astype(np.int64), len(chosen))
    titles = {"over": name, "under": f"{name} memorized above {threshold:g}"}
    note = f"{chosen.sum():,} examples are memorized above {threshold:g} by {earlier.num_models} other models."
    shadows.about = replace(shadows.about, group_titles=titles, notes=(*shadows.about.notes, note))
    folder = Path(logdir) / "analysis"
    with folder_to_fill(folder):
        audit = study.audit(shadows, attacks=attacks, num_shadow=num_shadow, progress=show_steps, scratch=folder)
        audit.write(folder)
    return audit


def main(argv=None) -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--logdir", type=commands.folder, required=True, help="whose models are attacked")
    parser.add_argument("--chosen_by", type=commands.folder, required=True, help="whose models choose the examples")
    parser.add_argument("--threshold", type=float, required=True, help="memorization above which they are chosen")
    parser.add_argument("--num_shadow", type=_sizes, default=[], help="shadow models per side, such as 1,2,4")
    options = parser.parse_args(argv)
    print(analyze(options.logdir, options.chosen_by, options.threshold, options.num_shadow))


def _sizes(text: str) -> list[int]:
    """The whole numbers of --num_shadow."""
    return [int(cell) for cell in text.split(",") if cell]


if __name__ == "__main__":
    commands.run(main)
