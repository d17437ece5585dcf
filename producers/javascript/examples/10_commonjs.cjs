// The same by `require`.
const { phospho } = require("phospho-sdk");

phospho.init();
phospho.log({ input: "Hello", output: "Hi!" });
phospho.shutdown().then(({ sent }) => console.log(`sent ${sent.length}`));
