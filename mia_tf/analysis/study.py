"""From a record to every number of an audit, in two passes over the examples."""

import contextlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import gettempdir

import numpy as np

from mia_tf import __version__
from mia_tf.analysis import exposure, passes, tables
from mia_tf.analysis.accuracy import test_image_rows
from mia_tf.analysis.comparisons import comparison_rows
from mia_tf.analysis.epsilon import EpsilonBound, epsilon_bounds
from mia_tf.analysis.evaluation import FPR_LEVELS, evaluate
from mia_tf.analysis.group_memorization import means_with_intervals
from mia_tf.analysis.headline import headline
from mia_tf.analysis.notes import below_chance, notes, one_sided
from mia_tf.analysis.one_run import epsilon_one_run
from mia_tf.analysis.passes import Progress
from mia_tf.analysis.pooling import populations
from mia_tf.analysis.result import Audit
from mia_tf.analysis.statistics import spearman
from mia_tf.analysis.threads import Threads
from mia_tf.attacks import Attack, attack_classes
from mia_tf.attacks.lira import recommended_online
from mia_tf.config import MIN_MODELS
from mia_tf.files import expanded
from mia_tf.records import ALL
from mia_tf.shadow import ood
from mia_tf.shadow.blocks import Recording
from mia_tf.shadow.kept import LARGEST_IN_MEMORY, Kept, Scores
from mia_tf.shadow.lineup import NONE
from mia_tf.shadow.same_examples import check_same_examples
from mia_tf.shadow.scratch import scratch_folder
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.shadow.sweep import Sweep
from mia_tf.validation import check, check_integer, check_number, check_several, fail

CORRELATED = (
    ("memorization", "privacy_score"),
    ("memorization", "ood_msp"),
    ("memorization", "ood_energy"),
    ("privacy_score", "ood_msp"),
    ("privacy_score", "ood_energy"),
)
_OOD_NOTE = f"OOD score: {ood.OVER_OUT}"

NO_COINS = (
    "Epsilon was not bounded: with one target it needs membership drawn by a fair coin per example, which is known "
    "only of a LOGDIR trained with --subsets=bernoulli --pkeep=0.5, and no shadow model trained on the target's subset."
)


