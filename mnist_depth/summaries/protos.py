"""TensorBoard's protocol buffers. Their modules are filled at run time, so type checkers must expect anything."""

from __future__ import annotations

from typing import Any

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

_events: Any = event_pb2
_summaries: Any = summary_pb2
Event, Summary, SummaryMetadata = _events.Event, _summaries.Summary, _summaries.SummaryMetadata
hparams: Any = api_pb2
hparams_data: Any = plugin_data_pb2

Message = Any
"""Any of their messages."""
