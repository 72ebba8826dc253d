"""The protocol buffers of TensorBoard that the event writer fills; generated code that type checkers cannot read."""

from __future__ import annotations

from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2

_events: Any = event_pb2
_summaries: Any = summary_pb2
_tensors: Any = tensor_pb2
_shapes: Any = tensor_shape_pb2
_types: Any = types_pb2

Event, SessionLog = _events.Event, _events.SessionLog
Summary, SummaryMetadata = _summaries.Summary, _summaries.SummaryMetadata
TensorProto, TensorShape = _tensors.TensorProto, _shapes.TensorShapeProto
DOUBLE, FLOAT, STRING = _types.DT_DOUBLE, _types.DT_FLOAT, _types.DT_STRING
