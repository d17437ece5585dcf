"""
Content of tasks: the JSON object that is made from the arguments of `log`. Each module uses only those below it.

task_content, streamed_answer    the content of a task, whole or chunk by chunk
├── keywords             keywords that `log` has no parameter for
└── logged_value         one input or output, copied to JSON (json_values) and read by `_shapes`
feedback                 feedback and labels
"""
