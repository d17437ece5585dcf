"""OTLP requests and answers as protobuf and as JSON."""
