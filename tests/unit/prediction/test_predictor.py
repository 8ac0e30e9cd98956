"""The accuracy predictor: its code, its file, its fit, and that it needs no torch."""

import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load, save

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.spaces import ArchitectureError, SearchSpace, parse_id
from pfpnas_workloads.metadata import pack, unpack
from pfpnas_workloads.prediction import AccuracyPredictor, PredictorError, encode, width
from pfpnas_workloads.prediction.perceptron import fit, fit_and_judge, judge
from pfpnas_workloads.prediction.samples import Sample, SampleTable, choose_samples

SPACE = SearchSpace(kernel_sizes=(3, 5), expand_ratios=(2, 4), depths=(1, 2), resolutions=(16, 24))
CHECKPOINT = "a" * 64


def sampled(count: int, seed: int = 0):  # type: ignore[no-untyped-def]
    return choose_samples(SPACE, count, seed=seed)


def made_up_accuracies(architectures) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Larger is better, as in a real supernet, and the first stage counts most."""
    codes = encode(SPACE, architectures)
    weights = np.linspace(1.0, 0.1, codes.shape[1]) * np.tile([0.2, 1.0], codes.shape[1] // 2)
    scores = codes @ weights
    return (0.5 + 0.3 * (scores - scores.mean()) / np.abs(scores - scores.mean()).max()).astype(np.float64)


def test_code_is_one_hot_for_active_genes_and_zero_for_the_others() -> None:
    smallest = parse_id("r16-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2")
    code = encode(SPACE, [smallest])[0]
    assert code.shape == (width(SPACE),)
    assert width(SPACE) == 2 + 4 * (5 * 2 + 1)
    assert code[:2].tolist() == [1, 0]  # resolution
    assert code[2:10].tolist() == [1, 0, 1, 0, 0, 0, 0, 0]  # stage 1: first block k3e2, second one inactive
    assert code.sum() == 1 + 2 * 6


def test_different_architectures_have_different_codes() -> None:
    codes = encode(SPACE, sampled(200))
    assert len(np.unique(codes, axis=0)) == 200


def test_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(ArchitectureError):
        encode(SPACE, [parse_id("r32-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2")])


def test_no_architectures_give_no_accuracies() -> None:
    assert fit(SPACE, sampled(20), np.full(20, 0.5), checkpoint=CHECKPOINT, seed=0).predict([]).shape == (0,)


def test_fit_ranks_held_out_architectures_better_than_a_constant() -> None:
    architectures = sampled(150)
    truth = made_up_accuracies(architectures)
    _, quality = fit_and_judge(SPACE, architectures, truth, checkpoint=CHECKPOINT, seed=0)
    assert quality.kendall_tau > 0.7
    assert quality.mean_absolute_error < 0.5 * quality.constant_mean_absolute_error


def test_fit_is_repeatable() -> None:
    architectures = sampled(30)
    first, second = (
        fit(SPACE, architectures, made_up_accuracies(architectures), checkpoint=CHECKPOINT, seed=1).save()
        for _ in range(2)
    )
    assert first == second


def test_judging_knows_the_figures_of_a_small_case() -> None:
    quality = judge(np.array([0.1, 0.3, 0.2]), np.array([0.2, 0.4, 0.6]), constant=0.4)
    assert quality.kendall_tau == pytest.approx(1 / 3)
    assert quality.mean_absolute_error == pytest.approx((0.1 + 0.1 + 0.4) / 3)
    assert quality.constant_mean_absolute_error == pytest.approx((0.2 + 0.0 + 0.2) / 3)


def test_equal_guesses_have_no_order() -> None:
    assert judge(np.full(4, 0.5), np.arange(4) / 4, constant=0.5).kendall_tau == 0.0


def fitted() -> AccuracyPredictor:
    architectures = sampled(30)
    return fit(SPACE, architectures, made_up_accuracies(architectures), checkpoint=CHECKPOINT, seed=0)


def test_file_gives_back_the_predictor() -> None:
    predictor, others = fitted(), sampled(50, seed=5)
    again = AccuracyPredictor.load(predictor.save())
    assert (again.space, again.checkpoint) == (SPACE, CHECKPOINT)
    assert np.array_equal(again.predict(others), predictor.predict(others))


def test_anything_else_is_refused() -> None:
    content = fitted().save()
    arrays, record = load(content), unpack(content)
    wrong = [
        b"",
        content[:200],
        save(arrays),
        save(arrays, pack(record | {"version": 9})),
        save(arrays, pack(record | {"layers": 3})),
        save(arrays | {"0.weight": arrays["0.weight"][1:]}, pack(record)),
        save(arrays | {"3.bias": np.full(1, np.nan, np.float32)}, pack(record)),
    ]
    for damaged in wrong:
        with pytest.raises(PredictorError, match="no accuracy predictor"):
            AccuracyPredictor.load(damaged)


def test_reading_and_asking_needs_no_torch() -> None:
    program = "import sys, pfpnas_workloads.prediction; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_samples_are_different_and_begin_with_the_extremes() -> None:
    chosen = sampled(60)
    assert chosen[:2] == [SPACE.minimum(), SPACE.maximum()]
    assert len(set(chosen)) == 60
    assert chosen == sampled(60)
    assert chosen != sampled(60, seed=1)


def test_a_space_that_has_fewer_is_taken_whole() -> None:
    space = SearchSpace(kernel_sizes=(3,), expand_ratios=(2, 3), depths=(1,), resolutions=(16,))
    assert len(choose_samples(space, 500, seed=0)) == space.count == 64


def make_sample(name: str = "r16") -> Sample:
    return Sample(architecture=name, accuracy=0.5, checkpoint=CHECKPOINT)


def test_table_is_there_again_after_a_restart_of_the_same_job(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store, smallest = FolderStore(tmp_path), SPACE.minimum()
    SampleTable(store, "job", fingerprint="f").add(make_sample(smallest.id))
    assert SampleTable(store, "job", fingerprint="f").get(smallest) == make_sample(smallest.id)
    assert SampleTable(store, "job", fingerprint="another").get(smallest) is None
    assert SampleTable(store, "other", fingerprint="f").get(smallest) is None


def test_damaged_table_is_begun_anew(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = FolderStore(tmp_path)
    store.write_ref("job.samples", {"fingerprint": "f", "samples": {"r16": {"accuracy": "high"}}})
    table = SampleTable(store, "job", fingerprint="f")
    table.add(make_sample())
    assert b"r16" in store.get(table.put().sha256)
