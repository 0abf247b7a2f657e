"""What only an engine that trains several models at once can get wrong."""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from engine_helpers import SMALL, members_of
from refusals import refuses
from toys import make_dataset

from mia_tf.training import device_memory, ensemble, schedules
from mia_tf.training.convolutions import FORMULATIONS
from mia_tf.training.ensemble_engine import EnsembleEngine
from mia_tf.training.ensemble_step import averaged_weights, make_keys


@pytest.fixture(scope="module")
def toy():
    return make_dataset()


def start(toy, config, ensemble_size=3):
    return EnsembleEngine(toy, config, ensemble_size=ensemble_size, formulation="patches")


def sizes_differ(toy):
    """Three subsets of 20, 30 and 41 examples."""
    members = np.zeros((3, len(toy.images)), bool)
    for keep, count in zip(members, (20, 30, 41), strict=True):
        keep[np.random.default_rng(count).permutation(len(keep))[:count]] = True
    return members


@pytest.mark.parametrize("augment", ["none", "weak"])
def test_an_ensemble_is_its_models_trained_alone(toy, augment):
    """Also where their training sets, and so their steps, differ."""
    config = dataclasses.replace(SMALL, epochs=3, augment=augment)
    engine, members = start(toy, config), sizes_differ(toy)
    together = list(engine.train(members, [4, 5, 6]))
    assert [r.metrics["steps"] for r in together] == [3 * n // 8 for n in (20, 30, 41)]
    for k, record in enumerate(together):
        (alone,) = engine.train(members[k : k + 1], [4 + k])
        # Another compiled program: float32 rounding over fifteen steps; logits are of order one.
        np.testing.assert_allclose(record.logits, alone.logits, atol=1e-4)
        assert record.metrics["train_accuracy_all"] == alone.metrics["train_accuracy_all"]
        for one, other in zip(record.metrics["history"], alone.metrics["history"], strict=True):
            assert one["loss"] == pytest.approx(other["loss"], abs=1e-4)


def test_each_model_stops_by_itself(toy):
    config = dataclasses.replace(SMALL, epochs=12, eval_steps=1, patience=1, save_steps=4, keep_ckpt=True)
    engine, members = start(toy, config), members_of(toy, 3)
    together = list(engine.train(members, [1, 2, 3]))
    assert len({r.epoch for r in together}) > 1
    for k, record in enumerate(together):
        (alone,) = engine.train(members[k : k + 1], [1 + k])
        assert record.epoch == alone.epoch == len(record.metrics["history"])
        assert set(record.checkpoints) == set(alone.checkpoints)
        for epoch, weights in record.checkpoints.items():
            for one, other in zip(weights, alone.checkpoints[epoch], strict=True):
                np.testing.assert_allclose(one, other, atol=1e-4)
        np.testing.assert_allclose(record.logits, alone.logits, atol=1e-3)


def test_a_model_that_diverges_is_told_from_one_that_stops_and_moves_no_other(toy):
    config = dataclasses.replace(SMALL, epochs=2)
    engine, members = start(toy, config), members_of(toy, 2)
    state = engine.initial_state([1, 2])
    state.weights[0] = state.weights[0].at[0].set(np.nan)
    orders = [next(schedules.orders(config, None, np.flatnonzero(keep), 1)) for keep in members]
    state, losses = engine.run_epoch(state, make_keys([1, 2]), orders, np.array([9, 9]))
    assert list(np.asarray(state.running)) == [False, True]
    assert list(np.asarray(state.steps)) == [0, len(orders[1])]
    assert np.asarray(losses)[0] == 0 and np.isfinite(np.asarray(losses)).all()
    assert all(np.isfinite(np.asarray(w)[1]).all() for w in state.weights)


def test_averaged_weights_are_the_debiased_mean_of_the_path(toy):
    config = dataclasses.replace(SMALL, epochs=1, ema=0.8)
    engine, rows = start(toy, config), np.arange(40)
    (order,) = schedules.orders(config, None, rows, 1)
    state, path = engine.initial_state([1]), []
    for batch in order:
        state, _ = engine.run_epoch(state, make_keys([1]), [[batch]], np.array([5]))
        path.append([np.asarray(w) for w in state.weights])
    shares = np.array([0.2 * 0.8 ** (4 - t) for t in range(5)]) / (1 - 0.8**5)
    for k, average in enumerate(averaged_weights(state, 0.8)):
        expected = sum(share * weights[k] for share, weights in zip(shares, path, strict=True))
        np.testing.assert_allclose(average, expected, atol=1e-6)


def test_a_step_draws_other_views_than_the_one_before(toy):
    """With next to no learning rate, two steps on one batch differ by their views alone."""
    gradients = {}
    for augment in ("none", "weak"):
        engine = start(toy, dataclasses.replace(SMALL, augment=augment, lr=1e-12, warmup=0.0, weight_decay=0.0))
        state, moved = engine.initial_state([1]), []
        for _ in range(2):
            before = [0.9 * np.asarray(v) for v in state.momenta]
            state, _ = engine.run_epoch(state, make_keys([1]), [[np.arange(8)]], np.array([10**6]))
            moved.append(
                np.concatenate([(np.asarray(v) - b).ravel() for v, b in zip(state.momenta, before, strict=True)])
            )
        gradients[augment] = np.linalg.norm(moved[1] - moved[0]) / np.linalg.norm(moved[0])
    assert gradients["none"] < 1e-5 and gradients["weak"] > 1e-2


def test_the_epoch_is_compiled_once_for_a_size(toy, caplog):
    """Whatever the subsets, where epochs differ by a step, and where it was compiled to see what fits."""
    config = dataclasses.replace(SMALL, epochs=4)
    engine, members = start(toy, config), sizes_differ(toy)
    orders = [schedules.orders(config, None, np.flatnonzero(keep), 1) for keep in members]
    assert {len(order) for epochs in orders for order in epochs} == {2, 3, 4, 5}
    with jax.log_compiles(), caplog.at_level("WARNING"):
        next(engine._lowered(3)).compile()
        for some in (members[[0, 0, 0]], members, members_of(toy, 3)):
            list(engine.train(some, [1, 2, 3]))
    assert sum("Finished XLA compilation of jit(_epoch)" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("arch, ema", [("resnet9", 0.9), ("cnn4-2-max", 0.0)])
def test_what_is_lowered_has_the_shapes_of_the_state(toy, arch, ema):
    engine = start(toy, dataclasses.replace(SMALL, arch=arch, ema=ema))
    state = engine.initial_state([1, 2])
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), state)
    assert engine._shapes(2) == shapes


