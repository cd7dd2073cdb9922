#!/usr/bin/env python3
"""Trains `host-anomaly` on what a machine looks like when nothing is wrong, and judges it on other recordings.

  python scripts/train/host-anomaly/train.py --out models/bundled/host-anomaly/1

How far the last 30 seconds are above what was normal, in each of seven vitals; being quieter than normal is no
anomaly. Normal rows fit the scales and the threshold; rows with a fault are only used for judging.
"""
import argparse
import csv
import json
import pathlib
import sys

import numpy as np
from onnx import TensorProto

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import model_files  # noqa: E402

WINDOW = 30
PASS_EVERY = 5
FIRE, CLEAR = 0.9, 0.6
FOR_SECONDS = 15
# name, unit, whether its logarithm is taken, smallest scale: a machine that was quiet while it was recorded must not
# make the model call a few per cent of work an anomaly
VITALS = [
    ("cpu_busy", "%", False, 25),
    ("runnable_per_core", "1", True, 0.25),
    ("cpu_iowait", "%", False, 10),
    ("processes_blocked", "1", True, 0.25),
    ("disk_busy", "%", False, 25),
    ("major_faults", "1/s", True, 1.0),
    ("memory_refaults", "1/s", True, 1.5),
]
WITH_PRESSURE = [*VITALS, ("psi_cpu", "%", False, 15), ("psi_memory", "%", False, 5), ("psi_io", "%", False, 15)]
NORMAL = {"idle", "ordinary", "natural"}
FAULTS = ("cpu", "memory", "disk")
# a few minutes of normal work do not hold everything that is normal: a quarter on top of what nearly all stay under
THRESHOLD_QUANTILE, MARGIN = 0.995, 1.25


class Recording:
    """Windows of one recording: features, the phase at the end, seconds into it, and whether phases mix."""

    def __init__(self, path, vitals):
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        values = np.array([[float(row[name]) for name, *_ in vitals] for row in rows])
        phases = np.array([row["phase"] for row in rows])
        ends = range(WINDOW - 1, len(rows))
        windows = [slice(end - WINDOW + 1, end + 1) for end in ends]
        self.features = np.array([features_of(values[window]) for window in windows])
        self.phase = np.array([phases[end] for end in ends])
        self.second = np.array([int(rows[end]["second"]) for end in ends])
        self.normal = np.array([set(phases[window]) <= NORMAL for window in windows])
        self.pure = np.array([len(set(phases[window])) == 1 for window in windows])


def features_of(window):
    """For each vital the mean and the lower quartile: the second is high only when the load stays."""
    return np.stack([window.mean(axis=0), np.quantile(window, 0.25, axis=0)], axis=1).ravel()


def names_of(vitals):
    return [(f"{name}_{kind}", unit) for name, unit, *_ in vitals for kind in ("mean", "q25")]


def is_logged(vitals):
    return np.repeat([logged for _, _, logged, _ in vitals], 2)


def shaped(rows, vitals):
    return np.where(is_logged(vitals), np.log1p(np.where(is_logged(vitals), rows, 0)), rows)


def fit(rows, vitals):
    """Where normal ends and how wide it is, per feature; then the threshold over all of them."""
    values = shaped(rows, vitals)
    centre = np.median(values, axis=0)
    floors = np.repeat([floor for *_, floor in vitals], 2)
    scale = np.maximum((np.quantile(values, 0.95, axis=0) - centre) / 2, floors)
    distance = distances(rows, vitals, centre, scale)
    return centre, scale, MARGIN * float(np.quantile(distance, THRESHOLD_QUANTILE))


def distances(rows, vitals, centre, scale):
    above = np.clip((shaped(rows, vitals) - centre) / scale, 0, 8)
    return np.sqrt(np.mean(above**2, axis=1))


def graph_of(vitals, centre, scale, threshold):
    graph = model_files.Graph()
    logged = is_logged(vitals).astype(np.float32)[None, :]
    counts = graph.node("Log", graph.node("Add", graph.node("Mul", "features", graph.constant(logged)), graph.constant([[1]])))
    rest = graph.node("Mul", "features", graph.constant(1 - logged))
    away = graph.node("Sub", graph.node("Add", counts, rest), graph.constant(centre[None, :]))
    scaled = graph.node("Div", away, graph.constant(scale[None, :]))
    above = graph.node("Clip", scaled, graph.constant(0), graph.constant(8))
    square = graph.node("Mul", above, above)
    mean = graph.node("ReduceMean", square, axes=[1], keepdims=1)
    model_files.calibrated(graph, graph.node("Sqrt", mean), threshold)
    # which vital is furthest above normal: sum of its two features, then its name
    pairs = np.kron(np.eye(len(vitals)), np.ones((2, 1)))
    most = graph.node("ArgMax", graph.node("MatMul", square, graph.constant(pairs)), axis=1, keepdims=1)
    names = graph.constant([name for name, *_ in vitals], str)
    graph.node("Gather", names, most, output="cause", axis=0)
    outputs = [("score", TensorProto.FLOAT), ("cause", TensorProto.STRING)]
    return graph.model("host-anomaly", 2 * len(vitals), outputs)


def alarms(scores):
    """The agent's rule, looked at in every pass: over FIRE for FOR_SECONDS begins an alarm, under CLEAR ends it."""
    firing, since, flags = False, None, []
    for index, score in enumerate(scores[::PASS_EVERY]):
        if score > FIRE:
            since = index if since is None else since
            firing = firing or (index - since) * PASS_EVERY >= FOR_SECONDS
        else:
            since = None
            firing = firing and score >= CLEAR
        flags.append(firing)
    return np.repeat(flags, PASS_EVERY)[: len(scores)]


