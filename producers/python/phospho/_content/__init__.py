"""
Content of tasks: the JSON object that is made from the arguments of `log`. Each module uses only those below it.

task_content             the content of a task, whole or chunk by chunk
├── keywords             keywords that `log` has no parameter for
└── logged_value         one input or output: its text, model, system prompt and token counts
    ├── chunks, responses, conversations, usage    the shapes of client libraries
    └── message_parts, fields, json_values         parts of messages, fields of objects, plain JSON
feedback                 feedback and labels
"""
