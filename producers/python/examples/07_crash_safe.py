"""Keep what is not yet sent in a folder: should this process be killed, the next one sends it."""

import tempfile

import phospho

with tempfile.TemporaryDirectory() as folder:
    client = phospho.Client(spool_dir=folder)
    client.log(input="Do you forget?", output="Never.")
    print(client.flush(timeout=10).is_complete)
    client.close()