def share(flags):
    return round(float(np.mean(flags)), 4) if len(flags) else None


def judged(recording, over, alarm):
    """Precision and recall of windows, those that mix phases left out; the rule's delay from the start of a fault."""
    faulty = recording.pure & np.isin(recording.phase, FAULTS)
    considered = faulty | recording.normal
    hits = int(np.sum(over & faulty))
    flagged = int(np.sum(over & considered))
    delays = {}
    for fault in FAULTS:
        fired = recording.second[(recording.phase == fault) & alarm]
        delays[fault] = int(fired[0]) if len(fired) else None
    return {
        "windows": {"normal": int(recording.normal.sum()), "faulty": int(faulty.sum())},
        "precision": round(hits / flagged, 4) if flagged else None,
        "recall": {fault: share(over[faulty & (recording.phase == fault)]) for fault in FAULTS},
        "falsePositiveShare": share(over[recording.normal]),
        "ruleDelaySeconds": delays,
    }


def quiet_time(recording, over, alarm):
    """False alarms of the rule in a recording in which nothing was done to the machine on purpose."""
    begins = int(np.sum(alarm[1:] & ~alarm[:-1])) + int(alarm[0])
    hours = len(alarm) / 3600
    bound = 3 / hours * 24 if begins == 0 else None
    result = {"hours": round(hours, 2), "windowsOverThreshold": share(over), "ruleAlarms": begins}
    result["ruleAlarmsPerDay"] = round(begins / hours * 24, 1)
    if bound is not None:
        result["upperBoundPerDay95"] = round(bound, 1)
    return result


def one_line_rules(recording, vitals):
    columns = {name: index for index, (name, _) in enumerate(names_of(vitals))}
    at = lambda name: recording.features[:, columns[name]]  # noqa: E731
    return {
        "never": np.zeros(len(recording.phase), dtype=bool),
        "always": np.ones(len(recording.phase), dtype=bool),
        "one line: mean cpu_busy > 90 %": at("cpu_busy_mean") > 90,
        "one line: mean disk_busy > 80 %": at("disk_busy_mean") > 80,
        "one line: cpu_busy > 90 % or disk_busy > 80 %": (at("cpu_busy_mean") > 90) | (at("disk_busy_mean") > 80),
    }


def trained(vitals, folder):
    """The model of these vitals, its training rows, and what it is worth on the recordings it has not seen."""
    training = [Recording(folder / name, vitals) for name in ("training.csv", "natural-training.csv")]
    held_out = Recording(folder / "held-out.csv", vitals)
    natural = Recording(folder / "natural-held-out.csv", vitals)
    rows = np.concatenate([recording.features[recording.normal] for recording in training])
    model = graph_of(vitals, *fit(rows, vitals))
    score = lambda recording: model_files.scores_of(model, recording.features)[0][:, 0]  # noqa: E731
    normal = np.concatenate([score(recording)[recording.normal] for recording in training])
    quality = {
        "trainingFalsePositiveShare": share(normal > FIRE),
        "heldOut": judged(held_out, score(held_out) > FIRE, alarms(score(held_out))),
        "unprovoked": quiet_time(natural, score(natural) > FIRE, alarms(score(natural))),
    }
    return model, rows, quality, held_out, natural


def baselines(held_out, natural, vitals):
    rules, elsewhere = one_line_rules(held_out, vitals), one_line_rules(natural, vitals)
    result = {}
    for name, over in rules.items():
        found = judged(held_out, over, alarms(over.astype(float)))
        unprovoked = quiet_time(natural, elsewhere[name], alarms(elsewhere[name].astype(float)))
        result[name] = {"precision": found["precision"], "recall": found["recall"], "unprovokedRuleAlarms": unprovoked["ruleAlarms"]}
    return result


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--data", type=pathlib.Path, default=HERE / "data")
    options.add_argument("--out", required=True)
    options = options.parse_args()
    model, rows, quality, held_out, natural = trained(VITALS, options.data)
    quality = {
        "note": "One virtual machine with two cores; a window of 30 s ends at every second, those that mix phases are left out of precision and recall",
        **quality,
        "baselines": baselines(held_out, natural, VITALS),
        "withPressureStallInformation": trained(WITH_PRESSURE, options.data)[2],
    }
    print(json.dumps(quality, indent=1))
    features = names_of(VITALS)
    manifest = {
        "name": "host-anomaly",
        "version": 1,
        "description": "How far the last 30 seconds of a machine are above what is normal for one that is not overloaded, and in what.",
        "licence": "Apache-2.0",
        "training": {
            "script": "scripts/train/host-anomaly/train.py",
            "data": "scripts/train/host-anomaly/data: a virtual machine, idle and in ordinary use",
            "method": "One-sided robust distance of 14 features; threshold: 1.25 times the 99.5 % quantile of normal windows",
        },
        "outputs": [
            {"name": "score", "tensor": "score", "type": "float32", "shape": ["N", 1], "role": "score", "min": 0, "max": 1},
            {"name": "cause", "tensor": "cause", "type": "string", "shape": ["N", 1], "role": "label", "classes": [name for name, *_ in VITALS]},
        ],
        "thresholds": [{"output": "score", "value": FIRE, "meaning": "A quarter above what 99.5 % of normal training windows stay under"}],
        "tolerance": {"absolute": 1e-5, "relative": 1e-5},
        "quality": quality,
    }
    golden = held_out.features[np.linspace(0, len(held_out.features) - 1, 24).astype(int)]
    model_files.write(options.out, model, manifest, features, golden, rows)


if __name__ == "__main__":
    main()