def audit(
    shadows: ShadowModels,
    target=None,
    target_members=None,
    *,
    attacks: Sequence[str] | None = None,
    fpr: Sequence[float] = FPR_LEVELS,
    num_targets: int | None = None,
    num_shadow: Sequence[int] = (),
    delta: float | None = None,
    seed: int = 0,
    progress: Progress = lambda doing, steps, total: steps,
    scratch: Path | None = None,
) -> Audit:
    """Measures memorization and membership inference.

    Args:
        shadows: the shadow models. Without `target` each of them is attacked in turn, with itself left out. One model
            alone is attacked by the attacks that need no shadow models.
        target: what one finished model answers for the same examples, (N, C) or (N, Q, C), which is then attacked;
            or other models on the same examples, a ShadowModels.
        target_members: (N,) bool, or 0 and 1, the examples that the finished model was trained on; None: it is only
            scored.
        attacks: names of attacks; None: all.
        fpr: the false positive rates at which true positive rates are measured.
        num_targets: attack only the first `num_targets` models, if there are more; None: all.
        num_shadow: numbers of shadow models IN and OUT that the attacks are limited to, beside attacking with all.
        delta: bound epsilon from below at this delta; None: do not.
        seed: of the bootstrap, of the split into halves for the headline, and of the attacks' own draws.
        progress: shows how far the work is.
        scratch: where a folder for large intermediate arrays goes; it is removed at the end. None: the system's folder
            for temporary files.

    Returns:
        The Audit: tables, scores, figures.

    Raises:
        InputError: an argument is not allowed; or there are too few models; or an answer is not finite; or the subsets
            of targets and shadow models are too much alike (`Lineup.of_two_logdirs`).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> members = rng.random((16, 100)) < 0.5
        >>> labels = rng.integers(0, 2, 100)
        >>> logits = rng.normal(size=(16, 100, 2)) + 2 * members[..., None] * np.eye(2)[labels]
        >>> found = audit(ShadowModels(logits=logits, members=members, labels=labels), attacks=["lira_online_fixed"])
        >>> bool(found.attacks.query("metric == 'auroc'")["value"].iloc[0] > 0.8)
        True
    """
    kind = type(shadows).__name__
    check(
        "shadows", kind, isinstance(shadows, ShadowModels), "must be a ShadowModels, such as ShadowModels.open(LOGDIR)"
    )
    chosen = check_attacks(attacks)
    levels = check_levels(fpr)
    check_integer("num_targets", num_targets, 1, optional=True)
    check_integer("seed", seed, 0)
    check("progress", progress, callable(progress), "must be a function of (doing, steps, total)")
    check_number("delta", delta, optional=True)
    check("delta", delta, delta is None or 0 <= delta < 1, "must be in [0, 1)")
    check_several("num_shadow", num_shadow, "[4, 16]")
    if len(num_shadow) and not limitable(chosen):
        fail("attacks", ",".join(chosen), "must name an attack whose shadow models `num_shadow` can limit")
    arguments = {
        "target": None if target is None else "targets" if isinstance(target, ShadowModels) else "answers",
        "target_members": None if target_members is None else "members",
        "attacks": None if attacks is None else chosen,
        "fpr": None if levels == FPR_LEVELS else list(levels),
        "num_targets": num_targets and int(num_targets),
        "num_shadow": list(map(int, num_shadow)) or None,
        "delta": delta,
        "seed": int(seed) or None,
    }
    targets, known = _targets(shadows, target, target_members)
    if targets is None and num_targets == 1 and len(shadows) > MIN_MODELS and _by_fair_coins(shadows):
        shadows, targets = _one_apart(shadows)
    attacked = shadows if targets is None else targets
    recording = Recording(shadows, targets, known)
    attacks = _possible(chosen, recording, named=attacks is not None)
    num_targets = min(num_targets or len(attacked), len(attacked))
    lineup, num_models = recording.lineup, recording.keep.shape[1]
    recommended = recommended_online(len(shadows))
    sweep = Sweep(num_shadow, recording.keep[:, lineup.first_shadow :], seed)
    running = {None: _attacks([*attacks, recommended], num_models, seed)}
    running |= {size: _attacks(limitable(attacks), num_models, seed) for size in sweep.sizes}
    keys = [(name, size) for size, among in running.items() for name in among]
    num_bytes = recording.num_bytes + 4 * len(keys) * num_targets * len(shadows.labels)
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(Threads())
        folder = (
            stack.enter_context(scratch_folder(expanded(scratch or gettempdir(), "scratch")))
            if num_bytes > LARGEST_IN_MEMORY
            else None
        )
        kept = Kept(folder)
        scores = {(name, size): Scores(kept, f"{name}-{size}", num_targets) for name, size in keys}
        masks = shadows.populations
        columns, tally, digests = passes.observe(recording, kept, sweep, running, masks, progress, threads)
        evidence = passes.attack(recording, kept, sweep, running, scores, recommended, progress, threads)
        candidates = list(running[None])
        del running  # what the attacks have gathered is large
        members = recording.keep[:, :num_targets]
        drawn = np.arange(len(shadows.labels)) < (attacked.about.only_subset or np.inf)
        drawn_masks = {name: mask & drawn for name, mask in masks.items()}
        pooled = populations(lineup, recording.keep, members, drawn_masks)
        arrays = {key: table.array() for key, table in scores.items()}
        wanted = [key for key in arrays if key[0] in attacks]
        tasks = [(*key, population) for key in wanted for population in pooled] if known else []
        run_as_memory_allows = partial(threads.map, num_bytes=10 * num_targets * len(shadows.labels))
        measured = run_as_memory_allows(
            lambda name, size, population: evaluate(arrays[name, size], pooled[population], seed, levels), tasks
        )
        evaluations = dict(zip(tasks, progress("measuring the attacks", measured, len(tasks)), strict=True))
        bounds, remarks = {}, notes(shadows, targets, *tally.on_members(), digests.by_model())
        by_coins = _by_fair_coins(attacked) and (lineup.twins == NONE).all()
        if delta is not None and num_targets == 1 and not by_coins:
            remarks.append(NO_COINS)
        elif delta is not None:
            for name in progress("bounding epsilon", attacks, len(attacks)):
                by_population = _bounds(arrays[name, None], members, drawn_masks, delta, seed)
                bounds |= {(name, population): bound for population, bound in by_population.items()}
        best = evaluations.get((recommended, None, ALL))
        if best is None and known:
            best = evaluate(arrays[recommended, None], pooled[ALL], seed, levels)
        head = None
        if known:
            head = headline(
                {name: arrays[name, None] for name in candidates},
                attacks,
                recommended,
                lambda chosen: populations(lineup, recording.keep, members[:, chosen], drawn_masks),
                levels,
                seed,
                progress,
                run_as_memory_allows,
            )
        level, threshold = head["fpr"] if head is not None else None, np.nan
        if best is not None and level is not None and not np.isnan(best.metrics[f"tpr_at_fpr_{level:g}"][0]):
            threshold = best.thresholds[level]
        rates = exposure.exposure(arrays[recommended, None], members if known else members & False, threshold)
        columns |= dict(zip(("exposure", "exposure_low", "exposure_high"), rates, strict=True))
        columns["lira_evidence"] = evidence if known else np.full_like(evidence, np.nan)
        columns["rank"] = exposure.ranks(columns["exposure"], columns["lira_evidence"])
        means = _mean_memorization(shadows, recording, columns, seed)
        if known:
            remarks += [*one_sided(pooled[ALL]), *below_chance(evaluations, means["groups"].get(ALL))]
        about = {
            **_about(shadows, attacked),
            "arguments": {name: value for name, value in arguments.items() if value is not None},
            "attacks": attacks,
            "num_targets": num_targets,
            "has_logits": recording.has_logits,
            "recommended": recommended,
            "recommended_scores": bool(np.isfinite(arrays[recommended, None]).any()),
            "headline_fpr": level,
            "headline": head,
            "mean_memorization": means,
            "delta": delta,
            "seed": seed,
            "notes": [*remarks, *_not_possible(recording, chosen)],
        }
        frames = {
            "attacks": tables.attack_table(evaluations, about["stand_in"]),
            "examples": tables.record_table(shadows, columns),
            "accuracy": tables.table("accuracy", [*(tally.rows() if known else ()), *test_image_rows(attacked)]),
            "curves": tables.curve_table(evaluations),
            "correlations": tables.table("correlations", correlation_rows(columns, masks)),
            "comparisons": tables.table("comparisons", comparison_rows(evaluations, recommended)),
            "sweep": tables.sweep_table(evaluations, attacks, about["stand_in"]),
            "epsilon": tables.epsilon_table(bounds, delta, about["stand_in"]),
        }
        whole = {(name, population): value for (name, size, population), value in evaluations.items() if size is None}
        scored = {name: arrays[name, None] for name in attacks}
        return Audit(frames, about, scored, columns.get("correct"), whole)


