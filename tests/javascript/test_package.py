"""The published package: its files, name and types, in fresh apps without a registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fixtures.node import PACKAGE, App, built_package, install, json_lines, make_app, run

TSC = PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"

# A user's file that uses every type once. `@ts-expect-error` fails if there is no error.
SAMPLE = """
import { ConfigError, Phospho, phospho, RecordingTransport } from "phospho-sdk";
import type { FlushResult, LogEntry, LoggedContent, LogStep, PhosphoOptions, Stats, Transport } from "phospho-sdk";

const onWarning = (text: string) => {};
const options: PhosphoOptions = { apiKey: process.env.KEY, limits: { queueEvents: 10 }, onWarning };
phospho.init();
phospho.init(options);
const client = new Phospho({ apiKey: "ph_key", transport: new RecordingTransport() });
const entry: LogEntry = {
  input: { q: "x" },
  output: Promise.resolve("y"),
  inputToStrFunction: (x) => x.q,
  outputToStrFunction: (x) => x.a.b,
  metadata: { model: "gpt-4", latencyMs: 800 },
  steps: [{ kind: "tool", startedAt: new Date(), tokensIn: 1, error: new Error("no"), own: true } satisfies LogStep],
  log_anything_and_everything: "even this is ok",
};
export async function main(): Promise<void> {
  const logged: LoggedContent = await phospho.log(entry);
  const id: string = logged.eventId + logged.taskId + logged.session_id;
  const text: string | null = logged.output;
  await client.feedback({ eventId: id, score: 1, comment: text });
  await phospho.userFeedback({ taskId: id, flag: "success" });
  await phospho.userFeedback({ taskId: id, rawFlag: 5, rawFlagToFlag: (stars) => (stars > 3 ? "success" : "failure") });
  const answer: (question: string) => Promise<number> = phospho.wrap(async (question: string) => question.length);
  const streaming: () => AsyncGenerator<string> = phospho.wrap(
    async function* () { yield "a"; },
    { stop: (chunk) => chunk === null, userId: "u" },
  );
  const result: FlushResult = await phospho.flush(1000);
  const stats: Stats = client.stats();
  const accepted = { status: "accepted", code: "", message: "" } as const;
  const transport: Transport = { send: async (events) => events.map(() => accepted) };
  const error: Error = new ConfigError("x");
  console.log(result.isComplete, stats.dropped.queue_full, transport, error, answer, streaming, phospho.latestTaskId);
  // @ts-expect-error: input is missing
  await phospho.log({ output: "x" });
  // @ts-expect-error: no such flag
  await phospho.userFeedback({ taskId: id, flag: "maybe" });
  // @ts-expect-error: the internals are not public
  client.callOf({});
}
declare const process: { env: Record<string, string | undefined> };
declare const console: { log(...given: unknown[]): void };
"""

STRICT = {
    "strict": True,
    "noEmit": True,
    "exactOptionalPropertyTypes": True,
    "noUncheckedIndexedAccess": True,
    "skipLibCheck": False,
    "types": [],
    "target": "ES2022",
}

PROGRAM = """
const { Phospho, phospho, VERSION } = SDK;
phospho.init();
phospho.log({ input: "logged by " + NAME });
phospho.shutdown().then(({ isComplete }) => {
  console.log(JSON.stringify([NAME, VERSION, isComplete, typeof Phospho]));
});
"""


def test_package_holds_build_readme_and_changelog(archive: Any) -> None:
    files = archive.files
    built = {name for name in files if name.startswith("dist/")}

    assert sorted(set(files) - built) == ["CHANGELOG.md", "LICENSE", "README.md", "package.json"]
    assert {"dist/esm/index.js", "dist/esm/index.d.ts", "dist/cjs/index.js", "dist/cjs/package.json"} <= built
    assert all(name.endswith((".js", ".d.ts")) for name in built - {"dist/cjs/package.json"})


def test_versions_are_equal_and_package_has_no_dependency() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())

    assert "dependencies" not in package
    assert f'VERSION = "{package["version"]}"' in (PACKAGE / "src" / "version.ts").read_text()
    assert f"## {package['version']}\n" in (PACKAGE / "CHANGELOG.md").read_text()
    assert all(version[0].isdigit() for version in package["devDependencies"].values())


# The second name is that of upstream's package, which an app may keep importing.
@pytest.mark.parametrize("name", ["phospho-sdk", "phospho"])
def test_package_installed_alone_logs_by_import_and_require(
    archive: Any, server: Any, logged: Any, tmp_path: Path, name: str
) -> None:
    app = App(make_app(tmp_path / "app"), server.environment)
    install(app.folder, name, archive)
    head = f'const NAME = "{name}";'

    by_import = app.run(f'import * as SDK from "{name}"; {head} {PROGRAM}', "program.mjs")
    by_require = app.run(f'const SDK = require("{name}"); {head} {PROGRAM}', "program.cjs")

    version = json.loads((PACKAGE / "package.json").read_text())["version"]
    assert json_lines(by_import) == json_lines(by_require) == [[name, version, True, "function"]]
    assert [task["input"] for task in logged()] == [f"logged by {name}"] * 2


@pytest.mark.parametrize("resolution", [("nodenext", "nodenext"), ("esnext", "bundler")])
@pytest.mark.parametrize("library", [["ES2022"], ["ES2022", "DOM"]], ids=["without the web's types", "with them"])
def test_strict_code_of_user_compiles(
    app_folder: Path, tmp_path: Path, resolution: tuple[str, str], library: list[str]
) -> None:
    module, module_resolution = resolution
    built_package()
    (tmp_path / "node_modules").symlink_to(app_folder / "node_modules")
    for file in ("sample.mts", "sample.cts"):
        (tmp_path / file).write_text(SAMPLE)
    options = {**STRICT, "module": module, "moduleResolution": module_resolution, "lib": library}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))

    run(["node", str(TSC), "--project", "."], tmp_path)
