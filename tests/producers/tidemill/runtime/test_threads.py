"""Threads that are started by one step, also where gevent has replaced what starts them."""

import subprocess
import sys

PATIENCE = 60

PATCHED_LATE = """
import tidemill
from gevent import monkey
monkey.patch_all()
class Stores:
    def put_records(self, Records, **_):
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in Records]}
with tidemill.Producer("s", kinesis=Stores(), check=False, linger=0) as producer:
    print(producer.send("c", key="k").result(20))
"""


def test_a_producers_threads_run_where_gevent_patches_after_the_import() -> None:
    done = subprocess.run([sys.executable, "-c", PATCHED_LATE], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr, done.returncode) == ("Acknowledged(shard='s', sequence='1')\n", "", 0)