def _targets(shadows: ShadowModels, target, target_members) -> tuple[ShadowModels | None, bool]:
    """The models that are attacked, None for the shadow models, and whether their membership is known."""
    if isinstance(target, ShadowModels):
        check("target_members", "an array", target_members is None, "must not be given for models that have theirs")
        check_same_examples("target", f"{len(target)} models", target, shadows, "shadows")
        return target.with_floor_of(shadows), True
    if target is None:
        check("target_members", "an array", target_members is None, "must not be given without target")
        return None, True
    check("shadows", "no model", len(shadows) > 0, "must hold models")
    return shadows.target(target, target_members), target_members is not None


def _one_apart(shadows: ShadowModels) -> tuple[ShadowModels, ShadowModels]:
    """All models but the first, and the first alone as the target.

    If fair coins drew who trained on what, the others know nothing of the first model's coins. So all of them judge it,
    as if they came from elsewhere. With a partner left out, which of the others judge it would depend on its coins, and
    the bound of `epsilon_one_run` would not hold.
    """
    first, others = shadows.subset([0]), shadows.subset(range(1, len(shadows)))
    about = replace(shadows.about, planned=None)
    first.about, others.about = replace(about, notes=()), about
    return others, first


def _attacks(names: Iterable[str], num_models: int, seed: int) -> dict[str, Attack]:
    """Fresh attacks by name. An attack draws the same whichever others run beside it."""
    return {
        name: attack_classes()[name](num_models, np.random.default_rng([seed, *name.encode()]))
        for name in dict.fromkeys(names)
    }


def check_attacks(names: Sequence[str] | None) -> list[str]:
    """The attacks to run, as tables list them; None is for all. Raises InputError for a name that none has."""
    if names is not None:
        check_several("attacks", names, '["lira_online", "rmia"]')
    known = tables.in_order(attack_classes())
    chosen = tables.in_order(known if names is None else map(str, names))
    for name in chosen:
        if name not in known:
            fail("attacks", name, "must be among " + ", ".join(known))
    if not chosen:
        fail("attacks", "", "must name at least one attack")
    return chosen


