"""Keep unsent events in a folder: if this process is killed, the next one sends them."""

import tempfile

import phospho

with tempfile.TemporaryDirectory() as folder:
    client = phospho.Client(spool_dir=folder)
    client.log(input="Do you forget?", output="Never.")
    print(client.flush(timeout=10).is_complete)
    client.close()
