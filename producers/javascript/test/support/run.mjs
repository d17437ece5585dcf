// Programs in a process of their own, with what they print.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** Run node with *args*. Return its exit code, its outputs and its time. */
export async function runNode(args, { env = {}, cwd = PACKAGE, timeout = 30_000 } = {}) {
  return run(process.execPath, args, { env, cwd, timeout });
}

export async function run(command, args, { env = {}, cwd = PACKAGE, timeout = 60_000 } = {}) {
  const began = performance.now();
  const own = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("PHOSPHO_")),
  );
  const child = spawn(command, args, {
    cwd,
    env: { ...own, ...env },
    timeout,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  const code = await new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.on("close", resolve);
  });
  return { code, signalCode: child.signalCode, stdout, stderr, tookMs: performance.now() - began };
}

async function textOf(stream) {
  let text = "";
  for await (const part of stream.setEncoding("utf8")) text += part;
  return text;
}
