/** Return a web stream of *values*; `ReadableStream.from` is younger than the oldest Node that is supported. */
export function webStream(values) {
  return new ReadableStream({
    start(controller) {
      for (const value of values) controller.enqueue(value);
      controller.close();
    },
  });
}