def check_levels(fpr: Sequence[float]) -> tuple[float, ...]:
    """False positive rates, falling, each once. Raises InputError if there is none or one is not in (0, 1)."""
    check_several("fpr", fpr, "[0.01, 0.001]")
    for level in fpr:
        check_number("fpr", level)
    levels = tuple(sorted({float(level) for level in fpr}, reverse=True))
    check("fpr", fpr, len(levels) > 0, "must name at least one false positive rate")
    for level in levels:
        check("fpr", level, 0 < level < 1, "must be in (0, 1)")
    return levels


def limitable(attacks: Iterable[str]) -> list[str]:
    """Those of the attacks whose shadow models can be limited to K per side of every example.

    The others have none (Yeom), or fit one thing to the records of all models together.
    """
    return [name for name in attacks if attack_classes()[name].limitable]


def _by_fair_coins(attacked: ShadowModels) -> bool:
    """Whether each example was put into a model's training set by a fair coin of its own."""
    return attacked.about.plan == "bernoulli" and attacked.about.pkeep == 0.5


def _bounds(
    scores: np.ndarray, members: np.ndarray, masks: Mapping[str, np.ndarray], delta: float, seed: int
) -> dict[str, EpsilonBound]:
    """Population -> lower bound on epsilon: of one target by its coins, of several by halves of the targets."""
    if scores.shape[1] > 1:
        return epsilon_bounds(scores, members, masks, delta, seed)
    return {name: epsilon_one_run(scores[mask, 0], members[mask, 0], delta, seed=seed) for name, mask in masks.items()}


def _possible(chosen: Sequence[str], recording: Recording, named: bool) -> list[str]:
    """The attacks that the record has enough for. Raises InputError for another one that the user named."""
    possible = list(chosen)
    if not recording.has_shadows:
        if named and (impossible := [name for name in possible if not attack_classes()[name].alone]):
            fail("attacks", ",".join(impossible), "must be attacks that need no shadow models: one model has none")
        possible = [name for name in possible if attack_classes()[name].alone]
    for need, there, reason in (
        ("logits", recording.has_logits, "must be attacks that need no logits, because only scores were kept"),
        ("x", recording.has_x, "must be attacks that do not see x, because the record has none (ShadowModels(x=...))"),
        ("epochs", recording.has_epochs, 'must be attacks that see one epoch, unless the record has epoch="all"'),
    ):
        impossible = [name for name in possible if need in attack_classes()[name].needs and not there]
        if named and impossible:
            fail("attacks", ",".join(impossible), reason)
        possible = [name for name in possible if name not in impossible]
    return possible


def _mean_memorization(
    shadows: ShadowModels, recording: Recording, columns: Mapping[str, np.ndarray], seed: int
) -> dict[str, dict[str, list[float | None] | None]]:
    """The mean memorization of each population and of each class, with its interval; none without logits."""
    if "correct" not in columns:
        return {"groups": {}, "classes": {}}
    keep = recording.keep[:, passes.behind_records(recording)]
    correct = np.unpackbits(columns["correct"], axis=1, count=keep.shape[1]).astype(bool)
    names = range(shadows.shape[2]) if shadows.classes is None else shadows.classes
    of_classes = {k: shadows.labels == k for k in range(len(names)) if (shadows.labels == k).any()}
    means = means_with_intervals(correct, keep, {**shadows.populations, **of_classes}, seed)
    return {
        "groups": {name: means[name] for name in shadows.populations},
        "classes": {str(names[k]): means[k] for k in of_classes},
    }


def _not_possible(recording: Recording, chosen: Sequence[str]) -> list[str]:
    """Says what could not be computed if only scores were kept."""
    if recording.has_logits:
        return []
    attacks = [name for name in chosen if "logits" in attack_classes()[name].needs]
    missing = [*attacks, "memorization", "OOD scores", "accuracy"]
    return [f"Only scores were kept and no logits, without which there can be no {', '.join(missing)}."]


def _about(shadows: ShadowModels, attacked: ShadowModels) -> dict:
    """What an Audit says of its record."""
    about = attacked.about
    return {
        "name": about.name,
        "arch": about.arch,
        "group_titles": dict(about.group_titles),
        "classes": None if shadows.classes is None else list(shadows.classes),
        "num_classes": shadows.shape[2],
        "stand_in": about.stand_in,
        "num_models": len(shadows),
        "versions": {"mia_tf": __version__, "Python": platform.python_version(), "NumPy": np.__version__},
    }


def correlation_rows(columns: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> list[tuple]:
    """Rows of correlations.csv, of the columns of examples.csv."""
    return [
        (x, y, name, *spearman(columns[x][mask], columns[y][mask]), _OOD_NOTE if y.startswith("ood_") else "")
        for x, y in CORRELATED
        for name, mask in masks.items()
    ]
