"""Log a task and a person's feedback on it, and print the result of the flush."""

import phospho

phospho.init()

result = phospho.log(input="What is the capital of France?", output="Paris.", user_id="user_1")
phospho.feedback(result["event_id"], score=1, comment="Right!")

flushed = phospho.flush(timeout=10)
print(f"sent {len(flushed.sent)}, rejected {len(flushed.rejected)}, pending {len(flushed.pending)}")
