// Builds the page: what is ours with its style to assets/page.html, other people's libraries with their licences to
// assets/third-party/libraries.js. The same sources give the same bytes everywhere; a test compares. Run by analyze/build-page.

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const out = process.argv[2] ?? join(here, "assets");

/** What our sources import, and how the libraries' file calls it. */
const GLOBALS = {
  "@dagrejs/dagre": "dagre",
  "d3-hierarchy": "hierarchy",
  "d3-scale": "scale",
  preact: "preact",
  "preact/hooks": "hooks",
  "preact/jsx-runtime": "jsx",
};

const shared = { bundle: true, minify: true, write: false, format: "iife", target: "es2022", charset: "utf8", absWorkingDir: here, legalComments: "none", logLevel: "warning" };

const elsewhere = {
  name: "libraries in a file of their own",
  setup({ onResolve, onLoad }) {
    const known = new RegExp(`^(${Object.keys(GLOBALS).join("|")})$`);
    onResolve({ filter: known }, ({ path }) => ({ path, namespace: "libraries" }));
    onLoad({ filter: /.*/, namespace: "libraries" }, ({ path }) => ({ contents: `module.exports = Libraries.${GLOBALS[path]};` }));
  },
};

async function bundled(entry, more) {
  const { outputFiles } = await build({ ...shared, ...more, entryPoints: [entry], metafile: false });
  return outputFiles[0].text.trim();
}

/** Names, versions and licences of all that the libraries' file is made of. */
function licences(inputs) {
  const folders = new Set(inputs.map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean));
  return [...folders].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
    const text = file ? readFileSync(join(folder, file), "utf8").trim() : "";
    if (!text) throw new Error(`${name} brings no licence`);
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
}

const made = await build({ ...shared, entryPoints: ["src/libraries.ts"], globalName: "Libraries", metafile: true });
const texts = licences(Object.keys(made.metafile.inputs));
// Every page is a copy of them: their licences go with it.
const notice = texts.join("\n").replaceAll("*/", "* /");
const libraries = `/*!\n${notice}*/\n${made.outputFiles[0].text.trim()}`;
if (libraries.includes("</script")) throw new Error("the libraries can't stand in a page");
const own = await bundled("src/main.tsx", { jsx: "automatic", jsxImportSource: "preact", plugins: [elsewhere] });
const style = await bundled("src/style.css", { loader: { ".css": "css" } });

const hash = (text) => `'sha256-${createHash("sha256").update(text, "utf8").digest("base64")}'`;
const parts = { "{{scripts}}": `${hash(libraries)} ${hash(own)}`, "{{style-hash}}": hash(style), "{{style}}": style, "{{page}}": own };
let page = readFileSync(join(here, "src/page.html"), "utf8");
for (const [mark, text] of Object.entries(parts)) page = page.replace(mark, () => text);

if (!existsSync(join(out, "third-party"))) mkdirSync(join(out, "third-party"), { recursive: true });
writeFileSync(join(out, "page.html"), page);
writeFileSync(join(out, "third-party/libraries.js"), `${libraries}\n`);
writeFileSync(join(out, "third-party/LICENCES.txt"), texts.join(`\n${"-".repeat(80)}\n\n`));
