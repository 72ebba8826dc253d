"""The protocol buffers of the HParams plugin. They are filled at run time: type checkers must expect anything."""

from __future__ import annotations

from typing import Any

from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

hparams: Any = api_pb2
hparams_data: Any = plugin_data_pb2

Message = Any
"""Any message of a protocol buffer."""
