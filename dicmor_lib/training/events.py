"""The record of a run in the format of TensorBoard, written at once and in this thread.

TensorBoard's own writer works in a thread, in which a full disk is a printed traceback and an error that comes to
light later; here it is an `OSError` where it happens.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path


class EventFile:
    """A new file of events in `folder`; what earlier files there hold from step `first` on is void."""

    def __init__(self, folder: Path, first: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names
        self._path = folder / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        start = SessionLog(status=SessionLog.START)
        self._append(
            Event(wall_time=time.time(), file_version="brain.Event:2"),
            Event(wall_time=time.time(), step=first, session_log=start),
        )

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write numbers under their tags.

        Raises:
            OSError: if the disk is full and so on.
        """
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._append(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _append(self, *events: object) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        with open(self._path, "ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())  # type: ignore[attr-defined]