def test_weights_stay_in_full_precision_where_computing_is_not(toy):
    config = dataclasses.replace(SMALL, arch="resnet9", precision="bfloat16", epochs=2)
    engine = EnsembleEngine(toy, config, ensemble_size=1, formulation="patches")
    state = engine.initial_state([3])
    text = str(jax.make_jaxpr(engine._step._epoch)(state, engine._data, make_keys([3]), np.zeros((1, 1, 8), np.int32),
                                                   np.full((1, 1), 8, np.int32), np.array([9], np.int32)))  # fmt: skip
    assert "dot_general" in text and "bf16" in text
    (low,) = engine.train(members_of(toy, 1), [3])
    full = EnsembleEngine(toy, dataclasses.replace(config, precision="float32"), ensemble_size=1, formulation="patches")
    (high,) = full.train(members_of(toy, 1), [3])
    difference = np.abs(low.logits - high.logits).max()
    assert 1e-4 < difference < 0.5  # bfloat16 rounds to 1 in 256, over nine layers and nine steps; logits reach two
    assert low.hparams["precision"] == "bfloat16" and "precision" not in high.hparams
    state, _ = engine.run_epoch(engine.initial_state([3]), make_keys([3]), [[np.arange(8)]], np.array([9]))
    assert {str(leaf.dtype) for leaf in (*state.weights, *state.momenta, *state.statistics)} == {"float32"}


def test_a_large_ensemble_is_asked_a_few_models_at_a_time(toy, monkeypatch):
    """The answers of all its models would not fit in the host's memory. The last few overlap with those before."""
    engine, sizes = start(toy, SMALL), []
    state = engine.initial_state([1, 2, 3])
    expected = list(engine.logits(state.weights, state.statistics, 2))
    monkeypatch.setattr(ensemble, "_INFERENCE_MODELS", 2)
    engine = start(toy, SMALL)
    answer = engine._answer

    def watched(*arguments):
        logits = answer(*arguments)
        sizes.append(len(logits))
        return logits

    monkeypatch.setattr(engine, "_answer", watched)
    answers = engine.logits(state.weights, state.statistics, 2)
    first = next(answers)
    assert sizes == [2, 2]  # one call for each query, and none for the third model yet
    # Another compiled program: float32 rounding; logits are of order a tenth.
    np.testing.assert_allclose([first, *answers], expected, atol=1e-5)
    assert sizes == [2, 2, 2, 2] and np.abs(expected[1] - expected[2]).max() > 0.01


