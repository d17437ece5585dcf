// Builds dist/esm and dist/cjs with TypeScript's own compiler, from nothing.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));

function compile(kind, module) {
  const outDir = join(folder, "dist", kind);
  const compiler = [join(typescript, "bin", "tsc"), "--project", folder];
  execFileSync(process.execPath, [...compiler, "--module", module, "--outDir", outDir], { stdio: "inherit" });
  return outDir;
}

rmSync(join(folder, "dist"), { recursive: true, force: true });
mkdirSync(join(folder, "dist"));
compile("esm", "esnext");
// Node takes a .js file for what the nearest package.json says.
writeFileSync(join(compile("cjs", "commonjs"), "package.json"), '{ "type": "commonjs" }\n');
