"""Log the queries of LlamaIndex, with their retrievals and calls of the model as steps. Mocks stand in for models."""

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM

import phospho
from phospho.integrations import instrument_llama_index

phospho.init()
instrument_llama_index(user_id="user_456")

documents = [Document(text="Refunds take five days.")]
index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=4))
print(index.as_query_engine(llm=MockLLM(max_tokens=3)).query("How long does a refund take?"))
