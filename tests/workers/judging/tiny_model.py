"""Models of a few numbers, made on the spot: a sentence encoder, and a cross-encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[SEP]", "refund", "money", "back", "weather", "rain", "hello")
# Money points one way, weather another, greetings a third.
VECTORS = np.array(
    [[0, 0, 0], [0.1, 0.1, 0.1], [0, 0, 0], [1, 0, 0], [1, 0, 0.2], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]],
    dtype=np.float32,
)


def tokenizer(folder: Path) -> None:
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A [SEP] $B:1", special_tokens=[("[SEP]", WORDS.index("[SEP]"))]
    )
    made.save(str(folder / "tokenizer.json"))


def sentence_encoder(folder: Path, extra_input: str = "") -> Path:
    """Write a model that gives the vector of each piece, shape (texts, pieces, 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer(folder)
    gather = helper.make_node("Gather", ["vectors", "input_ids"], ["last_hidden_state"])
    _write(
        folder,
        [gather],
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "p", 3]),
        extra_input,
    )
    return folder


def cross_encoder(folder: Path) -> Path:
    """Write a model that gives a logit a pair: high where a piece of money is on the second side."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer(folder)
    nodes = [
        helper.make_node("Gather", ["vectors", "input_ids"], ["pieces"]),
        helper.make_node("Cast", ["token_type_ids"], ["second"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["second", "last_axis"], ["mask"]),
        helper.make_node("Mul", ["pieces", "mask"], ["of_text"]),
        helper.make_node("ReduceSum", ["of_text", "piece_axis"], ["summed"], keepdims=0),
        helper.make_node("MatMul", ["summed", "towards"], ["logits"]),
    ]
    _write(folder, nodes, helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1]), "token_type_ids")
    return folder


def _write(folder: Path, nodes: list[onnx.NodeProto], output: onnx.ValueInfoProto, extra_input: str) -> None:
    names = ["input_ids", *([extra_input] if extra_input else [])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "p"]) for name in names]
    constants = [
        numpy_helper.from_array(VECTORS, "vectors"),
        numpy_helper.from_array(np.array([[9.0], [-9.0], [-9.0]], dtype=np.float32), "towards"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last_axis"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "piece_axis"),
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(folder / "model.onnx"))
