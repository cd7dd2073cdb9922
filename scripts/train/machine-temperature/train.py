#!/usr/bin/env python3
"""Trains `machine-temperature` on the first 15 % of a series of temperatures, without labels, and judges it on the rest.

  python scripts/train/machine-temperature/train.py --csv machine_temperature_system_failure.csv \
      --labels windows.json --out config/examples/machine-temperature/model

Robust Mahalanobis distance of the mean and the spread of the last 24 hours. The labels are only opened for judging;
choose.py found window and features with faults injected into the training part.
"""
import argparse
import csv
import json
import pathlib
import sys
from datetime import datetime, timezone

import numpy as np
from onnx import TensorProto
from sklearn.covariance import MinCovDet

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import model_files  # noqa: E402

WINDOW_S = 24 * 3600
EVERY_S = 300
MINIMUM_COVERAGE = 0.5
TRAINING_SHARE = 0.15
# an unlabelled stretch may contain faults: this share of it is taken for faulty
CONTAMINATION = 0.02
FIRE, CLEAR = 0.9, 0.6
FEATURES = [("temp_mean", "degF"), ("temp_std", "degF")]
# a spread is far from normal, its logarithm is nearer to it
LOGGED = np.array([False, True])
LOG_OFFSET = 0.5


def seconds(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def read_series(path):
    with open(path, newline="") as file:
        rows = [(seconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def features_of(times, values):
    """One row a reading, from the readings of (end - WINDOW_S, end]; NaN while the window is not covered enough.

    The end is the newest time so far: a reading that comes late joins the window, but does not set it back.
    """
    rows = np.full((len(times), len(FEATURES)), np.nan)
    ends = np.maximum.accumulate(times)
    for index, end in enumerate(ends):
        recent = slice(max(0, index - 2 * WINDOW_S // EVERY_S), index + 1)
        inside = (times[recent] > end - WINDOW_S) & (times[recent] <= end)
        what = values[recent][inside]
        if len(what) < MINIMUM_COVERAGE * WINDOW_S / EVERY_S:
            continue
        rows[index] = [what.mean(), what.std()]
    return rows, ends


def transformed(rows):
    return np.where(LOGGED, np.log(np.where(LOGGED, rows, 1) + LOG_OFFSET), rows)


def distance_of(shaped, centre, weights):
    return np.sqrt(np.mean(((shaped - centre) @ weights) ** 2, axis=1))


def fit(shaped):
    """Centre, whitening matrix and threshold, from unlabelled rows of numbers that are near to normal."""
    middle = np.median(shaped, axis=0)
    spread = np.percentile(shaped, 75, axis=0) - np.percentile(shaped, 25, axis=0)
    scaled = (shaped - middle) / spread
    robust = MinCovDet(support_fraction=0.8, random_state=1).fit(scaled)
    # a small ridge: directions that hardly vary in twelve days must not decide alone
    width = shaped.shape[1]
    covariance = robust.covariance_ + 0.01 * np.trace(robust.covariance_) / width * np.eye(width)
    values, vectors = np.linalg.eigh(covariance)
    centre = middle + robust.location_ * spread
    weights = vectors / np.sqrt(values) / spread[:, None]
    return centre, weights, float(np.quantile(distance_of(shaped, centre, weights), 1 - CONTAMINATION))


def graph_of(centre, weights, threshold):
    graph = model_files.Graph()
    width = len(FEATURES)
    logged = graph.constant(LOGGED[None, :].astype(np.float32))
    linear = graph.constant(1 - LOGGED[None, :].astype(np.float32))
    # log only where it is wanted: the other columns are taken as 1 there, whose logarithm plus offset is left out
    inner = graph.node("Add", graph.node("Mul", "features", logged), graph.constant(np.where(LOGGED, LOG_OFFSET, 1)[None, :]))
    shaped = graph.node("Add", graph.node("Log", inner), graph.node("Mul", "features", linear))
    away = graph.node("Sub", shaped, graph.constant(centre[None, :]))
    white = graph.node("MatMul", away, graph.constant(weights))
    mean = graph.node("ReduceMean", graph.node("Mul", white, white), axes=[1], keepdims=1)
    model_files.calibrated(graph, graph.node("Sqrt", mean), threshold)
    return graph.model("machine-temperature", width, [("score", TensorProto.FLOAT)])


def episodes_of(scores, times, fire=FIRE, clear=CLEAR):
    """From firing to clearing, as the rule does it: over `fire` begins, under `clear` ends."""
    episodes, begun = [], None
    for score, time in zip(scores, times):
        if begun is None and score > fire:
            begun = time
        elif begun is not None and score < clear:
            episodes.append((begun, time))
            begun = None
    return episodes + ([(begun, times[-1])] if begun is not None else [])


def judged(episodes, windows, times, since=None):
    """Against labelled windows; with `since` only what begins later counts."""
    begin = times[0] if since is None else since
    windows = [window for window in windows if window[1] >= begin]
    episodes = [episode for episode in episodes if episode[1] >= begin]
    hits = [[episode for episode in episodes if episode[0] <= end and episode[1] >= start] for start, end in windows]
    outside = [e for e in episodes if not any(e[0] <= end and e[1] >= start for start, end in windows)]
    labelled = sum(end - start for start, end in windows)
    days = (times[-1] - begin - labelled) / 86400
    outside_labels = ~np.any([(times >= start) & (times <= end) for start, end in windows], axis=0) & (times >= begin)
    alarmed = np.any([(times >= start) & (times < end) for start, end in episodes] or [times < 0], axis=0)
    return {
        "windows": len(windows),
        "flagged": sum(1 for hit in hits if hit),
        "delayHours": [round(max(0, hit[0][0] - window[0]) / 3600, 1) if hit else None for hit, window in zip(hits, windows)],
        "falseEpisodes": len(outside),
        "falseEpisodesPerDay": round(len(outside) / days, 3),
        "falseAlarmTimeShare": round(float(alarmed[outside_labels].mean()), 4),
        "episodesInWindows": len(episodes) - len(outside),
    }


def baselines(values, rows, times, windows, trained, since):
    """What anybody has for nothing; each is judged like the model."""
    mean, std = values[:trained].mean(), values[:trained].std()
    day = np.nan_to_num(rows[:, 0], nan=np.nanmean(rows[:trained, 0]))
    day_off = np.abs(day - np.nanmean(rows[:trained, 0])) / np.nanstd(rows[:trained, 0])
    random = np.random.default_rng(1).random(len(values))
    rules = {
        "never": np.zeros(len(values)),
        "always": np.ones(len(values)),
        "random 2 % of readings": (random < CONTAMINATION).astype(float),
        "one line: |value - mean| > 2 std": (np.abs(values - mean) > 2 * std).astype(float),
        "one line: |value - mean| > 3 std": (np.abs(values - mean) > 3 * std).astype(float),
        "one line: mean of 24 h, 2 std off": (day_off > 2).astype(float),
        "one line: mean of 24 h, 3 std off": (day_off > 3).astype(float),
    }
    return {name: judged(episodes_of(flags, times, 0.5, 0.5), windows, times, since) for name, flags in rules.items()}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--csv", required=True)
    options.add_argument("--labels", required=True)
    options.add_argument("--out", required=True)
    options = options.parse_args()
    times, values = read_series(options.csv)
    trained = int(TRAINING_SHARE * len(values))
    rows, ends = features_of(times, values)
    covered = ~np.isnan(rows).any(axis=1)
    training = rows[:trained][covered[:trained]]
    model = graph_of(*fit(transformed(training)))

    scores = np.zeros(len(values))
    scores[covered] = model_files.scores_of(model, rows[covered])[0][:, 0]
    labels = json.loads(pathlib.Path(options.labels).read_text())
    spans = next(spans for name, spans in labels.items() if name.endswith(pathlib.Path(options.csv).name))
    windows = [(seconds(start), seconds(end)) for start, end in spans]
    episodes = episodes_of(scores, ends)
    since = times[trained]
    quality = {
        "data": "machine_temperature_system_failure.csv of the Numenta Anomaly Benchmark; 22,695 readings, 4 labelled windows",
        "note": "The first labelled window lies inside the unlabelled training part: only the other three were never seen.",
        "whole": judged(episodes, windows, ends),
        "afterTraining": judged(episodes, windows, ends, since),
        "baselinesAfterTraining": baselines(values, rows, ends, windows, trained, since),
    }
    print(json.dumps(quality, indent=1))
    for begin, end in episodes:
        inside = any(begin <= stop and end >= start for start, stop in windows)
        print(datetime.fromtimestamp(begin, timezone.utc), f"{(end - begin) / 3600:6.1f} h", "labelled" if inside else "-")

    chosen = np.flatnonzero(covered)[np.linspace(0, covered.sum() - 1, 24).astype(int)]
    highest = np.argsort(scores)[-4:]
    manifest = {
        "name": "machine-temperature",
        "version": 1,
        "description": "How unusual the last 24 hours of a machine's temperature are, against twelve days of the same machine.",
        "licence": "Apache-2.0",
        "training": {
            "script": "scripts/train/machine-temperature/train.py",
            "data": "First 15 % of machine_temperature_system_failure.csv (Numenta Anomaly Benchmark, MIT), without labels",
            "method": "Robust Mahalanobis distance (minimum covariance determinant); threshold: 98 % quantile of the training part",
        },
        "outputs": [
            {"name": "score", "tensor": "score", "type": "float32", "shape": ["N", 1], "role": "score", "min": 0, "max": 1}
        ],
        "thresholds": [{"output": "score", "value": FIRE, "meaning": "Exceeded by 2 % of the training part"}],
        "tolerance": {"absolute": 1e-4, "relative": 1e-4},
        "quality": quality,
    }
    model_files.write(options.out, model, manifest, FEATURES, rows[np.concatenate([chosen, highest])], training)


if __name__ == "__main__":
    main()