class FakeDevice(SimpleNamespace):
    def memory_stats(self):
        return {"bytes_limit": self.limit, "bytes_in_use": 300}


def pretend_gpu(monkeypatch, limit):
    monkeypatch.setattr(jax, "local_devices", lambda: [FakeDevice(platform="gpu", limit=limit)])


@pytest.mark.parametrize("limit, size", [(1_200, 1), (3_500, 4), (14_000, 16), (10**9, device_memory.LARGEST_ENSEMBLE)])
def test_an_ensemble_takes_what_the_memory_allows(monkeypatch, limit, size):
    tried = []

    def memory(count, temporary):  # 200 bytes for the data, at least 400 for each model; the state comes out in place
        analysis = SimpleNamespace(
            argument_size_in_bytes=200 + 100 * count,
            output_size_in_bytes=120 * count,
            alias_size_in_bytes=100 * count,
            temp_size_in_bytes=temporary * count,
        )
        return SimpleNamespace(compile=lambda: SimpleNamespace(memory_analysis=lambda: analysis))

    pretend_gpu(monkeypatch, limit)
    for temporaries in ((580, 10), (10, 580)):

        def lower(k, temporaries=temporaries):
            tried.append(k)
            return [memory(k, temporary) for temporary in temporaries]

        assert device_memory.ensemble_size_that_fits(lower, data_bytes=200, num_models=64) == size
    tried.clear()
    assert device_memory.ensemble_size_that_fits(lower, data_bytes=200, num_models=4) == min(size, 4)
    assert max(tried) == 4  # more than there are is not tried


def test_a_size_that_cannot_even_be_compiled_does_not_fit(monkeypatch):
    def lower(count, message):
        def compile_():
            if count > 16:
                raise jax.errors.JaxRuntimeError(message)
            fields = ("argument_size", "output_size", "alias_size", "temp_size")
            analysis = SimpleNamespace(**{f"{field}_in_bytes": 1 for field in fields})
            return SimpleNamespace(memory_analysis=lambda: analysis)

        return [SimpleNamespace(compile=compile_)]

    pretend_gpu(monkeypatch, 10**9)
    assert device_memory.ensemble_size_that_fits(lambda k: lower(k, "RESOURCE_EXHAUSTED: no room"), 0, 64) == 16
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        device_memory.ensemble_size_that_fits(lambda k: lower(k, "INTERNAL: a bug"), 0, 64)


def test_a_device_that_does_not_tell_its_memory_needs_a_number(toy, monkeypatch):
    """The machine's memory was once taken for the device's."""
    device = SimpleNamespace(platform="gpu", memory_stats=lambda: None)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    with refuses("ensemble_size", "auto"):
        EnsembleEngine(toy, SMALL, formulation="patches")
    assert EnsembleEngine(toy, SMALL, ensemble_size=5, formulation="patches").ensemble_size == 5


def test_the_ensemble_is_sized_as_it_will_be_trained(toy, monkeypatch):
    """With the formulations that are chosen, whose need of memory differs."""
    monkeypatch.setattr(device_memory, "LARGEST_ENSEMBLE", 4)
    engine = start(toy, SMALL)
    need = max(device_memory._bytes(lowered) for lowered in engine._lowered(2))
    pretend_gpu(monkeypatch, int(1.2 * need / device_memory._SHARE) + 300 - toy.images.nbytes)
    sized = EnsembleEngine(toy, SMALL, formulation="patches")
    assert sized.ensemble_size == 2 and set(sized.formulations.values()) == {"patches"}


def test_models_take_turns_on_a_cpu(toy):
    assert EnsembleEngine(toy, SMALL, formulation="patches").ensemble_size == 1


def test_the_memory_of_an_ensemble_is_what_xla_says(toy):
    engine = start(toy, SMALL)
    one, two = (device_memory._bytes(next(engine._lowered(count))) for count in (1, 2))
    weights = sum(w.nbytes for w in engine._asked.get_weights())
    assert two - one >= 2 * weights  # weights and momenta at least
    assert one >= toy.images.nbytes


def test_formulations_are_measured_when_training_needs_them(toy):
    engine = EnsembleEngine(toy, dataclasses.replace(SMALL, arch="cnn2-1-max"), ensemble_size=2)
    engine.query(1)
    assert engine.formulations is None
    engine.images_per_second(0.0)
    assert engine.formulations and set(engine.formulations.values()) <= set(FORMULATIONS)
