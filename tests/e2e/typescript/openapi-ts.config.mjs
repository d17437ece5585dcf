export default ["gateway", "api"].map((name) => ({
  input: `./${name}.json`,
  output: { path: `src/${name}`, clean: true },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
  logs: { level: "warn", file: false },
}));
