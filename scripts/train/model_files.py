"""Writes a model's folder: model.onnx, manifest.json, golden.json, reference.json."""
import hashlib
import json
import pathlib
from datetime import date

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
# the runtime of gateways reads this version of the file format and newer runtimes do too
IR_VERSION = 9


class Graph:
    """Nodes one after the other; each call returns the name of its output."""

    def __init__(self):
        self.nodes = []
        self.constants = []

    def constant(self, values, dtype=np.float32):
        name = f"c{len(self.constants)}"
        array = np.array(values, dtype=object) if dtype is str else np.asarray(values, dtype=dtype)
        if dtype is str:
            self.constants.append(helper.make_tensor(name, TensorProto.STRING, array.shape, [text.encode() for text in array.ravel()]))
        else:
            self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind, *inputs, output=None, **attributes):
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def model(self, name, width, outputs):
        """`outputs`: tensor name and element type. One input `features` of any number of rows."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width])],
            [helper.make_tensor_value_info(tensor, kind, ["N", 1]) for tensor, kind in outputs],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def calibrated(graph, distance, threshold):
    """score = 1 - 10^(-distance / threshold): 0 at no distance, 0.9 at the threshold, never quite 1."""
    power = graph.node("Mul", distance, graph.constant([[-np.log(10) / threshold]]))
    return graph.node("Sub", graph.constant([[1]]), graph.node("Exp", power), output="score")


def scores_of(model, rows):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"features": np.asarray(rows, dtype=np.float32)})


def tidy(value):
    """Seven significant digits: more than float32 keeps, and no noise in the diff."""
    return float(f"{float(value):.7g}")


def write(folder, model, manifest, features, golden_rows, reference_rows):
    """`features`: (name, unit) in order. Golden rows are rounded before they are answered, so that they are exact."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = model.SerializeToString()
    (folder / "model.onnx").write_bytes(content)

    reference_rows = np.asarray(reference_rows, dtype=np.float64)
    deciles = np.percentile(reference_rows, range(0, 101, 10), axis=0)
    reference = {
        "rows": len(reference_rows),
        "features": [
            {"name": name, "unit": unit, "deciles": [tidy(value) for value in deciles[:, column]]}
            for column, (name, unit) in enumerate(features)
        ],
    }
    golden_rows = [[tidy(value) for value in row] for row in golden_rows]
    answers = scores_of(model, golden_rows)
    names = [output["name"] for output in manifest["outputs"]]
    golden = {
        "inputs": golden_rows,
        "outputs": [
            {name: plain(answers[column][row][0]) for column, name in enumerate(names)} for row in range(len(golden_rows))
        ],
    }
    full = {
        "schemaVersion": 1,
        "name": manifest["name"],
        "version": manifest["version"],
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "sizeBytes": len(content),
        "description": manifest["description"],
        "licence": manifest["licence"],
        "training": {**manifest["training"], "trainedAt": date.today().isoformat()},
        "opset": OPSET,
        "inputs": [
            {
                "tensor": "features",
                "type": "float32",
                "shape": ["N", len(features)],
                "features": [
                    {"name": name, "unit": unit, "min": tidy(deciles[0, column]), "max": tidy(deciles[-1, column])}
                    for column, (name, unit) in enumerate(features)
                ],
            }
        ],
        "outputs": manifest["outputs"],
        "thresholds": manifest["thresholds"],
        "maxBatch": 64,
        "tolerance": manifest["tolerance"],
        "golden": "golden.json",
        "reference": "reference.json",
        "quality": manifest["quality"],
    }
    for name, value in (("manifest", full), ("golden", golden), ("reference", reference)):
        (folder / f"{name}.json").write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def plain(value):
    return value if isinstance(value, str) else float(value)
