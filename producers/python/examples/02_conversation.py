"""Log a conversation: the last messages of each list are the task."""

import phospho

phospho.init()

session_id = phospho.new_session()
messages = [{"role": "system", "content": "You are brief."}]
for question, answer in [("Hello", "Hi!"), ("What is 2+2?", "4"), ("Thanks", "Welcome!")]:
    messages.append({"role": "user", "content": question})
    messages.append({"role": "assistant", "content": answer})
    log = phospho.log(input=messages, output=messages, session_id=session_id)
    print(log["input"], "->", log["output"])

phospho.flush()
