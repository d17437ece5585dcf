"""From the arguments of `log` to the JSON object that is sent. Each module uses only those below it.

task_content     the content of a task, whole or chunk by chunk
├── keywords     keywords that `log` has no parameter for
└── texts        text, model and system prompt of an input or output
    └── chunks, responses, conversations, usage    the shapes of client libraries
        └── views        one value of the app, parsed and copied at most once
            └── fields, json_values
"""
