"""The queue of tasks that wait for the device."""

import threading

import pytest

from draggan.app.queue import Queue, QueueFullError


def test_the_queue_is_bounded():
    queue, gate = Queue(waiting=1), threading.Event()
    queue.submit(gate.wait)
    queue.submit(lambda: None)
    with pytest.raises(QueueFullError):
        queue.submit(lambda: None)
    gate.set()
    queue.close()
    assert not queue._thread.is_alive()
