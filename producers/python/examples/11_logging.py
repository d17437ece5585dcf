"""Log tasks by the standard library's `logging`."""

import logging

import phospho
from phospho.integrations.logging import PhosphoHandler

phospho.init()

logger = logging.getLogger("my.app")
logger.setLevel(logging.INFO)
logger.addHandler(PhosphoHandler())

logger.info("It is sunny today!", extra={"phospho": {"input": "What is the weather in Paris?", "user_id": "user_456"}})

print(len(phospho.flush().sent))
